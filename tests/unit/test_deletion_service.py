"""The service that carries out deletions, while another gateway takes one or several calls wait for one."""

from __future__ import annotations

import threading
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path

import anyio
import anyio.to_thread
import pytest

from iiot_gateway._native import Journal
from iiot_gateway.device_api import deletions
from iiot_gateway.device_api.deletions import OVERDUE_S, DeletionService
from iiot_gateway.registry.deletions import Deletion
from iiot_gateway.registry.file import RegistryFile
from iiot_gateway.registry.server import RegistryServer
from iiot_gateway.registry.store import Registry
from registries import server_place
from servers import Postgres

pytestmark = [pytest.mark.native, pytest.mark.anyio]


class Place:
    """A place that keeps values; what is to happen while it deletes is given."""

    def __init__(self, during: Callable[[], object]) -> None:
        self.name = "place"
        self.during = during
        self.deleted: list[tuple[str, int, int]] = []
        self.asked = 0

    def refusal(self) -> None:
        """It can delete."""
        self.asked += 1

    def delete(self, device_id: str, start_ns: int, stop_ns: int) -> None:
        """Delete."""
        self.deleted.append((device_id, start_ns, stop_ns))
        self.during()

    def cancel(self) -> None:
        """Nothing is under way."""


@pytest.fixture
def journal(tmp_path: Path) -> Journal:
    """A journal without sinks."""
    return Journal.open(str(tmp_path / "journal.db"))


@pytest.fixture
def in_server(shared_postgres: Postgres) -> Iterator[Registry]:
    """An empty registry that several gateways share."""
    opened = Registry(RegistryServer(server_place(shared_postgres)))
    yield opened
    opened.close()


@pytest.fixture(params=["sqlite", pytest.param("postgresql", marks=pytest.mark.servers)])
def registry(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Registry]:
    """An empty registry."""
    if request.param == "postgresql":
        yield request.getfixturevalue("in_server")
        return
    opened = Registry(RegistryFile(str(tmp_path / "devices.db")))
    yield opened
    opened.close()


@asynccontextmanager
async def running(registry: Registry, journal: Journal, places: Sequence[Place]) -> AsyncIterator[DeletionService]:
    """Run the service of a gateway."""
    service = DeletionService(registry, journal, places)
    with anyio.fail_after(20):
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(service.run)
            yield service
            tasks.cancel_scope.cancel()


async def test_every_call_that_waits_for_a_deletion_is_told_of_its_end(
    registry: Registry, journal: Journal, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One asked for it, and two take it meanwhile."""
    monkeypatch.setattr(deletions, "AT_ONCE_S", 60.0)
    begins, may_end = threading.Event(), threading.Event()
    place = Place(lambda: (begins.set(), may_end.wait(20)))
    answers: list[Deletion] = []

    async with running(registry, journal, [place]) as service:

        async def ask() -> None:
            answers.append(await service.ask("one", 1, 2))

        async def take() -> None:
            (waiting,), _ = await anyio.to_thread.run_sync(registry.deletions.waiting, journal.id)
            answers.append(await service.take(waiting))

        async with anyio.create_task_group() as calls:
            calls.start_soon(ask)
            await anyio.to_thread.run_sync(begins.wait, 20)
            calls.start_soon(take)
            calls.start_soon(take)
            while place.asked < 3:
                await anyio.sleep(0.01)
            may_end.set()

    assert [answer.done_at is not None for answer in answers] == [True] * 3
    assert place.deleted == [("one", 1, 2)]


async def test_a_gateway_leaves_a_deletion_that_another_takes_meanwhile(in_server: Registry, journal: Journal) -> None:
    """Values may still wait in the journal of the other one: the places that are left are its part, and so is the end."""
    asked = in_server.deletions.add("one", 1, 2, journal=journal.id)
    # One place deletes while the other gateway takes the deletion. What is asked next shows that the first one was left.
    first, second = Place(lambda: in_server.deletions.take(asked.id, "another")), Place(lambda: None)

    async with running(in_server, journal, [first, second]) as service:
        while await anyio.to_thread.run_sync(in_server.deletions.is_still, asked):
            await anyio.sleep(0.01)
        first.during = second.during
        assert (await service.ask("two", 3, 4)).done_at is not None

    assert first.deleted == [("one", 1, 2), ("two", 3, 4)]
    assert second.deleted == [("two", 3, 4)]
    taken = in_server.deletions.get(asked.id)
    assert taken is not None
    assert (taken.journal, taken.position, taken.done_at) == ("another", None, None)


async def test_nobody_is_told_to_take_a_deletion_that_is_under_way_elsewhere(in_server: Registry, journal: Journal) -> None:
    """To take it would bring values back. After an hour the journal there may be gone."""
    service = DeletionService(in_server, journal, [])
    asked = in_server.deletions.add("one", 1, 2, journal="another")

    assert service.failure(asked) is None
    assert f"deletions/{asked.id}/take" in str(service.failure(replace(asked, asked_at=asked.asked_at - OVERDUE_S)))
