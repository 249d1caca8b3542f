"""Two serial ports in one gateway: each site's node1 has topics and series of its own."""

from __future__ import annotations

import json
from collections.abc import Callable

import pytest

from gateways import Gateway, assert_balanced
from ports import Port
from servers import Mosquitto, VictoriaMetrics
from subscribers import Subscriber

pytestmark = pytest.mark.slow

SITES = ("north", "south")
READINGS = 50


def reading(number: int, temperature: str) -> bytes:
    """Return a document whose node, time and sequence are the same at both sites."""
    return f'{{"ts":{number * 1000},"id":"N2","n1":{{"t":{temperature},"seq":{number}}}}}\n'.encode()


def test_nodes_of_one_name_at_two_sites_stay_apart(
    gateway: Gateway, mosquitto: Mosquitto, victoria_metrics: VictoriaMetrics, subscribe: Callable[..., Subscriber]
) -> None:
    """Neither is a duplicate of the other: every value arrives under its site's prefix and in its site's series, in order."""
    expected = {site: [f"{sign}{number}.25" for number in range(1, READINGS + 1)] for site, sign in zip(SITES, ("", "-"), strict=True)}
    subscriber = subscribe(mosquitto, "#")
    with Port() as north, Port() as south:
        ports = dict(zip(SITES, (north, south), strict=True))
        gateway.configure(
            f'[mqtt]\nbroker_url = "{mosquitto.url}"\n[influxdb]\nurl = "{victoria_metrics.url}"\n'
            + "".join(
                f'[serial.{site}]\nport = "{port.device}"\ntopic_prefix = "{site}"\ntags = {{ site = "{site}" }}\n'
                for site, port in ports.items()
            )
        )
        gateway.start("run")
        gateway.until(lambda s: {source["state"] for source in s["source"].values()} == {"running"}, "both ports")

        for number in range(1, READINGS + 1):
            for site, port in ports.items():
                port.write(reading(number, expected[site][number - 1]))
        status = gateway.until(lambda s: {k["delivered"] for k in s["sinks"].values()} == {2 * READINGS}, "every delivery")
        assert gateway.stop() == 0

    assert_balanced(status)
    assert {name: source["documents"] for name, source in status["source"].items()} == {"serial.north": READINGS, "serial.south": READINGS}
    subscriber.catch_up()
    assert {topic: subscriber.values(topic) for topic in subscriber.messages if topic.endswith("/temperature")} == {
        f"{site}/node1/temperature": expected[site] for site in SITES
    }
    stored = [json.loads(line) for line in victoria_metrics.export("temperature_value").splitlines()]
    assert {(series["metric"]["site"], series["metric"]["node"]): series["values"] for series in stored} == {
        (site, "node1"): [float(value) for value in expected[site]] for site in SITES
    }
