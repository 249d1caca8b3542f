"""A recording goes through the gateway into real servers, and both have exactly what a right reader finds in it."""

from __future__ import annotations

import gzip
import json
import os
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from gateways import START, START_MS, Gateway, assert_balanced
from recordings import Expected
from servers import Influxd, Mosquitto, VictoriaMetrics
from subscribers import Subscriber, retained

PEERS = Path(__file__).parent.parent / "peers"

pytestmark = pytest.mark.slow


def sinks(broker: Mosquitto, database: str) -> str:
    """Return the sections of both sinks."""
    return f"""
[mqtt]
broker_url = "{broker.url}"
client_id = "gateway-under-test"
[influxdb]
url = "{database}"
org = "test"
bucket = "test"
token = "test"
"""


def exported(database: VictoriaMetrics, topic: str) -> dict[int, float]:
    """Return the points of a topic's series: milliseconds since 1970 -> value."""
    node, measurement = topic.split("/")
    match = f'{measurement}_value{{node="{node}"}}' if node.startswith("node") else f"{measurement}_value"
    points: dict[int, float] = {}
    for line in database.export(match).splitlines():
        series = json.loads(line)
        points.update(zip(series["timestamps"], series["values"], strict=True))
    return points


def assert_counts(status: dict[str, Any], expected: Expected) -> None:
    """The ledger says what the independent reader says, and each sink delivered exactly that."""
    assert_balanced(status)
    intake = {key: status["intake"][key] for key in ("received", "accepted", "duplicate", "rejected")}
    assert intake == {
        "received": expected.received,
        "accepted": expected.accepted,
        "duplicate": expected.duplicate,
        "rejected": expected.rejected,
    }
    for sink in ("mqtt", "influxdb"):
        assert status["sinks"][sink]["delivered"] == expected.accepted, status["sinks"][sink]


def assert_every_value_once_in_order(subscriber: Subscriber, expected: Expected) -> None:
    """The subscriber saw every value of every topic once and in order, as text."""
    last = f"iiot/{expected.topics()[-1]}"
    subscriber.wait(lambda s: len(s.messages[last]) >= expected.accepted, "the last value")
    for topic in expected.topics():
        assert subscriber.values(f"iiot/{topic}") == expected.values(topic), topic


def test_a_replay_delivers_every_value_once_in_order(
    gateway: Gateway,
    mosquitto: Mosquitto,
    victoria_metrics: VictoriaMetrics,
    subscribe: Callable[..., Subscriber],
    recording: Path,
    expected: Expected,
) -> None:
    """`replay --start --speed max --once`: counts, values, order, times and retained topics are those of the recording."""
    gateway.configure(sinks(mosquitto, victoria_metrics.url))
    subscriber = subscribe(mosquitto)

    done = gateway.run("replay", str(recording), "--start", START, "--speed", "max", "--once", timeout_s=120)

    assert done.returncode == 0, done.stdout + done.stderr
    assert_counts(gateway.status(), expected)
    assert_every_value_once_in_order(subscriber, expected)
    for topic in expected.topics():
        assert exported(victoria_metrics, topic) == {START_MS + ms: value for ms, value in expected.points(topic).items()}, topic
    kept = {f"iiot/{topic}": expected.values(topic)[-1] for topic in expected.topics() if topic.startswith("node")}
    found = retained(mosquitto.port, expect={*kept, "iiot/gateway/status"})
    assert {topic: value for topic, value in found.items() if "/gateway/" not in topic} == kept
    assert found["iiot/gateway/status"] == "offline"


def test_a_finished_replay_says_so_and_sends_nothing_again(
    gateway: Gateway, mosquitto: Mosquitto, victoria_metrics: VictoriaMetrics, recording: Path, expected: Expected
) -> None:
    """Played to its end a recording is not played again, unless --from-start asks for it."""
    gateway.configure(sinks(mosquitto, victoria_metrics.url))
    arguments = ("replay", str(recording), "--start", START, "--speed", "max", "--once")
    assert gateway.run(*arguments).returncode == 0

    again = gateway.run(*arguments)
    assert again.returncode == 0
    assert "--from-start" in again.stdout + again.stderr
    assert_counts(gateway.status(), expected)
    assert gateway.run(*arguments, "--from-start").returncode == 0

    status = gateway.status()
    assert_balanced(status)
    assert status["intake"]["accepted"] == 2 * expected.accepted
    assert exported(victoria_metrics, "node1/temperature") == {
        START_MS + ms: value for ms, value in expected.points("node1/temperature").items()
    }


