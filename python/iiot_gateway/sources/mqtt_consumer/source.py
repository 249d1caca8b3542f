"""The MQTT consumer: messages of subscriptions. The extension runs each connection; this file decides when to connect again."""

from __future__ import annotations

import time
from collections.abc import Callable, Coroutine
from typing import TYPE_CHECKING, Any

import anyio
import anyio.to_thread

from iiot_gateway._native import JournalError, MqttError
from iiot_gateway.backoff import Backoff
from iiot_gateway.log import SOURCE_FILTERS_REFUSED, SOURCE_LIMITED, SOURCE_SESSION_LOST, SOURCE_STATE, Repeated, get_log
from iiot_gateway.sources.base import SourceStatus

if TYPE_CHECKING:
    from iiot_gateway._native import MqttConsumer, MqttRecorder
    from iiot_gateway.sources.mqtt_consumer.section import MqttConsumerSection
    from iiot_gateway.sources.recording import MessageWriter

REFUSALS = ("not_authorized", "refused", "tls", "protocol")
"""Reasons for the end of a connection that need a person; waiting alone does not remove them."""
WATCH_S = 0.5
STOP_S = 2.5
ROOM_S = 1.0
SESSION_REMEDY = (
    "messages may be missing: let the broker keep sessions on disk, and for long enough, and let no other client use the client_id"
)
REFUSED_REMEDY = "give the user the right to subscribe at the broker, or correct mqtt_consumer.topics"
LIMITED_REMEDY = (
    "let the broker grant what was asked for: messages of QoS 0 can be lost on their way, and messages that wait in a session end with it"
)


