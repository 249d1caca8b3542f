"""deploy/fleet, the example of a fleet. No container engine runs here: files are read. The nodes' file is that of the tests' cluster.

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

from composed import interpolated

ROOT = Path(__file__).parent.parent
EXAMPLE = ROOT / "deploy" / "fleet"
WORKERS = [f"worker-{number}" for number in range(1, 5)]


@pytest.fixture(scope="module")
def document() -> dict[str, Any]:
    """Return the file with anchors and variables resolved; every variable without a default stands in the example of the environment."""
    names = re.findall(r"^([A-Z_]+)=", (EXAMPLE / ".env.example").read_text(), re.MULTILINE)
    found: dict[str, Any] = interpolated(
        yaml.safe_load((EXAMPLE / "docker-compose.yml").read_text()), {name: f"secret-{name}" for name in names}
    )
    return found


def test_the_file_is_what_the_specification_allows(document: dict[str, Any]) -> None:
    """Every key and value is one that Compose knows."""
    compose_spec.PyCompose.from_json(json.dumps(document)).validate()


def test_each_worker_has_a_journal_of_its_own(document: dict[str, Any]) -> None:
    """Two workers with one journal would be one session; no port is published twice, and each node has two workers."""
    services = document["services"]
    journals = [volume.split(":")[0] for name in WORKERS for volume in services[name]["volumes"] if volume.endswith(":/data")]
    assert len(set(journals)) == len(WORKERS)
    assert set(journals) <= set(document["volumes"])
    ports = [port.split(":")[1] for service in services.values() for port in service.get("ports", [])]
    assert len(set(ports)) == len(ports)
    nodes = [services[name]["environment"].get("IIOT_MQTT_CONSUMER__BROKER_URL", "mqtt://artemis-a:1883") for name in WORKERS]
    assert sorted(nodes) == ["mqtt://artemis-a:1883"] * 2 + ["mqtt://artemis-b:1883"] * 2


def test_what_is_mounted_and_waited_for_is_there(document: dict[str, Any]) -> None:
    """Files exist, volumes are declared, and whatever is waited for says when it is ready."""
    for name, service in document["services"].items():
        assert service["restart"] == "unless-stopped", name
        assert set(service["logging"]["options"]) == {"max-size", "max-file"}, name
        for volume in service["volumes"]:
            source = volume.split(":")[0]
            assert (EXAMPLE / source).is_file() if source.startswith(".") else source in document["volumes"], (name, source)
        for other in service.get("depends_on", {}):
            assert "healthcheck" in document["services"][other], (name, other)


def test_the_nodes_know_each_other(document: dict[str, Any]) -> None:
    """Each property without a default in the nodes' file is given, and the peer of each is the other.

    Artemis asks the environment for the others. A secret among the properties would be seen by whoever may list processes.
    """
    names = set(re.findall(r"\$\{([A-Za-z_.]+)\}", (EXAMPLE / "broker.xml").read_text()))
    secrets = {"ARTEMIS_CLUSTER_PASSWORD"}
    needed = names - secrets
    assert secrets < names
    given = {}
    for name in ("artemis-a", "artemis-b"):
        environment = document["services"][name]["environment"]
        properties = dict(re.findall(r"-D([a-z.]+)=(\S+)", environment["JAVA_ARGS_APPEND"]))
        assert set(properties) == needed
        assert "secret" not in environment["JAVA_ARGS_APPEND"]
        assert secrets < set(environment)
        given[properties["node.host"]] = properties["peer.host"]
    assert given == {"artemis-a": "artemis-b", "artemis-b": "artemis-a"}


def test_the_configuration_passes_check(document: dict[str, Any], tmp_path: Path) -> None:
    """With the variables that a container gets, and its volume elsewhere."""
    text = (EXAMPLE / "worker.toml").read_text()
    assert "./worker.toml:/etc/iiot-gateway/config.toml:ro" in document["services"]["worker-1"]["volumes"]
    (tmp_path / "config.toml").write_text(text.replace('"/data/', f'"{tmp_path}/'))
    kept = {name: value for name, value in os.environ.items() if not name.startswith("IIOT_")}

    done = subprocess.run(
        [sys.executable, "-m", "iiot_gateway", "check", "--config", str(tmp_path / "config.toml")],
        env={**kept, **document["services"]["worker-2"]["environment"]},
        capture_output=True,
        text=True,
        check=False,
    )

    assert done.returncode == 0, done.stderr
    assert "not used" not in done.stdout


def test_the_schema_is_that_of_postgresql_init() -> None:
    """The file that the new database runs is made of the program, with what `unique = true` needs."""
    program = ROOT / "deploy" / "timescaledb" / "make_schema.py"
    made = subprocess.run([sys.executable, program, "--unique"], capture_output=True, text=True, check=True).stdout
    assert (EXAMPLE / "schema.sql").read_text() == made
