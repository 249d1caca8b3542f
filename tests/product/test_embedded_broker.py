"""The built-in broker as foreign clients see it: paho, mosquitto_sub, mqtt.js; restarts, kills, wills, passwords, a taken port."""

from __future__ import annotations

import json
import os
import shutil
import socket
import sqlite3
import subprocess
import threading
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import paho.mqtt.client as paho
import pytest

from gateways import START, Gateway, assert_balanced
from recordings import expect, generated
from servers import Mosquitto, find_program, free_port, until
from subscribers import Subscriber, let_go, retained

pytestmark = pytest.mark.slow

MQTTJS = Path(__file__).parent.parent / "mqttjs"
QUIET_PORT = '[serial]\nport = "{device}"\n'


@pytest.fixture
def port() -> int:
    """A free port."""
    return free_port()


@pytest.fixture
def idle(gateway: Gateway, port: int) -> Gateway:
    """A running gateway with nothing but its broker."""
    run(gateway, port)
    return gateway


def run(gateway: Gateway, port: int, keys: str = "", mqtt: str = "") -> None:
    """Start a gateway whose only source is a port that is not there, and wait for its broker."""
    section = f'[mqtt]\nbroker_url = "embedded"\n{mqtt}\n[broker]\nlisten = "127.0.0.1:{port}"\n{keys}\n'
    gateway.configure(section + QUIET_PORT.format(device=gateway.folder / "nothing"))
    gateway.start("run")
    gateway.until(lambda s: s["sinks"]["mqtt"]["state"] == "connected", "the broker")


def connect(port: int, *, username: str = "", password: str = "", **settings: Any) -> paho.Client:
    """Return a paho client that is connected. Raises ConnectionError with the broker's reason."""
    answered, reasons = threading.Event(), []
    client = paho.Client(paho.CallbackAPIVersion.VERSION2, **settings)

    def on_connect(_client: Any, _data: Any, _flags: Any, reason: Any, _properties: Any) -> None:
        reasons.append(reason)
        answered.set()

    client.on_connect = on_connect
    if username:
        client.username_pw_set(username, password)
    client.connect("127.0.0.1", port)
    client.loop_start()
    assert answered.wait(10), "no CONNACK"
    if reasons[0].is_failure:
        let_go(client)
        raise ConnectionError(str(reasons[0]))
    return client


def publish(client: paho.Client, topic: str, payload: str, *, qos: int = 1, retain: bool = False) -> None:
    """Publish and wait for the acknowledgement."""
    client.publish(topic, payload, qos=qos, retain=retain).wait_for_publish(10)


def close(client: paho.Client) -> None:
    """Disconnect."""
    client.disconnect()
    let_go(client)


def test_a_recording_reaches_a_subscriber_of_the_built_in_broker(gateway: Gateway, port: int, tmp_path: Path) -> None:
    """One process, nothing installed: every value once and in order, and the retained ones for who comes later."""
    log = tmp_path / "small.log"
    log.write_bytes(generated(2000, seed=5))
    small = expect(log)
    run(gateway, port)
    subscriber = Subscriber(port, "iiot/#").start()
    try:
        assert gateway.stop() == 0
        section = f'[mqtt]\nbroker_url = "embedded"\n[broker]\nlisten = "127.0.0.1:{port}"\n'
        gateway.configure(section)
        gateway.start("replay", str(log), "--start", START, "--speed", "100000")
        gateway.until(lambda s: s["sinks"]["mqtt"]["delivered"] == small.accepted, "the recording")
        latest = {f"iiot/{topic}": small.values(topic)[-1] for topic in small.topics() if topic.startswith("node")}

        found = retained(port, expect={*latest, "iiot/gateway/status"})

        assert {topic: value for topic, value in found.items() if topic in latest} == latest
        assert_balanced(gateway.status())
    finally:
        subscriber.stop()


