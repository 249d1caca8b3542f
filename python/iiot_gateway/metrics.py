"""Every metric of the gateway and its components: writes the status document as Prometheus text.

Names are iiot_<noun>_<unit>[_total]. Counters are the ledger's: they come from the journal, so they continue after a restart.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Any

from iiot_gateway.components import SinkComponent
from iiot_gateway.config.sections import COMPONENTS

OF_SINKS = [metric for component in COMPONENTS if isinstance(component, SinkComponent) for metric in component.metrics]
"""The metrics that only some kinds of sinks have."""

Sample = tuple[dict[str, str], float]

INTAKE_FRAMES = "iiot_intake_frames_total"
INTAKE_REJECTED = "iiot_intake_rejected_total"
INTAKE_IGNORED = "iiot_intake_ignored_documents_total"
INTAKE_SKIPPED = "iiot_intake_skipped_messages_total"
INTAKE_SESSIONS_LOST = "iiot_intake_sessions_lost_total"
INTAKE_TIMES_NOT_REMEMBERED = "iiot_intake_times_not_remembered_total"
INTAKE_RECEPTIONS_NOT_REMEMBERED = "iiot_intake_receptions_not_remembered_total"
INTAKE_LOSSES_NOT_TRACKED = "iiot_intake_losses_not_tracked_total"
INTAKE_RETRIED = "iiot_intake_retried_total"
INTAKE_LOST_ON_AIR = "iiot_intake_lost_on_air_frames"
INTAKE_TIMES_NOT_BELIEVED = "iiot_intake_times_not_believed_total"
INTAKE_RATE = "iiot_intake_rate_frames_per_second"
SINK_FRAMES = "iiot_sink_frames_total"
SINK_REJECTED = "iiot_sink_rejected_frames"
SINK_DROPPED = "iiot_sink_dropped_frames_total"
SINK_LOST_BY_PEER = "iiot_sink_lost_by_peer_frames_total"
SINK_LAG = "iiot_sink_lag_seconds"
SINK_QUEUED = "iiot_sink_queued_frames"
SINK_CONNECTED = "iiot_sink_connected"
SINK_RECONNECTS = "iiot_sink_reconnects_total"
JOURNAL_BYTES = "iiot_journal_bytes"
JOURNAL_MAX_BYTES = "iiot_journal_max_bytes"
JOURNAL_FRAMES = "iiot_journal_frames"
JOURNAL_HOURS_LEFT = "iiot_journal_hours_left"
SOURCE_BYTES = "iiot_source_bytes_total"
SOURCE_DOCUMENTS = "iiot_source_documents_total"
SOURCE_RESTARTS = "iiot_source_restarts_total"
SOURCE_RUNNING = "iiot_source_running"
SOURCE_LAST_DOCUMENT = "iiot_source_last_document_timestamp_seconds"
REFUSED = "iiot_refused_requests_total"
SITE_VALUES = "iiot_site_values_total"
SITE_DOUBLES = "iiot_site_doubles_total"
GATEWAY_INFO = "iiot_gateway_info"
GATEWAY_UPTIME = "iiot_gateway_uptime_seconds"
GATEWAY_RESIDENT = "iiot_gateway_resident_bytes"
LOG_LINES_LOST = "iiot_log_lines_lost_total"

METRICS: dict[str, tuple[str, str]] = {
    INTAKE_FRAMES: (
        "counter",
        "Frames at intake, by what was done with them; received = accepted + duplicate + rejected - retried (their own metrics).",
    ),
    INTAKE_REJECTED: ("counter", "Frames rejected at intake, by reason; also those that a retry settled later."),
    INTAKE_IGNORED: ("counter", "Documents that a profile names as no telemetry, by the name that they have there; no part of received."),
    INTAKE_SKIPPED: ("counter", "Messages that were not wanted or had no room, by reason; no part of received."),
    INTAKE_SESSIONS_LOST: ("counter", "How often a broker had lost the session of a source, so that messages may be missing, by source."),
    INTAKE_TIMES_NOT_REMEMBERED: (
        "counter",
        "Values that are not remembered for the whole window, because their source has too many series, values or devices.",
    ),
    INTAKE_RECEPTIONS_NOT_REMEMBERED: (
        "counter",
        "Receptions whose repeats will not be recognised, because their source has too many within the window.",
    ),
    INTAKE_LOSSES_NOT_TRACKED: (
        "counter",
        "Receptions of nodes whose losses on air are not counted, because their source has too many nodes.",
    ),
    INTAKE_RETRIED: ("counter", "Rejects of the intake that a retry made accepted frames, or found to be duplicates."),
    INTAKE_LOST_ON_AIR: ("gauge", "Sequence numbers that never came; falls when a late frame arrives."),
    INTAKE_TIMES_NOT_BELIEVED: (
        "counter",
        "Documents whose time could not be right, so that they got the time of their arrival, by source.",
    ),
    INTAKE_RATE: ("gauge", "Frames received per second over the last minute."),
    SINK_FRAMES: ("counter", "Frames of a sink by what became of them."),
    SINK_REJECTED: ("gauge", "Frames that the other side refused; falls when a retry offers them again."),
    SINK_DROPPED: ("counter", "Frames that went before the sink had them, by reason."),
    SINK_LOST_BY_PEER: ("counter", "Frames that a database had and lost, and that the journal no longer has."),
    SINK_QUEUED: ("gauge", "Frames in the journal that the sink has not passed: its lag."),
    SINK_LAG: ("gauge", "How long the oldest queued frame has waited in the journal."),
    **{metric.name: (metric.kind, metric.help) for metric in OF_SINKS},
    SINK_CONNECTED: ("gauge", "1 while the sink delivers."),
    SINK_RECONNECTS: ("counter", "Connections or outages that ended since the start."),
    JOURNAL_BYTES: ("gauge", "Size of the journal: pages in use."),
    JOURNAL_MAX_BYTES: ("gauge", "At this size the oldest frames go."),
    JOURNAL_FRAMES: ("gauge", "Frames in the journal."),
    JOURNAL_HOURS_LEFT: ("gauge", "How long the free room holds at the present rate."),
    SOURCE_BYTES: ("counter", "Bytes read since the start."),
    SOURCE_DOCUMENTS: ("counter", "Documents seen since the start, good or damaged."),
    SOURCE_RESTARTS: ("counter", "Times that the source began anew since the start."),
    SOURCE_RUNNING: ("gauge", "1 while the source gives bytes; the state is a label."),
    SOURCE_LAST_DOCUMENT: ("gauge", "When the last document came."),
    REFUSED: (
        "counter",
        "Logins, messages, requests, points of batches and lines that were refused since the start, by whom and why; no part of received.",
    ),
    SITE_VALUES: ("counter", "Values of another gateway that came in through a broker, by the id of its journal."),
    SITE_DOUBLES: ("counter", "Of these, the ones that had come before."),
    GATEWAY_INFO: ("gauge", "1; the version is a label."),
    GATEWAY_UPTIME: ("gauge", "Seconds since the start."),
    GATEWAY_RESIDENT: ("gauge", "Memory of the process that is in RAM."),
    LOG_LINES_LOST: ("counter", "Log lines since the start that could not be written to standard error."),
}

# Counters only rise. A number that a retry or a late frame can lower is a separate gauge.
_INTAKE = ("received", "accepted", "duplicate", "lost_journal_unavailable")
_OUTCOMES = ("accepted", "delivered", "superseded")
_DETAILS = {SINK_RECONNECTS: ("reconnects", ""), **{metric.name: (metric.key, metric.label) for metric in OF_SINKS}}


def render(document: dict[str, Any], now_s: float | None = None) -> str:
    """Return the status document in Prometheus' text format."""
    samples: dict[str, list[Sample]] = {}
    for name, labels, value in _samples(document, time.time() if now_s is None else now_s):
        samples.setdefault(name, []).append((labels, value))
    lines: list[str] = []
    for name, (kind, help_text) in METRICS.items():
        if name in samples:
            lines += [f"# HELP {name} {help_text}", f"# TYPE {name} {kind}"]
            lines += [f"{name}{_labels(labels)} {value!r}" for labels, value in samples[name]]
    return "\n".join(lines) + "\n"


