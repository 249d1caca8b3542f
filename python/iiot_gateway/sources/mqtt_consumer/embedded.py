"""The consumer of the built-in broker: messages come directly from the broker, which acknowledges them once they are in the journal."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Protocol

import anyio
import anyio.to_thread

from iiot_gateway.backoff import Backoff
from iiot_gateway.errors import SinkUnavailable
from iiot_gateway.log import get_log
from iiot_gateway.sources.base import SourceStatus

if TYPE_CHECKING:
    from iiot_gateway._native import BrokerConsumer
    from iiot_gateway.sources.mqtt_consumer.section import MqttConsumerSection

WATCH_S = 0.5
BROKER_STOP_S = 0.5


class BuiltInBroker(Protocol):
    """The methods of the broker that a source needs."""

    def ensure(self) -> None:
        """Start the broker if it does not run. Raises SinkUnavailable."""

    def tell(self) -> None:
        """Log the refusals of the broker. Never waits."""

    def release(self, client: str, timeout_s: float, /) -> None:
        """Note that a user no longer needs the broker. The last one stops it."""


class EmbeddedConsumerSource:
    """Keeps the built-in broker running, and counts its messages."""

    kind = "mqtt_consumer"

    def __init__(self, name: str, section: MqttConsumerSection, native: BrokerConsumer, broker: BuiltInBroker) -> None:
        self.name = name
        self.status = SourceStatus(traffic=self._traffic)
        self._section = section
        self._native = native
        self._broker = broker
        self._log = get_log(source=name)

    async def run(self) -> None:
        """Watch the broker until cancelled. The clients send messages again that were not acknowledged by then."""
        backoff = Backoff()
        began_s = time.time()
        try:
            while True:
                try:
                    await anyio.to_thread.run_sync(self._broker.ensure)
                except SinkUnavailable as error:
                    self.status.change(self._log, "refused", str(error), bad=True)
                    await anyio.sleep(backoff.next_delay_s())
                    continue
                self._show(began_s)
                self._broker.tell()
                await anyio.sleep(WATCH_S)
        finally:
            self._native.stop()
            with anyio.CancelScope(shield=True):
                await anyio.to_thread.run_sync(self._broker.release, self.name, BROKER_STOP_S)

    def _show(self, began_s: float) -> None:
        silence_s = self._section.silence_s
        _bytes, last_s, _messages, _last_s = self._traffic()
        if not self._native.has_room():
            self.status.change(self._log, "paused", "the journal has no room; clients wait for their acknowledgements", bad=True)
        elif silence_s and time.time() - max(last_s, began_s) > silence_s:
            self.status.change(self._log, "silent", f"no message for {silence_s:g} s", bad=True)
        else:
            self.status.change(self._log, "subscribed", "the built-in broker")

    def _traffic(self) -> tuple[int, float, int, float]:
        messages, payload_bytes, last_ns = self._native.counts()
        return payload_bytes, last_ns / 1e9, messages, last_ns / 1e9
