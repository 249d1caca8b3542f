"""Integers in a bucket that Telegraf has filled before: it wrote every number as a float, and the database refuses integers there."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from gateways import Gateway
from servers import Influxd, Mosquitto, until
from subscribers import Subscriber

pytestmark = pytest.mark.slow

DOSE = '{"device_id": "d", "pump": 1, "actual_g": 10.47, "duration_ms": 45000}'


@pytest.fixture
def gateway(tmp_path: Path) -> Iterator[Gateway]:
    """A gateway in a folder of its own."""
    gateway = Gateway(tmp_path / "gateway")
    yield gateway
    gateway.end()


def test_integers_are_written_as_floats_where_that_is_wanted(gateway: Gateway, influxd: Influxd, mosquitto: Mosquitto) -> None:
    """A refused integer is a reject whose reason, and `doctor`, name the key that mends it; with the key the same reject is delivered."""
    influxd.post("/write?db=telemetry", b"dosing_consumption,device_id=t duration_ms=1")
    text = (
        f'[mqtt_consumer]\nbroker_url = "{mosquitto.url}"\ntopics = ["factory/#"]\nprofile = "factory-dosing"\n'
        f'[influxdb]\nurl = "{influxd.url}"\napi = "v1"\nbatch_interval_ms = 20\n'
    )
    gateway.configure(text)
    gateway.start("run")
    until(lambda: '"state": "subscribed"' in gateway.log_path.read_text(), "the subscription")
    client = Subscriber(mosquitto.port, "x").start()
    client.publish("factory/dosing/consumption", DOSE)
    # A line is only believed to be bad once the database has taken another.
    client.publish("factory/equipment/temperature", '{"device_id": "d", "temperature_c": 22.5}')
    client.stop()

    def reasons() -> list[str]:
        return [reject["reason"] for reject in json.loads(gateway.run("rejects", "--json").stdout or "[]")]

    until(lambda: bool(reasons()), "the reject", 30.0)
    assert 'integers = "float"' in reasons()[0]
    assert gateway.stop() == 0
    assert 'set integers = "float" in [influxdb]' in gateway.run("doctor").stdout
    gateway.configure(text + 'integers = "float"\n')
    gateway.start("run")
    # Before that, `rejects retry` would open the journal itself, and keep the gateway from it.
    until(lambda: gateway.log_path.read_text().count('"gateway_started"') == 2, "the second start")
    until(lambda: gateway.run("rejects", "retry").returncode == 0, "the retry")

    def values() -> str:
        return influxd.get("/query?db=telemetry&q=SELECT%20duration_ms%20FROM%20dosing_consumption%20WHERE%20device_id%3D%27d%27").decode()

    until(lambda: "45000" in values(), "the point", 30.0)
