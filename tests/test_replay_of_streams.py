"""`replay` of what is no file, as a process: a named pipe is played whole, a broken terminal ends it."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import tty
from pathlib import Path

import pytest

GATEWAY = [sys.executable, "-m", "iiot_gateway"]
LINE = '{"ts":%d,"id":"N2","n1":{"t":7.1,"seq":%d}}\n'


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder with a configuration."""
    (tmp_path / "config.toml").write_text("[http]\nenabled = false\n")
    return tmp_path


def test_a_named_pipe_is_played_whole_each_time(folder: Path) -> None:
    """Every document of the pipe is received, and a second pipe of the same name is no resumed recording."""
    os.mkfifo(folder / "pipe")
    for run in (1, 2):
        process = subprocess.Popen([*GATEWAY, "replay", "pipe", "--speed", "max", "--once"], cwd=folder, stderr=subprocess.PIPE)
        with (folder / "pipe").open("w") as pipe:
            pipe.write("".join(LINE % (run * 100_000 + number * 1000, run * 100 + number) for number in range(20)))
        _out, err = process.communicate(timeout=15)
        assert process.returncode == 0, err.decode()

    status = subprocess.run([*GATEWAY, "status", "--json"], cwd=folder, capture_output=True, text=True, check=True)
    assert json.loads(status.stdout)["intake"]["received"] == 40


@pytest.mark.parametrize("stream", ["a pipe", "a pipe that gave a line", "a named pipe without a writer"])
def test_a_stream_that_gives_nothing_holds_up_no_stop(folder: Path, stream: str) -> None:
    """The gateway runs before the first byte comes, and a read that waits ends with it."""
    os.mkfifo(folder / "pipe")
    reading, writing = os.pipe()
    if stream == "a pipe that gave a line":
        os.write(writing, (LINE % (1000, 1)).encode())
    source = "pipe" if stream == "a named pipe without a writer" else "-"
    process = subprocess.Popen([*GATEWAY, "replay", source], cwd=folder, stdin=reading, stderr=subprocess.PIPE, text=True)
    assert process.stderr is not None
    for line in process.stderr:
        if '"running"' in line:
            break

    process.send_signal(signal.SIGTERM)

    _out, err = process.communicate(timeout=5)
    os.close(reading)
    os.close(writing)
    assert process.returncode == 0, err
    assert '"gateway_stopped"' in err


def test_a_recording_that_cannot_be_read_any_further_ends_the_replay(folder: Path) -> None:
    """An input error is one line and exit code 1, and what came before it is kept."""
    master, slave = os.openpty()
    tty.setraw(slave)
    process = subprocess.Popen(
        [*GATEWAY, "replay", "-", "--speed", "max", "--once"], cwd=folder, stdin=master, stderr=subprocess.PIPE, text=True
    )
    os.close(master)
    os.write(slave, (LINE % (1000, 1)).encode())
    assert process.stderr is not None
    for line in process.stderr:
        if '"running"' in line:
            break
    os.close(slave)  # a read of the other end is an input error from now on

    err = process.communicate(timeout=15)[1]
    assert process.returncode == 1, err
    assert err.splitlines()[-1].startswith("iiot-gateway: - cannot be read any further: ")
    assert "Traceback" not in err


@pytest.mark.parametrize("command", ["status", "rejects"])
def test_without_a_journal_it_is_said_who_makes_it(folder: Path, command: str) -> None:
    """The first thing that a new user types is no database error."""
    done = subprocess.run([*GATEWAY, command], cwd=folder, capture_output=True, text=True, check=False)

    assert done.returncode == 1
    assert done.stderr == f"iiot-gateway: there is no journal yet at {folder.resolve()}/iiot-gateway.db; `run` makes it\n"
