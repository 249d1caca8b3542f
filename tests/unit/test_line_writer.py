"""Lines go to a descriptor in their order; whoever writes them neither waits nor fails, and what is lost is counted."""

from __future__ import annotations

import fcntl
import os
import resource
import signal
from collections.abc import Iterator

import pytest

from iiot_gateway.line_writer import MAX_QUEUED_BYTES, LineWriter
from servers import until

LINE = "x" * 999


@pytest.fixture
def pipe() -> Iterator[tuple[int, int]]:
    """A pipe that holds one page."""
    reading, writing = os.pipe()
    fcntl.fcntl(writing, fcntl.F_SETPIPE_SZ, 4096)
    yield reading, writing
    for descriptor in (reading, writing):
        try:
            os.close(descriptor)
        except OSError:
            continue  # the test closed it


def test_a_reader_that_does_not_read_delays_nobody_and_gets_what_there_is_room_for(pipe: tuple[int, int]) -> None:
    """The queue is bounded, later lines are counted as lost, and those that were taken arrive whole and in order."""
    reading, writing = pipe
    writer = LineWriter(writing)
    count = 2 * MAX_QUEUED_BYTES // 1000

    for number in range(count):
        writer.line(f"{number:05d}{LINE[5:]}")

    kept = count - writer.lines_lost
    assert MAX_QUEUED_BYTES // 1000 <= kept < MAX_QUEUED_BYTES // 1000 + 10
    received = b""
    while len(received) < kept * 1000:
        received += os.read(reading, 65536)
    numbers = [int(line[:5]) for line in received.splitlines()]
    # The pipe itself takes some while lines are being lost, so that there may be room for a later one.
    assert len(numbers) == kept
    assert numbers == sorted(set(numbers))


def test_a_pipe_whose_reader_ended_costs_its_lines_and_nothing_else(pipe: tuple[int, int]) -> None:
    """Each line is tried and counted."""
    reading, writing = pipe
    os.close(reading)
    writer = LineWriter(writing)

    writer.line("first")
    writer.line("second")
    writer.finish()

    assert writer.lines_lost == 2


def test_a_descriptor_that_somebody_made_non_blocking_gets_every_line(pipe: tuple[int, int]) -> None:
    """The open file may be shared with a program that wants it so."""
    reading, writing = pipe
    os.set_blocking(writing, False)
    writer = LineWriter(writing)
    for number in range(100):
        writer.line(f"{number:05d}{LINE[5:]}")

    received = b""
    while len(received) < 100_000:
        received += os.read(reading, 65536)

    assert [int(line[:5]) for line in received.splitlines()] == list(range(100))
    assert writer.lines_lost == 0


def test_a_drawing_is_left_out_while_the_reader_is_behind(pipe: tuple[int, int]) -> None:
    """A terminal that was stopped with Ctrl-S shows log lines when it goes on, and no hour of progress."""
    reading, writing = pipe
    writer = LineWriter(writing)
    for _ in range(10):
        writer.line(LINE)

    writer.draw("[###.......]\r")
    received = b""
    while len(received) < 10_000:
        received += os.read(reading, 65536)
    writer.finish()
    writer.draw("[######....]\r")
    writer.finish()

    assert os.read(reading, 4096) == b"[######....]\r"
    assert writer.lines_lost == 0


def test_a_line_after_a_torn_one_begins_on_a_line_of_its_own(tmp_path_factory: pytest.TempPathFactory) -> None:
    """A log on a disk that was full for a while can be read line by line."""
    path = tmp_path_factory.mktemp("log") / "gateway.log"
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    writer = LineWriter(descriptor)
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    handler = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    try:
        resource.setrlimit(resource.RLIMIT_FSIZE, (1500, before[1]))
        writer.line(LINE)
        writer.line("torn " + LINE)
        until(lambda: writer.lines_lost == 1, "a torn line")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
        signal.signal(signal.SIGXFSZ, handler)
    writer.line("whole")
    writer.finish()

    first, torn, last = path.read_text().splitlines()
    assert (first, torn[:5], last) == (LINE, "torn ", "whole")
    os.close(descriptor)


def test_what_others_write_to_standard_error_takes_the_same_way(pipe: tuple[int, int]) -> None:
    """A warning of a library that nobody expects must not block the loop either."""
    reading, writing = pipe
    writer = LineWriter(writing)
    stream = writer.stream()

    for _ in range(3 * MAX_QUEUED_BYTES // 2000):
        print(LINE * 2, file=stream)
    print("umlaut \N{LATIN SMALL LETTER A WITH DIAERESIS}, half a pair \ud800", file=stream)

    assert writer.lines_lost > 0
    assert not stream.isatty()
    assert os.read(reading, 2000).startswith(b"xxx")
