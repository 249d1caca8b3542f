"""The alerts sink: judges frames on a thread of its own, and sends each receiver its notifications, again and again until that succeeds."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import anyio
import anyio.to_thread

from iiot_gateway._native import AlertSink as NativeAlertSink
from iiot_gateway._native import JournalError
from iiot_gateway.backoff import Backoff
from iiot_gateway.log import ALERT_NOT_SENT, ALERT_SENT_AGAIN, SINK_UNAVAILABLE, Repeated, get_log
from iiot_gateway.sinks.alerts.figures import figures
from iiot_gateway.sinks.alerts.receiver import Failed, Notification, Receiver, read_notification
from iiot_gateway.sinks.base import SinkStatus

if TYPE_CHECKING:
    from iiot_gateway.sinks.alerts.topics import AlertTopics
    from iiot_gateway.sinks.base import StatusDocument

LINGER_MS = 200
WAIT_FOR_FRAME_MS = 1000
"""Alerts notice the passing of time at least this often."""
FIGURES_S = 5.0
WATCH_S = 0.05
FIRST_RETRY_S, LONGEST_RETRY_S = 1.0, 300.0
COUNTS = {
    "waiting": "changes_waiting",
    "sent": "notifications_sent",
    "failed": "attempts_failed",
    "coalesced": "changes_coalesced",
    "expired": "changes_expired",
    "dropped": "changes_dropped",
}
"""The counts of each receiver, with their names in the status."""


class AlertSink:
    """Judges frames and notifies receivers."""

    kind = "alerts"

    def __init__(self, name: str, native: NativeAlertSink, receivers: Mapping[str, Receiver], gateway: StatusDocument) -> None:
        self.name = name
        self.status = SinkStatus()
        self.topics: Sequence[AlertTopics] = ()
        self._native = native
        self._receivers = receivers
        self._gateway = gateway
        self._errors = dict.fromkeys(receivers, "")
        self._stopping = anyio.Event()
        self._done = anyio.Event()
        self._looked = anyio.Event()
        """Set, and replaced by a new one, after each time that the rules were judged."""
        self._thread = anyio.CapacityLimiter(1)
        self._others = anyio.CapacityLimiter(4)
        self._log = get_log(sink=name)
        self._repeated = Repeated()

    def document(self) -> dict[str, Any]:
        """Return rules, alerts and receivers in the schema `Alerts` of the API. May wait for the disk."""
        document: dict[str, Any] = json.loads(self._native.document())
        for name, entry in document["receivers"].items():
            entry["last_error"] = self._errors.get(name) or None
        return document

    def states(self) -> tuple[int, dict[str, Any]]:
        """Return the version of the states, and the document with the states."""
        version = self._native.version()
        return version, self.document()

    async def run(self) -> None:
        """Judge frames and notify receivers until `stop`. Notifications that were not sent wait in the journal."""
        try:
            async with anyio.create_task_group() as tasks:
                for name, receiver in self._receivers.items():
                    tasks.start_soon(self._tell, name, receiver)
                for topics in self.topics:
                    tasks.start_soon(topics.run)
                tasks.start_soon(self._watch_gateway)
                await self._judge()
                tasks.cancel_scope.cancel()
        finally:
            self._done.set()
        self.status.change("stopped")

    async def stop(self, timeout_s: float) -> None:
        """End the sink. A notification under way is sent again at the next start, with the same id."""
        self._stopping.set()
        self._native.cancel()
        for receiver in self._receivers.values():
            receiver.cancel()
        with anyio.move_on_after(timeout_s):
            await self._done.wait()

    async def _judge(self) -> None:
        backoff = Backoff()
        while not self._stopping.is_set():
            try:
                await anyio.to_thread.run_sync(self._deliver, limiter=self._thread)
            except JournalError as error:
                delay_s = backoff.next_delay_s()
                self.status.reconnects += 1
                self.status.change("disconnected", f"journal_unavailable: {error}")
                if (extra := self._repeated.allows(error.kind)) is not None:
                    remedy = "read the detail; the frames wait in the journal"
                    self._log.error(SINK_UNAVAILABLE, error=str(error), remedy=remedy, retry_s=round(delay_s, 1), **extra)
                with anyio.move_on_after(delay_s):
                    await self._stopping.wait()
                continue
            backoff.reset()
            self._repeated.reset()
            self.status.change("connected", "")
            self._looked.set()
            self._looked = anyio.Event()

    def _deliver(self) -> None:
        self._native.deliver(linger_ms=LINGER_MS, timeout_ms=WAIT_FOR_FRAME_MS)
        version, document = self.states()
        receivers = document["receivers"]
        self.status.details = {
            "version": version,
            "alerts_firing": {rule["name"]: rule["firing"] for rule in document["rules"]},
            "late_values": document["late"],
            "beyond_values": document["beyond_max_series"],
            **{key: {name: entry[count] for name, entry in receivers.items()} for count, key in COUNTS.items()},
            "receiver_errors": {name: error for name, error in self._errors.items() if error},
        }

    async def _watch_gateway(self) -> None:
        """Give the gateway's own figures to the rules, every few seconds."""
        repeated = Repeated()
        while True:
            await anyio.sleep(FIGURES_S)
            try:
                document = await anyio.to_thread.run_sync(self._gateway, limiter=self._others)
                if document:
                    found = list(figures(document, time.time()))
                    await anyio.to_thread.run_sync(self._native.figures, found, limiter=self._others)
            except JournalError as error:
                if (extra := repeated.allows(error.kind)) is not None:
                    self._log.warning(SINK_UNAVAILABLE, error=str(error), consequence="the gateway's own figures are judged later", **extra)

    async def _tell(self, name: str, receiver: Receiver) -> None:
        """Send one receiver its notifications, one after the other."""
        backoff, repeated = Backoff(first_s=FIRST_RETRY_S, ceiling_s=LONGEST_RETRY_S), Repeated()
        while True:
            looked = self._looked
            delay_s = 0.0
            try:
                text = await anyio.to_thread.run_sync(self._native.take, name, limiter=self._others)
                if text is None:
                    await looked.wait()
                    continue
                notification = read_notification(json.loads(text))
                failed = await self._send(receiver, notification)
                if failed is None or not self._stopping.is_set():
                    await anyio.to_thread.run_sync(self._native.tried, name, notification.id, failed is None, limiter=self._others)
            except JournalError as error:
                failed = Failed(f"the journal takes nothing: {error}")
            if self._stopping.is_set():
                return
            if failed is None:
                if self._errors[name]:
                    self._log.info(ALERT_SENT_AGAIN, receiver=name)
                self._errors[name] = ""
                backoff.reset()
                repeated.reset()
                continue
            self._errors[name] = failed.reason
            delay_s = max(backoff.next_delay_s(), min(failed.retry_after_s, LONGEST_RETRY_S))
            if (extra := repeated.allows(failed.reason)) is not None:
                self._log.error(
                    ALERT_NOT_SENT, receiver=name, error=failed.reason, retry_s=round(delay_s, 1), consequence="it waits on disk", **extra
                )
            await anyio.sleep(delay_s)

    async def _send(self, receiver: Receiver, notification: Notification) -> Failed | None:
        """Send on a daemon thread: a name server or mail server may let it hang, and the end of the process must not wait for it."""
        result: list[Failed | None] = []
        thread = threading.Thread(target=_send_into, args=(result, receiver.send, notification), name="alert", daemon=True)
        thread.start()
        while thread.is_alive():  # noqa: ASYNC110 - a thread cannot set an event of the loop when it ends
            await anyio.sleep(WATCH_S)
        return result[0] if result else Failed("the receiver ended without a word")


def _send_into(result: list[Failed | None], send: Callable[[Notification], Failed | None], notification: Notification) -> None:
    try:
        result.append(send(notification))
    except Exception as error:  # a fault in one receiver must not end the others
        result.append(Failed(repr(error)))
