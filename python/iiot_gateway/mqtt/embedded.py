"""The built-in broker: starts before a sink connects to it, and stops after its last user."""

from __future__ import annotations

import threading
from collections import Counter
from typing import TYPE_CHECKING, Any

from iiot_gateway import _native
from iiot_gateway.errors import SinkUnavailable
from iiot_gateway.log import BROKER_ENDED, BROKER_NOT_STORED, BROKER_REFUSED, BROKER_STARTED, BROKER_STOPPED, Repeated, Risen, get_log
from iiot_gateway.mqtt.broker import BrokerSection
from iiot_gateway.mqtt.connection import embedded_clients

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from iiot_gateway.components import Building

START_REMEDY = 'name another address in broker.listen; or, if a broker listens there, set mqtt.broker_url = "mqtt://{listen}"'

STORE_REMEDY = "make room on its disk, or name another file in broker.path; what is not stored ends with the gateway"


class EmbeddedBroker:
    """One broker for all sinks that publish to it, and for the sources that take its clients' messages.

    Its methods block, except those documented otherwise. Any thread may call them.
    """

    def __init__(self, section: BrokerSection, path: str, clients: Sequence[str], devices: Mapping[str, Any] | None = None) -> None:
        self._section = section
        self._devices = devices or {}
        self._path = path
        self._clients = list(clients)
        self._users = set(clients)
        self._lock = threading.Lock()
        self._consumers: list[_native.BrokerConsumer] = []
        self._running: _native.Broker | None = None
        self._not_stored = 0
        self._refused: Counter[str] = Counter()
        """The refusals of brokers that ran before."""
        self._turn = threading.Lock()
        """Held only while the counts of an ended broker are added, so that each refusal is counted once. `_lock` is held far longer."""
        self._refusals = Risen()
        self._repeated = Repeated()
        self._log = get_log(broker=section.listen)

    def consume(self, name: str, consumer: _native.BrokerConsumer) -> None:
        """Give the clients' messages to a source. Call this before the broker runs."""
        self._consumers.append(consumer)
        self._users.add(name)

    def ensure(self) -> None:
        """Start the broker if it does not run. Raises SinkUnavailable with the reason and the remedy."""
        with self._lock:
            if self._running is not None:
                if (reason := self._running.end_reason()) is None:
                    return
                self._leave(self._running)
                self._log.error(BROKER_ENDED, error=reason, remedy="it is started again; the frames wait in the journal")
            section = self._section
            try:
                self._running = _native.Broker.start(
                    section.listen,
                    path=self._path,
                    own_clients=self._clients,
                    consumers=self._consumers,
                    username=section.username or None,
                    password=section.password.reveal() or None,
                    **self._devices,
                )
            except _native.BrokerError as error:
                raise SinkUnavailable(
                    f"the built-in broker cannot be started: {error}; {START_REMEDY.format(listen=section.listen)}"
                ) from error
            self._not_stored = 0
            self._log.info(BROKER_STARTED, listen=section.listen, retained=self._path)

    def refused(self) -> dict[str, int]:
        """Return the number of refusals since the start, by reason. Never waits for the broker."""
        with self._turn:
            running = self._running
            return dict(self._refused + Counter({} if running is None else running.refused()))

    def _leave(self, ended: _native.Broker) -> None:
        """Keep the counts of a broker that has ended, and forget the broker."""
        with self._turn:
            self._refused.update(ended.refused())
            self._running = None

    def tell(self) -> None:
        """Log refusals, and retained values of other clients that did not reach the file. Never waits."""
        if (refused := self._refusals.since(self.refused())) is not None:
            self._log.warning(BROKER_REFUSED, **refused)
        running = self._running
        if running is None or (count := running.not_stored()) <= self._not_stored:
            return
        self._not_stored = count
        if (extra := self._repeated.allows(BROKER_NOT_STORED)) is not None:
            self._log.error(BROKER_NOT_STORED, values=count, path=self._path, remedy=STORE_REMEDY, **extra)

    def release(self, client: str, timeout_s: float) -> None:
        """Note that a user no longer needs the broker. The last one stops it."""
        with self._lock:
            self._users.discard(client)
            if self._users or self._running is None:
                return
            ended = self._running.stop(timeout_s)
            self._leave(self._running)
        self._log.info(BROKER_STOPPED, in_time=ended)


def built_in_broker(building: Building) -> EmbeddedBroker:
    """Return the broker of a gateway; all sources and sinks share it."""
    return building.once(_made)


def _made(building: Building) -> EmbeddedBroker:
    section = building.config.one(BrokerSection)
    # Where the broker needs no password, devices need no logins.
    devices = building.device_logins() if section.username else {}
    broker = EmbeddedBroker(section, str(building.config.base / section.path), embedded_clients(building.config), devices)
    building.refusals["broker"] = broker.refused
    return broker
