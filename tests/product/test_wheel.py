"""The wheel as a user gets it: built, installed into a clean environment far from the sources, and used."""

from __future__ import annotations

import os
import subprocess
import sys
import venv
from pathlib import Path

import pytest

import iiot_gateway
from recordings import expect, generated

ROOT = Path(__file__).parent.parent.parent

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def program(tmp_path_factory: pytest.TempPathFactory) -> str:
    """The program of an environment that has the wheel and what it asks for, and nothing else."""
    folder = tmp_path_factory.mktemp("wheel")
    # The target folder of the checkout is warm; `develop` built the same crates there, in this profile.
    profile = os.environ.get("IIOT_BUILD_PROFILE", "release")
    build = subprocess.run(
        [sys.executable, "-m", "maturin", "build", "--profile", profile, "--out", str(folder), "--interpreter", sys.executable],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert build.returncode == 0, build.stderr[-3000:]
    (wheel,) = folder.glob("iiot_gateway-*.whl")
    venv.create(folder / "clean")
    python = str(folder / "clean" / "bin" / "python")
    install = subprocess.run(
        [sys.executable, "-m", "pip", "--python", python, "install", "--quiet", "--disable-pip-version-check", str(wheel)],
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
    )
    assert install.returncode == 0, install.stderr[-3000:]
    return str(folder / "clean" / "bin" / "iiot-gateway")


def run(program: str, folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run the installed program where no source is on the path."""
    environ = {name: value for name, value in os.environ.items() if not name.startswith(("PYTHON", "VIRTUAL_ENV"))}
    return subprocess.run([program, *arguments], cwd=folder, env=environ, capture_output=True, text=True, timeout=60, check=False)


def test_the_installed_wheel_works_without_its_sources(program: str, tmp_path: Path) -> None:
    """It tells its version, prints a template that it accepts, and decodes with the profiles that it carries."""
    version = run(program, tmp_path, "version")
    assert version.returncode == 0, version.stderr
    assert iiot_gateway.__version__ in version.stdout

    template = run(program, tmp_path, "config", "template")
    assert template.returncode == 0, template.stderr
    (tmp_path / "config.toml").write_text(template.stdout)
    checked = run(program, tmp_path, "check")
    assert checked.returncode == 0, checked.stderr
    page = Path(program).parent.parent.glob("lib/python*/site-packages/iiot_gateway/web/index.html")
    built = (ROOT / "python" / "iiot_gateway" / "web" / "index.html").is_file()
    assert bool(list(page)) == built, "the wheel carries the page"

    log = tmp_path / "generated.log"
    log.write_bytes(generated(300, seed=5))
    decoded = run(program, tmp_path, "decode", "generated.log", "--only", "topics")
    assert decoded.returncode == (1 if expect(log).rejected else 0), decoded.stderr
    assert decoded.stdout.count("iiot/node1/temperature = ") >= expect(log).accepted


def test_the_installed_wheel_has_the_rules_of_its_profiles_and_of_the_gateway(program: str, tmp_path: Path) -> None:
    """`check` knows them by their names; a file that is not there has no rules."""
    sources = '[simulate]\n[mqtt_consumer]\nbroker_url = "mqtt://127.0.0.1"\ntopics = ["factory/#"]\nprofile = "factory-dosing"\n'
    (tmp_path / "config.toml").write_text(f'{sources}[alerts]\noff = ["queue_old", "node_silent", "inventory_low"]\n')

    checked = run(program, tmp_path, "check")

    assert checked.returncode == 0, checked.stderr


def test_the_wheel_is_without_the_emulation(program: str, tmp_path: Path) -> None:
    """It would need QEMU and the firmware; the command is there in a checkout only."""
    (package,) = Path(program).parent.parent.glob("lib/python*/site-packages/iiot_gateway")

    assert not (package / "devices").exists()
    done = run(program, tmp_path, "twin")
    assert done.returncode == 2
    assert "invalid choice: 'twin'" in done.stderr
