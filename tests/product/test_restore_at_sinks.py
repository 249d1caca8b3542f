"""What a restored journal means to each sink: what waited when the backup was made has arrived since, and is sent again."""

from __future__ import annotations

import json
import signal
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from gateways import Gateway, assert_balanced
from iiot_gateway._native import HistoryReader
from plants import Plant
from rows import configure, delivered, numbers, sink_of, start
from servers import Influxd, Mosquitto, Postgres, until
from subscribers import Subscriber

pytestmark = pytest.mark.slow

PROFILE = """
name = "doses"

[[metric]]
path = "actual_g"
topic = "{device_id}/actual_g"
measurement = "dosing_consumption"
tags = { device_id = "{device_id}" }
retain = true
"""
WAITING = range(100)
"""Doses that wait for the sinks when the backup is made."""
LATER = range(100, 110)
"""Doses that come between the backup and the loss."""
AFTER = range(110, 120)
"""Doses that come after the restore."""


def backed_up(gateway: Gateway, backup: Path) -> None:
    """Make a backup."""
    done = gateway.run("backup", str(backup))
    assert done.returncode == 0, done.stderr


def put_back(gateway: Gateway, backup: Path) -> None:
    """Lose the gateway, put the backup in its place, and start it."""
    gateway.kill9()
    done = gateway.run("restore", str(backup), "--replace")
    assert done.returncode == 0, done.stderr
    gateway.start("run")


def is_subscribed(status: dict[str, Any]) -> bool:
    """Tell whether the consumer takes messages."""
    return bool(status["source"]["mqtt_consumer"]["state"] == "subscribed")


def all_delivered(gateway: Gateway, accepted: int) -> None:
    """Wait until so many frames were accepted and none waits for any sink."""

    def is_done(status: dict[str, Any]) -> bool:
        return status["intake"]["accepted"] >= accepted and all(sink["queued"] == 0 for sink in status["sinks"].values())

    assert_balanced(gateway.until(is_done, f"{accepted} frames at every sink"))


def test_databases_have_each_value_once_and_brokers_get_it_again(
    gateway: Gateway, plant: Plant, launch: Callable[..., Any], tmp_path: Path
) -> None:
    """In InfluxDB a point overwrites itself, PostgreSQL knows how far it is, and a history sees no change."""
    postgres, influxd, broker = launch(Postgres), launch(Influxd), launch(Mosquitto)
    influxd.create_database("telemetry")
    for server in (postgres, influxd, broker):
        server.stop()
    gateway.configure(
        f'[mqtt_consumer]\nbroker_url = "{plant.broker.url}"\ntopics = ["factory/#"]\nprofile = "doses.toml"\n'
        f'[postgresql]\nurl = "{postgres.url}"\nbatch_interval_ms = 10\n'
        f'[influxdb]\nurl = "{influxd.url}"\napi = "v1"\nbucket = "telemetry"\nbatch_interval_ms = 10\n'
        f'[mqtt]\nbroker_url = "{broker.url}"\n[history]\npath = "history.db"\ncommit_interval_ms = 10\n'
    )
    (gateway.folder / "doses.toml").write_text(PROFILE)
    start(gateway)
    plant.doses(WAITING)
    gateway.until(lambda status: status["sinks"]["influxdb"]["queued"] == len(WAITING), "the frames")
    backed_up(gateway, tmp_path / "backup")
    # The gateway must not publish before somebody looks.
    assert gateway.process is not None
    gateway.process.send_signal(signal.SIGSTOP)
    for server in (postgres, influxd, broker):
        server.start()
    subscriber = Subscriber(broker.port, "#").start()
    gateway.process.send_signal(signal.SIGCONT)
    try:
        plant.doses(LATER)
        all_delivered(gateway, len(WAITING) + len(LATER))

        put_back(gateway, tmp_path / "backup")
        gateway.until(is_subscribed, "the subscription")
        plant.doses(AFTER)
        all_delivered(gateway, len(WAITING) + len(AFTER))

        published = Counter[int]()

        def is_published() -> bool:
            published.clear()
            texts = [text for topic, seen in subscriber.messages.items() if topic.endswith("actual_g") for text, _ in seen]
            published.update(int(float(text)) for text in texts)
            return published.total() >= 2 * len(WAITING) + len(LATER) + len(AFTER)

        until(is_published, "the publishes")
    finally:
        subscriber.stop()

    every = [*WAITING, *LATER, *AFTER]
    assert published == Counter(every) + Counter(WAITING)
    assert sorted(int(float(row[0])) for row in postgres.rows("SELECT value FROM dosing_consumption")) == every
    answer = json.loads(influxd.query("SELECT value FROM dosing_consumption", "telemetry"))
    assert sorted(int(row[1]) for row in answer["results"][0]["series"][0]["values"]) == every
    reader = HistoryReader(str(gateway.folder / "history.db"))
    points = [series["points"] for series in reader.series() if series["measurement"] == "dosing_consumption"]
    reader.close()
    # The history was put back, too, and has nothing of what came between.
    assert sum(points) == len(WAITING) + len(AFTER)


@pytest.mark.parametrize(("keys", "times"), [("", 2), ("unique = true", 1)], ids=["plain", "unique"])
def test_rows_that_waited_are_written_again_after_an_adoption_unless_they_are_unique(
    gateway: Gateway, plant: Plant, launch: Callable[..., Postgres], tmp_path: Path, keys: str, times: int
) -> None:
    """Where a run wrote that the backup does not know, the database cannot tell; a person adopts it."""
    database = launch(Postgres)
    database.stop()
    configure(gateway, plant.broker, database.url, keys)
    start(gateway)
    plant.doses(WAITING)
    gateway.until(lambda status: sink_of(status)["queued"] == len(WAITING), "the frames")
    backed_up(gateway, tmp_path / "backup")
    database.start()
    delivered(gateway, len(WAITING))
    gateway.stop()
    start(gateway)
    plant.doses(LATER)
    delivered(gateway, len(WAITING) + len(LATER))

    put_back(gateway, tmp_path / "backup")
    gateway.until(lambda status: "which this journal does not know" in str(sink_of(status)["last_error"]), "the refusal")
    gateway.stop()
    adopted = gateway.run("postgresql", "adopt", "--yes")
    assert adopted.returncode == 0, adopted.stderr
    start(gateway)
    plant.doses(AFTER)
    delivered(gateway, len(WAITING) + len(AFTER))

    assert Counter(numbers(database)) == Counter(dict.fromkeys(WAITING, times)) + Counter([*LATER, *AFTER])
