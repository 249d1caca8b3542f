"""A serial port that somebody has: `record` says so, and `doctor` tells the gateway from another program."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from gateways import Gateway
from ports import Port


@pytest.fixture
def port() -> Iterator[Port]:
    """A line that is plugged in."""
    with Port() as it:
        yield it


def test_record_of_a_busy_port_is_an_error_with_the_reason(gateway: Gateway, port: Port, tmp_path: Path) -> None:
    """The remedy names the gateway. No file is left, so the next attempt is not in the way of itself."""
    gateway.configure(f'[serial]\nport = "{port.device}"\n')
    other = os.open(port.device, os.O_RDWR | os.O_NOCTTY)
    fcntl.flock(other, fcntl.LOCK_EX)

    done = gateway.run("record", str(tmp_path / "port.rec"), "--seconds", "1")

    assert done.returncode == 1
    assert "nothing was recorded: serial was port_busy" in done.stderr
    assert "a running gateway" in done.stderr
    assert not (tmp_path / "port.rec").exists()
    os.close(other)


def test_record_of_a_silent_port_is_an_error_too(gateway: Gateway, port: Port, tmp_path: Path) -> None:
    """The port is there, and that is said."""
    gateway.configure(f'[serial]\nport = "{port.device}"\n')

    done = gateway.run("record", str(tmp_path / "port.rec"), "--seconds", "1")

    assert done.returncode == 1
    assert f"nothing was recorded: serial was running at the end ({port.device})" in done.stderr


def test_doctor_does_not_take_the_gateway_for_another_program(gateway: Gateway, port: Port) -> None:
    """Its own port is open in it, which is good; without the gateway, a busy port is bad."""
    gateway.configure(f'[serial]\nport = "{port.device}"\n')
    gateway.start("run")
    gateway.until(lambda status: status["source"]["serial"]["state"] == "running", "the port")

    beside = gateway.run("doctor")
    assert gateway.process is not None
    assert f"ok  serial {port.device}: is open in the gateway that runs (process {gateway.process.pid}: running, 0 bytes)" in beside.stdout

    assert gateway.stop() == 0
    other = os.open(port.device, os.O_RDWR | os.O_NOCTTY)
    fcntl.flock(other, fcntl.LOCK_EX)
    alone = gateway.run("doctor")
    assert f"BAD serial {port.device}: port_busy: " in alone.stdout
    os.close(other)


def test_status_of_a_stopped_gateway_has_no_present_rate(gateway: Gateway, tmp_path: Path) -> None:
    """A burst at the end of a run fills nothing afterwards."""
    gateway.configure('[history]\npath = "history.db"\n')
    log = tmp_path / "burst.log"
    log.write_bytes(b"".join(b'{"ts":%d,"id":"N2","n1":{"t":7.1,"seq":%d}}\n' % (number * 1000, number) for number in range(5000)))
    assert gateway.run("replay", str(log), "--speed", "max", "--once").returncode == 0

    assert "room" not in gateway.run("status").stdout
    assert gateway.status()["journal"]["hours_left"] is None