def _samples(document: dict[str, Any], now_s: float) -> Iterator[tuple[str, dict[str, str], float]]:
    yield from _intake(document["intake"])
    for name, sink in document["sinks"].items():
        yield from _sink(name, sink, now_s)
    journal = document["journal"]
    for metric, key in (
        (JOURNAL_BYTES, "bytes"),
        (JOURNAL_MAX_BYTES, "max_bytes"),
        (JOURNAL_FRAMES, "frames"),
        (JOURNAL_HOURS_LEFT, "hours_left"),
    ):
        if journal.get(key) is not None:
            yield metric, {}, journal[key]
    for name, source in document["source"].items():
        yield from _source(name, source)
    for by, reasons in document.get("refused", {}).items():
        for reason, value in reasons.items():
            yield REFUSED, {"by": by, "reason": reason}, value
    for origin, site in document.get("sites", {}).items():
        yield SITE_VALUES, {"origin": origin}, site["received"]
        yield SITE_DOUBLES, {"origin": origin}, site["doubles"]
    gateway = document["gateway"]
    if gateway:
        yield GATEWAY_INFO, {"version": gateway["version"]}, 1
        yield GATEWAY_UPTIME, {}, gateway["uptime_s"]
        yield INTAKE_RATE, {}, gateway["frames_per_s"]
        yield GATEWAY_RESIDENT, {}, gateway["resident_bytes"]
        yield LOG_LINES_LOST, {}, gateway["log_lines_lost"]


