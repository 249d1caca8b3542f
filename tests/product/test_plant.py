"""The dosing plant: simulated machines against their own ledger, on a broker of its own and on the built-in one."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from decimal import Decimal
from itertools import islice
from pathlib import Path

import pytest
from test_mqtt_consumer import Publisher, dose, intake, numbers, until_taken

from gateways import Gateway
from iiot_gateway.plant.machine import Clock, Machine, Tally
from servers import Mosquitto, VictoriaMetrics, free_port, until

pytestmark = pytest.mark.slow

TOPICS = '["factory/dosing/consumption", "factory/equipment/+", "factory/inventory/levels", "factory/batch/events"]'


@pytest.fixture
def gateway(tmp_path: Path) -> Iterator[Gateway]:
    """A gateway in a folder of its own."""
    gateway = Gateway(tmp_path / "gateway")
    yield gateway
    gateway.end()


def doses(database: VictoriaMetrics) -> tuple[dict[str, int], dict[str, Decimal]]:
    """Return how many doses of each chemical are in the database, and their grams."""
    counts: dict[str, int] = {}
    grams: dict[str, Decimal] = {}
    for line in database.export('{__name__="dosing_consumption_actual_g"}').splitlines():
        series = json.loads(line, parse_float=Decimal, parse_int=Decimal)
        chemical = series["metric"]["chemical"]
        counts[chemical] = counts.get(chemical, 0) + len(series["values"])
        grams[chemical] = grams.get(chemical, Decimal()) + sum(series["values"])
    return counts, grams


@pytest.mark.parametrize(("clock", "built_in"), [("unix", False), ("uptime", True)])
def test_every_dose_is_one_point(
    gateway: Gateway, mosquitto: Mosquitto, victoria_metrics: VictoriaMetrics, clock: str, *, built_in: bool
) -> None:
    """What the machines say that they published is what the database has, to the last digit of the sums."""
    listen = f"127.0.0.1:{free_port()}"
    broker = "embedded" if built_in else mosquitto.url
    gateway.configure(
        f'[mqtt_consumer]\nbroker_url = "{broker}"\ntopics = {TOPICS}\nprofile = "factory-dosing"\n'
        f'[influxdb]\nurl = "{victoria_metrics.url}"\nbatch_interval_ms = 20\n'
        f'[broker]\nlisten = "{listen}"\npath = "{gateway.folder / "broker.db"}"\n'
    )
    gateway.start("run")
    until(lambda: '"state": "subscribed"' in gateway.log_path.read_text(), "the subscription")
    url = f"mqtt://{listen}" if built_in else mosquitto.url
    ledger_path = gateway.folder / "ledger.json"
    simulated = gateway.run(
        *("simulate", "dosing", "--broker", url, "--devices", "4", "--rate", "400", "--count", "6000", "--clock", clock),
        *("--ledger", str(ledger_path)),
    )
    assert simulated.returncode == 0, simulated.stderr
    ledger = json.loads(ledger_path.read_text())
    until_taken(gateway, accepted=6000, rejected=0, duplicate=0)
    assert gateway.stop() == 0
    counts, grams = doses(victoria_metrics)
    assert counts == ledger["doses"]
    assert grams == {chemical: Decimal(text) for chemical, text in ledger["actual_g"].items()}
    assert sum(ledger["doses"].values()) > 10


def test_a_simulator_that_is_told_to_end_tells_its_ledger(gateway: Gateway, mosquitto: Mosquitto) -> None:
    """SIGTERM ends it as Ctrl-C does."""
    ledger_path = gateway.folder / "ledger.json"
    gateway.start("simulate", "dosing", "--broker", mosquitto.url, "--rate", "400", "--ledger", str(ledger_path))
    until(lambda: "Received PUBLISH from" in mosquitto.log_path.read_text(), "a message")
    assert gateway.stop() == 0
    assert sum(json.loads(ledger_path.read_text())["messages"].values()) > 0


def test_the_built_in_broker_acknowledges_what_is_safe(gateway: Gateway, victoria_metrics: VictoriaMetrics) -> None:
    """The process is killed again and again: every message that was acknowledged is in the database, once."""
    port = free_port()
    gateway.configure(
        f'[mqtt_consumer]\nbroker_url = "embedded"\ntopics = {TOPICS}\nprofile = "factory-dosing"\n'
        f'[influxdb]\nurl = "{victoria_metrics.url}"\nbatch_interval_ms = 20\n'
        f'[broker]\nlisten = "127.0.0.1:{port}"\npath = "{gateway.folder / "broker.db"}"\n'
    )
    gateway.start("run")
    until(lambda: '"state": "subscribed"' in gateway.log_path.read_text(), "the subscription")
    publisher = Publisher(port, qos=1)
    second = int(time.time())
    infos = [publisher.send(dose(number, second=second + number // 100)) for number in range(2_000)]
    for _ in range(4):
        seen = intake(gateway).get("accepted", 0)
        until(lambda seen=seen: infos[-1].is_published() or intake(gateway).get("accepted", 0) > seen, "progress", 60.0)  # type: ignore[misc]
        gateway.kill9()
        gateway.start("run")
    for info in infos:
        info.wait_for_publish(60)
    publisher.close()
    until_taken(gateway, accepted=2_000)
    # If everything was accepted before the last kill, the gateway may still be about to start.
    gateway.until(lambda s: s["source"]["mqtt_consumer"]["state"] == "subscribed", "the subscription")
    assert gateway.stop() == 0
    found = numbers(victoria_metrics)
    assert sorted(number for device in found.values() for number in device) == list(range(2_000))


def test_machines_are_repeatable_and_count_what_they_say() -> None:
    """One seed gives the same messages; what a pump doses is what its container loses."""

    def messages(clock: Clock) -> list[bytes]:
        return [message.payload() for message in islice(Machine("m", seed=3, clock=clock, start_unix_s=0.0).messages(), 3_000)]

    assert messages("uptime") == messages("uptime")
    assert messages("uptime") != messages("unix")
    tally = Tally()
    left: dict[str, Decimal] = {}
    for message in islice(Machine("m", seed=3, clock="unix", start_unix_s=0.0).messages(), 3_000):
        tally.add(message)
        document = message.document
        if message.topic == "factory/dosing/consumption" and document["chemical"] in left:
            left[document["chemical"]] -= document["actual_g"]
            assert document["actual_g"] - document["target_g"] == document["error_g"]
        elif message.topic == "factory/inventory/levels":
            known = left.get(document["chemical"])
            assert known is None or document["remaining_g"] in (known, document["capacity_g"])
            left[document["chemical"]] = document["remaining_g"]
    assert sum(tally.messages.values()) == 3_000
    assert set(tally.doses) == set(tally.grams)