@pytest.mark.parametrize("protocol", [paho.MQTTv311, paho.MQTTv5])
@pytest.mark.parametrize("qos", [0, 1])
def test_a_new_subscriber_gets_each_of_a_thousand_retained_values(
    idle: Gateway, port: int, qos: int, protocol: paho.MQTTProtocolVersion
) -> None:
    """At either quality of service: brokers with a short queue hand out a part."""
    publisher = connect(port, protocol=protocol)
    for number in range(999):
        publisher.publish(f"plant/{number}", str(number), qos=1, retain=True)
    publish(publisher, "plant/999", "999", retain=True)
    close(publisher)
    seen: dict[str, list[tuple[str, bool]]] = {}
    complete = threading.Event()
    subscriber = connect(port, protocol=protocol)

    def on_message(_client: Any, _data: Any, message: paho.MQTTMessage) -> None:
        if message.topic.startswith("plant/"):
            seen.setdefault(message.topic, []).append((message.payload.decode(), bool(message.retain)))
            if len(seen) == 1000:
                complete.set()

    subscriber.on_message = on_message
    subscriber.subscribe("#", qos=qos)

    assert complete.wait(20), f"{len(seen)} of 1000"
    close(subscriber)
    assert seen == {f"plant/{number}": [(str(number), True)] for number in range(1000)}
    assert idle.process is not None
    assert idle.process.poll() is None


def test_values_that_others_retained_survive_a_stop_and_a_kill(idle: Gateway, port: int) -> None:
    """Acknowledged is kept; removed stays removed."""
    client = connect(port)
    publish(client, "plant/setpoint", "20", retain=True)
    publish(client, "plant/gone", "1", retain=True)
    publish(client, "plant/gone", "", retain=True)
    close(client)
    assert idle.stop() == 0
    run(idle, port)
    assert retained(port, "plant/#", expect={"plant/setpoint"})["plant/setpoint"] == "20"
    client = connect(port)
    publish(client, "plant/setpoint", "21", retain=True)
    idle.kill9()
    close(client)

    run(idle, port)

    found = retained(port, "plant/#", expect={"plant/setpoint"})
    assert found == {"plant/setpoint": "21"}


def test_a_retained_value_that_its_file_does_not_take_is_delivered_and_said(idle: Gateway, port: int) -> None:
    """The log names the file and what to do; the value holds until the gateway ends."""
    with closing(sqlite3.connect(idle.folder / "iiot-broker.db")) as file:
        file.execute("DROP TABLE retained")
    client = connect(port)
    publish(client, "plant/setpoint", "20", retain=True)
    close(client)

    until(lambda: "broker_not_stored" in idle.log(), "the word about the file")

    assert "broker.path" in idle.log()
    assert retained(port, "plant/#", expect={"plant/setpoint"}) == {"plant/setpoint": "20"}


def test_the_gateways_own_values_survive_a_kill(gateway: Gateway, port: int, tmp_path: Path) -> None:
    """They are not stored with the broker: the journal has them, and the sink publishes them again."""
    log = tmp_path / "small.log"
    log.write_bytes(generated(300, seed=6))
    small = expect(log)
    gateway.configure(f'[mqtt]\nbroker_url = "embedded"\n[broker]\nlisten = "127.0.0.1:{port}"\n')
    gateway.start("replay", str(log), "--start", START, "--speed", "max")
    gateway.until(lambda s: s["sinks"]["mqtt"]["delivered"] == small.accepted, "the recording")
    gateway.kill9()

    run(gateway, port)

    latest = {f"iiot/{topic}": small.values(topic)[-1] for topic in small.topics() if topic.startswith("node")}
    found = retained(port, expect={*latest, "iiot/gateway/status"})
    assert {topic: value for topic, value in found.items() if topic in latest} == latest


