"""The span of a query: `-1h`, `now()`, RFC 3339 or a number since 1970. The text is parsed, and never inserted into a query."""

from __future__ import annotations

import re
from collections.abc import Mapping

from iiot_gateway._native import read_time
from iiot_gateway.api.problem import Problem

UNITS_NS = {
    "ns": 1,
    "us": 1_000,
    "µs": 1_000,
    "ms": 1_000_000,
    "s": 1_000_000_000,
    "m": 60_000_000_000,
    "h": 3_600_000_000_000,
    "d": 86_400_000_000_000,
    "w": 7 * 86_400_000_000_000,
    "mo": 30 * 86_400_000_000_000,
    "y": 365 * 86_400_000_000_000,
}
"""The units of Flux durations; a month has 30 days here, and a year 365."""
PART = re.compile(r"(\d{1,9})(ns|us|µs|ms|mo|[smhdwy])")
DURATION = re.compile(rf"(?:{PART.pattern})+")
LAST_NS = 2**63 - 1
EXPECTED = "expected -1h, now(), RFC 3339 like 2026-11-29T12:00:00Z, or a number since 1970"


def read_moment(name: str, text: str, now_ns: int) -> int:
    """Return a time of a query, nanoseconds since 1970. Raises Problem 400."""
    text = text.strip()
    if text == "now()":
        return now_ns
    sign, rest = (-1, text[1:]) if text.startswith("-") else (1, text)
    if DURATION.fullmatch(rest):
        found = now_ns + sign * sum(int(number) * UNITS_NS[unit] for number, unit in PART.findall(rest))
    else:
        written = text if rest.replace(".", "", 1).isdigit() else f'"{text}"'
        read = read_time(written.encode()) if len(text) <= 40 and '"' not in text and "\\" not in text else None
        if read is None:
            raise Problem(400, "parameter_invalid", f"{name}: found {text[:40]!r}", EXPECTED)
        found = read
    if not 0 <= found <= LAST_NS:
        raise Problem(400, "parameter_invalid", f"{name}: {text[:40]!r} lies outside what can be asked for", EXPECTED)
    return found


def read_span(query: Mapping[str, str], now_ns: int, *, needs_start: bool = False) -> tuple[int, int]:
    """Return `start` and `stop` of a query, nanoseconds since 1970; the last hour by default. Raises Problem 400."""
    start = query.get("start")
    if start is None and needs_start:
        raise Problem(400, "parameter_missing", "start is needed: what is deleted must be said", "start=2026-11-01T00:00:00Z, for instance")
    start_ns = read_moment("start", start or "-1h", now_ns)
    stop_ns = read_moment("stop", query.get("stop", "now()"), now_ns)
    if stop_ns <= start_ns:
        raise Problem(400, "parameter_invalid", "stop is not behind start", "times are UTC unless they say otherwise")
    return start_ns, stop_ns
