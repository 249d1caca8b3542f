"""Announces the published metrics to Home Assistant, over a connection of its own.

The broker remembers the announcements: the documents are retained, and at each connection the gateway first reads its own back. So a node
that was not heard since a restart stays announced, a retired node is withdrawn, and no unchanged document is written again. When Home
Assistant reports that it has started, every document is published once more.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import anyio
import anyio.to_thread

from iiot_gateway.backoff import Backoff
from iiot_gateway.home_assistant.entities import Announcer, Entities, Node, is_alert_below, node_in
from iiot_gateway.log import (
    DISCOVERY_ANNOUNCED,
    DISCOVERY_NOT_READ_BACK,
    DISCOVERY_REMOVED,
    DISCOVERY_REPEATED,
    DISCOVERY_UNAVAILABLE,
    LIVE_UNAVAILABLE,
    Repeated,
    get_log,
)
from iiot_gateway.pipeline.views import Views

if TYPE_CHECKING:
    from iiot_gateway._native import Live, SideConnection

BORN = b"online"
LOOK_S = 1.0
WATCH_S = 0.25
"""How often to check whether the sink is connected, in seconds. The service connects only after the sink."""
READ_BACK_S = 10.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """What to announce at one broker, and how."""

    sink: str
    """The sink that publishes the values to this broker."""
    announcer: Announcer
    home_status_topic: str
    """The topic on which Home Assistant reports that it has started."""
    retired: Sequence[str]
    alerts: Mapping[str, str]
    """The topic of each alert rule at this broker."""
    alerts_prefix: str
    """The common beginning of these topics."""
    takes: Callable[[str], bool]
    """Returns whether the sink publishes the values of a source."""
    publishes_to: Callable[[str], bool]
    """Returns whether the sink publishes values to a topic."""
    is_connected: Callable[[], bool]
    """Returns whether the sink is connected."""

    def subscriptions(self) -> list[str]:
        """Return the filters that the connection needs."""
        return [self.announcer.own_documents(), self.home_status_topic]


class Discovery:
    """The announcements at one broker: a service of the gateway that runs until it is cancelled, which loses nothing."""

    def __init__(self, plan: Plan, side: SideConnection) -> None:
        self._plan = plan
        self._side = side
        self._connection = 0
        self._entities = Entities(plan.announcer)
        self._entities.announce_alerts(plan.alerts)
        self._held: dict[str, bytes] = {}
        """The documents that the broker has, by topic."""
        self._sent: dict[str, bytes] = {}
        """The documents that this connection has published or found, by topic. One that another client removes is not published again until
        Home Assistant restarts."""
        self._due: dict[str, bytes] = {}
        """The documents for which the connection had no room yet, by topic."""
        self._read_back_by_s: float | None = None
        """Until when to wait for the gateway's own document. It comes after all documents that the broker had before."""
        self._unsettled = False
        self._version = 0
        self._looked_s = float("-inf")
        # The connection lasts for days, so it has threads of its own: waiting for messages must not take a thread from short calls.
        self._threads = anyio.CapacityLimiter(2)
        self._repeated = Repeated()
        self._log = get_log(sink=plan.sink)

    async def __call__(self, views: Views) -> None:
        """Announce until cancelled. Needs live values."""
        live = views.live
        if live is None:
            raise RuntimeError("discovery without live values")
        try:
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(self._stay_connected)
                await self._announce(live)
        finally:
            self._side.stop()

    async def _stay_connected(self) -> None:
        backoff = Backoff()
        while True:
            while not self._plan.is_connected():  # noqa: ASYNC110 - the extension has no event for this
                await anyio.sleep(WATCH_S)
            ended = await anyio.to_thread.run_sync(self._side.run_connection, limiter=self._threads, abandon_on_cancel=True)
            kind, detail, connected_s = str(ended["kind"]), str(ended["detail"]), float(ended["connected_s"])
            delay_s = backoff.next_delay_s(connected_s)
            # If the sink has lost its connection as well, only the sink logs that.
            if self._plan.is_connected() and (extra := self._repeated.allows(kind)) is not None:
                remedy = f"the broker must let {self._plan.announcer.client_id} read and write {self._plan.announcer.own_documents()}"
                self._log.warning(DISCOVERY_UNAVAILABLE, kind=kind, detail=detail, retry_s=round(delay_s, 1), remedy=remedy, **extra)
            await anyio.sleep(delay_s)

    async def _announce(self, live: Live) -> None:
        while True:
            # Every publish belongs to its connection, so it fails only if the connection ends.
            now, messages, _refused = await anyio.to_thread.run_sync(
                self._side.receive, self._connection, LOOK_S, limiter=self._threads, abandon_on_cancel=True
            )
            if now != self._connection:
                self._begin(now)
            for topic, payload, retained in messages:
                self._take(topic, payload, retained=retained)
            if time.monotonic() - self._looked_s >= LOOK_S:
                await self._look(live)
            if self._connection and self._has_read_back() and self._unsettled:
                self._settle()
            self._hand_over()

    async def _look(self, live: Live) -> None:
        """Find out which series are published now."""
        self._looked_s = time.monotonic()
        try:
            version = await anyio.to_thread.run_sync(live.follow)
            if version == self._version:
                return
            before, self._version = self._version, version
            changes: dict[str, Any] = json.loads(await anyio.to_thread.run_sync(live.changes, before))
        except Exception as error:  # the journal cannot be read now; all announcements stay
            if (extra := self._repeated.allows(str(error))) is not None:
                self._log.warning(LIVE_UNAVAILABLE, error=str(error) or repr(error), **extra)
            return
        self._unsettled = True
        for series in changes["added"]:
            if self._plan.takes(series["source"]) and (not series["topic"] or self._plan.publishes_to(series["topic"])):
                self._entities.take(series)
        for value in changes["changed"]:
            self._entities.change(value["id"], value["kind"])

    def _begin(self, connection: int) -> None:
        self._connection = connection
        self._held, self._sent, self._due, self._read_back_by_s = {}, {}, {}, None
        self._unsettled = True
        if connection:
            self._read_back_by_s = time.monotonic() + READ_BACK_S
            self._publish(*self._plan.announcer.gateway_document())

    def _take(self, topic: str, payload: bytes, *, retained: bool) -> None:
        if topic == self._plan.home_status_topic:
            # A retained message reports an earlier start of Home Assistant.
            if payload == BORN and not retained:
                self._repeat()
            return
        self._unsettled = True
        if payload:
            self._held[topic] = payload
        else:
            self._held.pop(topic, None)
        if topic == self._plan.announcer.gateway_document()[0] and not retained:
            self._read_back_by_s = None

    def _has_read_back(self) -> bool:
        if self._read_back_by_s is None:
            return True
        if time.monotonic() < self._read_back_by_s:
            return False
        self._read_back_by_s = None
        self._log.error(
            DISCOVERY_NOT_READ_BACK,
            waited_s=READ_BACK_S,
            consequence="Home Assistant may not see the gateway, and nodes that are retired may stay",
            remedy=f"let the broker's ACL allow this user to write and read {self._plan.announcer.own_documents()}",
        )
        return True

    def _settle(self) -> None:
        """Make the broker's documents equal to the wanted ones."""
        self._unsettled = False
        written: set[str] = set()
        for topic, document in self._entities.documents.items():
            node = self._entities.nodes[topic]
            if self._sent.get(topic) == document or self._is_retired(node):
                continue
            if self._held.get(topic) == document:
                self._sent[topic] = document
                continue
            self._publish(topic, document)
            written.add(node.name)
        if written:
            self._log.info(DISCOVERY_ANNOUNCED, nodes=sorted(written), entities=len(self._entities.documents))
        owners = {topic: node_in(document) for topic, document in self._held.items()}
        gone = {topic: owner for topic, owner in owners.items() if owner is not None and self._is_retired(owner)}
        withdrawn = self._entities.withdrawn & set(self._held)
        for topic in gone.keys() | withdrawn | self._former_alerts():
            self._publish(topic, b"")
            del self._held[topic]
        if gone:
            self._log.info(DISCOVERY_REMOVED, nodes=sorted({node.name for node in gone.values()}), entities=len(gone))

    def _former_alerts(self) -> set[str]:
        """Return the broker's documents of alert rules that are no longer used."""
        of_alerts = {topic for topic, document in self._held.items() if is_alert_below(self._plan.alerts_prefix, document)}
        return of_alerts - self._entities.documents.keys()

    def _repeat(self) -> None:
        """Publish every document once more, because Home Assistant has started."""
        documents = {**self._held, **self._entities.documents}
        wanted = {topic: document for topic, document in documents.items() if not self._is_gone(topic, document)}
        self._publish(*self._plan.announcer.gateway_document())
        for topic, document in wanted.items():
            self._publish(topic, document)
        self._log.info(DISCOVERY_REPEATED, entities=len(wanted))

    def _is_gone(self, topic: str, document: bytes) -> bool:
        node = node_in(document)
        return topic in self._entities.withdrawn | self._former_alerts() or node is None or self._is_retired(node)

    def _is_retired(self, node: Node) -> bool:
        return any(node.is_called(name) for name in self._plan.retired)

    def _publish(self, topic: str, document: bytes) -> None:
        self._sent[topic] = self._due[topic] = document

    def _hand_over(self) -> None:
        """Publish as many documents as the connection has room for. The messages that come back wake this task for the rest."""
        for topic, document in list(self._due.items()):
            if not self._side.publish(topic, document, retain=True, only_over=self._connection):
                break
            del self._due[topic]
