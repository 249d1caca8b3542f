"""`demo devices`: every post that the simulated devices had answered is one point of the history, and a second start goes on with them."""

from __future__ import annotations

import json
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import pytest

from gateways import Gateway, assert_balanced
from iiot_gateway._native import HistoryReader
from iiot_gateway.cli.demo import CONFIGS
from iiot_gateway.registry.file import RegistryFile
from iiot_gateway.registry.store import Registry
from servers import free_port, until

pytestmark = [pytest.mark.native, pytest.mark.slow]

MEASURED = ("temperature", "humidity", "battery")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A demo's folder whose ports are free."""
    made = tmp_path / "demo"
    made.mkdir()
    text = CONFIGS["devices"].replace(":1883", f":{free_port()}").replace(":5000", f":{free_port()}")
    (made / "config.toml").write_text(text)
    return made


@contextmanager
def running(folder: Path, *more: str) -> Iterator[subprocess.Popen[bytes]]:
    """Run the demo; its words go to a file beside its folder."""
    command = [sys.executable, "-m", "iiot_gateway", "demo", "devices", "--folder", str(folder), *more]
    with (folder.parent / "demo.log").open("wb") as log:
        process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log, stderr=log)
    try:
        yield process
    finally:
        process.kill()
        process.wait()


def words(folder: Path) -> str:
    """Return what the demo said."""
    return (folder.parent / "demo.log").read_text()


def points(folder: Path) -> dict[str, int]:
    """Return how many points of each measurement the history has."""
    found = dict.fromkeys(MEASURED, 0)
    with closing(HistoryReader(str(folder / "history.db"))) as reader:
        for series in reader.series():
            if series["measurement"] in found:
                found[series["measurement"]] += series["points"]
    return found


def ended(folder: Path, *more: str) -> dict[str, Any]:
    """Run the demo until its devices have sent what they are to send; return their ledger."""
    path = folder / "ledger.json"
    path.unlink(missing_ok=True)
    with running(folder, *more) as process:

        def is_written() -> bool:
            assert process.poll() is None, words(folder)
            return path.exists()

        until(is_written, "the end of the devices", 60)
        gateway = Gateway(folder)
        status = gateway.until(lambda found: found["sinks"]["history"]["queued"] == 0, "all points")
        process.send_signal(signal.SIGINT)
        assert process.wait(20) == 0, words(folder)
    assert_balanced(status)
    assert status["intake"]["rejected"] == 0
    ledger: dict[str, Any] = json.loads(path.read_text())
    return ledger


def test_each_answered_post_is_a_point_and_a_second_start_goes_on_with_the_same_devices(folder: Path) -> None:
    """Over HTTP and MQTT together; the administrator's key of the first start opens nothing any more."""
    first = ended(folder, "--rate", "200", "--count", "240")
    key = re.search(r"^  key +(iiota_\w+)$", words(folder), re.MULTILINE)
    second = ended(folder, "--rate", "200", "--count", "120")

    assert (first["registered"], first["answered"], first["unanswered"], first["refused"]) == (4, 240, 0, 0)
    assert (second["registered"], second["answered"]) == (0, 120)
    expected = {kind: first["answered_by_type"][kind] + second["answered_by_type"][kind] for kind in MEASURED}
    assert points(folder) == expected
    with closing(Registry(RegistryFile(str(folder / "iiot-devices.db")))) as registry:
        assert len(registry.devices.all()) == 4
        assert key is not None
        assert registry.keys.find(key[1]) is None


def test_the_key_that_it_prints_is_an_administrators(folder: Path) -> None:
    """And it says where the page is."""
    with running(folder) as process:
        until(lambda: "Ctrl-C ends it" in words(folder) or process.poll() is not None, "the greeting")
        key = re.search(r"^  key +(iiota_\w+)$", words(folder), re.MULTILINE)
        assert key is not None, words(folder)
        with closing(Registry(RegistryFile(str(folder / "iiot-devices.db")))) as registry:
            entry = registry.keys.find(key[1])
            assert entry is not None
            assert str(entry.kind) == "administrator"
            until(lambda: len(registry.devices.all()) == 4, "the devices")
        assert re.search(r"^  page +http://127\.0\.0\.1:\d+/", words(folder), re.MULTILINE)
