"""Reads and writes times in the form that people write: `2023-01-04T21:31:22Z`."""

from __future__ import annotations

import argparse
import datetime as dt


def moment_ns(text: str) -> int:
    """Read an ISO 8601 time; without a zone it is UTC."""
    try:
        moment = dt.datetime.fromisoformat(text)
    except ValueError:
        raise argparse.ArgumentTypeError(f"expected a time like 2023-01-04T21:31:22Z, found {text!r}") from None
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=dt.UTC)
    # Computed in whole numbers, because a float has a resolution of only 256 nanoseconds for today's times.
    since = moment - dt.datetime(1970, 1, 1, tzinfo=dt.UTC)
    nanoseconds = (since.days * 86400 + since.seconds) * 1_000_000_000 + since.microseconds * 1000
    if not 0 <= nanoseconds < 2**63:
        raise argparse.ArgumentTypeError(f"expected a time between the years 1970 and 2262, found {text!r}")
    return nanoseconds


def moment(time_ns: int) -> str:
    """Return a time in UTC, with only as many decimals as it needs."""
    seconds, rest_ns = divmod(time_ns, 10**9)
    try:
        text = (dt.datetime(1970, 1, 1, tzinfo=dt.UTC) + dt.timedelta(seconds=seconds)).strftime("%Y-%m-%dT%H:%M:%S")
    except OverflowError:
        return f"{time_ns} ns"
    decimals = f"{rest_ns:09d}".rstrip("0")
    return f"{text}.{decimals}Z" if decimals else f"{text}Z"