def test_a_last_will_is_published_when_a_client_vanishes(idle: Gateway, port: int) -> None:
    """And not when it says goodbye."""
    subscriber = Subscriber(port, "wills/#").start()
    polite, lost = paho.Client(paho.CallbackAPIVersion.VERSION2), paho.Client(paho.CallbackAPIVersion.VERSION2)
    for client, name in ((polite, "polite"), (lost, "lost")):
        client.will_set(f"wills/{name}", "gone", qos=1, retain=True)
        client.connect("127.0.0.1", port)
        client.loop_start()
        until(client.is_connected, "the connection")
    close(polite)
    let_go(lost)
    sock = lost.socket()
    assert sock is not None
    sock.shutdown(socket.SHUT_RDWR)

    subscriber.wait(lambda s: s.last("wills/lost") == "gone", "the will")

    subscriber.catch_up_on("wills/marker")
    assert subscriber.last("wills/polite") is None
    subscriber.stop()
    assert idle.process is not None


def test_a_password_is_asked_for(gateway: Gateway, port: int) -> None:
    """The gateway's own sink knows it; others must."""
    words = "correct horse"
    (gateway.folder / "password").write_text(f"{words}\n")
    run(gateway, port, 'username = "site"\npassword_file = "password"\n')

    for username, password in (("", ""), ("site", "wrong"), ("other", "correct horse"), ("site", "correct")):
        with pytest.raises(ConnectionError, match=r"[Nn]ot authorized|[Bb]ad user"):
            connect(port, username=username, password=password)
    close(connect(port, username="site", password=words))
    assert words not in gateway.log()


def test_a_taken_port_is_said_and_the_gateway_goes_on_when_it_is_free(
    gateway: Gateway, launch: Callable[..., Mosquitto], tmp_path: Path
) -> None:
    """What was accepted meanwhile waits in the journal; it is not given to the broker that took the place."""
    other = launch(Mosquitto)
    witness = Subscriber(other.port, "iiot/#").start()
    log = tmp_path / "small.log"
    log.write_bytes(generated(200, seed=7))
    small = expect(log)
    gateway.configure(f'[mqtt]\nbroker_url = "embedded"\n[broker]\nlisten = "127.0.0.1:{other.port}"\n')
    gateway.start("replay", str(log), "--start", START, "--speed", "max")
    status = gateway.until(lambda s: s["sinks"]["mqtt"]["state"] == "refused" and s["sinks"]["mqtt"]["queued"], "the refusal")
    assert f"127.0.0.1:{other.port} is taken by another program" in status["sinks"]["mqtt"]["last_error"]
    assert "broker.listen" in status["sinks"]["mqtt"]["last_error"]
    witness.catch_up()
    witness.stop()
    assert set(witness.messages) == {"iiot/test/marker"}
    other.kill9()

    gateway.until(lambda s: s["sinks"]["mqtt"]["delivered"] == small.accepted, "the delivery")


def test_mosquittos_clients_agree_with_it(idle: Gateway, port: int) -> None:
    """Retained, QoS 2 both ways, a wildcard."""
    sub, pub = find_program("mosquitto_sub"), find_program("mosquitto_pub")
    assert sub is not None
    assert pub is not None
    address = ["-h", "127.0.0.1", "-p", str(port), "-q", "2"]
    for version in ("mqttv311", "mqttv5"):
        subprocess.run([pub, *address, "-V", version, "-t", "plant/line/level", "-m", "7.50", "-r"], check=True, timeout=20)

        done = subprocess.run(
            [sub, *address, "-V", version, "-t", "plant/+/level", "-C", "1", "-W", "10", "-F", "%t %p %r"],
            capture_output=True,
            text=True,
            timeout=20,
            check=True,
        )

        assert done.stdout.split() == ["plant/line/level", "7.50", "1"]
    assert idle.process is not None


