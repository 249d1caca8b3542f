"""A log that cannot be written changes nothing but a count: telemetry goes on, and the exit code is what it would be."""

from __future__ import annotations

import fcntl
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from gateways import Gateway, assert_balanced
from recordings import generated
from servers import until

pytestmark = pytest.mark.slow

DOCUMENTS = 300


def start(gateway: Gateway, stderr: Any, *arguments: str, **settings: Any) -> None:
    """Start a gateway with this as its standard error."""
    gateway.process = subprocess.Popen(
        gateway.command(*arguments), stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=stderr, cwd=gateway.folder, **settings
    )


def configure(gateway: Gateway) -> None:
    """Nodes for a source and a history for a sink."""
    gateway.configure('[simulate]\nnodes = 2\nrate_per_s = 50\n[history]\npath = "history.db"\n', journal_keys='[log]\nlevel = "debug"')


def delivered(status: dict[str, Any]) -> bool:
    """Tell whether telemetry goes through."""
    return bool(status["sinks"]["history"]["delivered"] > 20)


def test_a_full_log_disk_costs_lines_and_nothing_else(gateway: Gateway) -> None:
    """Telemetry goes on, `status` and the metrics say how many lines went, and a stop is a stop."""
    configure(gateway)
    with open("/dev/full", "wb") as full:
        start(gateway, full, "run")
        status = gateway.until(delivered, "telemetry that is delivered")

    assert status["gateway"]["log_lines_lost"] > 0
    assert "lines could not be written to standard error" in gateway.run("status").stdout
    assert gateway.stop() == 0
    assert_balanced(gateway.status())


def test_a_closed_standard_error_is_no_file_of_the_gateway(gateway: Gateway) -> None:
    """The number of the closed descriptor is taken at once, or log lines would be written into what is opened next."""
    configure(gateway)
    gateway.process = subprocess.Popen(["sh", "-c", 'exec "$@" 0<&- 1>&- 2>&-', "sh", *gateway.command("run")], cwd=gateway.folder)
    status = gateway.until(delivered, "telemetry that is delivered")

    assert status["gateway"]["log_lines_lost"] > 0
    taken = {os.readlink(f"/proc/{gateway.process.pid}/fd/{descriptor}") for descriptor in range(3)}
    assert taken == {os.devnull}
    assert gateway.stop() == 0


def test_a_pipe_whose_reader_ended_costs_lines_and_nothing_else(gateway: Gateway) -> None:
    """`run 2>&1 | rotatelogs`, and rotatelogs is killed."""
    configure(gateway)
    reading, writing = os.pipe()
    start(gateway, writing, "run")
    os.close(writing)
    os.close(reading)
    status = gateway.until(delivered, "telemetry that is delivered")

    assert status["gateway"]["log_lines_lost"] > 0
    assert gateway.stop() == 0


def test_a_pipe_that_nobody_reads_holds_nothing_up(gateway: Gateway) -> None:
    """A full pipe blocks whoever writes: neither telemetry, nor the control socket, nor the stop waits for it."""
    configure(gateway)
    reading, writing = os.pipe()
    fcntl.fcntl(writing, fcntl.F_SETPIPE_SZ, 4096)
    os.write(writing, b"x" * 4096)
    start(gateway, writing, "run")
    gateway.until(delivered, "telemetry that is delivered")

    assert gateway.stop() == 0
    os.close(writing)
    os.close(reading)


def test_lines_of_a_normal_run_are_all_there_and_in_order(gateway: Gateway, tmp_path: Path) -> None:
    """The last line is the last event, though the process ends at once after it."""
    gateway.configure('[history]\npath = "history.db"\n')
    log = tmp_path / "small.log"
    log.write_bytes(generated(DOCUMENTS))
    done = gateway.run("replay", str(log), "--speed", "max", "--once")

    events = [line.partition('"event": "')[2].partition('"')[0] for line in done.stderr.splitlines()]
    assert (done.returncode, events[0], events[-1]) == (0, "gateway_started", "gateway_stopped"), done.stderr


@pytest.mark.parametrize("redirection", ["2>/dev/full", "2>&-"])
def test_an_error_that_nobody_can_read_has_its_exit_code(gateway: Gateway, redirection: str) -> None:
    """1 for an error; the interpreter's own end adds nothing."""
    done = subprocess.run(
        ["sh", "-c", f'exec "$@" {redirection}', "sh", sys.executable, "-m", "iiot_gateway", "status", "--config", "nothing.toml"],
        cwd=gateway.folder,
        check=False,
        capture_output=True,
    )

    assert (done.returncode, done.stdout, done.stderr) == (1, b"", b"")


@pytest.mark.parametrize("redirection", [">/dev/full", ">&-"])
def test_an_output_that_cannot_be_written_is_told_in_a_line(gateway: Gateway, redirection: str, tmp_path: Path) -> None:
    """The file that is read is not blamed, and there is no traceback."""
    gateway.configure("")
    log = tmp_path / "small.log"
    log.write_bytes(generated(3))
    for arguments in (("decode", str(log)), ("config", "template"), ("version",)):
        done = subprocess.run(
            ["sh", "-c", f'exec "$@" {redirection}', "sh", *gateway.command(*arguments)], check=False, capture_output=True, text=True
        )
        assert done.returncode == 1
        assert done.stderr.startswith("iiot-gateway: the output cannot be written: ")
        assert done.stderr.count("\n") == 1


def test_demo_runs_though_nobody_can_read_its_greeting(tmp_path: Path) -> None:
    """What it says is for a person; what it does goes on."""
    gateway = Gateway(tmp_path / "demo")
    gateway.journal = gateway.folder / "journal.db"
    with open("/dev/full", "wb") as full:
        gateway.process = subprocess.Popen(
            [sys.executable, "-m", "iiot_gateway", "demo", "--folder", str(gateway.folder)], stdout=full, stderr=subprocess.DEVNULL
        )
    try:
        gateway.until(delivered, "telemetry that is delivered")
        until(lambda: gateway.ask()["sinks"]["mqtt"]["state"] == "connected", "the broker")
        assert gateway.stop() == 0
    finally:
        gateway.end()
