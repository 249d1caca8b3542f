"""`tail` beside a running gateway without HTTP: lines in a pipe, the live view on a pseudo-terminal, a gateway that comes and goes."""

from __future__ import annotations

import fcntl
import os
import pty
import re
import select
import signal
import struct
import subprocess
import sys
import termios
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from gateways import Gateway
from iiot_gateway.errors import GatewayError
from servers import until
from simulated import topics

pytestmark = [pytest.mark.native, pytest.mark.slow]

LINE = re.compile(rb"iiot/(node1|node2|node3|signal|stats)/\w+ -?[0-9.]+\n")
"""The firmware's version counts as one."""
PATIENCE_S = 30.0
TOPICS = topics(2)
"""Of what `busy` runs."""


@pytest.fixture
def busy(gateway: Gateway) -> Gateway:
    """A running gateway with simulated nodes, no sink but a history, and no HTTP."""
    gateway.configure("[simulate]\nnodes = 2\nrate_per_s = 20\n[history]\n")
    gateway.start("run")
    until(lambda: known(gateway) == TOPICS, "a value of every topic")
    return gateway


def known(gateway: Gateway) -> set[str]:
    """Return the topics that the gateway shows by now."""
    try:
        return {series["topic"] for series in gateway.ask("live")["added"]}
    except OSError:
        return set()


@contextmanager
def piped(gateway: Gateway, *arguments: str) -> Iterator[subprocess.Popen[bytes]]:
    """Run `tail` into a pipe."""
    command = gateway.command("tail", *arguments)
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, bufsize=0) as process:
        try:
            yield process
        finally:
            process.kill()


class Terminal:
    """`tail` on a pseudo-terminal of a size."""

    def __init__(self, gateway: Gateway, *arguments: str, lines: int = 40, columns: int = 100) -> None:
        self.master, slave = pty.openpty()
        fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", lines, columns, 0, 0))
        environment = {**os.environ, "TERM": "xterm-256color"}
        for name in ("COLUMNS", "LINES"):
            environment.pop(name, None)
        self.process = subprocess.Popen(
            gateway.command("tail", *arguments), stdin=slave, stdout=slave, stderr=slave, env=environment, start_new_session=True
        )
        os.close(slave)
        self.written = b""

    def until(self, pattern: bytes) -> re.Match[bytes]:
        """Read until something was drawn, and forget what came before it."""
        deadline_s = time.monotonic() + PATIENCE_S
        while not (match := re.search(pattern, self.written, re.DOTALL)):
            left_s = deadline_s - time.monotonic()
            assert left_s > 0, f"{pattern!r} was not drawn:\n{self.written[-3000:].decode(errors='replace')}"
            if select.select([self.master], [], [], left_s)[0]:
                self.written += os.read(self.master, 65536)
        self.written = self.written[match.end() :]
        return match

    def close(self) -> None:
        """End it."""
        self.process.kill()
        self.process.wait()
        os.close(self.master)


@pytest.fixture
def terminals() -> Iterator[list[Terminal]]:
    """The terminals of a test; closed after it."""
    opened: list[Terminal] = []
    yield opened
    for terminal in opened:
        terminal.close()


def test_lines_come_as_the_values_do(busy: Gateway) -> None:
    """Topic, blank, value; each at once, and each as the text that is published."""
    with piped(busy) as process:
        assert process.stdout is not None
        lines = [process.stdout.readline() for _ in range(200)]

    assert [line for line in lines if not LINE.fullmatch(line)] == []
    assert {line.split(b"/")[1] for line in lines} == {b"node1", b"node2", b"node3", b"signal", b"stats"}
    assert len(set(lines)) > 50


def test_a_pattern_chooses_topics(busy: Gateway) -> None:
    """Several patterns mean what either means."""
    with piped(busy, "iiot/+/temperature", "iiot/signal/#") as process:
        assert process.stdout is not None
        topics = {process.stdout.readline().split()[0] for _ in range(60)}

    assert topics == {
        b"iiot/node1/temperature",
        b"iiot/node2/temperature",
        b"iiot/node3/temperature",
        b"iiot/signal/rssi",
        b"iiot/signal/snr",
    }


def test_it_ends_quietly_when_nobody_reads_any_more(busy: Gateway) -> None:
    """Also while nothing comes that it could write."""
    for arguments in ((), ("iiot/nothing",)):
        with piped(busy, *arguments) as process:
            assert process.stdout is not None
            assert process.stderr is not None
            if arguments:
                process.stderr.readline()
            process.stdout.close()
            process.wait(PATIENCE_S)

            assert (process.returncode, process.stderr.read()) == (1, b"")


def test_a_pattern_that_means_nothing_is_said_and_waited_for(busy: Gateway) -> None:
    """With some of the topics that are there."""
    with piped(busy, "iiot/+/temprature") as process:
        assert process.stderr is not None
        said = process.stderr.readline().decode()

        beginning = f"iiot-gateway: no topic matches iiot/+/temprature; waiting. {len(TOPICS)} are there: iiot/"
        assert said.startswith(beginning), said
        assert said.endswith(", ...\n"), said
        assert process.poll() is None


@pytest.mark.parametrize("pattern", ["iiot/#/temperature", "iiot/node+", ""])
def test_a_wrong_pattern_is_an_error(gateway: Gateway, pattern: str) -> None:
    """It is told with what would be right, before anything else is looked at."""
    gateway.configure("")

    done = gateway.run("tail", pattern)

    assert done.returncode == 2
    assert "is no topic pattern" in done.stderr
    assert "like iiot/+/temperature" in done.stderr


