"""docker-compose.yml and what it mounts. No container engine runs here: files are read, and only Mosquitto and scripts are started.

What stays untested: whether the images take these files, the health checks within them, and the order of start.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import ssl
import stat
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import compose_spec
import paho.mqtt.client as paho
import pytest
import yaml

from composed import VARIABLE, interpolated, variables_of
from servers import find_program, free_port, until

ROOT = Path(__file__).parent.parent
COMPOSE = (ROOT / "docker-compose.yml").read_text()
PROFILES = ("lora", "factory-influx", "factory-timescale", "devices", "infra")
OPTIONAL_SECRETS = {"INFLUXDB_READ_TOKEN", "SMTP_PASSWORD"}
"""Secrets of what lies outside of the containers."""
ONCE = {"influxdb-tokens"}
"""Services that end."""


@pytest.fixture(scope="module")
def environment(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """Return the variables that scripts/make-env.sh writes."""
    path = tmp_path_factory.mktemp("env") / ".env"
    done = subprocess.run([ROOT / "scripts" / "make-env.sh", "lora", path], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return variables_of(path)


@pytest.fixture(scope="module")
def document(environment: dict[str, str]) -> dict[str, Any]:
    """Return the file with anchors and variables resolved."""
    found: dict[str, Any] = interpolated(yaml.safe_load(COMPOSE), environment)
    return found


def services(document: dict[str, Any], profile: str) -> dict[str, dict[str, Any]]:
    """Return the services that a profile starts."""
    return {name: service for name, service in document["services"].items() if profile in service.get("profiles", [profile])}


def test_the_file_is_what_the_specification_allows(document: dict[str, Any]) -> None:
    """Every key and value is one that Compose knows, and every volume, configuration and secret is declared."""
    # The library knows addresses only, and not Compose's word for that of the host.
    text = json.dumps(document).replace("host.docker.internal:host-gateway", "host.docker.internal:127.0.0.1")
    compose_spec.PyCompose.from_json(text).validate()

    with pytest.raises(ValueError, match="imagine"):
        compose_spec.PyCompose.from_json('{"services": {"a": {"image": "a", "imagine": "b"}}}')


@pytest.mark.parametrize("profile", PROFILES)
def test_a_profile_is_whole(document: dict[str, Any], profile: str) -> None:
    """No port is published twice, each only at BIND_ADDRESS; what a service waits for is there and says when it is ready."""
    chosen = services(document, profile)
    ports = [port for service in chosen.values() for port in service.get("ports", [])]

    assert len({port.split(":")[1] for port in ports}) == len(ports), ports
    assert {port.split(":")[0] for port in ports} == {"127.0.0.1"}
    published = {int(port.split(":")[1]) for port in ports}
    assert {1883, 8883, 9001, 9090, 3000} <= published
    assert (5432 in published) == (profile in ("factory-timescale", "infra"))
    assert (8086 in published) == (profile != "factory-timescale")
    assert (5000 in published) == (profile != "infra")
    for name, service in chosen.items():
        for other, how in service.get("depends_on", {}).items():
            if how.get("required", True):
                assert other in chosen, (name, other)
            if how["condition"] == "service_healthy":
                assert "healthcheck" in document["services"][other], (name, other)
            assert (how["condition"] == "service_completed_successfully") == (other in ONCE), (name, other)
    gateways = [name for name in chosen if name.startswith("gateway")]
    assert gateways == ([] if profile == "infra" else [f"gateway-{profile}"])


def test_each_service_starts_again_rotates_its_log_and_is_pinned(document: dict[str, Any]) -> None:
    """A full disk or an image that changed overnight would be the end of a plant that nobody watches."""
    for name, service in document["services"].items():
        if name in ONCE:
            continue
        assert service["restart"] == "unless-stopped", name
        assert set(service["logging"]["options"]) == {"max-size", "max-file"}, name
        if name.startswith("gateway"):
            assert (service["build"], service["image"]) == (".", "iiot-gateway")
            assert service["networks"] == {"default": {"aliases": ["gateway"]}}
        else:
            assert "healthcheck" in service, name
            assert re.search(r":v?\d+\.\d+\.\d+", service["image"]), service["image"]


def test_no_password_has_a_default_and_every_variable_stands_in_the_example(environment: dict[str, str]) -> None:
    """What a person may set is in .env.example; what a person must set is made by make-env.sh, each different."""
    used = {found[1]: found[2] for found in VARIABLE.finditer(COMPOSE) if found[1]}
    example = (ROOT / ".env.example").read_text()
    shown = set(re.findall(r"^#?([A-Z_]+)=", example, re.MULTILINE))

    assert used.keys() == shown
    for name, rule in used.items():
        is_secret = re.search("PASSWORD|TOKEN|SECRET", name) is not None and name not in OPTIONAL_SECRETS
        assert (rule == ":?") == is_secret, name
        if is_secret:
            assert len(environment[name]) > 40, name
            assert environment[name][0].isalpha(), name
    secrets = [environment[name] for name, rule in used.items() if rule == ":?"]
    assert len(set(secrets)) == len(secrets)
    assert not re.search(r"^\w*(PASSWORD|TOKEN|SECRET)\w*=.", example, re.MULTILINE)
    for line in re.findall(r"^#([A-Z_]+)=(.*)$", example, re.MULTILINE):
        assert interpolated(re.search(rf"\$\{{{line[0]}:-[^}}]*\}}", COMPOSE)[0], {}) == line[1]  # type: ignore[index]


def test_the_environment_file_is_made_once(tmp_path: Path) -> None:
    """It is for its owner alone, never written over, and knows the profile; the gateway of `infra` is on the host."""
    script, path = ROOT / "scripts" / "make-env.sh", tmp_path / ".env"
    assert subprocess.run([script, "infra", path], capture_output=True, check=False).returncode == 0
    content = path.read_text()

    again = subprocess.run([script, "lora", path], capture_output=True, text=True, check=False)
    unknown = subprocess.run([script, "plant", tmp_path / "other"], capture_output=True, text=True, check=False)

    assert again.returncode == 1
    assert "stays as it is" in again.stderr
    assert path.read_text() == content
    assert path.stat().st_mode & 0o777 == 0o600
    assert variables_of(path)["COMPOSE_PROFILES"] == "infra"
    assert variables_of(path)["GATEWAY_TARGET"] == "host.docker.internal:5000"
    assert unknown.returncode == 2
    assert [file.name for file in tmp_path.iterdir()] == [".env"]


def test_every_mounted_file_exists(document: dict[str, Any]) -> None:
    """A missing file would become an empty folder in the container; a volume that is named is declared."""
    for name, service in document["services"].items():
        for volume in service.get("volumes", []):
            source = volume.split(":")[0]
            if source.startswith("./"):
                path = ROOT / source
                assert path.is_file() or source in (
                    "./deploy/mosquitto/certificates",
                    "./deploy/grafana/provisioning",
                    "./deploy/grafana/dashboards",
                ), (name, source)
                assert path.exists(), (name, source)
            elif not source.startswith("/"):
                assert source in document["volumes"], (name, source)


@pytest.mark.parametrize("profile", [profile for profile in PROFILES if profile != "infra"])
def test_the_mounted_configuration_passes_check(document: dict[str, Any], tmp_path: Path, profile: str) -> None:
    """With the variables that its container gets, and only its volumes elsewhere."""
    service = document["services"][f"gateway-{profile}"]
    text = (ROOT / "deploy" / "gateway" / f"{profile}.toml").read_text()
    assert f"./deploy/gateway/{profile}.toml:/etc/iiot-gateway/config.toml:ro" in service["volumes"]
    assert service["command"][-1] == "/etc/iiot-gateway/config.toml"
    for folder in ("tokens", "data"):
        (tmp_path / folder).mkdir()
        text = text.replace(f'"/{folder}/', f'"{tmp_path}/{folder}/')
    for name in ("gateway", "dashboard"):
        (tmp_path / "tokens" / f"{name}.token").write_text("x")
    (tmp_path / "config.toml").write_text(text)
    tests = {name: value for name, value in os.environ.items() if not name.startswith("IIOT_")}

    done = subprocess.run(
        [sys.executable, "-m", "iiot_gateway", "check", "--config", str(tmp_path / "config.toml")],
        env={**tests, **service["environment"]},
        capture_output=True,
        text=True,
        check=False,
    )

    assert done.returncode == 0, done.stderr
    assert "not used" not in done.stdout
    # What is written lies in a volume.
    assert all(path.startswith("/data/") for path in re.findall(r'^path = "([^"]*)"', text.replace(str(tmp_path), ""), re.MULTILINE))


def test_prometheus_asks_what_is_there(document: dict[str, Any]) -> None:
    """Targets are services, the token is a secret, and the file with the gateway's address is the one that is mounted."""
    service = document["services"]["prometheus"]
    read = yaml.safe_load((ROOT / "deploy" / "prometheus" / "prometheus.yml").read_text())
    jobs = {job["job_name"]: job for job in read["scrape_configs"]}

    assert set(read) == {"global", "scrape_configs"}
    assert jobs["gateway"]["authorization"] == {"credentials_file": f"/run/secrets/{service['secrets'][0]}"}
    assert document["secrets"]["gateway-token"] == {"environment": "IIOT_HTTP_TOKEN"}
    (mounted,) = service["configs"]
    assert jobs["gateway"]["file_sd_configs"] == [{"files": [mounted["target"]]}]
    assert yaml.safe_load(document["configs"][mounted["source"]]["content"]) == [{"targets": ["gateway:5000"]}]
    assert [jobs[name]["static_configs"][0]["targets"] for name in ("influxdb", "prometheus")] == [["influxdb:8086"], ["127.0.0.1:9090"]]


