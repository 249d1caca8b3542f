"""A second client with the same id is blamed where it is proven to be there, and not for a broker that restarts."""

from __future__ import annotations

from pathlib import Path

import pytest

from gateways import START, Gateway
from recordings import generated
from servers import Mosquitto, until

pytestmark = pytest.mark.slow


@pytest.fixture
def log(tmp_path: Path) -> Path:
    """A small recording."""
    path = tmp_path / "small.log"
    path.write_bytes(generated(50, seed=21))
    return path


def configure(gateway: Gateway, broker: Mosquitto, more: str = "") -> None:
    """Write the configuration."""
    gateway.configure(f'[mqtt]\nbroker_url = "{broker.url}"\nclient_id = "gateway-under-test"\n{more}\n')


@pytest.mark.parametrize("protocol", ["3.1.1", "5"])
@pytest.mark.parametrize("end", ["kill9", "stop"])
def test_a_broker_that_is_restarted_again_and_again_is_no_conflict(
    end: str, protocol: str, gateway: Gateway, mosquitto: Mosquitto, log: Path
) -> None:
    """After each of four restarts within seconds the gateway is back after the usual delay."""
    configure(gateway, mosquitto, f'protocol = "{protocol}"')
    gateway.start("replay", str(log), "--start", START, "--speed", "max")
    for restarts in range(1, 5):
        gateway.until(lambda s: s["sinks"]["mqtt"]["state"] == "connected", "the connection")
        getattr(mosquitto, end)()
        gateway.until(lambda s, n=restarts: s["sinks"]["mqtt"]["reconnects"] >= n, "the end of the connection")
        mosquitto.start()

    status = gateway.until(lambda s: s["sinks"]["mqtt"]["state"] == "connected", "the connection")

    assert not status["sinks"]["mqtt"]["last_error"]
    assert "client_id_conflict" not in gateway.log()
    assert gateway.stop() == 0


@pytest.mark.parametrize("protocol", ["3.1.1", "5"])
def test_two_gateways_with_one_client_id_say_so_and_back_off(
    protocol: str, gateway: Gateway, mosquitto: Mosquitto, log: Path, tmp_path: Path
) -> None:
    """They take the session from each other while the broker stays; one of them notices, names the conflict, and stops fighting."""
    other = Gateway(tmp_path / "other")
    for each in (gateway, other):
        configure(each, mosquitto, f'protocol = "{protocol}"')
        each.start("replay", str(log), "--start", START, "--speed", "max")
    try:
        until(
            lambda: any("sink_client_id_conflict" in each.log() for each in (gateway, other)),
            "the conflict in the log",
            120,
        )
    finally:
        other.end()