def test_without_a_gateway_it_says_what_to_start(gateway: Gateway) -> None:
    """One line, no trace."""
    gateway.configure("")

    done = gateway.run("tail")

    assert done.returncode == 1
    assert re.fullmatch(r"iiot-gateway: no gateway answers at .*journal\.db\.sock: .*; start it with `iiot-gateway run`.*\n", done.stderr)


def test_it_goes_on_by_itself_when_the_gateway_is_started_again(busy: Gateway) -> None:
    """Killed or not; values that were shown are not shown again."""
    with piped(busy, "iiot/node1/temperature", "iiot/stats/packets_received") as process:
        assert process.stdout is not None
        assert process.stderr is not None
        before = [process.stdout.readline() for _ in range(5)]
        busy.kill9()
        assert process.stderr.readline() == b"iiot-gateway: the gateway has gone; waiting for it\n"
        busy.start("run")
        assert process.stderr.readline() == b"iiot-gateway: the gateway is back\n"
        after = [process.stdout.readline() for _ in range(20)]

    assert all(LINE.fullmatch(line) for line in [*before, *after])


def test_the_live_view_shows_values_and_sinks_and_ends_with_ctrl_c(busy: Gateway, terminals: list[Terminal]) -> None:
    """On a screen of its own, which it leaves behind as it was."""
    terminal = Terminal(busy)
    terminals.append(terminal)

    terminal.until(rb"\x1b\[\?1049h")
    terminal.until(rb"frames/s: \d+ received")
    terminal.until(rb"history +\x1b\[[0-9;]*mconnected")
    terminal.until(rb"iiot/node1/temperature +-?\d+\.\d+ +celsius +\d+\.\d s +\d+\.\d")
    terminal.process.send_signal(signal.SIGINT)
    terminal.until(rb"\x1b\[\?1049l")

    assert terminal.process.wait(10) == 0


def test_the_live_view_says_when_the_gateway_is_away_and_goes_on(busy: Gateway, terminals: list[Terminal]) -> None:
    """The last values stay on the screen meanwhile."""
    terminal = Terminal(busy, "iiot/node1/#")
    terminals.append(terminal)
    terminal.until(rb"iiot/node1/humidity")

    busy.kill9()
    terminal.until(rb"the gateway has gone; waiting for it.*iiot/node1/humidity")
    busy.start("run")
    terminal.until(rb"frames/s: \d+ received.*iiot/node1/humidity")

    assert terminal.process.poll() is None


def test_a_small_window_says_what_it_leaves_out(busy: Gateway, terminals: list[Terminal]) -> None:
    """And a pattern without a topic says so."""
    small, empty = Terminal(busy, lines=14, columns=80), Terminal(busy, "iiot/x")
    terminals += [small, empty]

    small.until(rb"\.\.\. and %d more; a pattern or a larger window shows them" % (len(TOPICS) - 8))
    empty.until(rb"no topic matches iiot/x; waiting\. %d are there" % len(TOPICS))


def test_a_wrong_question_on_the_control_socket_is_refused(busy: Gateway) -> None:
    """And what belongs to another process is answered with everything."""
    whole = busy.ask("live")
    with pytest.raises(GatewayError, match="since: expected a version"):
        busy.ask("live", since=-1)

    assert len(whole["added"]) == len(TOPICS)
    assert len(busy.ask("live", since=whole["version"], run="another")["added"]) == len(TOPICS)
    assert busy.ask("live", since=whole["version"], run=whole["run"])["added"] == []


def test_a_terminal_gets_lines_if_that_is_wanted(busy: Gateway, terminals: list[Terminal]) -> None:
    """As a pipe does."""
    terminal = Terminal(busy, "--lines", "iiot/+/temperature")
    terminals.append(terminal)

    terminal.until(rb"iiot/node1/temperature -?\d+\.\d+\r\n")

    assert b"\x1b" not in terminal.written


def test_escapes_in_a_value_do_not_reach_the_terminal(gateway: Gateway, tmp_path: Path) -> None:
    """Values come from devices: what is no letter is written out."""
    profile = tmp_path / "text.toml"
    profile.write_text('name = "text"\n[[metric]]\npath = "m"\ntopic = "device/text"\nmeasurement = "text"\ntype = "any"\nretain = true\n')
    log = tmp_path / "text.log"
    log.write_bytes(b'{"m":"a\\u001b[2J\\nb"}\n')
    fifo = tmp_path / "open"
    os.mkfifo(fifo)
    gateway.configure(f'[gateway]\nprofile = "{profile}"\n[history]\n')
    gateway.start("replay", "--speed", "max", str(fifo))
    with fifo.open("wb", buffering=0) as pipe:
        pipe.write(log.read_bytes())
        gateway.until(lambda s: s["intake"]["accepted"] == 1, "the frame")
        with piped(gateway) as process:
            assert process.stdout is not None
            assert process.stdout.readline() == b"iiot/device/text a\\x1b[2J\\nb\n"


def test_a_gateway_does_not_load_what_draws_the_view(gateway: Gateway) -> None:
    """It stays small where `tail` is installed beside it."""
    gateway.configure("[simulate]\n[history]\n")
    command = [sys.executable, "-X", "importtime", *gateway.command("run")[1:]]
    with subprocess.Popen(command, stderr=subprocess.PIPE, cwd=gateway.folder) as process:
        assert process.stderr is not None
        loaded = []
        for line in process.stderr:
            loaded.append(line.rpartition(b"|")[2].strip())
            if b"gateway_started" in line:
                break
        process.kill()

    assert b"structlog.dev" in loaded
    assert b"rich.console" not in loaded
