"""Documents, unit, compose file and image say what the program does."""

from __future__ import annotations

import configparser
import re
import shutil
import subprocess
import tomllib
from dataclasses import fields
from pathlib import Path

import pytest

from iiot_gateway.config.component import is_list
from iiot_gateway.config.load import load_text
from iiot_gateway.config.sections import SECTIONS
from iiot_gateway.sinks.influxdb.section import InfluxdbSection
from iiot_gateway.sinks.mqtt.section import MqttSection
from iiot_gateway.sources.serial.section import SerialSection

ROOT = Path(__file__).parent.parent.parent
UNITS = ROOT / "deploy" / "systemd"
DOCKERFILE = (ROOT / "Dockerfile").read_text()


def test_the_configuration_page_names_every_key_with_its_sentence() -> None:
    """A key that is added must be described: there, or on a page that its component has."""
    for name, component in SECTIONS.items():
        heading = f"## `[[{name}]]`\n" if is_list(component) else f"## `[{name}]`"
        (page,) = [text for page in (ROOT / "docs").glob("*.md") if f"\n{heading}" in (text := page.read_text())]
        _, _, text = page.partition(heading)
        table = text.partition("\n## ")[0]
        if name == "probe_rs":
            assert "same keys as `[gateway]`" in table
            continue
        for field in fields(component.section):
            assert f"| `{field.name}` |" in table, f"[{name}] {field.name}"
            assert field.metadata["key"].doc.replace("|", "\\|") in table, f"[{name}] {field.name}"


def test_the_configuration_in_the_readme_loads() -> None:
    """What a newcomer copies works."""
    (block,) = re.findall(r"```toml\n(.*?)```", (ROOT / "README.md").read_text(), re.DOTALL)

    config = load_text(block.replace("token_file", "# token_file"))

    assert (list(config.of(MqttSection)), list(config.of(InfluxdbSection)), list(config.of(SerialSection))) == (
        ["mqtt"],
        ["influxdb"],
        ["serial"],
    )


def test_the_image_runs_as_a_user_and_without_rust() -> None:
    """The second stage has only the wheel."""
    final = DOCKERFILE.rpartition("\nFROM ")[2]

    assert "USER gateway" in final
    assert "rust" not in final.lower()
    assert 'ENTRYPOINT ["iiot-gateway"]' in final


def unit(path: Path) -> configparser.ConfigParser:
    """Read a unit."""
    found = configparser.ConfigParser(strict=False, interpolation=None)
    found.optionxform = str  # type: ignore[assignment,method-assign]
    found.read(path)
    return found


def test_the_gateways_unit_speaks_as_the_gateway_does() -> None:
    """Readiness, watchdog and the time of a stop are the gateway's."""
    service = unit(UNITS / "iiot-gateway.service")["Service"]

    assert service["Type"] == "notify"
    assert int(service["WatchdogSec"]) >= 10
    assert int(service["TimeoutStopSec"]) > 5


@pytest.mark.parametrize("name", sorted(path.name for path in UNITS.iterdir()))
def test_a_unit_is_understood_by_systemd(tmp_path: Path, name: str) -> None:
    """It knows every line, and a timer has its service."""
    analyze = shutil.which("systemd-analyze")
    if analyze is None:
        pytest.skip("systemd-analyze is not here")
    for path in UNITS.iterdir():
        (tmp_path / path.name).write_text(re.sub(r"^ExecStart=\S+", "ExecStart=/bin/true", path.read_text(), flags=re.MULTILINE))

    done = subprocess.run([analyze, "verify", str(tmp_path / name)], capture_output=True, text=True, check=False)

    assert [line for line in done.stderr.splitlines() if "iiot-gateway" in line] == []


@pytest.mark.parametrize("name", ["iiot-gateway-backup.service", "iiot-gateway-maintain.service"])
def test_a_unit_beside_the_gateway_shares_its_user_and_folder(name: str) -> None:
    """Otherwise it could neither ask the gateway nor write where that does."""
    other, gateway = unit(UNITS / name)["Service"], unit(UNITS / "iiot-gateway.service")["Service"]

    for key in ("User", "DynamicUser", "StateDirectory", "StateDirectoryMode", "WorkingDirectory"):
        assert other[key] == gateway[key], key


def test_the_package_holds_profiles_stubs_and_type_marker() -> None:
    """What the wheel needs lies where maturin takes it from."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    package = ROOT / "python" / "iiot_gateway"

    assert project["tool"]["maturin"]["module-name"] == "iiot_gateway._native"
    assert (package / "py.typed").is_file()
    assert (package / "_native.pyi").is_file()
    assert {file.stem for file in (package / "_stubs").glob("*.pyi")} - {"__init__"} <= {
        file.stem for file in (ROOT / "rust" / "iiot-native" / "src").glob("*.rs")
    }
    assert (package / "profiles" / "lora-bridge.toml").is_file()


def test_scripts_are_executable_and_strict() -> None:
    """Each stops at the first error."""
    for script in [*(ROOT / "scripts").glob("*.sh"), ROOT / ".ci" / "run"]:
        if script.name == "environment.sh":
            continue
        assert script.stat().st_mode & 0o111, script
        assert "set -euo pipefail" in script.read_text(), script
