"""A sink with `profiles` holds back no frames of other profiles."""

from __future__ import annotations

from gateways import Gateway, assert_balanced
from ports import Port
from servers import Mosquitto, VictoriaMetrics
from timescale import Database

FRAMES = 20


def test_frames_of_other_profiles_are_confirmed_at_once(
    gateway: Gateway, mosquitto: Mosquitto, victoria_metrics: VictoriaMetrics, database: Database
) -> None:
    """Otherwise they would fill the journal, and with it stop every source, as long as no frame comes for the sink."""
    urls = {
        "mqtt": f'broker_url = "{mosquitto.url}"',
        "influxdb": f'url = "{victoria_metrics.url}"',
        "postgresql": f'url = "{database.url}"',
    }
    sections = [*urls.items(), ("history", 'path = "history.db"'), ("stdout", ""), ("alerts", "")]
    with Port() as port:
        gateway.configure(
            "".join(f'[{name}]\n{keys}\nprofiles = ["chirpstack"]\n' for name, keys in sections)
            + '[[alert]]\nname = "hot"\nmeasurement = "temperature"\nfield = "value"\nabove = 50\n'
            + f'[serial]\nport = "{port.device}"\n'
        )
        gateway.start("run")
        gateway.until(lambda s: s["source"]["serial"]["state"] == "running", "the port")
        for number in range(FRAMES):
            port.write(f'{{"ts":{number * 1000},"n1":{{"t":27.6,"seq":{number}}}}}\n'.encode())
        status = gateway.until(lambda s: {sink["cursor"] for sink in s["sinks"].values()} == {FRAMES + 1}, "every cursor")
        assert gateway.stop() == 0

    assert_balanced(status)
    assert {name: sink["delivered"] for name, sink in status["sinks"].items()} == {name: 0 for name, _keys in sections}
