"""Decoding: chunks of a log to line protocol on one core, against plain Python over the same bytes."""

from __future__ import annotations

import os
import statistics
import time
from collections.abc import Callable
from typing import Any

from documents import decoding_log
from figures import Report, spread
from stock import chunks, decoder, parsed, with_fstrings, with_points


def check(pieces: list[bytes]) -> int:
    """All three give the same points; return how many packets those are of."""
    decoded = decoder()(pieces)
    lines = b"".join(part.lines() for part in decoded).decode().splitlines()
    points = parsed(lines)
    assert points == parsed(with_points(pieces)), "Point.to_line_protocol gives other points"
    assert points == parsed(with_fstrings(pieces)), "f-strings give other points"
    return sum(part.documents for part in decoded) - sum(len({at for at, _, _ in part.rejects()}) for part in decoded)


def timed(work: Callable[[list[bytes]], Any], pieces: list[bytes]) -> float:
    """Return the seconds of one pass."""
    began = time.perf_counter()
    work(pieces)
    return time.perf_counter() - began


def run(report: Report, *, short: bool) -> None:
    """Measure, interleaved: one pass of plain Python between several of the extension."""
    which, log = decoding_log()
    pieces = chunks(log)
    packets = check(pieces)
    decode = decoder()
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {max(before)})
    try:
        native, points, fstrings = [], [], []
        for _ in range(3 if short else 7):
            native += [packets / timed(decode, pieces) for _ in range(15)]
            fstrings += [packets / timed(with_fstrings, pieces) for _ in range(2)]
            points.append(packets / timed(with_points, pieces))
    finally:
        os.sched_setaffinity(0, before)
    rate = statistics.median(native)
    report.add("decode_packets_per_s", rate, f"{which}, {packets} packets in 64 KiB chunks; {spread(native)}")
    slow = statistics.median(points)
    report.add("decode_vs_stock_python", rate / slow, f"json + Point.to_line_protocol {slow:,.0f} packets/s")
    middle = statistics.median(fstrings)
    report.add("decode_vs_fstrings", rate / middle, f"json + f-strings {middle:,.0f} packets/s")
