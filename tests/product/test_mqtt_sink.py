"""The MQTT sink as subscribers see it: every quality of service, both protocols, TLS, restarts of the broker, late data."""

from __future__ import annotations

import os
import subprocess
import threading
from collections.abc import Callable
from pathlib import Path

import pytest
import trustme
from test_replayed_recording import write_all

from disks import fill
from gateways import START, Gateway, assert_balanced
from recordings import Expected, expect, generated
from servers import Mosquitto, find_program, until
from subscribers import Subscriber, retained

pytestmark = pytest.mark.slow

EARLIER = "2022-01-01T00:00:00Z"


@pytest.fixture
def log(tmp_path: Path) -> Path:
    """A small recording."""
    path = tmp_path / "small.log"
    path.write_bytes(generated(400, seed=21))
    return path


@pytest.fixture
def small(log: Path) -> Expected:
    """What is in it."""
    return expect(log)


def section(broker: Mosquitto, more: str = "") -> str:
    """Return the configuration of the sink."""
    return f'[mqtt]\nbroker_url = "{broker.url}"\nclient_id = "gateway-under-test"\n{more}\n'


def replay(gateway: Gateway, log: Path, *more: str, start: str = START) -> int:
    """Play it to the end; returns the exit code."""
    gateway.start("replay", str(log), "--start", start, "--speed", "max", "--once", *more)
    return gateway.wait()


def last_retained(small: Expected) -> dict[str, str]:
    """What a right gateway leaves retained."""
    return {f"iiot/{topic}": small.values(topic)[-1] for topic in small.topics() if topic.startswith("node")}


@pytest.mark.parametrize("protocol", ["3.1.1", "5"])
@pytest.mark.parametrize("qos", [0, 1, 2])
def test_every_value_arrives_once_and_in_order(
    qos: int,
    protocol: str,
    gateway: Gateway,
    mosquitto: Mosquitto,
    subscribe: Callable[..., Subscriber],
    log: Path,
    small: Expected,
) -> None:
    """Whatever the quality of service and the protocol version."""
    subscriber = subscribe(mosquitto)
    gateway.configure(section(mosquitto, f'qos = {qos}\nprotocol = "{protocol}"'))

    assert replay(gateway, log) == 0, gateway.log()[-2000:]

    subscriber.catch_up()
    for topic in small.topics():
        assert subscriber.values(f"iiot/{topic}") == small.values(topic), topic
    assert gateway.status()["sinks"]["mqtt"]["delivered"] == small.accepted


def test_values_of_topics_beyond_the_limit_arrive_and_are_not_retained(
    gateway: Gateway, mosquitto: Mosquitto, subscribe: Callable[..., Subscriber], log: Path, small: Expected
) -> None:
    """Names that a device makes up cost no memory without end, and no value."""
    subscriber = subscribe(mosquitto)
    gateway.configure(section(mosquitto, "max_topics = 2"))

    assert replay(gateway, log) == 0, gateway.log()[-2000:]

    subscriber.catch_up()
    for topic in small.topics():
        assert subscriber.values(f"iiot/{topic}") == small.values(topic), topic
    found = retained(mosquitto.port, expect={"iiot/gateway/status"})
    kept = {topic: value for topic, value in found.items() if "/gateway/" not in topic}
    assert len(kept) == 2
    assert kept.items() <= last_retained(small).items()
    assert gateway.status()["sinks"]["mqtt"]["delivered"] == small.accepted
    assert "sink_too_many_topics" in gateway.log()


