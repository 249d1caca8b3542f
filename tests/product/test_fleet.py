"""Workers that share the messages of a broker: each value is stored once, and the fleet's ledger says what became of all."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path

import paho.mqtt.client as paho
import pytest
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties

from gateways import Gateway
from servers import Mosquitto, Postgres, until
from subscribers import let_go
from watched import line
from workers import Site, Worker, accepted, fleet, until_stored

pytestmark = pytest.mark.slow

VALUES = 4
"""Of one packet: temperature, humidity and the signal's two."""


@pytest.fixture
def database(launch: Callable[..., Postgres]) -> Postgres:
    """A database without tables."""
    return launch(Postgres)


@pytest.fixture
def workers(mosquitto: Mosquitto, database: Postgres, tmp_path: Path) -> Iterator[list[Worker]]:
    """Two workers, at work."""
    both = [Worker(tmp_path / name, mosquitto.url, database.url) for name in ("worker-a", "worker-b")]
    for worker in both:
        worker.work()
    yield both
    for worker in both:
        worker.end()


@pytest.fixture
def site(mosquitto: Mosquitto, tmp_path: Path) -> Iterator[Site]:
    """A site whose nodes are fed by the test."""
    one = Site(tmp_path / "site", mosquitto.url)
    one.begin()
    yield one
    one.end()


def test_values_of_a_site_are_stored_once_over_kills(site: Site, workers: list[Worker], database: Postgres) -> None:
    """A worker is killed between storing and acknowledging, again and again: its part comes once more, and the ledger tells."""
    for number in range(6):
        before = accepted(*workers)
        site.feed(*(line(seq) for seq in range(100 * number, 100 * (number + 1))))
        victim = workers[number % 2]
        until(lambda before=before: accepted(*workers) > before, "values")
        victim.kill9()
        victim.work()
    code, ledger = fleet(site, *workers)
    assert code == 0, ledger
    (row,) = ledger["sites"]
    assert (row["published"], row["missing"], row["is_asked"]) == (600 * VALUES, 0, True)
    assert row["received"] - row["doubles"] == row["published"]
    origin, shown = row["origin"], workers[0].ask()["sites"][row["origin"]]
    assert f'iiot_site_values_total{{origin="{origin}"}} {shown["received"]}' in workers[0].get("/metrics")[2].decode()
    assert f"{origin:<40}" in workers[0].run("status").stdout
    until_stored(*workers)
    counts = {table: int(database.value(f"SELECT count(*) FROM {table}")) for table in ("temperature", "humidity", "rssi", "snr")}
    assert counts == dict.fromkeys(counts, 600)
    # The times are the site's.
    times = [row[0] for row in database.rows("SELECT (extract(epoch from time) * 1000)::bigint FROM temperature ORDER BY 1")]
    assert len(set(times)) == 600


def test_what_a_killed_site_sends_again_is_counted_and_stored_once(
    mosquitto: Mosquitto, workers: list[Worker], database: Postgres, tmp_path: Path
) -> None:
    """A site is killed between sending and taking note of it: the values come twice, perhaps to another worker."""
    site = Site(tmp_path / "site", mosquitto.url, "[simulate]\nrate_per_s = 1500\n")
    for _ in range(4):
        before = accepted(*workers)
        site.start("run")
        until(lambda before=before: accepted(*workers) > before + 1000, "values")
        site.kill9()
    # The same journal, and no node.
    ending = Site(tmp_path / "site", mosquitto.url)
    ending.start("run")
    ending.until(lambda status: status["sinks"]["mqtt"]["queued"] == 0, "everything published")
    code, ledger = fleet(ending, *workers)
    ending.end()
    assert code == 0, ledger
    (row,) = ledger["sites"]
    assert row["doubles"] > 0
    until_stored(*workers)
    parents = [name for (name,) in database.rows("SELECT relname FROM pg_class WHERE relkind='p'")]
    assert sum(int(database.value(f'SELECT count(*) FROM "{name}"')) for name in parents) == row["published"]


def test_a_site_that_is_not_asked_and_values_that_wait_are_named(
    site: Site, workers: list[Worker], mosquitto: Mosquitto, database: Postgres
) -> None:
    """The ledger does not hold, and says where."""
    site.feed(*(line(seq) for seq in range(50)))
    until(lambda: accepted(*workers) == 50 * VALUES, "all values")
    code, ledger = fleet(*workers, wait_s=0)
    assert (code, ledger["sites"][0]["is_asked"]) == (1, False)
    workers[1].stop()
    site.feed(*(line(seq) for seq in range(50, 150)))
    site.until(lambda status: status["sinks"]["mqtt"]["delivered"] == 150, "everything published")
    # Mosquitto keeps the part of the one that is away.
    code, ledger = fleet(site, workers[0], wait_s=1)
    (row,) = ledger["sites"]
    assert code == 1
    assert row["missing"] == 150 * VALUES - row["received"] > 0
    workers[1].work()
    code, ledger = fleet(site, *workers)
    assert (code, ledger["sites"][0]["missing"], ledger["sites"][0]["doubles"]) == (0, 0, 0)


