"""The Mosquitto of docker-compose.yml, started with the mounted files and without a container: accounts, TLS and certificates."""

from __future__ import annotations

import os
import shutil
import ssl
import stat
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import paho.mqtt.client as paho
import pytest

from composed import made_environment
from servers import find_program, free_port, until
from subscribers import let_go

ROOT = Path(__file__).parent.parent
PORTS = (1883, 8883, 9001)


@pytest.fixture(scope="module")
def environment(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """Return the variables that scripts/make-env.sh writes."""
    return made_environment(tmp_path_factory.mktemp("env"))


@contextmanager
def mosquitto(environment: dict[str, str]) -> Iterator[tuple[Path, dict[int, int]]]:
    """Start the broker as its container does: the mounted files, with paths and ports replaced."""
    if find_program("mosquitto") is None:
        message = "mosquitto is not installed; scripts/test.sh installs it"
        if os.environ.get("CI"):
            pytest.fail(message)
        pytest.skip(message)
    # Mosquitto's own user must get there, which a folder of pytest does not allow.
    folder = Path(tempfile.mkdtemp(prefix="mosquitto-"))
    folder.chmod(0o755)
    ports = {port: free_port() for port in PORTS}
    try:
        for name in ("config", "data", "certificates"):
            (folder / name).mkdir()
        made = subprocess.run(
            [ROOT / "scripts" / "make-certificates.sh"],
            env={**os.environ, "IIOT_CA_FOLDER": str(folder / "ca"), "IIOT_CERTIFICATES_FOLDER": str(folder / "certificates")},
            capture_output=True,
            text=True,
            check=False,
        )
        assert made.returncode == 0, made.stderr
        for name in ("mosquitto.conf", "tls.conf", "acl", "start.sh"):
            text = (ROOT / "deploy" / "mosquitto" / name).read_text().replace("/mosquitto/", f"{folder}/")
            text = text.replace(" /certificates/", f" {folder}/certificates/").replace("mosquitto:mosquitto", "mosquitto")
            for port, free in ports.items():
                text = text.replace(f"listener {port}", f"listener {free} 127.0.0.1")
            (folder / "config" / name).write_text(text.replace("=/mosquitto/secrets", f"={folder}/secrets"))
        shutil.chown(folder / "data", "mosquitto")
        passwords = {name: value for name, value in environment.items() if name.startswith("MQTT_")}
        path = f"{os.environ['PATH']}:/usr/sbin"
        with (folder / "log").open("wb") as log:
            broker = subprocess.Popen(["sh", folder / "config" / "start.sh"], env={**passwords, "PATH": path}, stdout=log, stderr=log)
        try:
            yield folder, ports
        finally:
            broker.terminate()
            broker.wait(10)
            said = (folder / "log").read_text()
            assert "Error" not in said, said
    finally:
        shutil.rmtree(folder)


def test_a_certificate_is_renewed_by_the_same_authority_or_not_at_all(tmp_path: Path) -> None:
    """Clients trust the first ca.crt: where its key was taken away, no other authority takes its place."""
    authority, out = tmp_path / "ca", tmp_path / "certificates"

    def make() -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [ROOT / "scripts" / "make-certificates.sh", "broker.plant"],
            env={**os.environ, "IIOT_CA_FOLDER": str(authority), "IIOT_CERTIFICATES_FOLDER": str(out)},
            capture_output=True,
            text=True,
            check=False,
        )

    assert make().returncode == 0
    assert stat.S_IMODE((out / "ca.crt").stat().st_mode) == 0o644
    assert stat.S_IMODE((out / "server.key").stat().st_mode) == 0o600
    trusted, first = (out / "ca.crt").read_bytes(), (out / "server.crt").read_bytes()
    assert make().returncode == 0
    assert (out / "ca.crt").read_bytes() == trusted
    assert (out / "server.crt").read_bytes() != first

    renewed = (out / "server.crt").read_bytes()
    (authority / "ca.key").unlink()
    refused = make()
    assert refused.returncode == 1
    assert f"{authority}/ca.key is not there" in refused.stderr
    assert (out / "ca.crt").read_bytes() == trusted
    assert (out / "server.crt").read_bytes() == renewed