def test_a_second_real_parser_takes_the_lines(
    gateway: Gateway, mosquitto: Mosquitto, influxd: Influxd, recording: Path, expected: Expected
) -> None:
    """InfluxDB 1.6 has every point, with the value and the time of the recording."""
    section = f"""
[mqtt]
broker_url = "{mosquitto.url}"
[influxdb]
url = "{influxd.url}"
api = "v1"
bucket = "telemetry"
"""
    gateway.configure(section)
    done = gateway.run("replay", str(recording), "--start", START, "--speed", "max", "--once", timeout_s=120)

    assert done.returncode == 0, done.stdout + done.stderr
    assert_counts(gateway.status(), expected)
    answer = json.loads(influxd.query("SELECT value FROM temperature WHERE node='node1'", "telemetry"))
    points = {time // 1_000_000: value for time, value in answer["results"][0]["series"][0]["values"]}
    assert points == {START_MS + ms: value for ms, value in expected.points("node1/temperature").items()}


def test_the_same_through_a_serial_port(
    gateway: Gateway,
    mosquitto: Mosquitto,
    victoria_metrics: VictoriaMetrics,
    subscribe: Callable[..., Subscriber],
    recording: Path,
    expected: Expected,
) -> None:
    """A serial port that prints the recording gives the same counts, values and order."""
    controller, device = os.openpty()
    gateway.configure(sinks(mosquitto, victoria_metrics.url) + f'[serial]\nport = "{os.ttyname(device)}"\n')
    subscriber = subscribe(mosquitto)
    gateway.start("run")
    gateway.until(lambda s: s["source"]["serial"]["state"] == "running", "the port")
    text = gzip.decompress(recording.read_bytes()) if recording.suffix == ".gz" else recording.read_bytes()

    writer = threading.Thread(target=write_all, args=(controller, text))
    writer.start()
    writer.join()
    gateway.until(lambda s: all(sink["delivered"] >= expected.accepted for sink in s["sinks"].values()), "all deliveries", 120)

    assert gateway.stop() == 0
    os.close(controller)
    os.close(device)
    assert_counts(gateway.status(), expected)
    assert_every_value_once_in_order(subscriber, expected)
    assert list(exported(victoria_metrics, "node1/temperature").values()) == list(expected.points("node1/temperature").values())


def test_the_same_through_probe_rs(
    gateway: Gateway,
    mosquitto: Mosquitto,
    victoria_metrics: VictoriaMetrics,
    subscribe: Callable[..., Subscriber],
    recording: Path,
    expected: Expected,
    tmp_path: Path,
) -> None:
    """A stand-in probe-rs that prints the recording gives the same counts, values and order."""
    firmware = tmp_path / "node2-firmware"
    firmware.write_bytes(b"\x7fELF")
    plan = tmp_path / "plan.json"
    plan.write_text(json.dumps([{"stdout_file": str(recording), "stay": True}]))
    tool = tmp_path / "probe-rs"
    tool.write_text(f'#!/bin/sh\nexec "{sys.executable}" "{PEERS / "fake_probe_rs.py"}" "$@"\n')
    tool.chmod(0o755)
    gateway.configure(
        sinks(mosquitto, victoria_metrics.url)
        + '[gateway]\nprobe_id = "0483:374b:066DFF3833584B3043115433"\nchip = "STM32F446RETx"\n'
        + f'firmware_path = "{firmware}"\nprobe_rs_path = "{tool}"\n'
    )
    subscriber = subscribe(mosquitto)

    gateway.start("run", env={**os.environ, "FAKE_PROBE_PLAN": str(plan), "FAKE_PROBE_LIVES": str(tmp_path / "lives")})
    gateway.until(lambda s: all(sink["delivered"] >= expected.accepted for sink in s["sinks"].values()), "all deliveries", 120)

    assert gateway.stop() == 0
    assert_counts(gateway.status(), expected)
    assert_every_value_once_in_order(subscriber, expected)


def write_all(descriptor: int, text: bytes) -> None:
    """Write everything; the other side sets the pace."""
    view = memoryview(text)
    while view:
        view = view[os.write(descriptor, view[:65536]) :]
