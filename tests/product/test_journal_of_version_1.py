"""A journal that the first version of the program left: the gateway of today delivers what waits in it, each value once."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from gateways import Gateway, assert_balanced
from ports import Port
from servers import Mosquitto, VictoriaMetrics
from subscribers import Subscriber

pytestmark = pytest.mark.slow

VERSION_1 = Path(__file__).parents[2] / "rust/iiot-journal/tests/version1.sql"
# Of its 31 frames the MQTT sink had 3 and the InfluxDB sink 11. The database had refused one value of frame 2.
TO_PUBLISH = range(4, 32)
NOON_S = 1_700_000_000
# The temperatures that are sent to the database, by second. Frame 2 is sent again as a whole; the last frame came later than the others.
TO_STORE = {2: 2.5, **{number: number + 0.5 for number in range(12, 31)}, 40: 31.5}


def stored(database: VictoriaMetrics, name: str) -> dict[int, float]:
    """Return the values of a measurement by second; every series has been stored once."""
    (series,) = [json.loads(line) for line in database.export(name).splitlines()]
    assert len(set(series["timestamps"])) == len(series["timestamps"])
    return {time // 1000 - NOON_S: value for time, value in zip(series["timestamps"], series["values"], strict=True)}


def all_delivered(status: dict[str, Any]) -> bool:
    """Whether no sink has anything left to deliver."""
    return all(sink["queued"] == 0 for sink in status["sinks"].values())


def test_what_waits_in_it_is_delivered_once(
    gateway: Gateway, mosquitto: Mosquitto, victoria_metrics: VictoriaMetrics, subscribe: Callable[..., Subscriber]
) -> None:
    """Each sink gets what it had not; a refused value goes out on demand; a kill and a second start deliver nothing again."""
    with closing(sqlite3.connect(gateway.journal)) as db:
        db.executescript(VERSION_1.read_text())
        ((profile,),) = db.execute("SELECT text FROM profile").fetchall()
    (gateway.folder / "plain.toml").write_text(profile)
    subscriber = subscribe(mosquitto, "#")

    with Port() as port:
        gateway.configure(
            f'[gateway]\nprofile = "plain.toml"\n[serial]\nport = "{port.device}"\n[mqtt]\nbroker_url = "{mosquitto.url}"\n'
            f'[influxdb]\nurl = "{victoria_metrics.url}"\norg = "o"\nbucket = "b"\n',
            journal_keys="max_bytes = 8388608\n",
        )
        gateway.start("run")
        first = gateway.until(all_delivered, "what version 1 left")
        retried = gateway.run("rejects", "retry")
        assert retried.returncode == 0, retried.stderr
        gateway.until(lambda s: s["sinks"]["influxdb"]["delivered"] > first["sinks"]["influxdb"]["delivered"], "the value that was refused")
        gateway.kill9()

        gateway.start("run")
        second = gateway.until(all_delivered, "a second start")
        assert gateway.stop() == 0

    assert_balanced(first)
    assert_balanced(second)
    assert {name: sink["rejected"] for name, sink in first["sinks"].items()} == {"mqtt": 0, "influxdb": 1}
    assert (first["intake"]["received"], first["intake"]["duplicate"]) == (34, 1)
    subscriber.catch_up()
    assert subscriber.values("iiot/n/t") == [f"{number}.50" for number in TO_PUBLISH]
    assert stored(victoria_metrics, "t_value") == TO_STORE
    assert stored(victoria_metrics, "h_value") == dict.fromkeys(TO_STORE, 40.0)