def _source(name: str, source: dict[str, Any]) -> Iterator[tuple[str, dict[str, str], float]]:
    for metric, key in ((SOURCE_BYTES, "bytes"), (SOURCE_DOCUMENTS, "documents"), (SOURCE_RESTARTS, "restarts")):
        yield metric, {"source": name}, source[key]
    yield SOURCE_RUNNING, {"source": name, "state": source["state"]}, int(source["state"] in ("running", "subscribed", "listening"))
    if source["last_document_at"] is not None:
        yield SOURCE_LAST_DOCUMENT, {"source": name}, source["last_document_at"]


def _intake(intake: dict[str, Any]) -> Iterator[tuple[str, dict[str, str], float]]:
    for outcome in _INTAKE:
        if outcome in intake:
            yield INTAKE_FRAMES, {"outcome": outcome}, intake[outcome]
    for reason, value in intake.get("reject_reasons", {}).items():
        yield INTAKE_REJECTED, {"reason": reason}, value
    for kind, value in intake.get("ignored_kinds", {}).items():
        yield INTAKE_IGNORED, {"kind": kind}, value
    for reason, value in intake.get("skipped_kinds", {}).items():
        yield INTAKE_SKIPPED, {"reason": reason}, value
    for source, value in intake.get("sessions_lost", {}).items():
        yield INTAKE_SESSIONS_LOST, {"source": source}, value
    yield INTAKE_TIMES_NOT_REMEMBERED, {}, intake.get("times_not_remembered", 0)
    yield INTAKE_RECEPTIONS_NOT_REMEMBERED, {}, intake.get("receptions_not_remembered", 0)
    yield INTAKE_LOSSES_NOT_TRACKED, {}, intake.get("losses_not_tracked", 0)
    yield INTAKE_RETRIED, {}, intake.get("retried", 0)
    yield INTAKE_LOST_ON_AIR, {}, intake.get("lost_on_air", 0)
    for source, value in intake.get("times_not_believed", {}).items():
        yield INTAKE_TIMES_NOT_BELIEVED, {"source": source}, value


def _sink(name: str, sink: dict[str, Any], now_s: float) -> Iterator[tuple[str, dict[str, str], float]]:
    for outcome in _OUTCOMES:
        if outcome in sink:
            yield SINK_FRAMES, {"sink": name, "outcome": outcome}, sink[outcome]
    for reason, value in sink.get("dropped_reasons", {}).items():
        yield SINK_DROPPED, {"sink": name, "reason": reason}, value
    labels = {"sink": name}
    yield SINK_LOST_BY_PEER, labels, sink.get("lost_by_peer", 0)
    yield SINK_REJECTED, labels, sink.get("rejected", 0)
    yield SINK_QUEUED, labels, sink.get("queued", 0)
    oldest_ms = sink.get("oldest_queued_at_ms")
    yield SINK_LAG, labels, 0 if oldest_ms is None else round(max(0.0, now_s - oldest_ms / 1000), 3)
    yield SINK_CONNECTED, labels, int(sink["state"] == "connected")
    for metric, (key, label) in _DETAILS.items():
        if key not in sink:
            continue
        if label:
            for value, number in sink[key].items():
                yield metric, {**labels, label: value}, number
        else:
            yield metric, labels, sink[key]


def _labels(labels: dict[str, str]) -> str:
    def escaped(text: str) -> str:
        return text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")

    return "{" + ",".join(f'{key}="{escaped(value)}"' for key, value in labels.items()) + "}" if labels else ""
