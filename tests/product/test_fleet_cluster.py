"""A crowd of devices on a cluster of two Artemis nodes, four workers, and one table: each message is stored once, whatever is killed.

`IIOT_FLEET_DEVICES`, `IIOT_FLEET_INTERVAL_S` and `IIOT_FLEET_MESSAGES` make it long: 10000, 10 and 360 are an hour.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from artemis import ArtemisCluster
from crowds import Crowd
from gateways import assert_balanced
from servers import Mosquitto, Postgres, until
from workers import Worker, accepted, until_stored

pytestmark = pytest.mark.slow

DEVICES, INTERVAL_S, MESSAGES = (
    float(os.environ.get(f"IIOT_FLEET_{name}", short)) for name, short in (("DEVICES", "300"), ("INTERVAL_S", "5"), ("MESSAGES", "6"))
)
QUICK_DEVICES, QUICK_MESSAGES = 100, 60
"""Connections at full speed."""
PROFILE = """
name = "crowd"
[time]
path = "t"
format = "unix_ms"
[[point]]
filter = "crowd/{device}/data"
measurement = "reading"
tags = { device = "{device}" }
fields = { n = "integer" }
"""
ROUND_S = float(os.environ.get("IIOT_FLEET_ROUND_S", "4"))
"""A worker is killed so often."""


@pytest.fixture
def database(launch: Callable[..., Postgres]) -> Postgres:
    """A database without tables."""
    return launch(Postgres)


@pytest.fixture
def make_workers(database: Postgres, tmp_path: Path) -> Iterator[Callable[..., list[Worker]]]:
    """Return a function that starts workers at brokers, and ends them after the test."""
    made: list[Worker] = []
    profile = tmp_path / "crowd.toml"
    profile.write_text(PROFILE)

    def make(urls: list[str], redelivery: str) -> list[Worker]:
        for number, url in enumerate(urls):
            keys = f'profile = "{profile}"\nredelivery = "{redelivery}"'
            worker = Worker(tmp_path / f"worker-{number}", url, database.url, topics="crowd/+/data", keys=keys)
            made.append(worker)
            worker.work()
        return made

    yield make
    for worker in made:
        worker.end()


def stored(database: Postgres) -> int:
    """Return how many rows there are; none while the database is away."""
    try:
        return int(database.value("SELECT count(*) FROM reading"))
    except (RuntimeError, ValueError):
        return 0


def assert_each_once(database: Postgres, crowds: list[Crowd], workers: list[Worker]) -> dict[str, int]:
    """Every message is in the table once, and every ledger balances. Returns what the workers count together."""
    until_stored(*workers, timeout_s=300)
    total = sum(crowd.total for crowd in crowds)
    until(lambda: stored(database) >= total, f"{total} rows", 300)
    assert database.rows("SELECT count(*), count(DISTINCT (device, n)) FROM reading") == [[str(total), str(total)]]
    sums = dict.fromkeys(("accepted", "duplicate", "rejected"), 0)
    for worker in workers:
        status = worker.ask()
        assert_balanced(status)
        for name in sums:
            sums[name] += status["intake"][name]
    assert sums["rejected"] == 0
    # What the database has, and what another worker had stored already.
    assert sums["accepted"] >= total
    return sums


def both_crowds(ports: list[int]) -> list[Crowd]:
    """Devices that speak now and then, and connections at full speed."""
    slow = Crowd(ports, int(DEVICES), messages=int(MESSAGES), interval_s=INTERVAL_S)
    return [slow, Crowd(ports, QUICK_DEVICES, messages=QUICK_MESSAGES, first=int(DEVICES))]


def test_a_cluster_loses_and_doubles_nothing(
    launch: Callable[..., Any], database: Postgres, make_workers: Callable[..., list[Worker]]
) -> None:
    """Workers are killed in turn, each node of the cluster is killed once, and the database is away for a while."""
    cluster: ArtemisCluster = launch(ArtemisCluster, heap_mb=1024 if DEVICES > 2000 else 512)
    urls = [cluster.nodes[number % 2].url for number in range(4)]
    workers = make_workers(urls, cluster.redelivery)
    crowds = both_crowds([node.port for node in cluster.nodes])
    for crowd in crowds:
        crowd.start()
    for number in range(4):
        before = accepted(*workers)
        until(lambda before=before: accepted(*workers) > before or all(crowd.is_over for crowd in crowds), "messages", 120)
        time.sleep(ROUND_S)  # the time that passes is what the round is made of
        victim = workers[number]
        victim.kill9()
        if number % 2 == 0:
            node = cluster.nodes[number // 2]
            node.kill9()
            node.start()
        else:
            database.stop()
            time.sleep(ROUND_S / 2)
            database.start()
        victim.start("run")
    for crowd in crowds:
        crowd.wait(600 + INTERVAL_S * MESSAGES * 2)
    sums = assert_each_once(database, crowds, workers)
    print(f"{sums}, {sum(crowd.total for crowd in crowds)} messages, {sum(crowd.reconnects for crowd in crowds)} reconnects")


def test_mosquitto_alone_loses_and_doubles_nothing(
    mosquitto: Mosquitto, database: Postgres, make_workers: Callable[..., list[Worker]]
) -> None:
    """The same with one broker, which keeps running."""
    workers = make_workers([mosquitto.url] * 4, "marked")
    crowds = both_crowds([mosquitto.port])
    for crowd in crowds:
        crowd.start()
    for number in range(4):
        before = accepted(*workers)
        until(lambda before=before: accepted(*workers) > before or all(crowd.is_over for crowd in crowds), "messages", 120)
        workers[number].kill9()
        if number == 1:
            database.stop()
            time.sleep(ROUND_S / 2)
            database.start()
        workers[number].start("run")
    for crowd in crowds:
        crowd.wait(600 + INTERVAL_S * MESSAGES * 2)
    assert_each_once(database, crowds, workers)
