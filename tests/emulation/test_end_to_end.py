"""From emulated silicon to a real broker and a real database."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from nodes import FIRMWARE, GATEWAY, Simulate

from gateways import Gateway, assert_balanced
from servers import Mosquitto, VictoriaMetrics
from subscribers import Subscriber

PROBE_RS = Path(__file__).parents[2] / "scripts" / "fake-probe-rs"

pytestmark = [pytest.mark.slow, pytest.mark.native]


def sinks(mosquitto: Mosquitto, victoria_metrics: VictoriaMetrics) -> str:
    """Return the configuration of both sinks."""
    return f'[mqtt]\nbroker_url = "{mosquitto.url}"\n[influxdb]\nurl = "{victoria_metrics.url}"\napi = "v2"\nbatch_interval_ms = 50\n'


def points(victoria_metrics: VictoriaMetrics, measurement: str, node: str) -> list[float]:
    """Return the values of a series in order of time."""
    exported = victoria_metrics.export(f'{{__name__="{measurement}_value",node="{node}"}}')
    series = [json.loads(line) for line in exported.splitlines()]
    return [value for document in series for value in document["values"]]


def test_what_the_sensor_returned_is_published_and_stored(
    simulate: Simulate, gateway: Gateway, mosquitto: Mosquitto, victoria_metrics: VictoriaMetrics, subscriber: Subscriber
) -> None:
    """SHT31 -> node 1 -> radio -> node 2 -> serial port -> journal -> broker and database, number for number."""
    simulation = simulate()
    sensor = simulation.boards[1].chips.sht31
    sensor.temperature, sensor.humidity = -12.34, 98.7
    gateway.configure(f'[serial]\nport = "{simulation.boards[GATEWAY].port}"\n{sinks(mosquitto, victoria_metrics)}')

    gateway.start("run")
    subscriber.wait(lambda s: s.last("iiot/node1/temperature") == "-12.34", "the first temperature")
    sensor.temperature = 56.78
    subscriber.wait(lambda s: s.last("iiot/node1/temperature") == "56.78", "the second temperature")
    status = gateway.until(lambda s: all(not sink["queued"] for sink in s["sinks"].values()), "delivery")

    assert subscriber.last("iiot/node1/humidity") == "98.70"
    assert subscriber.last("iiot/node1/battery") == "3300"
    assert subscriber.last("iiot/node2/temperature") == "27.60"
    assert subscriber.last("iiot/signal/rssi") == "-82"
    stored = points(victoria_metrics, "temperature", "node1")
    assert stored[0] == -12.34
    assert stored[-1] == 56.78
    assert stored == sorted(stored)
    assert status["intake"]["rejected"] == 0
    assert_balanced(status)


def test_the_same_arrives_through_a_probe(
    simulate: Simulate,
    gateway: Gateway,
    mosquitto: Mosquitto,
    victoria_metrics: VictoriaMetrics,
    subscriber: Subscriber,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """SHT31 -> node 1 -> radio -> node 2 -> RTT -> probe-rs's output -> journal -> broker and database."""
    simulation = simulate(powered=False)
    simulation.boards[1].chips.sht31.temperature = 33.33
    monkeypatch.setenv("IIOT_EMULATED_NODE", str(simulation.boards[GATEWAY].folder))
    gateway.configure(
        f'[gateway]\nchip = "STM32F446RETx"\nprobe_rs_path = "{PROBE_RS}"\nfirmware_path = "{FIRMWARE / "node2-firmware"}"\n'
        + sinks(mosquitto, victoria_metrics)
    )

    gateway.start("run")
    subscriber.wait(lambda s: len(s.values("iiot/node1/temperature")) >= 3, "three temperatures", 60.0)
    status = gateway.until(lambda s: all(not sink["queued"] for sink in s["sinks"].values()), "delivery")

    assert set(subscriber.values("iiot/node1/temperature")) == {"33.33"}
    assert set(points(victoria_metrics, "temperature", "node1")) == {33.33}
    assert status["intake"]["rejected"] == 0
    assert_balanced(status)
