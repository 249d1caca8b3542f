"""The MQTT sink: one call into the extension per connection. This module decides when to connect again, and writes the log."""

from __future__ import annotations

import json
import time
from typing import TYPE_CHECKING, Any

import anyio
import anyio.to_thread

from iiot_gateway._native import JournalError
from iiot_gateway.backoff import Backoff
from iiot_gateway.errors import SinkUnavailable
from iiot_gateway.log import (
    JOURNAL_NOT_READ,
    SINK_AVAILABLE,
    SINK_CLIENT_ID_CONFLICT,
    SINK_CONNECTING,
    SINK_DISCONNECTED,
    SINK_LIMITED,
    SINK_NOT_AUTHORIZED,
    SINK_PUBLISHES_REJECTED,
    SINK_TOO_MANY_TOPICS,
    SINK_UNAVAILABLE,
    Repeated,
    get_log,
)
from iiot_gateway.sinks.base import SinkStatus, StatusDocument
from iiot_gateway.sinks.mqtt.section import MqttSection
from iiot_gateway.sinks.mqtt.takeover import TakeoverDetector

if TYPE_CHECKING:
    from iiot_gateway._native import MqttSink as NativeMqttSink
    from iiot_gateway.mqtt.embedded import EmbeddedBroker

REFUSALS = ("not_authorized", "refused", "tls", "protocol")
"""Reasons for the end of a connection that need a person; waiting alone does not remove them."""
JOURNAL_ENDS = ("journal", "journal_unavailable")
"""Reasons that have nothing to do with the broker: the journal could not be read or written."""
DETAILS = ("in_flight", "late", "refreshed", "publishes", "unlisted", "suspects", "limits")
"""The values that the status copies from the extension."""
WATCH_S = 0.5
BROKER_STOP_S = 0.5
AGAIN_S = 0.2
"""The pause between connections while the extension looks for the publish that makes the broker end them."""
WITNESS_S = 2.0
"""How long a broker may take to show that it is still available."""
DENIED_S = 3600.0
"""A missing right is logged once per hour."""
REJECTS_REMEDY = "`iiot-gateway rejects` lists them; they are not sent again"
LIMITED_REMEDY = "set mqtt.qos to what the broker takes, and let it keep retained messages, or use another broker"
CROWDED_REMEDY = (
    "raise mqtt.max_topics, or look for a source that makes up node names; retained values of further topics are not kept up to date"
)


