"""Standard output holds exactly what an independent reader finds in a recording, whatever its reader does."""

from __future__ import annotations

import array
import fcntl
import json
import os
import resource
import signal
import subprocess
import termios
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pytest

from gateways import START, START_MS, Gateway, assert_balanced
from iiot_gateway.config.load import load_text
from iiot_gateway.errors import ConfigError
from iiot_gateway.sinks.outlet import TAKEN, Outcome, Result
from iiot_gateway.sinks.stdout import StdoutOutlet, StdoutSection
from recordings import expect, generated
from servers import until

pytestmark = pytest.mark.slow

JSON = '[stdout]\nformat = "json"\n'
Point = tuple[str, int, str]


def piped(gateway: Gateway, *arguments: str) -> int:
    """Start a command whose standard output is a pipe; return the pipe's end to read from."""
    reading, writing = os.pipe()
    with gateway.log_path.open("ab") as log:
        gateway.process = subprocess.Popen(gateway.command(*arguments), stdout=writing, stderr=log, cwd=gateway.folder)
    os.close(writing)
    return reading


def replay(recording: Path, *more: str) -> tuple[str, ...]:
    """Return the arguments that play a recording as fast as can be."""
    return ("replay", str(recording), "--start", START, "--speed", "max", *more)


def recorded(folder: Path, packets: int) -> tuple[Path, set[Point]]:
    """Write a recording; return it with the points that are in it: topic, milliseconds since 1970 and text."""
    path = folder / "recording.log"
    path.write_bytes(generated(packets))
    expected = expect(path)
    pairs = {topic: zip(expected.points(topic), expected.values(topic), strict=True) for topic in expected.topics()}
    return path, {(topic, START_MS + ms, value) for topic, found in pairs.items() for ms, value in found}