def test_mqttjs_agrees_with_it(idle: Gateway, port: int, tmp_path: Path) -> None:
    """A client of another family, in both versions of the protocol."""
    npm, node = find_program("npm"), find_program("node")
    if npm is None or node is None:
        if os.environ.get("CI"):
            pytest.fail("npm is missing: apt install nodejs npm")
        pytest.skip("npm is missing: apt install nodejs npm")
    folder = tmp_path / "mqttjs"
    shutil.copytree(MQTTJS, folder, ignore=shutil.ignore_patterns("node_modules"))
    subprocess.run([npm, "ci", "--silent", "--no-audit", "--no-fund"], cwd=folder, check=True, timeout=180)

    for version in ("4", "5"):
        done = subprocess.run(
            [node, "client.cjs", str(port), version, "js/#", f"js/{version}", "27.6"],
            cwd=folder,
            capture_output=True,
            text=True,
            timeout=30,
            check=False,
        )
        assert done.stdout.split() == [f"js/{version}", "27.6", "false"], done.stderr

    found = retained(port, "js/#", expect={"js/4", "js/5"})
    assert found == {"js/4": "27.6", "js/5": "27.6"}
    assert idle.process is not None


def test_it_listens_on_loopback_only_unless_it_is_told_otherwise(gateway: Gateway, port: int) -> None:
    """And then only with a password, or with the word that nobody needs one."""
    gateway.configure(f'[mqtt]\nbroker_url = "embedded"\n[broker]\nlisten = "0.0.0.0:{port}"\n')

    refused = gateway.run("check")

    assert refused.returncode != 0
    assert "broker.listen: other machines reach it there: set username and password" in refused.stdout + refused.stderr
    gateway.configure(f'[mqtt]\nbroker_url = "embedded"\n[broker]\nlisten = "0.0.0.0:{port}"\nallow_anonymous = true\n')
    assert gateway.run("check").returncode == 0


@pytest.mark.parametrize("protocol", [paho.MQTTv311, paho.MQTTv5])
def test_text_that_mqtt_does_not_allow_reaches_no_subscriber(idle: Gateway, port: int, protocol: paho.MQTTProtocolVersion) -> None:
    """In topics, last wills, filters and client ids: a receiver may close its connection for it, and get it again for ever."""
    subscriber = Subscriber(port, "#").start()
    client = connect(port, protocol=protocol)
    for topic in ("plant/a\nb", "plant/\u0085", "plant/\ufdd0"):
        for qos in (0, 1, 2):
            client.publish(topic, "1", qos=qos, retain=True)
    publish(client, "plant/good", "1", retain=True)
    close(client)
    bad_will = paho.Client(paho.CallbackAPIVersion.VERSION2, protocol=protocol)
    bad_will.will_set("wills/\u0001", "gone")
    results: list[bool] = []
    bad_will.on_connect = lambda _client, _data, _flags, reason, _properties: results.append(reason.is_failure)
    bad_will.connect("127.0.0.1", port)
    bad_will.loop_start()
    until(lambda: bool(results), "the refusal")
    let_go(bad_will)
    with pytest.raises(ConnectionError):
        connect(port, protocol=protocol, client_id="a\u0001")

    subscriber.catch_up_on("plant/marker")
    assert results[0]
    assert {topic for topic in subscriber.messages if topic.startswith(("plant", "wills"))} == {"plant/good", "plant/marker"}
    assert set(retained(port, "plant/#", expect={"plant/good"})) == {"plant/good"}
    subscriber.stop()
    assert idle.stop() == 0
    with closing(sqlite3.connect(idle.folder / "iiot-broker.db")) as file:
        file.execute("INSERT INTO retained VALUES ('plant/a' || char(10), x'31', 1)")
        file.commit()

    run(idle, port)

    assert set(retained(port, "plant/#", expect={"plant/good"})) == {"plant/good"}, "as a version before may have left it"


def test_doctor_says_whether_the_broker_could_start(gateway: Gateway, port: int, launch: Callable[..., Mosquitto]) -> None:
    """Before the gateway runs: free; with a foreign broker in its place: what listens there answers."""
    gateway.configure(f'[mqtt]\nbroker_url = "embedded"\n[broker]\nlisten = "127.0.0.1:{port}"\n')

    done = gateway.run("doctor")

    assert f"127.0.0.1:{port} is free" in done.stdout, json.dumps([done.stdout, done.stderr])
