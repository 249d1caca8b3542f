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


def test_the_unit_is_understood_by_systemd(tmp_path: Path) -> None:
    """Readiness and watchdog are those that the gateway speaks, and systemd knows every line."""
    path = ROOT / "deploy" / "systemd" / "iiot-gateway.service"
    unit = configparser.ConfigParser(strict=False, interpolation=None)
    unit.optionxform = str  # type: ignore[assignment,method-assign]
    unit.read(path)

    assert unit["Service"]["Type"] == "notify"
    assert int(unit["Service"]["WatchdogSec"]) >= 10
    assert int(unit["Service"]["TimeoutStopSec"]) > 5
    analyze = shutil.which("systemd-analyze")
    if analyze is None:
        pytest.skip("systemd-analyze is not here")
    copy = tmp_path / path.name
    copy.write_text(re.sub(r"^ExecStart=\S+", "ExecStart=/bin/true", path.read_text(), flags=re.MULTILINE))
    done = subprocess.run([analyze, "verify", str(copy)], capture_output=True, text=True, check=False)
    assert [line for line in done.stderr.splitlines() if copy.name in line] == []


def test_the_package_holds_profiles_stub_and_type_marker() -> None:
    """What the wheel needs lies where maturin takes it from."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    package = ROOT / "python" / "iiot_gateway"

    assert project["tool"]["maturin"]["module-name"] == "iiot_gateway._native"
    assert (package / "py.typed").is_file()
    assert (package / "_native.pyi").is_file()
    assert (package / "profiles" / "lora-bridge.toml").is_file()


def test_scripts_are_executable_and_strict() -> None:
    """Each stops at the first error."""
    for script in [*(ROOT / "scripts").glob("*.sh"), ROOT / ".ci" / "run"]:
        if script.name == "environment.sh":
            continue
        assert script.stat().st_mode & 0o111, script
        assert "set -euo pipefail" in script.read_text(), script
