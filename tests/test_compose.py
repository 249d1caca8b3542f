"""docker-compose.yml and what it mounts. No container engine runs here: files are read, and only scripts are started.

What stays untested: whether the images take these files, the health checks within them, and the order of start.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import compose_spec
import pytest
import yaml

from composed import VARIABLE, interpolated, made_environment, variables_of

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
    return made_environment(tmp_path_factory.mktemp("env"))


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
