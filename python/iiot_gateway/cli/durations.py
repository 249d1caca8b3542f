"""Reads lengths of time in the form that people write: `90s`, `5m`, `1h`, `7d`; or a number of seconds."""

from __future__ import annotations

import argparse
import re

UNITS_NS = {"ms": 10**6, "s": 10**9, "m": 60 * 10**9, "h": 3600 * 10**9, "d": 86400 * 10**9}
PATTERN = re.compile(r"([0-9]{1,12})(ms|s|m|h|d)", re.ASCII)


def duration_ns(text: str) -> int:
    """Read a length of time above 0. Return nanoseconds."""
    found = PATTERN.fullmatch(text)
    length_ns = int(found[1]) * UNITS_NS[found[2]] if found else 0
    if not 0 < length_ns < 2**63:
        raise argparse.ArgumentTypeError(f"expected a length of time like 30s, 5m, 1h or 7d, found {text!r}")
    return length_ns


def seconds(text: str) -> float:
    """Read a number of seconds above 0."""
    try:
        value = float(text)
    except ValueError:
        value = 0.0
    if not 0.0 < value < float("inf"):
        raise argparse.ArgumentTypeError(f"expected seconds above 0, found {text!r}")
    return value