def test_mqtts_with_a_password_means_tls(
    gateway: Gateway, launch: Callable[..., Mosquitto], tmp_path: Path, log: Path, small: Expected
) -> None:
    """mqtts:// delivers over TLS with user and password; without the right authority it refuses and says tls."""
    authority, stranger = trustme.CA(), trustme.CA()
    authority.cert_pem.write_to_path(str(tmp_path / "ca.pem"))
    stranger.cert_pem.write_to_path(str(tmp_path / "stranger.pem"))
    authority.issue_cert("localhost").private_key_and_cert_chain_pem.write_to_path(str(tmp_path / "server.pem"))
    (tmp_path / "passwords").write_text("gateway:right\n")
    hash_passwords(tmp_path / "passwords")
    broker = launch(
        Mosquitto,
        extra=f"cafile {tmp_path}/ca.pem\ncertfile {tmp_path}/server.pem\nkeyfile {tmp_path}/server.pem\n"
        f"allow_anonymous false\npassword_file {tmp_path}/passwords",
    )

    def configure(ca: str, password: str) -> None:
        gateway.configure(
            f'[mqtt]\nbroker_url = "mqtts://localhost:{broker.port}"\nca_file = "{tmp_path}/{ca}"\n'
            f'username = "gateway"\npassword = "{password}"\n'
        )

    configure("stranger.pem", "right")
    assert replay(gateway, log, "--timeout", "3") == 4
    assert '"kind": "tls"' in gateway.log()
    configure("ca.pem", "wrong")
    assert replay(gateway, log, "--timeout", "3") == 4
    assert '"kind": "not_authorized"' in gateway.log()
    configure("ca.pem", "right")
    assert replay(gateway, log) == 0

    assert gateway.status()["sinks"]["mqtt"]["delivered"] == small.accepted
    assert '"right"' not in gateway.log()


def test_a_broker_that_asks_for_a_certificate_gets_the_gateways(
    gateway: Gateway, launch: Callable[..., Mosquitto], tmp_path: Path, log: Path, small: Expected
) -> None:
    """With client_cert_file everything is delivered under the certificate's name; without it, status says what is wrong."""
    authority = trustme.CA()
    authority.cert_pem.write_to_path(str(tmp_path / "ca.pem"))
    authority.issue_cert("localhost").private_key_and_cert_chain_pem.write_to_path(str(tmp_path / "server.pem"))
    own = authority.issue_cert(common_name="site-north")
    own.private_key_pem.write_to_path(str(tmp_path / "own.key"))
    own.cert_chain_pems[0].write_to_path(str(tmp_path / "own.pem"))
    broker = launch(
        Mosquitto,
        extra=f"cafile {tmp_path}/ca.pem\ncertfile {tmp_path}/server.pem\nkeyfile {tmp_path}/server.pem\n"
        "require_certificate true\nuse_identity_as_username true",
    )
    plain = f'[mqtt]\nbroker_url = "mqtts://localhost:{broker.port}"\nca_file = "{tmp_path}/ca.pem"\n'

    gateway.configure(plain)
    gateway.start("replay", str(log), "--start", START, "--speed", "max")
    refused = gateway.until(lambda s: s["sinks"]["mqtt"]["state"] == "refused", "the refusal")["sinks"]["mqtt"]
    assert gateway.stop() == 0
    gateway.configure(f'{plain}client_cert_file = "{tmp_path}/own.pem"\nclient_key_file = "{tmp_path}/own.key"\n')
    assert replay(gateway, log) == 0, gateway.log()[-2000:]

    assert refused["last_error"] == "tls: received fatal alert: CertificateRequired"
    assert gateway.status()["sinks"]["mqtt"]["delivered"] == small.accepted
    assert "u'site-north'" in broker.log_path.read_text()


def hash_passwords(path: Path) -> None:
    """Let Mosquitto's own tool hash a file of plain passwords."""
    program = find_program("mosquitto_passwd")
    assert program is not None
    subprocess.run([program, "-U", str(path)], check=True)
    path.chmod(0o644)


def test_a_broker_that_comes_back_empty_gets_every_retained_topic_again(
    gateway: Gateway, mosquitto: Mosquitto, log: Path, small: Expected
) -> None:
    """Without new data: what was retained is retained again after the broker forgot it."""
    gateway.configure(section(mosquitto))
    assert replay(gateway, log) == 0
    mosquitto.kill9()
    mosquitto.start()

    gateway.start("replay", str(log), "--start", START, "--speed", "max")
    found = retained(mosquitto.port, expect={*last_retained(small), "iiot/gateway/status"})

    assert {topic: value for topic, value in found.items() if "/gateway/" not in topic} == last_retained(small)
    assert found["iiot/gateway/status"] == "online"
    mosquitto.kill9()
    gateway.until(lambda s: s["sinks"]["mqtt"]["state"] == "disconnected", "the end of the connection")
    mosquitto.start()
    found = retained(mosquitto.port, expect={*last_retained(small), "iiot/gateway/status"})
    assert {topic: value for topic, value in found.items() if "/gateway/" not in topic} == last_retained(small)


