"""Logging to standard error: each event has one constant name, with keys and values.

The constants below are the events of the gateway. `Repeated` prevents that a repeated error fills a disk: the first error is logged,
then one per minute with the number of errors left out. Logging never raises and never waits: see `line_writer`.
"""

from __future__ import annotations

import io
import logging
import sys
import time
from collections.abc import Callable, Mapping
from typing import Any, TextIO

from iiot_gateway._structlog import structlog
from iiot_gateway.line_writer import LineWriter
from iiot_gateway.visible import visible

STANDARD_ERROR = 2

GATEWAY_STARTED = "gateway_started"
GATEWAY_STOPPING = "gateway_stopping"
GATEWAY_STOPPED = "gateway_stopped"
CONFIG_NOTE = "config_note"
JOURNAL_NOTE = "journal_note"
JOURNAL_NOT_READ = "journal_not_read"
JOURNAL_NOT_SYNCED = "journal_not_synced"
FRAMES_DROPPED = "frames_dropped"
FRAMES_LOST = "frames_lost"
SOURCE_STARTED = "source_started"
SOURCE_STATE = "source_state"
SERVICE_FAILED = "service_failed"
SOURCE_FAILED = "source_failed"
SOURCE_FINISHED = "source_finished"
SOURCE_OUTPUT = "source_output"
SOURCE_SESSION_LOST = "source_session_lost"
SOURCE_FILTERS_REFUSED = "source_filters_refused"
SOURCE_LIMITED = "source_limited"
RECORDING_TORN = "recording_torn"
RECORDING_WITHOUT_DOCUMENTS = "recording_without_documents"
SINK_CONNECTING = "sink_connecting"
SINK_DISCONNECTED = "sink_disconnected"
SINK_CLIENT_ID_CONFLICT = "sink_client_id_conflict"
BROKER_STARTED = "broker_started"
BROKER_STOPPED = "broker_stopped"
BROKER_ENDED = "broker_ended"
BROKER_NOT_STORED = "broker_not_stored"
BROKER_REFUSED = "broker_refused"
SINK_TOO_MANY_TOPICS = "sink_too_many_topics"
SINK_AVAILABLE = "sink_available"
SINK_UNAVAILABLE = "sink_unavailable"
SINK_NOT_AUTHORIZED = "sink_not_authorized"
SINK_REFUSED = "sink_refused"
SINK_REFUSES_ALL = "sink_refuses_all"
SINK_LINES_REJECTED = "sink_lines_rejected"
SINK_PUBLISHES_REJECTED = "sink_publishes_rejected"
SINK_LIMITED = "sink_limited"
SINK_STOPPED = "sink_stopped"
SINK_LOST_BY_PEER = "sink_lost_by_peer"
SINK_VALUES_LEFT_OUT = "sink_values_left_out"
SINK_PARTITION_DROPPED = "sink_partition_dropped"
SINK_PARTITIONS_NOT_KEPT = "sink_partitions_not_kept"
HISTORY_PRUNED = "history_pruned"
HTTP_LISTENING = "http_listening"
HTTP_UNAVAILABLE = "http_unavailable"
CERTIFICATE_RENEWED = "certificate_renewed"
CERTIFICATE_UNUSABLE = "certificate_unusable"
LIVE_UNAVAILABLE = "live_unavailable"
PAGE_NOT_BUILT = "page_not_built"
ALERT_FIRING = "alert_firing"
ALERT_RESOLVED = "alert_resolved"
ALERT_NOT_SENT = "alert_not_sent"
ALERT_SENT_AGAIN = "alert_sent_again"
ALERT_TOPICS_DISCONNECTED = "alert_topics_disconnected"
ALERT_TOPICS_REFUSED = "alert_topics_refused"
DOWNLINK_SENT = "downlink_sent"
DOWNLINK_ANSWERED = "downlink_answered"
DOWNLINK_REFUSED = "downlink_refused"
DOWNLINK_DISCONNECTED = "downlink_disconnected"
CONTROL_UNAVAILABLE = "control_unavailable"
BACKUP_MADE = "backup_made"
BACKUP_FAILED = "backup_failed"
DEVICE_REQUESTS_REFUSED = "device_requests_refused"
DEVICE_DATA_DELETED = "device_data_deleted"
DEVICE_DATA_NOT_DELETED = "device_data_not_deleted"
DEVICE_PRESENCE = "device_presence"
DEVICE_COMMAND = "device_command"
DEVICE_ACCOUNTS = "device_accounts"
DEVICE_ACCOUNTS_UNAVAILABLE = "device_accounts_unavailable"
DEVICES_DISCONNECTED = "devices_disconnected"
REGISTRY_UNAVAILABLE = "registry_unavailable"
REGISTRY_AVAILABLE = "registry_available"
DISCOVERY_ANNOUNCED = "discovery_announced"
DISCOVERY_REPEATED = "discovery_repeated"
DISCOVERY_REMOVED = "discovery_removed"
DISCOVERY_UNAVAILABLE = "discovery_unavailable"
DISCOVERY_NOT_READ_BACK = "discovery_not_read_back"

