"""A value that the broker does not take costs itself, whatever it says; a broker that takes nothing costs nothing."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from gateways import START, Gateway, assert_balanced
from peers.closing_broker import closing_broker
from servers import Mosquitto, until
from subscribers import Subscriber, retained

pytestmark = pytest.mark.slow

PROFILE = """
name = "texts"
[clock]
uptime_ms = "ts"
[[metric]]
path = "o.*"
topic = "{id}/{1}"
measurement = "text"
tags = { node = "{id}" }
type = "any"
retain = true
"""
LONG = "x" * 1000


def documents(bad: set[int], count: int = 60) -> bytes:
    """Return documents of two values each; the second of those that are named is too long for the broker."""
    lines = [
        json.dumps({"ts": 1000 * (n + 1), "id": "a", "o": {"n": n, "text": f"{n}{LONG}" if n in bad else str(n)}}) for n in range(count)
    ]
    return ("\n".join(lines) + "\n").encode()


def configure(gateway: Gateway, url: str, more: str = "") -> None:
    """Write profile and configuration."""
    (gateway.folder / "texts.toml").write_text(PROFILE)
    gateway.configure(f'[gateway]\nprofile = "texts.toml"\n[mqtt]\nbroker_url = "{url}"\nclient_id = "gateway-under-test"\n{more}\n')


def reasons(gateway: Gateway) -> list[str]:
    """Return the first words of the rejects' reasons, oldest first."""
    rejects = json.loads(gateway.run("rejects", "--json").stdout)
    return [reject["reason"].split(":")[0] for reject in rejects[::-1]]


@pytest.mark.parametrize("bad", [{20}, {0, 1, 20, 21, 22, 59}], ids=["one", "many"])
@pytest.mark.parametrize(
    ("limit", "protocol", "word"),
    [
        ("max_packet_size 300", "3.1.1", "connection_ended"),
        ("max_packet_size 300", "5", "packet_too_large"),
        ("message_size_limit 300", "5", "packet_too_large"),
    ],
)
def test_a_value_that_is_too_long_for_the_broker_costs_itself(
    limit: str,
    protocol: str,
    word: str,
    bad: set[int],
    gateway: Gateway,
    launch: Callable[..., Mosquitto],
    subscribe: Callable[..., Subscriber],
    tmp_path: Path,
) -> None:
    """Every other value arrives, in the middle, at the ends and side by side; the reject has a reason, and no second client is blamed."""
    broker = launch(Mosquitto, extra=limit)
    subscriber = subscribe(broker)
    log = tmp_path / "long.log"
    log.write_bytes(documents(bad))
    configure(gateway, broker.url, f'protocol = "{protocol}"')

    gateway.start("replay", str(log), "--start", START, "--speed", "max", "--once")
    assert gateway.wait() == 3, gateway.log()[-3000:]

    subscriber.catch_up()
    assert set(subscriber.values("iiot/a/n")) == {str(n) for n in range(60)}
    assert set(subscriber.values("iiot/a/text")) == {str(n) for n in range(60) if n not in bad}
    status = gateway.status()
    assert_balanced(status)
    sink = status["sinks"]["mqtt"]
    assert (sink["delivered"], sink["rejected"], sink["queued"]) == (60 - len(bad), len(bad), 0)
    assert reasons(gateway) == [word] * len(bad)
    last = max(n for n in range(60) if n not in bad)
    kept = retained(broker.port, "iiot/a/#", expect={"iiot/a/n", "iiot/a/text"})
    assert kept == {"iiot/a/n": "59", "iiot/a/text": str(last)}
    assert "client_id_conflict" not in gateway.log()
    assert "sink_publishes_rejected" in gateway.log()


def test_a_search_goes_on_after_a_kill(gateway: Gateway, launch: Callable[..., Mosquitto], tmp_path: Path) -> None:
    """Killed in the middle of it again and again, the gateway rejects each bad value once and delivers each good frame once."""
    bad = {0, 1, 30}
    broker = launch(Mosquitto, extra="max_packet_size 300")
    log = tmp_path / "long.log"
    log.write_bytes(documents(bad))
    configure(gateway, broker.url)
    for _ in range(3):
        gateway.start("replay", str(log), "--start", START, "--speed", "max")
        gateway.until(lambda s: s["sinks"]["mqtt"]["suspects"] or s["sinks"]["mqtt"]["queued"] == 0, "the search")
        gateway.kill9()

    gateway.start("replay", str(log), "--start", START, "--speed", "max", "--once")
    assert gateway.wait() == 3, gateway.log()[-3000:]

    status = gateway.status()
    assert_balanced(status)
    assert (status["sinks"]["mqtt"]["delivered"], status["sinks"]["mqtt"]["rejected"]) == (57, 3)
    assert reasons(gateway) == ["connection_ended"] * 3


def test_a_broker_that_ends_the_connection_at_every_value_gets_them_all_in_the_end(gateway: Gateway, tmp_path: Path) -> None:
    """Nothing is a reject while nothing goes through."""
    log = tmp_path / "short.log"
    log.write_bytes(documents(set(), 20))
    is_well = threading.Event()
    with closing_broker(lambda topic: topic.startswith("iiot/a/") and not is_well.is_set()) as broker:
        configure(gateway, broker.url)
        gateway.start("replay", str(log), "--start", START, "--speed", "max", "--once")
        until(lambda: broker.connections > 12, "a dozen connections", 60)
        sink = gateway.ask()["sinks"]["mqtt"]
        assert (sink["delivered"], sink["rejected"], sink["queued"]) == (0, 0, 20)
        is_well.set()
        assert gateway.wait() == 0, gateway.log()[-3000:]

    assert gateway.status()["sinks"]["mqtt"]["delivered"] == 20
    assert "client_id_conflict" not in gateway.log()