class MqttConsumerSource:
    """Keeps one connection to one broker, with a session that the broker keeps."""

    kind = "mqtt_consumer"

    def __init__(
        self,
        name: str,
        section: MqttConsumerSection,
        native: MqttConsumer,
        *,
        backoff: Backoff | None = None,
        ready: Callable[[], Coroutine[Any, Any, None]] | None = None,
    ) -> None:
        self.name = name
        self.status = SourceStatus(traffic=self._traffic)
        self._section = section
        self._native = native
        self._ready = ready
        self._backoff = backoff or Backoff()
        # A connection lasts for days, so it has a thread of its own and takes none from the short calls of other parts.
        self._thread = anyio.CapacityLimiter(1)
        self._log = get_log(source=name)
        self._repeated = Repeated()
        self._refused: list[str] = []
        self._limits = ""
        self._sessions_lost = 0
        self._subscribed_at_s = 0.0

    async def run(self) -> None:
        """Connect again and again until cancelled. Messages that were not acknowledged by then stay with the broker."""
        if self._ready is not None:
            self.status.change(self._log, "waiting", "the registry of devices is not there yet; the broker keeps what comes", bad=True)
            await self._ready()
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(self._watch)
            try:
                while True:
                    self.status.change(self._log, "connecting", self._section.broker_url)
                    ended = await anyio.to_thread.run_sync(self._connection, limiter=self._thread, abandon_on_cancel=True)
                    self._tell_findings()
                    await self._wait(ended)
            finally:
                with anyio.CancelScope(shield=True):
                    await anyio.to_thread.run_sync(self._native.stop, STOP_S)
                    await anyio.to_thread.run_sync(self._await_end, limiter=anyio.CapacityLimiter(1))

    def retire(self) -> None:
        """End the session for good. The status becomes `retired` when no message is left at the broker."""
        self._native.retire()

    def _connection(self) -> dict[str, Any]:
        try:
            return self._native.run_connection()
        except JournalError as error:
            return {"kind": "journal_unavailable", "detail": str(error), "subscribed_s": 0.0}

    def _await_end(self) -> None:
        """Wait for the connection that `stop` ends. A second call waits for the first one, and then returns at once."""
        self._native.run_connection()

    async def _wait(self, ended: dict[str, Any]) -> None:
        """Report the end of a connection, and wait until the next attempt."""
        kind, detail, subscribed_s = str(ended["kind"]), str(ended["detail"]), float(ended["subscribed_s"])
        if kind == "retired":
            self.status.change(self._log, "retired", detail)
            await anyio.sleep_forever()
        if kind == "paused":
            self.status.change(self._log, "paused", detail, bad=True)
            while not await anyio.to_thread.run_sync(self._native.wait_room, ROOM_S):
                pass
            return
        self.status.restarts += 1
        delay_s = self._backoff.next_delay_s(subscribed_s)
        state = "refused" if kind in REFUSALS else "disconnected"
        # A change of the state is logged; repeated ends of the same kind are not.
        if self._repeated.allows(f"{kind}: {detail}") is not None or state != self.status.state:
            self._log.warning(SOURCE_STATE, state=state, kind=kind, detail=detail, retry_s=round(delay_s, 1))
        self.status.state, self.status.detail, self.status.since = state, f"{kind}: {detail}", time.time()
        await anyio.sleep(delay_s)

    async def _watch(self) -> None:
        """Copy the state of the connection to the status, several times per second, until cancelled."""
        while True:
            native = self._native.state()
            if native["state"] == "paused":
                self.status.change(self._log, "paused", "the journal has no room; the broker keeps what comes", bad=True)
            elif native["state"] == "subscribed":
                self._show_subscribed(native)
            self._tell_findings()
            await anyio.sleep(WATCH_S)

    def _show_subscribed(self, native: dict[str, Any]) -> None:
        silence_s = self._section.silence_s
        last_s = (native["last_message_ns"] or 0) / 1e9
        if self.status.state in ("subscribed", "silent"):
            last_s = max(last_s, self._subscribed_at_s)
        else:
            self._subscribed_at_s = last_s = time.time()
            self._repeated.reset()
            self._backoff.reset()
        if native["refused"]:
            self.status.change(self._log, "refused", "; ".join(native["refused"]), bad=True)
        elif silence_s and time.time() - last_s > silence_s:
            self.status.change(self._log, "silent", f"no message for {silence_s:g} s", bad=True)
        else:
            self.status.change(self._log, "subscribed", "; ".join(filter(None, (self._section.broker_url, native["limits"]))))

    def _tell_findings(self) -> None:
        """Log settings that the broker does not fulfil."""
        native = self._native.state()
        if native["sessions_lost"] > self._sessions_lost:
            self._sessions_lost = native["sessions_lost"]
            self._log.error(SOURCE_SESSION_LOST, broker=self._section.broker_url, times=self._sessions_lost, remedy=SESSION_REMEDY)
        if native["refused"] != self._refused:
            self._refused = list(native["refused"])
            if self._refused:
                self._log.error(SOURCE_FILTERS_REFUSED, filters=self._refused, remedy=REFUSED_REMEDY)
        if native["limits"] != self._limits:
            self._limits = str(native["limits"])
            if self._limits:
                self._log.warning(SOURCE_LIMITED, limits=self._limits, remedy=LIMITED_REMEDY)

    def _traffic(self) -> tuple[int, float, int, float]:
        native = self._native.state()
        last_s = (native["last_message_ns"] or 0) / 1e9
        return native["payload_bytes"], last_s, native["messages"], last_s


class RecordedConsumer:
    """A consumer for `record`, which writes messages to a file."""

    kind = "mqtt_consumer"

    def __init__(self, name: str, section: MqttConsumerSection, native: MqttRecorder, writer: MessageWriter) -> None:
        self.name = name
        self.status = SourceStatus(traffic=lambda: (writer.bytes, writer.last_at, writer.chunks, writer.last_at))
        self._section = section
        self._native = native
        self._log = get_log(source=name)

    async def run(self) -> None:
        """Record until cancelled. A broken connection is made again."""
        backoff = Backoff()
        try:
            while True:
                self.status.change(self._log, "running", self._section.broker_url)
                try:
                    await anyio.to_thread.run_sync(self._native.run_connection, abandon_on_cancel=True)
                except MqttError as error:
                    self.status.change(self._log, "disconnected", str(error), bad=True)
                    await anyio.sleep(backoff.next_delay_s())
        finally:
            with anyio.CancelScope(shield=True):
                await anyio.to_thread.run_sync(self._native.stop)
                await anyio.to_thread.run_sync(self._native.run_connection)