def test_a_retired_worker_leaves_no_queue_behind(site: Site, workers: list[Worker], database: Postgres) -> None:
    """Its part goes to the others from then on."""
    site.feed(*(line(seq) for seq in range(100)))
    retired = workers[1].run("worker", "retire")
    assert retired.returncode == 0, retired.stderr
    assert workers[1].ask()["source"]["mqtt_consumer"]["state"] == "retired"
    site.feed(*(line(seq) for seq in range(100, 200)))
    code, ledger = fleet(site, *workers)
    assert (code, ledger["sites"][0]["doubles"]) == (0, 0)
    assert workers[1].stop() == 0
    site.feed(*(line(seq) for seq in range(200, 300)))
    until_stored(workers[0])
    until(lambda: database.value("SELECT count(*) FROM temperature") == "300", "all rows")


@pytest.mark.parametrize("protocol", ["3.1.1", "5"])
def test_a_retired_session_is_gone(gateway: Gateway, mosquitto: Mosquitto, protocol: str) -> None:
    """What the broker held is taken, and its session is no more."""
    gateway.configure(
        f'[mqtt_consumer]\nbroker_url = "{mosquitto.url}"\nprotocol = "{protocol}"\nclient_id = "worker"\ntopics = ["$share/g/factory/#"]\n'
        'profile = "factory-dosing"\n'
    )
    start_consumer(gateway)
    gateway.stop()
    publisher = paho.Client(paho.CallbackAPIVersion.VERSION2)
    publisher.connect("127.0.0.1", mosquitto.port)
    publisher.loop_start()
    for number in range(500):
        level = json.dumps({"device_id": "d", "timestamp": 1_764_000_000 + number, "chemical": "acid", "percent_full": number % 100})
        publisher.publish("factory/inventory/levels", level, qos=1).wait_for_publish(10)
    let_go(publisher)
    assert session_of("worker", mosquitto.port, protocol, keep=True)

    start_consumer(gateway)
    done = gateway.run("worker", "retire")

    assert done.returncode == 0, done.stderr
    status = gateway.ask()
    assert (status["intake"]["accepted"], status["source"]["mqtt_consumer"]["state"]) == (500, "retired")
    # Such documents may have no time.
    assert any("stored at least once" in note for note in status["gateway"]["notes"])
    assert not session_of("worker", mosquitto.port, protocol, keep=False)


def test_retiring_needs_a_running_gateway(gateway: Gateway, mosquitto: Mosquitto) -> None:
    """It is the gateway that takes what the broker still holds."""
    gateway.configure(f'[mqtt_consumer]\nbroker_url = "{mosquitto.url}"\ntopics = ["a/#"]\nprofile = "factory-dosing"\n')
    done = gateway.run("worker", "retire")
    assert done.returncode == 1
    assert "start it" in done.stderr


def start_consumer(gateway: Gateway) -> None:
    """Start it and wait for the subscription."""
    gateway.start("run")
    gateway.until(lambda status: status["source"]["mqtt_consumer"]["state"] == "subscribed", "the subscription")


def session_of(client_id: str, port: int, protocol: str, *, keep: bool) -> bool:
    """Tell whether the broker has a session of this client; it is ended unless it is to be kept."""
    version = paho.MQTTv5 if protocol == "5" else paho.MQTTv311
    found: list[bool] = []
    arguments = {} if protocol == "5" else {"clean_session": False}
    client = paho.Client(paho.CallbackAPIVersion.VERSION2, client_id=client_id, protocol=version, manual_ack=True, **arguments)
    client.on_connect = lambda _client, _data, flags, _code, _properties: found.append(bool(flags.session_present))
    properties = None
    if protocol == "5":
        properties = Properties(PacketTypes.CONNECT)
        properties.SessionExpiryInterval = 3600 if keep else 0
    client.connect("127.0.0.1", port, **({"clean_start": False, "properties": properties} if protocol == "5" else {}))
    until(lambda: client.loop(0.1) == 0 and bool(found), "an answer of the broker")
    client.disconnect()
    return found[0]