def test_grafana_gets_every_variable_that_its_files_name(document: dict[str, Any]) -> None:
    """A variable that is not set would be an empty text in a data source."""
    given = document["services"]["grafana"]["environment"]
    files = list((ROOT / "deploy" / "grafana" / "provisioning").rglob("*.yaml"))

    start = (ROOT / "deploy" / "grafana" / "start.sh").read_text()
    named = set(re.findall(r"^check ([A-Z_]+)", start, re.MULTILINE)) | {
        name for file in files for name in re.findall(r"(?<!\$)\$\{?([A-Z][A-Z_]+)\}?", file.read_text())
    }

    assert {"INFLUXDB_READ_TOKEN", "ALERT_EMAIL", "PLANT_BEGINS_H"} <= named
    assert named <= given.keys()


def test_the_schema_is_that_of_postgresql_init() -> None:
    """The file that a new TimescaleDB runs is made of the program."""
    folder = ROOT / "deploy" / "timescaledb"

    made = subprocess.run([sys.executable, folder / "make_schema.py"], capture_output=True, text=True, check=True).stdout

    assert (folder / "schema.sql").read_text() == made


def test_tokens_are_made_once_and_can_less_than_the_administrators(tmp_path: Path) -> None:
    """Each file is written whole; what fails leaves none."""
    tokens = tmp_path / "tokens"
    tokens.mkdir()
    calls = tmp_path / "calls"
    influx = tmp_path / "influx"
    influx.write_text(
        '#!/bin/sh\necho "$@" >>"$CALLS"\n'
        'case "$1" in bucket) printf "b1\\t\\ttelemetry\\t90d\\n" ;; auth) [ -n "$FAIL" ] && exit 1; '
        'printf \'{\\n\\t"id": "1",\\n\\t"token": "T-%s==",\\n\\t"status": "active"\\n}\\n\' "$6" ;; esac\n'
    )
    influx.chmod(0o755)
    script = (ROOT / "deploy" / "influxdb" / "make-tokens.sh").read_text().replace("/tokens/", f"{tokens}/")

    def run(fail: str = "") -> int:
        environment = {"PATH": f"{tmp_path}:{os.environ['PATH']}", "CALLS": str(calls), "FAIL": fail, "INFLUXDB_BUCKET": "telemetry"}
        return subprocess.run(["sh", "-c", script], env=environment, capture_output=True, check=False).returncode

    assert run(fail="yes") != 0
    assert list(tokens.iterdir()) == []
    calls.unlink()
    assert run() == 0
    assert run() == 0
    assert {file.name: file.read_text() for file in tokens.iterdir()} == {
        "gateway.token": "T-gateway.token==\n",
        "dashboard.token": "T-dashboard.token==\n",
    }
    assert [line for line in calls.read_text().splitlines() if line.startswith("auth")] == [
        "auth create --user admin --description gateway.token --json --write-bucket b1",
        "auth create --user admin --description dashboard.token --json --read-bucket b1",
    ]


def test_grafana_starts_with_the_token_that_reads(tmp_path: Path) -> None:
    """It stands in a file; without the file the variable stays as it is."""
    script, provisioning = ROOT / "deploy" / "grafana" / "start.sh", ROOT / "deploy" / "grafana" / "provisioning"
    shown = ["sh", "-c", 'echo "$INFLUXDB_READ_TOKEN"']

    def started() -> str:
        environment = {**os.environ, "INFLUXDB_READ_TOKEN": "elsewhere", "TOKENS_FOLDER": str(tmp_path)}
        command = ["sh", script, provisioning, tmp_path / "copy", *shown]
        return subprocess.run(command, env=environment, capture_output=True, text=True, check=True).stdout.strip()

    assert started() == "elsewhere"
    (tmp_path / "dashboard.token").write_text("reads\n")
    assert started() == "reads"


PORTS = (1883, 8883, 9001)


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
                each.loop_stop()

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
