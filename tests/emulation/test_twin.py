"""`twin` as a user meets it: in front of his own broker, and with nothing at all."""

from __future__ import annotations

import os
import re
import signal
import socket
import subprocess
import sys
from pathlib import Path

import pytest
from nodes import FIRMWARE, require

from gateways import Gateway
from servers import Mosquitto, until
from subscribers import Subscriber

pytestmark = [pytest.mark.slow, pytest.mark.native]


def is_open(port: int) -> bool:
    """Tell whether somebody listens there."""
    try:
        socket.create_connection(("127.0.0.1", port)).close()
    except OSError:
        return False
    return True


def test_a_twin_runs_everything(gateway: Gateway, mosquitto: Mosquitto, subscriber: Subscriber) -> None:
    """One command: nodes under their names, a bad channel, and commands."""
    require()
    gateway.configure(f'[mqtt]\nbroker_url = "{mosquitto.url}"')

    gateway.start("twin", "--nodes", "2", "--loss", "10", "--interval", "1", "--firmware", str(FIRMWARE))
    subscriber.wait(lambda s: len(s.values("iiot/node3/temperature")) >= 2, "readings of the second node", 60.0)
    subscriber.wait(lambda s: s.last("iiot/node1/temperature") == "19.50", "readings of the first node", 60.0)
    subscriber.publish("iiot/node3/set/led", "on")
    subscriber.wait(lambda s: '"done"' in (s.last("iiot/node3/state/led") or ""), "an answer", 60.0)

    assert gateway.stop() == 0


def test_a_twin_needs_no_configuration_and_leaves_nothing_behind(tmp_path: Path) -> None:
    """The lines that it prints work as they stand; Ctrl-C, which reaches all processes of a terminal, is no fault of any device."""
    require()
    folder, log = tmp_path / "empty", tmp_path / "twin.log"
    folder.mkdir()
    words = ["twin", "--nodes", "1", "--interval", "1", "--region", "us915", "--firmware", str(FIRMWARE)]
    with log.open("wb") as out:
        twin = subprocess.Popen(
            [sys.executable, "-m", "iiot_gateway", *words],
            stdin=subprocess.DEVNULL,
            stdout=out,
            stderr=out,
            cwd=folder,
            env={**os.environ, "IIOT_LOG__LEVEL": "warning"},
            process_group=0,
        )
    try:
        until(lambda: "Ctrl-C ends it." in log.read_text() or twin.poll() is not None, "the greeting")
        asked = re.search(r"mosquitto_pub -h 127\.0\.0\.1 -p (\d+) -t (\S+) -m on", log.read_text())
        assert asked is not None, log.read_text()
        until(lambda: is_open(int(asked[1])), "the broker")
        subscriber = Subscriber(int(asked[1]), "iiot/#").start()
        subscriber.wait(lambda s: s.last("iiot/node1/temperature") == "19.50", "a reading", 60.0)
        subscriber.publish(asked[2], "on")
        subscriber.wait(lambda s: '"done"' in (s.last("iiot/node1/state/led") or ""), "an answer", 60.0)
        subscriber.stop()

        os.killpg(twin.pid, signal.SIGINT)
        assert twin.wait(10) == 0
    finally:
        twin.kill()
        twin.wait()

    assert "unplugged" not in log.read_text()
    assert not list(folder.iterdir())
