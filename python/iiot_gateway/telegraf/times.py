"""Translates the time of documents: `json_time_key`, `json_time_format`, `json_timezone`."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass, field
from typing import Any
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from iiot_gateway.telegraf import values
from iiot_gateway.telegraf.section import Section

SEPARATOR = "_"
"""Joins the names of nested values in Telegraf."""
UNIX = {"unix": "unix_s", "unix_ms": "unix_ms", "unix_us": "unix_us", "unix_ns": "unix_ns"}
RFC3339 = {"2006-01-02T15:04:05Z07:00"}
LOCAL = {"2006-01-02T15:04:05", "2006-01-02 15:04:05"}
FRACTION = re.compile(r"(?<=5)\.(0+|9+)")
NAMED = {
    "ansic": "Mon Jan _2 15:04:05 2006",
    "rubydate": "Mon Jan 02 15:04:05 -0700 2006",
    "rfc822z": "02 Jan 06 15:04 -0700",
    "rfc1123z": "Mon, 02 Jan 2006 15:04:05 -0700",
    "rfc3339": "2006-01-02T15:04:05Z07:00",
    "rfc3339nano": "2006-01-02T15:04:05.999999999Z07:00",
    "datetime": "2006-01-02 15:04:05",
}
"""The layouts with a name in Go."""
CONVERSIONS = {
    "2006": "%Y",
    "January": "%B",
    "Monday": "%A",
    "-07:00": "%:z",
    "-0700": "%z",
    "002": "%j",
    "Jan": "%b",
    "Mon": "%a",
    "01": "%m",
    "02": "%d",
    "_2": "%e",
    "15": "%H",
    "03": "%I",
    "04": "%M",
    # Go also reads a fraction of a second if the layout has none.
    "05": "%S%.f",
    "06": "%y",
    "PM": "%p",
    "pm": "%P",
    "1": "%m",
    "2": "%d",
    "3": "%I",
    "4": "%M",
    "5": "%S%.f",
}
DATE = (("2006", "06"), ("01", "1", "Jan", "January", "002"), ("02", "2", "_2", "002"))
"""A layout shows the day if it contains one element of each group."""
UNKNOWN = re.compile(r"MST|Z07|-07(?!:?00)|_2006|__2")
"""Elements that Go reads but the gateway does not: names of zones, and offsets that may be the letter Z."""
PIECE = re.compile("|".join(map(re.escape, CONVERSIONS)) + "|%|.", re.DOTALL)

KEYS = ("json_time_key", "json_time_format", "json_timezone")


@dataclass(slots=True)
class Time:
    """The rule for a profile, and the names that are no fields because they are unreadable times."""

    key: str = ""
    rule: dict[str, Any] = field(default_factory=dict)
    excluded: list[str] = field(default_factory=list)


def read(section: Section) -> Time:
    """Return the rule for the time of the points. With an empty rule, points get their arrival time."""
    key = section.text("json_time_key") or ""
    if not key:
        return Time()
    name = format_of(section.text("json_time_format") or "")
    zone = section.text("json_timezone") or "UTC"
    if zone.lower() == "local":
        zone = os.path.realpath("/etc/localtime").partition("zoneinfo/")[2]
    if not name or not is_zone(zone):
        return Time(key, {}, [key])
    found = values.paths(key, SEPARATOR)
    rule = {"path": found if len(found) > 1 else found[0], "format": name}
    return Time(key, {**rule, "zone": zone} if has_zone(name) else rule)


def has_zone(name: str) -> bool:
    """Return whether times of a format need a zone."""
    return name == "local" or ("%" in name and "%z" not in name and "%:z" not in name)


def is_zone(zone: str) -> bool:
    """Return whether a zone is known."""
    if zone == "UTC":  # also if the system has no zone data
        return True
    try:
        ZoneInfo(zone)
    except (ValueError, OSError, ZoneInfoNotFoundError):
        return False
    return True


def format_of(layout: str) -> str:
    """Return the profile's format for a format of Telegraf: a unit, the name of a Go layout, or a layout. Empty if there is none."""
    if layout in UNIX:
        return UNIX[layout]
    layout = FRACTION.sub("", NAMED.get(layout.lower(), layout))
    if layout in RFC3339:
        return "rfc3339"
    if layout in LOCAL:
        return "local"
    if UNKNOWN.search(layout):
        return ""
    pieces = PIECE.findall(layout)
    if not all(any(piece in pieces for piece in part) for part in DATE):
        return ""
    return "".join(CONVERSIONS.get(piece, piece.replace("%", "%%")) for piece in pieces)


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
    section.differs(
        "json_time_key",
        "the time of the points; before 2020, more than a day ahead or missing, it is the time of arrival, where Telegraf writes or drops",
    )
    if "json_timezone" in given and "zone" in time.rule:
        section.taken("json_timezone", "the zone of the time")
    elif "json_timezone" in given:
        section.left_out("json_timezone", "times of this format say their zone themselves")
