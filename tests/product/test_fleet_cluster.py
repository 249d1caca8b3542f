"""A crowd of devices on a cluster of two Artemis nodes, four workers, and one table: each message is stored once, whatever is killed.

`IIOT_FLEET_DEVICES`, `IIOT_FLEET_INTERVAL_S`, `IIOT_FLEET_MESSAGES` and `IIOT_FLEET_ROUND_S` make it long: 10000, 10, 360, 60 are an hour.
"""

from __future__ import annotations

import itertools
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
QUICK_DEVICES, QUICK_MESSAGES = 100, 20
"""Connections at full speed, in each round while the worker is killed."""
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
LEAST_ROUNDS = 3
"""So that each node is killed, and the database is away."""


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


def rounds(crowds: list[Crowd], ports: list[int], workers: list[Worker]) -> Iterator[int]:
    """Give the number of a round every `ROUND_S`, once more was accepted, until the first crowd has published all.

    With each round a crowd begins that publishes at full speed.
    """
    slow = crowds[0]
    for number in itertools.count():
        before = accepted(*workers)
        until(lambda before=before: accepted(*workers) > before or slow.is_over, "messages", 120)
        time.sleep(ROUND_S)  # the time that passes is what a round is made of
        if number >= LEAST_ROUNDS and slow.is_over:
            return
        quick = Crowd(ports, QUICK_DEVICES, messages=QUICK_MESSAGES, first=int(DEVICES) + number * QUICK_DEVICES)
        quick.start()
        crowds.append(quick)
        yield number


def away(database: Postgres) -> None:
    """Let the database be away for a while."""
    database.stop()
    time.sleep(ROUND_S / 2)
    database.start()


def begin(ports: list[int]) -> list[Crowd]:
    """Let devices speak that do so now and then."""
    slow = Crowd(ports, int(DEVICES), messages=int(MESSAGES), interval_s=INTERVAL_S)
    slow.start()
    return [slow]


def test_a_cluster_loses_and_doubles_nothing(
    launch: Callable[..., Any], database: Postgres, make_workers: Callable[..., list[Worker]]
) -> None:
    """Workers are killed in turn, each node of the cluster is killed, and the database is away for a while."""
    cluster: ArtemisCluster = launch(ArtemisCluster, heap_mb=3072 if DEVICES > 2000 else 512)
    urls = [cluster.nodes[number % 2].url for number in range(4)]
    workers = make_workers(urls, cluster.redelivery)
    ports = [node.port for node in cluster.nodes]
    crowds = begin(ports)
    for number in rounds(crowds, ports, workers):
        victim = workers[number % 4]
        victim.kill9()
        if number in (0, 2):
            node = cluster.nodes[number // 2]
            node.kill9()
            node.start()
        elif number == 1:
            away(database)
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
    crowds = begin([mosquitto.port])
    for number in rounds(crowds, [mosquitto.port], workers):
        workers[number % 4].kill9()
        if number == 1:
            away(database)
        workers[number % 4].start("run")
    for crowd in crowds:
        crowd.wait(600 + INTERVAL_S * MESSAGES * 2)
    assert_each_once(database, crowds, workers)
