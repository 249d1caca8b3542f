"""The command `run` as a process: how it ends, and that absent peers and taken ports do not end it."""

from __future__ import annotations

import json
import signal
import socket
import stat
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from servers import until

GATEWAY = [sys.executable, "-m", "iiot_gateway"]
# No server of another test ever has this port.
ABSENT = '[mqtt]\nbroker_url = "mqtt://127.0.0.1:1"\n[influxdb]\nurl = "http://127.0.0.1:1"\n'


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Callable[[str], subprocess.Popen[str]]]:
    """A function that starts a gateway with a configuration; all are ended after the test."""
    running: list[subprocess.Popen[str]] = []

    def start_gateway(text: str) -> subprocess.Popen[str]:
        (tmp_path / "config.toml").write_text(text)
        with (tmp_path / "log").open("w") as log:
            running.append(subprocess.Popen([*GATEWAY, "run"], cwd=tmp_path, stderr=log, text=True))
        return running[-1]

    yield start_gateway
    for process in running:
        process.kill()
        process.wait()


def command(folder: Path, *words: str) -> subprocess.CompletedProcess[str]:
    """Run a command beside the gateway."""
    return subprocess.run([*GATEWAY, *words], cwd=folder, capture_output=True, text=True, timeout=10, check=False)


def status(folder: Path) -> dict[str, Any]:
    """Return the status of the running gateway, {} before it answers."""
    done = command(folder, "status", "--json")
    document: dict[str, Any] = json.loads(done.stdout) if done.returncode == 0 else {}
    return document if document.get("gateway") else {}


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_the_gateway_in_under_five_seconds_though_no_peer_is_there(
    tmp_path: Path, start: Callable[[str], subprocess.Popen[str]], number: signal.Signals
) -> None:
    """Absent peers neither end the gateway nor hold its end up."""
    process = start(ABSENT + "[http]\nenabled = false\n")
    until(lambda: {sink["state"] for sink in status(tmp_path).get("sinks", {}).values()} == {"disconnected"}, "both sinks in backoff")

    began_s = time.monotonic()
    process.send_signal(number)

    assert process.wait(10) == 0
    assert time.monotonic() - began_s < 5
    assert not (tmp_path / "iiot-gateway.db.sock").exists()
    assert json.loads(command(tmp_path, "status", "--json").stdout)["gateway"] is None


def test_the_gateway_maps_no_second_tls_library(tmp_path: Path, start: Callable[[str], subprocess.Popen[str]]) -> None:
    """The extension has one; OpenSSL would be three megabytes that nothing uses."""
    process = start(ABSENT + "[http]\nenabled = false\n")
    until(lambda: len(status(tmp_path).get("sinks", {})) == 2, "the gateway")

    mapped = Path(f"/proc/{process.pid}/maps").read_text()

    assert "_native" in mapped
    assert "libssl" not in mapped
    assert "libcrypto" not in mapped


@pytest.mark.parametrize("section", ['[mqtt]\nbroker_url = "mqtt://127.0.0.1:1"\n', '[influxdb]\nurl = "http://127.0.0.1:1"\n'])
def test_an_absent_peer_ends_the_gateway_only_where_that_is_asked_for(tmp_path: Path, section: str) -> None:
    """on_start = "fail" ends it with one line and no traceback."""
    (tmp_path / "config.toml").write_text(section + 'on_start = "fail"\n[http]\nenabled = false\n')

    done = command(tmp_path, "run")

    assert done.returncode == 1
    assert done.stderr.splitlines()[-1].startswith("iiot-gateway: [")
    assert "Traceback" not in done.stderr


def test_a_second_gateway_on_the_same_journal_refuses_to_start(tmp_path: Path, start: Callable[[str], subprocess.Popen[str]]) -> None:
    """The first one goes on, and only its user may talk to it."""
    first = start(ABSENT + "[http]\nenabled = false\n")
    until(lambda: bool(status(tmp_path)), "the first gateway")

    second = command(tmp_path, "run")

    assert second.returncode == 1
    assert "(locked)" in second.stderr
    assert status(tmp_path)["gateway"]["pid"] == first.pid
    assert stat.S_IMODE((tmp_path / "iiot-gateway.db.sock").stat().st_mode) == 0o600


def test_a_taken_port_is_said_and_does_not_end_the_gateway(tmp_path: Path, start: Callable[[str], subprocess.Popen[str]]) -> None:
    """HTTP is beside the point of a gateway."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        start(f'[http]\nlisten = "127.0.0.1:{taken.getsockname()[1]}"\n')

        until(lambda: "http_unavailable" in (tmp_path / "log").read_text(), "the word about the port")

        assert status(tmp_path)


def test_a_recording_played_with_other_arguments_is_refused_in_one_line(tmp_path: Path) -> None:
    """A replay that was begun at one time cannot go on at another."""
    (tmp_path / "config.toml").write_text("[http]\nenabled = false\n")
    (tmp_path / "log.txt").write_text('{"ts":1000,"id":"N2","n1":{"t":7.1}}\n')
    first = command(tmp_path, "replay", "log.txt", "--speed", "max", "--once")

    second = command(tmp_path, "replay", "log.txt", "--speed", "max", "--once", "--start", "2023-01-04T21:31:22Z")

    assert (first.returncode, second.returncode) == (0, 1)
    assert "--from-start" in second.stderr.splitlines()[-1]
    assert "Traceback" not in second.stderr