Log = structlog.typing.FilteringBoundLogger

_standard_error: TextIO | None = None
_writer = LineWriter(STANDARD_ERROR, sys.stderr.encoding if sys.stderr else "utf-8")


class _Lines:
    """The logger that structlog calls with a rendered line; it has one method per level."""

    def debug(self, line: str) -> None:
        _writer.line(line)

    info = warning = error = critical = debug


def processors(*, console: bool) -> tuple[list[Any], Any]:
    """Return the structlog processors that make a line of an event, for people or as JSON."""
    common: list[Any] = [
        structlog.contextvars.merge_contextvars,
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
    ]
    if console:
        return [*common, _visible_values], structlog.dev.ConsoleRenderer(exception_formatter=_traceback)
    return [*common, structlog.processors.format_exc_info], structlog.processors.JSONRenderer()


def configure(level: str = "info", form: str = "auto") -> None:
    """Set up logging for the whole process. A command calls this once, and `finish` at its end."""
    chain, renderer = processors(console=form == "console" or (form == "auto" and sys.stderr.isatty()))
    structlog.configure(
        processors=[*chain, renderer],
        wrapper_class=structlog.make_filtering_bound_logger(getattr(logging, level.upper())),
        logger_factory=_Lines,
        cache_logger_on_first_use=True,
    )
    global _standard_error
    _standard_error, sys.stderr = sys.stderr, _writer.stream()


def _visible_values(_logger: object, _method: str, event: dict[str, Any]) -> dict[str, Any]:
    """Escape texts for a terminal. JSON, and the repr of other values, have escapes of their own."""
    return {key: visible(value) if isinstance(value, str) else value for key, value in event.items()}


def _traceback(stream: TextIO, exc_info: Any) -> None:
    """Write a traceback with escapes: its message may quote data that a terminal would obey."""
    text = io.StringIO()
    structlog.dev.plain_traceback(text, exc_info)
    stream.write("\n".join(visible(line) for line in text.getvalue().split("\n")))


def get_log(**bound: Any) -> Log:
    """Return a logger with names bound to it."""
    log: Log = structlog.get_logger()
    return log.bind(**bound)


def lines_lost() -> int:
    """Return how many lines could not be written since the start."""
    return _writer.lines_lost


def draw(text: str) -> None:
    """Write text to standard error, in order with the log lines. The text is left out while the reader is too slow."""
    _writer.draw(text)


def finish() -> None:
    """Wait until all log lines are written, but not for a stuck reader. Later text is written to standard error directly.

    If the reader is stuck, later text also goes into the queue, because a direct write would block the end of the process.
    """
    global _standard_error
    is_written = _writer.finish()
    if is_written and _standard_error is not None:
        sys.stderr, _standard_error = _standard_error, None


class Repeated:
    """Allows the first error of a kind, then at most one per interval, with the number of errors left out."""

    def __init__(self, interval_s: float = 60.0, clock: Callable[[], float] = time.monotonic) -> None:
        self._interval_s = interval_s
        self._clock = clock
        self._kind: object = None
        self._last_s = 0.0
        self._suppressed = 0

    def allows(self, kind: object) -> dict[str, int] | None:
        """Return keys to add to the log line, or None if this line must be left out."""
        now_s = self._clock()
        if kind == self._kind and now_s - self._last_s < self._interval_s:
            self._suppressed += 1
            return None
        suppressed, self._suppressed = self._suppressed, 0
        self._kind, self._last_s = kind, now_s
        return {"suppressed": suppressed} if suppressed else {}

    def reset(self) -> None:
        """Forget the last error, because all is well again."""
        self._kind, self._suppressed = None, 0


class Risen:
    """Reports which counts have risen, at most once per interval, so that a client that is always refused cannot fill a disk."""

    def __init__(self, interval_s: float = 60.0, clock: Callable[[], float] = time.monotonic) -> None:
        self._interval_s = interval_s
        self._clock = clock
        self._told: dict[str, int] = {}
        self._last_s: float | None = None

    def since(self, numbers: Mapping[str, int]) -> dict[str, int] | None:
        """Return by how much each count has risen since the last report; None if there is nothing to report now."""
        risen = {name: number - self._told.get(name, 0) for name, number in numbers.items() if number > self._told.get(name, 0)}
        now_s = self._clock()
        if not risen or (self._last_s is not None and now_s - self._last_s < self._interval_s):
            return None
        self._told, self._last_s = dict(numbers), now_s
        return risen