def points(lines: Iterable[bytes]) -> list[Point]:
    """Read JSON lines, each of which must be whole."""
    documents: list[dict[str, Any]] = [json.loads(line, parse_float=str, parse_int=str) for line in lines]
    return [
        (f"{found['tags']['node']}/{found['measurement']}", int(found["time"]) // 1_000_000, found["fields"]["value"])
        for found in documents
    ]


def rest(reading: int) -> list[bytes]:
    """Read to the end."""
    with os.fdopen(reading, "rb") as pipe:
        return pipe.readlines()


def until_full(reading: int) -> None:
    """Wait until the pipe takes no page more."""

    def waiting() -> int:
        count = array.array("i", [0])
        fcntl.ioctl(reading, termios.FIONREAD, count)
        return count[0]

    until(lambda: waiting() > 0 and waiting() + 4096 > fcntl.fcntl(reading, fcntl.F_GETPIPE_SZ) - 4096, "the full pipe")


def test_every_point_is_written_once_as_json(gateway: Gateway, tmp_path: Path) -> None:
    """Text for text, with its time; the ledger says that all were delivered."""
    recording, wanted = recorded(tmp_path, 3000)
    gateway.configure(JSON)

    written = points(rest(piped(gateway, *replay(recording, "--once"))))

    assert gateway.wait() == 0
    assert len(written) == len(set(written))
    assert set(written) == wanted
    status = gateway.status()
    assert_balanced(status)
    assert status["sinks"]["stdout"]["queued"] == 0


def test_lines_are_those_that_decode_prints(gateway: Gateway, tmp_path: Path) -> None:
    """Line protocol, in the order of the journal; into a file as into a pipe."""
    path = tmp_path / "one.log"
    path.write_bytes(
        b'[INFO] {"ts":1000,"id":"N2","n1":{"t":21.5,"h":40,"seq":1},"n2":{"t":22.0,"h":41},'
        b'"sig":{"rssi":-40,"snr":9},"sts":{"rx":1,"err":0}}\n'
    )
    gateway.configure("[stdout]\n")
    with (tmp_path / "out").open("wb") as out:
        done = subprocess.run(gateway.command(*replay(path, "--once")), stdout=out, stderr=subprocess.PIPE, cwd=gateway.folder, check=False)
    assert done.returncode == 0, done.stderr

    decoded = gateway.run("decode", str(path), "--only", "lines").stdout

    def without_times(text: str) -> list[str]:
        return [line.rpartition(" ")[0] for line in text.splitlines()]

    lines = without_times((tmp_path / "out").read_text())
    assert lines == without_times(decoded)
    assert lines


def test_a_reader_that_stands_still_holds_up_no_stop_and_gets_the_rest_later(gateway: Gateway, tmp_path: Path) -> None:
    """What did not go out waits in the journal; no line is torn."""
    recording, wanted = recorded(tmp_path, 3000)
    gateway.configure(JSON)
    reading = piped(gateway, *replay(recording))
    until_full(reading)

    assert gateway.stop() == 0
    first = points(rest(reading))
    second = points(rest(piped(gateway, *replay(recording, "--once"))))

    assert gateway.wait() == 0
    assert set(first) < wanted
    assert set(first) | set(second) == wanted


def test_a_kill_tears_no_line_and_loses_none(gateway: Gateway, tmp_path: Path) -> None:
    """What was being written may come twice."""
    recording, wanted = recorded(tmp_path, 3000)
    gateway.configure(JSON)
    reading = piped(gateway, *replay(recording))
    until_full(reading)

    gateway.kill9()
    first = points(rest(reading))
    second = points(rest(piped(gateway, *replay(recording, "--once"))))

    assert gateway.wait() == 0
    assert first
    assert set(first) | set(second) == wanted


def test_a_reader_that_ends_ends_the_gateway(gateway: Gateway, tmp_path: Path) -> None:
    """As `| head` does it; the error says what to do, and the next start goes on."""
    recording, wanted = recorded(tmp_path, 3000)
    gateway.configure(JSON)
    reading = piped(gateway, *replay(recording))
    until_full(reading)
    first = points(os.read(reading, 4096).rpartition(b"\n")[0].split(b"\n"))
    os.close(reading)

    assert gateway.wait() == 1
    assert "[stdout] standard output: nobody reads any more; start the gateway again with a program that reads" in gateway.log()
    second = points(rest(piped(gateway, *replay(recording, "--once"))))
    assert gateway.wait() == 0
    # The first batch had not gone out as a whole, so all of it comes again.
    assert set(first) < wanted
    assert set(second) == wanted


def test_with_wait_the_other_sinks_go_on(gateway: Gateway, tmp_path: Path) -> None:
    """The points wait for the next start."""
    recording, wanted = recorded(tmp_path, 500)
    gateway.configure(f'{JSON}on_closed = "wait"\n[history]\n')
    os.close(piped(gateway, *replay(recording)))

    status = gateway.until(
        lambda s: (
            s["sinks"]["stdout"]["state"] == "refused" and s["sinks"]["history"].get("delivered") and not s["sinks"]["history"]["queued"]
        ),
        "the history",
    )

    assert status["sinks"]["stdout"]["last_error"] == "nobody reads any more"
    assert gateway.process is not None
    gateway.process.send_signal(signal.SIGTERM)
    assert gateway.wait() == 0
    assert set(points(rest(piped(gateway, *replay(recording, "--once"))))) == wanted
    assert gateway.wait() == 0


def test_a_process_has_one_standard_output() -> None:
    """Two sections would mix their lines; one is told what a pipe cannot promise."""
    with pytest.raises(ConfigError, match=r"config\.toml:2: stdout\.other: a process has one standard output, and \[stdout\] writes there"):
        load_text("[stdout]\n[stdout.other]\n")

    assert [note.partition(":")[0] for note in load_text("[stdout]\n").notes] == ["stdout"]


def test_an_output_that_takes_nothing_is_waited_for(gateway: Gateway, tmp_path: Path) -> None:
    """A full disk is the other side's fault, and may pass."""
    recording, _wanted = recorded(tmp_path, 10)
    gateway.configure(JSON)
    with Path("/dev/full").open("wb") as out, gateway.log_path.open("ab") as log:
        gateway.process = subprocess.Popen(gateway.command(*replay(recording)), stdout=out, stderr=log, cwd=gateway.folder)

    status = gateway.until(lambda s: s["sinks"]["stdout"]["last_error"], "the error")

    assert status["sinks"]["stdout"]["last_error"] == "No space left on device"
    assert gateway.stop() == 0


def test_what_follows_a_torn_line_begins_on_a_line_of_its_own(tmp_path: Path) -> None:
    """A file that grows no further, and then does."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    with (tmp_path / "out").open("wb", buffering=0) as out:
        outlet = StdoutOutlet(StdoutSection(), None, out.fileno())
        outlet.greet()
        try:
            resource.setrlimit(resource.RLIMIT_FSIZE, (10, hard))
            assert outlet.write(b"first\nsecond\n") == Outcome(Result.WAIT, "File too large")
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))

        assert outlet.write(b"first\nsecond\n") == TAKEN

    assert (tmp_path / "out").read_bytes() == b"first\nseco\nfirst\nsecond\n"