def test_a_killed_gateway_is_offline(gateway: Gateway, mosquitto: Mosquitto, log: Path, subscribe: Callable[..., Subscriber]) -> None:
    """The last will speaks when the gateway cannot; a stop says it in order."""
    subscriber = subscribe(mosquitto)
    gateway.configure(section(mosquitto))
    gateway.start("replay", str(log), "--speed", "max")
    subscriber.wait(lambda s: s.last("iiot/gateway/status") == "online", "online")
    gateway.kill9()
    subscriber.wait(lambda s: s.last("iiot/gateway/status") == "offline", "the will")

    gateway.start("replay", str(log), "--speed", "max")
    subscriber.wait(lambda s: s.last("iiot/gateway/status") == "online", "online again")
    subscriber.wait(lambda s: s.last("iiot/gateway/health") is not None, "the health document")
    assert gateway.stop() == 0
    subscriber.wait(lambda s: s.last("iiot/gateway/status") == "offline", "offline")


def test_latest_sends_only_the_newest_of_a_backlog(gateway: Gateway, mosquitto: Mosquitto, log: Path, small: Expected) -> None:
    """With backlog = "latest" an outage costs the values in between, counted as superseded; the last ones are right."""
    mosquitto.kill9()
    gateway.configure(section(mosquitto, 'backlog = "latest"'))
    assert replay(gateway, log, "--timeout", "3") == 4
    mosquitto.start()

    assert replay(gateway, log) == 0

    status = gateway.status()
    assert_balanced(status)
    sink = status["sinks"]["mqtt"]
    assert sink["superseded"] > small.accepted / 2
    assert sink["superseded"] + sink["delivered"] == small.accepted
    found = retained(mosquitto.port, expect=set(last_retained(small)))
    assert {topic: value for topic, value in found.items() if "/gateway/" not in topic} == last_retained(small)


def test_late_data_never_moves_a_retained_topic_back(
    gateway: Gateway, mosquitto: Mosquitto, log: Path, small: Expected, tmp_path: Path, subscribe: Callable[..., Subscriber]
) -> None:
    """A recording of an earlier year is published, but not retained over the newer values."""
    older = tmp_path / "older.log"
    older.write_bytes(generated(300, seed=99))
    gateway.configure(section(mosquitto))
    assert replay(gateway, log) == 0
    subscriber = subscribe(mosquitto)

    assert replay(gateway, older, start=EARLIER) == 0

    subscriber.catch_up()
    assert subscriber.values("iiot/node1/temperature") == expect(older).values("node1/temperature")
    found = retained(mosquitto.port, expect=set(last_retained(small)))
    assert {topic: value for topic, value in found.items() if "/gateway/" not in topic} == last_retained(small)


def test_a_full_disk_makes_a_live_source_count_what_it_loses(gateway: Gateway, mosquitto: Mosquitto, small_disk: Path) -> None:
    """A port cannot wait: what does not fit in 16 MB is counted as lost, everything else is accepted once there is room."""
    controller, device = os.openpty()
    gateway.configure(section(mosquitto) + f'[serial]\nport = "{os.ttyname(device)}"\n', journal=small_disk / "journal.db")
    gateway.start("run")
    gateway.until(lambda s: s["source"]["serial"]["state"] == "running", "the port")
    documents = 120_000
    text = "".join(f'{{"ts":{n * 10},"id":"N2","n1":{{"t":{n % 400 / 10}}},"sts":{{"rx":{n},"err":0}}}}\n' for n in range(1, documents + 1))
    filler = small_disk / "filler"
    fill(filler)

    writer = threading.Thread(target=write_all, args=(controller, text.encode()))
    writer.start()
    writer.join()
    gateway.until(lambda s: s["source"]["serial"]["documents"] == documents, "everything read")
    assert gateway.ask()["journal"]["stalled"]
    filler.unlink()

    status = gateway.until(lambda s: not s["journal"]["stalled"] and s["sinks"]["mqtt"]["queued"] == 0, "the recovery", 120)
    intake = status["intake"]
    assert_balanced(status)
    assert intake["lost_journal_unavailable"] > 0
    assert intake["received"] + intake["lost_journal_unavailable"] == documents
    until(lambda: "frames_lost" in gateway.log(), "the loss in the log")
    os.close(controller)
    os.close(device)
