"""Pieces of Flux that several dashboards and rules are made of."""

from __future__ import annotations

ZONE = """// The dashboard's time zone, which is Grafana's default where nobody chose another.
plant = timezone.location(name: if "${__timezone}" == "utc" then "UTC" else "${__timezone}")"""
"""Needs the import of `timezone`. Grafana calls UTC `utc`, which is no file of the time zone database."""
RECENTLY = "date.sub(from: v.timeRangeStop, d: 30d)"
"""Where the search for a newest value begins. Needs the import of `date`."""
LAST_DAY = "date.sub(from: v.timeRangeStop, d: 1d)"
AGO = """
ago = (t) => {
    s = (int(v: v.timeRangeStop) - int(v: t)) / 1000000000

    return if s < 120 then string(v: s) + " s"
        else if s < 7200 then string(v: s / 60) + " min"
        else if s < 172800 then string(v: s / 3600) + " h"
        else string(v: s / 86400) + " d"
}
"""
"""How long before the end of the time range something was."""


def picked(tag: str) -> str:
    """Return the condition of a variable, which is called like its tag without `_id`. All takes points without the tag as well."""
    return f"r.{tag} =~ /^${{{tag.removesuffix('_id')}:regex}}$/"


def has(tag: str) -> str:
    """Return the condition that a row has a tag. One that is missing is empty after a grouping that storage made."""
    return f'exists r.{tag} and r.{tag} != ""'


def points(measurement: str, field: str, start: str, *tags: str, also: str = "") -> str:
    """Return where the points of a field come from, with the variables of some tags and another condition."""
    parts = (f'r._measurement == "{measurement}"', f'r._field == "{field}"', *map(picked, tags), also)
    conditions = " and ".join(part for part in parts if part)
    return f"""from(bucket: v.defaultBucket)
    |> range(start: {start}, stop: v.timeRangeStop)
    |> filter(fn: (r) => {conditions})"""


def newest(measurement: str, field: str, *tags: str, also: str = "", since: str = RECENTLY) -> str:
    """Return the newest point of each series within 30 days, or since another time, whatever the dashboard's time range is."""
    return points(measurement, field, since, *tags, also=also) + "\n    |> last()"
