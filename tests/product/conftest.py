"""Fixtures of the product tests: a gateway process, gateways for devices, a subscriber, a recording."""

from __future__ import annotations

import json
import os
import secrets
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from asked import partitions
from backups import made_fleet
from fleets import Fleet
from gateways import Gateway
from plants import Plant
from recordings import Expected, expect, generated, shared_recording
from registries import in_server
from servers import Mosquitto, Postgres
from subscribers import Subscriber
from timescale import Database, Timescale, needs_timescaledb


@pytest.fixture
def gateway(tmp_path: Path) -> Iterator[Gateway]:
    """A gateway in a folder of its own; ended after the test."""
    it = Gateway(tmp_path / "gateway")
    yield it
    it.end()


@pytest.fixture(params=["plain", pytest.param("timescaledb", marks=needs_timescaledb)])
def database(request: pytest.FixtureRequest, gateway: Gateway, launch: Callable[..., Postgres]) -> Iterator[Database]:
    """The plant's tables without points: in PostgreSQL, and with the extension where there is a server for it."""
    database: Database = launch(Postgres) if request.param == "plain" else Timescale(f"iiot_{secrets.token_hex(4)}")
    gateway.configure(f'[simulate]\n[postgresql]\nurl = "{database.url}"\n')
    done = gateway.run("postgresql", "init", "--profile", "factory-dosing")
    assert done.returncode == 0, done.stderr
    if request.param == "plain":
        partitions(database)
    yield database
    if isinstance(database, Timescale):
        database.close()


@pytest.fixture
def subscribe() -> Iterator[Callable[..., Subscriber]]:
    """Return a function that starts a subscriber of a broker."""
    running: list[Subscriber] = []

    def start(broker: Mosquitto, pattern: str = "iiot/#") -> Subscriber:
        subscriber = Subscriber(broker.port, pattern)
        running.append(subscriber)
        return subscriber.start()

    yield start
    for subscriber in running:
        subscriber.stop()


@pytest.fixture
def plant(mosquitto: Mosquitto) -> Iterator[Plant]:
    """Machines that publish to the broker."""
    plant = Plant(mosquitto)
    yield plant
    plant.close()


@pytest.fixture(scope="session")
def recording(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The recording of a real node where there is one, else one of the same shape."""
    if (shared := shared_recording()) is not None:
        return shared
    return made(tmp_path_factory.mktemp("recording"), 5_000)


@pytest.fixture(scope="session")
def expected(recording: Path) -> Expected:
    """What a right gateway finds in the recording; of the real one it is known, so the reader is held against that first."""
    found = expect(recording)
    known = recording.with_name(recording.name.partition(".")[0] + ".expected.json")
    if known.exists():
        counts = json.loads(known.read_text())
        assert (found.accepted, found.duplicate, found.rejected) == (
            counts["fresh"],
            counts["duplicates_within_3600_s"],
            counts["telemetry_damaged"],
        )
        assert found.received == counts["telemetry_good"] + counts["telemetry_damaged"]
        assert round(sum(map(float, found.values("node1/temperature"))), 1) == counts["fresh_temperature_sum_celsius"]
    return found


def made(folder: Path, packets: int) -> Path:
    """Write a generated log."""
    path = folder / "generated.log"
    path.write_bytes(generated(packets))
    return path


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of four megabytes; needs the right to mount."""
    folder = tmp_path / "disk"
    folder.mkdir()
    done = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=4m", "tmpfs", str(folder)], capture_output=True, text=True, check=False)
    if done.returncode:
        message = f"a small disk needs the right to mount: {done.stderr.strip()}"
        if os.environ.get("CI"):
            pytest.fail(message)
        pytest.skip(message)
    yield folder
    subprocess.run(["umount", "-l", str(folder)], check=True)


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Fleet]:
    """A gateway with everything that a backup may hold; ended after the test."""
    fleet = made_fleet(tmp_path / "gateway")
    yield fleet
    fleet.end()


@pytest.fixture(params=["sqlite", "postgresql"])
def fleet(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Callable[..., Fleet]]:
    """A function that starts a gateway for devices, whose registry is in either database; all are ended after the test."""
    running: list[Fleet] = []

    def begin(*, start: bool = True, **settings: Any) -> Fleet:
        if request.param == "postgresql":
            settings = in_server(request.getfixturevalue("shared_postgres"), settings)
        running.append(Fleet(tmp_path / str(len(running)), **settings))
        if start:
            running[-1].begin()
        return running[-1]

    yield begin
    for started in running:
        started.end()


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Fleet, str]]:
    """A gateway that refuses many things, and the key of a device."""
    gateway = Fleet(tmp_path_factory.mktemp("shared"))
    key = gateway.add("one")
    gateway.begin()
    yield gateway, key
    gateway.end()