@pytest.mark.servers
def test_mosquitto_starts_with_the_mounted_files_and_keeps_people_apart(environment: dict[str, str]) -> None:
    """MQTT, TLS and WebSocket; who may write and read what, and nobody without a password."""
    with mosquitto(environment) as (folder, ports):
        seen: list[tuple[str, str]] = []

        def client(user: str, port: int, *, other: str = "", transport: Any = "tcp") -> Callable[[], int | None]:
            made = paho.Client(paho.CallbackAPIVersion.VERSION2, transport=transport)
            if user:
                made.username_pw_set(user, other or environment[f"MQTT_{user.upper()}_PASSWORD"])
            if port == 8883:
                made.tls_set(str(folder / "certificates" / "ca.crt"), cert_reqs=ssl.CERT_REQUIRED)
            reasons: list[int] = []
            made.on_connect = lambda _c, _d, _f, reason, _p: reasons.append(int(reason.value))
            made.on_message = lambda _c, _d, message: seen.append((user, message.topic))
            until(lambda: _connects(made, ports[port]), f"{port}")
            made.loop_start()
            until(lambda: bool(reasons), f"an answer on {port}")
            clients.append(made)
            return lambda: reasons[0]

        clients: list[paho.Client] = []
        try:
            assert client("gateway", 1883)() == 0
            assert client("machine", 8883)() == 0
            assert client("reader", 9001, transport="websockets")() == 0
            assert client("", 1883)() != 0
            assert client("machine", 1883, other="wrong")() != 0
            gateway, machine, reader = clients[:3]
            for who in (gateway, machine, reader):
                # The broker answers a subscription before what is published behind it.
                answered: list[int] = []
                who.on_subscribe = lambda _c, _d, mid, _r, _p, answered=answered: answered.append(mid)
                who.subscribe([("factory/#", 1), ("iiot/#", 1)])
                until(lambda answered=answered: bool(answered), "the subscription")
            machine.publish("factory/dosing/consumption", "{}", qos=1).wait_for_publish(5)
            machine.publish("iiot/node1/temperature", "1", qos=1).wait_for_publish(5)
            gateway.publish("factory/dosing/commands", "no right", qos=1).wait_for_publish(5)
            gateway.publish("iiot/gateway/status", "online", qos=1).wait_for_publish(5)
            reader.publish("iiot/gateway/last", "no right", qos=1).wait_for_publish(5)
            gateway.publish("iiot/gateway/last", "end", qos=1, retain=True).wait_for_publish(5)
            until(lambda: seen.count(("reader", "iiot/gateway/last")) == 1 and ("gateway", "iiot/gateway/last") in seen, "the last message")
            assert watched(folder, environment, ports[8883]) == "iiot/gateway/last end"
        finally:
            for each in clients:
                each.disconnect()
                let_go(each)

    assert {topic for user, topic in seen if user == "reader"} == {"factory/dosing/consumption", "iiot/gateway/status", "iiot/gateway/last"}
    assert {topic for user, topic in seen if user == "gateway"} == {
        "factory/dosing/consumption",
        "iiot/gateway/status",
        "iiot/gateway/last",
    }
    assert {topic for user, topic in seen if user == "machine"} == set()


def watched(folder: Path, environment: dict[str, str], port: int) -> str:
    """Return topic and payload of the first message that scripts/test-mqtt-sub.sh shows, over TLS and with the account of .env."""
    (folder / ".env").write_text(f"MQTT_READER_PASSWORD={environment['MQTT_READER_PASSWORD']}\n")
    done = subprocess.run(
        [ROOT / "scripts" / "test-mqtt-sub.sh", "iiot", "localhost", str(port), "-C", "1", "-W", "10"],
        env={**os.environ, "MQTT_CAFILE": str(folder / "certificates" / "ca.crt"), "MQTT_ENV_FILE": str(folder / ".env")},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    _time, is_retained, message = done.stdout.strip().split(" ", 2)
    assert is_retained == "1"
    return message


def _connects(client: paho.Client, port: int) -> bool:
    try:
        client.connect("127.0.0.1", port)
    except ConnectionRefusedError:
        return False
    return True
