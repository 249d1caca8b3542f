"""The demo as a newcomer meets it: one command, values, a page, Ctrl-C, and once more."""

from __future__ import annotations

import json
import re
import signal
import socket
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from gateways import Gateway, assert_balanced
from servers import find_program, until

pytestmark = pytest.mark.slow


class Demo:
    """A running demo and what it printed."""

    def __init__(self, folder: Path) -> None:
        self.log = folder.parent / "demo.log"
        with self.log.open("wb") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "iiot_gateway", "demo", "--folder", str(folder)],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                cwd=folder.parent,
            )
        until(lambda: "Ctrl-C ends it" in self.text() or self.process.poll() is not None, "the greeting")
        self.page = self.word(r"page +(http://\S+)")
        self.broker_port = int(self.word(r"mosquitto_sub -h 127\.0\.0\.1 -p (\d+)"))

    def text(self) -> str:
        """Return everything it said."""
        return self.log.read_text()

    def word(self, pattern: str) -> str:
        """Return what it said in this place."""
        found = re.search(pattern, self.text())
        assert found is not None, self.text()
        return found[1]

    def get(self, path: str) -> bytes:
        """Ask its page."""
        with urllib.request.urlopen(self.page + path, timeout=10) as answer:
            return bytes(answer.read())

    def answers(self) -> bool:
        """Tell whether the page is there."""
        try:
            return bool(self.get(""))
        except OSError:
            return False

    def interrupt(self) -> int:
        """Press Ctrl-C."""
        self.process.send_signal(signal.SIGINT)
        return self.process.wait(10)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Where the demo keeps its files."""
    return tmp_path / "demo"


@pytest.fixture
def demo(folder: Path) -> Iterator[Demo]:
    """A running demo."""
    it = Demo(folder)
    yield it
    it.process.kill()
    it.process.wait()


def points(folder: Path) -> int:
    """Return how many points the history holds."""
    done = subprocess.run(
        [sys.executable, "-m", "iiot_gateway", "history", "list", "--config", str(folder / "config.toml")],
        capture_output=True,
        text=True,
        timeout=30,
        check=True,
    )
    rows = [line.split() for line in done.stdout.splitlines()[1:]]
    return sum(int(row[2]) for row in rows)


def test_one_command_shows_values_a_page_and_a_history_and_goes_on_where_it_stopped(demo: Demo, folder: Path) -> None:
    """What a newcomer does in the first minute."""
    sub = find_program("mosquitto_sub")
    assert sub is not None
    seen = subprocess.run(
        [sub, "-h", "127.0.0.1", "-p", str(demo.broker_port), "-t", "iiot/+/temperature", "-v", "-C", "6", "-W", "30"],
        capture_output=True,
        text=True,
        timeout=40,
        check=True,
    )
    topics = {line.split()[0] for line in seen.stdout.splitlines()}
    assert len(topics) >= 2, seen.stdout
    until(demo.answers, "the page")
    assert b'<div id="app">' in demo.get("")

    def latest() -> dict[str, Any]:
        return {series["topic"]: series["value"] for series in json.loads(demo.get("api/v1/latest"))["series"]}

    until(lambda: topics <= set(latest()), "the values on the page")
    assert demo.interrupt() == 0, demo.text()
    gateway = Gateway(folder)
    assert_balanced(gateway.status())
    before = points(folder)
    assert before > 0

    again = Demo(folder)
    try:
        until(lambda: gateway.ask()["sinks"]["history"]["delivered"] > gateway.status()["sinks"]["mqtt"]["rejected"], "new points")
        until(lambda: points(folder) > before, "a longer history")
        assert again.interrupt() == 0, again.text()
    finally:
        again.process.kill()
        again.process.wait()


def test_taken_ports_are_said_and_others_used(folder: Path) -> None:
    """A newcomer's machine may run a broker already."""
    with socket.socket() as broker, socket.socket() as page:
        for sock in (broker, page):
            sock.bind(("127.0.0.1", 0))
            sock.listen()
        folder.mkdir()
        taken = [sock.getsockname()[1] for sock in (broker, page)]
        from iiot_gateway.cli.demo import CONFIGS

        text = CONFIGS["nodes"].replace("127.0.0.1:1883", f"127.0.0.1:{taken[0]}").replace("127.0.0.1:5000", f"127.0.0.1:{taken[1]}")
        (folder / "config.toml").write_text(text)
        demo = Demo(folder)
        try:
            for port, what in zip(taken, ("broker", "page"), strict=True):
                assert f"127.0.0.1:{port} is taken by another program; this time the {what} is at 127.0.0.1:" in demo.text()
            assert demo.broker_port not in taken
            until(demo.answers, "the page")
            assert (folder / "config.toml").read_text() == text
            assert demo.interrupt() == 0, demo.text()
        finally:
            demo.process.kill()
            demo.process.wait()


def test_it_takes_no_other_configuration(tmp_path: Path) -> None:
    """Its own is in its folder."""
    done = subprocess.run(
        [sys.executable, "-m", "iiot_gateway", "demo", "--config", "x.toml"], capture_output=True, text=True, check=False, cwd=tmp_path
    )

    assert done.returncode == 1
    assert "iiot-gateway run --config" in done.stderr
