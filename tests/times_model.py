"""The times of docs/profiles.md in plain Python: what each format reads, and which times are believed."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, timezone
from decimal import Decimal
from typing import Any
from zoneinfo import ZoneInfo

MS = 1_000_000
SECOND = 1_000 * MS
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
UNITS = {"unix_s": 9, "unix_ms": 6, "unix_us": 3, "unix_ns": 0}
"""The power of ten that makes nanoseconds of a number."""
CONVERSIONS = {
    "%Y": r"(?P<year>\d{4})",
    "%m": r"(?P<month>\d\d)",
    "%d": r"(?P<day>\d\d)",
    "%H": r"(?P<hour>\d\d)",
    "%M": r"(?P<minute>\d\d)",
    "%S": r"(?P<second>\d\d)",
    "%.f": r"(?:\.(?P<fraction>\d{1,9}))?",
    "%z": r"(?P<offset>[+-]\d{4})",
}
"""The conversions that the tests draw; documents write every number with all of its digits."""
RFC3339 = re.compile(
    r"(?P<year>\d{4})-(?P<month>\d\d)-(?P<day>\d\d)[Tt ](?P<hour>\d\d):(?P<minute>\d\d):(?P<second>\d\d)"
    r"(?:\.(?P<fraction>\d+))?(?P<offset>[Zz]|[+-]\d\d:\d\d)"
)


class Number(str):
    """A JSON number, as its text."""

    __slots__ = ()


@dataclass(frozen=True)
class Moment:
    """A time as a document gives it."""

    at_ns: int | None
    """Nanoseconds since 1970; None for an uptime, because one document does not tell when its device started."""
    may_be_uptime: bool = False
    """The numbers before it decide, which one document does not show."""


def fits(number: int) -> bool:
    """Tell whether an integer fits 64 bits."""
    return -(2**63) <= number < 2**63


def scaled(text: str, power: int) -> int | None:
    """Return a number times ten to the power, without its fraction; None for any other text, and if the result does not fit 64 bits."""
    if not re.fullmatch(r"-?\d+(\.\d+)?([eE][+-]?\d+)?", text):
        return None
    number = int(Decimal(text).scaleb(power))
    return number if fits(number) else None


def whole(text: str) -> int | None:
    """Return a number without a fraction that fits 64 bits."""
    number = scaled(text, 0)
    return number if number is not None and Decimal(text) == number else None


def by_size(text: str) -> int | None:
    """Return a number since 1970 in nanoseconds: seconds until the year 5138, or else milliseconds until then, and so on."""
    number = scaled(text, 0)
    if number is None:
        return None
    power = next((power for power, digits in ((9, 11), (6, 14), (3, 17)) if abs(number) < 10**digits), 0)
    return scaled(text, power)


def offset_of(text: str) -> timedelta:
    """Return an offset such as `+01:00`, `-0130` or `Z`."""
    minutes = 0 if text in ("Z", "z") else int(text[1:3]) * 60 + int(text[-2:])
    return timedelta(minutes=-minutes if text[0] == "-" else minutes)


def calendar(found: re.Match[str] | None, zone: str | None) -> int | None:
    """Return the nanoseconds since 1970 of a date with an offset, or in a zone: of an hour that occurs twice, the first."""
    if found is None:
        return None
    parts = found.groupdict()
    offset = parts.get("offset") or ""
    try:
        date = datetime(*(int(parts.get(name) or 0) for name in ("year", "month", "day", "hour", "minute", "second")))  # type: ignore[arg-type]  # noqa: DTZ001
    except ValueError:
        return None
    date = date.replace(tzinfo=timezone(offset_of(offset)) if offset else ZoneInfo(zone or "UTC"))
    return (date.astimezone(UTC) - EPOCH) // timedelta(seconds=1) * SECOND + int((parts.get("fraction") or "")[:9].ljust(9, "0"))


def written(format_: str, text: str, zone: str | None) -> int | None:
    """Return a time in a format of conversions."""
    parts = re.split(r"(%\.?\w)", format_)
    return calendar(re.fullmatch("".join(CONVERSIONS.get(part) or re.escape(part) for part in parts), text), zone)


def local(text: str, zone: str) -> int | None:
    """Return a time as a clock in the zone shows it, with nine decimals at most; an offset must be that of the zone at this time."""
    found = RFC3339.fullmatch(text)
    if found is None or len(found["fraction"] or "") > 9:
        return written("%Y-%m-%d %H:%M:%S%.f", text.replace("T", " "), zone)
    at_ns = calendar(found, None)
    shown = None if at_ns is None else (EPOCH + timedelta(seconds=at_ns // SECOND)).astimezone(ZoneInfo(zone))
    return at_ns if shown and shown.utcoffset() == offset_of(found["offset"]) else None


def read(rule: dict[str, Any], value: Any) -> Moment | None:
    """Return the time that a value is in the format of the rule; None if it is none."""
    kind, zone = rule["format"], rule.get("zone")
    if not isinstance(value, str):
        return None
    is_number = isinstance(value, Number)
    at_ns = None
    if kind in UNITS:
        at_ns = scaled(value, UNITS[kind])
    elif kind == "uptime_ms":
        number = whole(value)
        return Moment(None, may_be_uptime=True) if number is not None and number >= 0 else None
    elif kind == "unix_s_or_uptime_ms":
        at_ns, number = scaled(value, 9), whole(value)
        if number is not None and 0 <= number < 2**32:
            return Moment(at_ns, may_be_uptime=True)
    elif "%" in kind:
        at_ns = written(kind, value, zone)
    elif kind == "local":
        at_ns = None if is_number else local(value, rule["zone"])
    else:
        at_ns = None if is_number else calendar(RFC3339.fullmatch(value), None)
        if kind == "auto" and at_ns is None:
            at_ns = by_size(value)
    return None if at_ns is None else Moment(at_ns)


def is_believed(times: dict[str, Any], at_ns: int, now_ns: int) -> bool:
    """Tell whether a document that arrives now can have this time, under the keys of `[time]`."""
    earliest_ns = calendar(RFC3339.fullmatch(times.get("earliest", "2020-01-01T00:00:00Z")), None)
    assert earliest_ns is not None
    return earliest_ns <= at_ns <= now_ns + times.get("most_ahead_s", 86_400) * SECOND
