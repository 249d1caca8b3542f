"""The time of documents: `json_time_key`, `json_time_format`, `json_timezone`."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass, field

from iiot_gateway.telegraf import values
from iiot_gateway.telegraf.section import Section

UNIX = {"unix": "unix_s", "unix_ms": "unix_ms", "unix_us": "unix_us", "unix_ns": "unix_ns"}
RFC3339 = {"rfc3339", "rfc3339nano", "2006-01-02t15:04:05z07:00"}
LOCAL = {"2006-01-02t15:04:05", "2006-01-02 15:04:05", "datetime"}
FRACTION = re.compile(r"(05)[.,](0+|9+)")

KEYS = ("json_time_key", "json_time_format", "json_timezone")


@dataclass(slots=True)
class Time:
    """The rule of a profile, and what is no field because it is a time that cannot be read."""

    key: str = ""
    rule: dict[str, str] = field(default_factory=dict)
    excluded: list[str] = field(default_factory=list)


def read(section: Section) -> Time:
    """Return the rule for the time of the points; an empty one takes that of their arrival."""
    key = section.text("json_time_key") or ""
    if not key:
        return Time()
    name = format_of(section.text("json_time_format") or "")
    zone = section.text("json_timezone") or "UTC"
    if name == "local" and zone.lower() == "local":
        zone = os.path.realpath("/etc/localtime").partition("zoneinfo/")[2]
    if name is None or not zone:
        return Time(key, {}, [key])
    rule = {"path": values.path(key), "format": name}
    return Time(key, {**rule, "zone": zone} if name == "local" else rule)


def format_of(layout: str) -> str | None:
    """Return the profile's name for a format: `rfc3339` for calendar times with a zone, `local` for those without. None if it has none."""
    if layout in UNIX:
        return UNIX[layout]
    whole = FRACTION.sub(r"\1", layout).lower()
    return "rfc3339" if whole in RFC3339 else "local" if whole in LOCAL else None


def report(section: Section, time: Time) -> None:
    """Report the three keys."""
    given = [key for key in KEYS if section.text(key) is not None]
    if not time.rule:
        reason = "the format cannot be read here: points have the time of their arrival" if time.key else "no key holds a time"
        for key in given:
            section.left_out(key, reason)
        return
    if "json_time_format" in given:
        section.taken("json_time_format", f"`{time.rule['format']}`")
    nested = f"; if it stands in an object (`{time.key.replace('_', '.', 1)}`), correct the profile" if "_" in time.key else ""
    section.differs(
        "json_time_key",
        "the time of the points; before 2020, more than a day ahead or missing, it is the time of arrival, where Telegraf writes or drops"
        + nested,
    )
    if "json_timezone" in given and "zone" in time.rule:
        section.taken("json_timezone", "the zone of the time")
    elif "json_timezone" in given:
        section.left_out("json_timezone", "times of this format say their zone themselves")
