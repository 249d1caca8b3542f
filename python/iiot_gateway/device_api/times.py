"""The times of posts. A time that cannot be right is refused, so that nobody takes "now" for the time that a device sent."""

from __future__ import annotations

import datetime as dt

from msgspec import Raw

from iiot_gateway._native import read_time
from iiot_gateway.api.problem import Problem

EARLIEST_NS = int(dt.datetime(2020, 1, 1, tzinfo=dt.UTC).timestamp()) * 1_000_000_000
"""The earliest time, as in the profile."""
MOST_AHEAD_NS = 86_400 * 1_000_000_000


def own_time_ns(timestamp: Raw, now_ns: int) -> int | None:
    """Return the time of a document (Unix nanoseconds), None if it has none. Raises Problem 422."""
    text = bytes(timestamp)
    if text == b"null":
        return None
    time_ns = read_time(text)
    if time_ns is None:
        raise Problem(
            422,
            "timestamp_unreadable",
            f"timestamp: found {text[:60].decode('utf-8', 'replace')}",
            "expected RFC 3339, or a number since 1970 in seconds, milliseconds, microseconds or nanoseconds",
        )
    if time_ns > now_ns + MOST_AHEAD_NS:
        raise Problem(
            422, "timestamp_ahead", "timestamp: more than a day ahead of the gateway's clock", "set the device's clock, by NTP for instance"
        )
    if time_ns < EARLIEST_NS:
        raise Problem(422, "timestamp_too_early", "timestamp: before 2020", "set the device's clock, or leave timestamp out")
    return time_ns


def written(time_ns: int) -> str:
    """Write a time as RFC 3339."""
    seconds, rest = divmod(time_ns, 1_000_000_000)
    whole = dt.datetime.fromtimestamp(seconds, tz=dt.UTC).strftime("%Y-%m-%dT%H:%M:%S")
    return f"{whole}.{rest:09}".rstrip("0").rstrip(".") + "Z"
