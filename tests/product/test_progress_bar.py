"""What `replay` draws on a terminal while it plays, and that a pipe gets none of it."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from gateways import Gateway
from recordings import generated

DOCUMENTS = 400
LAST_LINE = re.compile(r"\[([#.]{30})\] +(\d+) %  (\d+) documents")


class Terminal:
    """The other end of a process's standard error."""

    def __init__(self, process: subprocess.Popen[bytes], master: int) -> None:
        self.process = process
        self._master = master
        self.written = b""

    def until(self, part: bytes) -> None:
        """Read until something was written. Raises EOFError if the process ends before."""
        while part not in self.written:
            if not self._read():
                raise EOFError(self.written.decode())

    def shown(self) -> list[str]:
        """Wait for the end and return what stands in each line then."""
        while self._read():
            pass
        self.process.wait()
        lines = []
        for line in self.written.decode().replace("\r\n", "\n").split("\n"):
            visible = ""
            for part in re.sub(r"\x1b\[[0-9;]*m", "", line).split("\r"):
                visible = part + visible[len(part) :]
            lines.append(visible.rstrip())
        return lines

    def _read(self) -> bool:
        try:
            chunk = os.read(self._master, 65536)
        except OSError:  # everybody has closed the other end
            return False
        self.written += chunk
        return bool(chunk)


@contextmanager
def terminal(gateway: Gateway, *arguments: str, stdin: int = subprocess.DEVNULL) -> Iterator[Terminal]:
    """Run `replay` with its standard error on a terminal."""
    master, slave = os.openpty()
    process = subprocess.Popen(gateway.command("replay", *arguments), stdin=stdin, stdout=subprocess.DEVNULL, stderr=slave)
    os.close(slave)
    try:
        yield Terminal(process, master)
    finally:
        process.kill()
        process.wait()
        os.close(master)


@pytest.fixture
def log(tmp_path: Path, gateway: Gateway) -> Path:
    """A recording, and a gateway that only takes it into its journal."""
    gateway.configure("")
    path = tmp_path / "small.log"
    path.write_bytes(generated(DOCUMENTS))
    return path


def test_the_bar_is_full_at_the_end_and_log_lines_stand_over_it(gateway: Gateway, log: Path) -> None:
    """Nothing that is logged meanwhile is mixed with the bar, and the shell's prompt comes below it."""
    with terminal(gateway, str(log), "--speed", "max", "--once") as screen:
        shown = screen.shown()

    assert screen.process.returncode == 0
    bars = [line for line in shown if "documents" in line and line.startswith("[")]
    assert bars == [f"[{'#' * 30}] 100 %  {DOCUMENTS} documents"]
    assert all(re.match(r"\d{4}-\d\d-\d\dT", line) for line in shown if line and line not in bars), shown
    assert any("source_finished" in line for line in shown)
    assert shown[-1] == ""


def test_a_stream_has_a_count_and_no_bar(gateway: Gateway, log: Path) -> None:
    """Nobody knows how long standard input is."""
    with log.open("rb") as file, terminal(gateway, "-", "--speed", "max", "--once", stdin=file.fileno()) as screen:
        shown = screen.shown()

    assert [line for line in shown if re.search(r"\d documents$", line)] == [f"{DOCUMENTS} documents"]


def test_an_interrupted_replay_leaves_the_bar_where_it_was(gateway: Gateway, log: Path) -> None:
    """A short log is read at once and played slowly: the bar is that of what was read, the count that of what was played."""
    with terminal(gateway, str(log), "--speed", "1") as screen:
        screen.until(b" 1 documents\r")
        screen.process.send_signal(signal.SIGINT)
        shown = screen.shown()

    assert screen.process.returncode == 0
    [bar] = [match for line in shown if (match := LAST_LINE.fullmatch(line))]
    assert (bar[1], bar[2]) == ("#" * 30, "100")
    assert int(bar[3]) < DOCUMENTS


def test_a_pipe_gets_no_bar(gateway: Gateway, log: Path) -> None:
    """Each line is a log line."""
    done = gateway.run("replay", str(log), "--speed", "max", "--once")

    assert done.returncode == 0
    assert "\r" not in done.stderr
    assert all(json.loads(line)["event"] for line in done.stderr.splitlines())