class MqttSink:
    """Keeps one connection to one broker."""

    kind = "mqtt"

    def __init__(
        self,
        name: str,
        section: MqttSection,
        native: NativeMqttSink,
        *,
        embedded: EmbeddedBroker | None = None,
        backoff: Backoff | None = None,
    ) -> None:
        self.name = name
        self._status = SinkStatus()
        self.health: StatusDocument | None = None
        """Returns the health document; the gateway sets this before `run`."""
        self._section = section
        self._native = native
        self._embedded = embedded
        self._backoff = backoff or Backoff()
        self._takeover = TakeoverDetector()
        self._stopping = anyio.Event()
        # A connection lasts for days, so it has a thread of its own and takes none from the short calls of other parts.
        self._thread = anyio.CapacityLimiter(1)
        self._log = get_log(sink=name)
        self._repeated = Repeated()
        self._denied = Repeated(DENIED_S)
        self._told = False
        self._crowded = False
        self._rejected = 0
        self._rejecting = Repeated()
        self._limits = ""
        self._ended_with = ""

    @property
    def status(self) -> SinkStatus:
        """The present state of the sink. The extension knows it during a connection, and this object between connections."""
        native = self._native.state()
        self._status.details = {key: native[key] for key in DETAILS}
        if native["state"] in ("connecting", "refreshing", "connected"):
            self._status.change(native["state"])
            if native["state"] == "connected":
                # The extension still has the error that ended the previous connection. It no longer applies.
                error = str(native["last_error"])
                self._status.last_error = "" if error == self._ended_with else error
        return self._status

    def publishes_to(self, topic: str) -> bool:
        """Return whether values may be published to a topic: MQTT allows the topic, and it is none of the gateway's own."""
        return self._native.refusal(topic) is None

    async def run(self) -> None:
        """Connect again and again until `stop`."""
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(self._publish_health)
            tasks.start_soon(self._watch)
            absent = await self._connect_again()
            tasks.cancel_scope.cancel()
        # Raised here, outside the task group, because a task group would wrap it.
        if absent is not None:
            raise absent
        self._status.change("stopped")

    async def _connect_again(self) -> SinkUnavailable | None:
        """Keep connecting until `stop`. Return the error early if the broker is absent at the start and on_start is "fail"."""
        while not self._stopping.is_set():
            self._log.debug(SINK_CONNECTING, broker=self._section.broker_url)
            self._told = False
            ended = await anyio.to_thread.run_sync(self._connection, limiter=self._thread)
            self._ended_with = str(self._native.state()["last_error"])
            if float(ended["connected_s"]) > 0:
                self._tell_available()
                self._tell_findings()
            if ended["kind"] == "stopped" or self._stopping.is_set():
                return None
            try:
                delay_s = self._ended(ended, broker_stayed=await self._broker_stayed(ended))
            except SinkUnavailable as error:
                return error
            with anyio.move_on_after(delay_s):
                await self._stopping.wait()
        return None

    async def _watch(self) -> None:
        """Log, until cancelled, when the broker becomes available and which actions it refuses."""
        while True:
            status = self.status
            if status.state == "connected":
                self._tell_available()
                if status.last_error and (extra := self._denied.allows(status.last_error)) is not None:
                    self._log.error(SINK_NOT_AUTHORIZED, detail=status.last_error, **extra)
                self._tell_findings()
            if self._embedded is not None:
                self._embedded.tell()
            await anyio.sleep(WATCH_S)

    def _tell_available(self) -> None:
        """Log once per connection that the broker is available."""
        if not self._told:
            self._told = True
            self._log.info(SINK_AVAILABLE, broker=self._section.broker_url)

    def _tell_findings(self) -> None:
        """Log problems: too many topics, values that the broker rejects, and configured features that the broker does not offer."""
        native = self._native.state()
        if not self._crowded and native["unlisted"]:
            self._crowded = True
            self._log.warning(SINK_TOO_MANY_TOPICS, max_topics=self._section.max_topics, remedy=CROWDED_REMEDY)
        rejects = int(native["rejects"])
        if rejects > self._rejected and (extra := self._rejecting.allows("rejects")) is not None:
            self._log.error(
                SINK_PUBLISHES_REJECTED, points=rejects - self._rejected, last=native["last_reject"], remedy=REJECTS_REMEDY, **extra
            )
            self._rejected = rejects
        if (limits := str(native["limits"])) != self._limits:
            self._limits = limits
            if limits:
                self._log.warning(SINK_LIMITED, limits=limits, remedy=LIMITED_REMEDY)

    async def _broker_stayed(self, ended: dict[str, Any]) -> bool:
        """Return whether the broker answers right after it has ended a working connection, if no publish is suspected of the end."""
        if not self._takeover.asks(str(ended["kind"]), float(ended["connected_s"])) or ended["again"] or not ended["answered"]:
            return False
        return await anyio.to_thread.run_sync(self._native.is_answering, WITNESS_S, limiter=self._thread)

    async def stop(self, timeout_s: float) -> None:
        """Publish "offline" and end the connection. After the time-out the connection is cut, so that the broker publishes the will."""
        self._stopping.set()
        await anyio.to_thread.run_sync(self._native.stop, timeout_s)
        if self._embedded is not None:
            await anyio.to_thread.run_sync(self._embedded.release, self._section.client_id, BROKER_STOP_S)

    def _connection(self) -> dict[str, Any]:
        try:
            if self._embedded is not None:
                self._embedded.ensure()
            return self._native.run_connection()
        except JournalError as error:  # for example, the disk is full: the connection ends, but the journal stays in use
            return {"kind": "journal_unavailable", "detail": str(error), "connected_s": 0.0, "again": False, "answered": False}
        except SinkUnavailable as error:
            return {"kind": "refused", "detail": str(error), "connected_s": 0.0, "again": False, "answered": False}

    def _ended(self, ended: dict[str, Any], *, broker_stayed: bool) -> float:
        """Report the end of a connection and return how long to wait, in seconds."""
        kind, detail, connected_s = str(ended["kind"]), str(ended["detail"]), float(ended["connected_s"])
        error = f"{kind}: {detail}" if detail else kind
        if connected_s > 0:
            self._status.was_available = True
        elif self._section.on_start == "fail" and not (self._status.was_available or kind in JOURNAL_ENDS or ended["again"]):
            raise SinkUnavailable(f"[{self.name}] {self._section.broker_url}: {error}")
        self._status.reconnects += 1
        if self._takeover.observe(kind, connected_s, broker_stayed=broker_stayed):
            delay_s = self._backoff.longest()
            self._status.change("client_id_conflict", f"another client uses the id {self._section.client_id!r}")
            if (extra := self._repeated.allows("conflict")) is not None:
                remedy = "give each gateway a client_id of its own"
                self._log.error(
                    SINK_CLIENT_ID_CONFLICT,
                    client_id=self._section.client_id,
                    retry_s=round(delay_s, 1),
                    remedy=remedy,
                    **extra,
                )
            return delay_s
        if ended["again"]:
            # The delay starts small again: each of these ends brings the search for the publish one step further.
            self._backoff.reset()
            delay_s = AGAIN_S
        else:
            delay_s = self._backoff.next_delay_s(connected_s)
        if self._takeover.is_perhaps:
            detail = error = f"{error}; perhaps another client uses the id {self._section.client_id!r}"
        if kind in JOURNAL_ENDS:
            self._status.change("journal_unavailable", detail)
            if (extra := self._repeated.allows(detail)) is not None:
                self._log.error(SINK_UNAVAILABLE, error=detail, kind="journal_unavailable", retry_s=round(delay_s, 1), **extra)
            return delay_s
        refused = kind in REFUSALS
        self._status.change("refused" if refused else "disconnected", error)
        if (extra := self._repeated.allows(kind)) is not None:
            event = SINK_NOT_AUTHORIZED if kind == "not_authorized" else SINK_DISCONNECTED
            log = self._log.error if refused else self._log.warning
            log(event, kind=kind, detail=detail, connected_s=round(connected_s, 1), retry_s=round(delay_s, 1), **extra)
        return delay_s

    async def _publish_health(self) -> None:
        while True:
            if self.health is not None:
                try:
                    # Reading the ledger from the journal may block, so it does not happen on the event loop.
                    document = await anyio.to_thread.run_sync(self.health)
                except JournalError as error:  # the topic keeps the last document; this is no reason to end the connection
                    self._log.debug(JOURNAL_NOT_READ, error=str(error))
                else:
                    self._native.publish_health(json.dumps({"time": round(time.time(), 3), **document}, separators=(",", ":")).encode())
            await anyio.sleep(self._section.health_interval_s)
