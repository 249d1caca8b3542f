"""Dashboards and alert rules as files, and their queries as Grafana sends them: with variables and macros expanded.

Written from Grafana's documentation of its variables ("Advanced variable format options") and of its PostgreSQL and InfluxDB data sources.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[1] / "deploy" / "grafana"
Chosen = Mapping[str, str | Sequence[str]]
"""By the name of a variable: one value, or several. Without one a variable stands at All."""


@dataclass(frozen=True)
class Query:
    """One query of a panel, a variable, an annotation or a rule."""

    place: str
    """Where it stands: `uid of the dashboard / title of the panel / letter`."""
    kind: str
    """The type of its data source."""
    text: str
    form: str = "table"
    name: str = ""
    """How the panel names what it shows; with columns in braces."""
    fields: tuple[str, ...] = field(default=())


@dataclass(frozen=True)
class Moment:
    """When, and with what, a dashboard is looked at."""

    start: datetime
    stop: datetime
    interval: timedelta = timedelta(hours=6)
    zone: str = "Europe/Berlin"


def boards() -> dict[str, dict[str, Any]]:
    """Return every dashboard, by its uid."""
    found = [json.loads(file.read_text()) for file in sorted((ROOT / "dashboards").glob("*.json"))]
    return {board["uid"]: board for board in found}


def panels(board: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Return every panel, also those inside of rows."""
    return [each for panel in board["panels"] for each in (panel, *panel.get("panels", ()))]


def queries(board: Mapping[str, Any]) -> Iterator[Query]:
    """Give every query of a dashboard's panels."""
    for panel in panels(board):
        for target in panel.get("targets") or ():
            name = panel["fieldConfig"]["defaults"].get("displayName", "")
            place = f"{board['uid']} / {panel['title']}" + ("" if len(panel["targets"]) == 1 else f" / {target['refId']}")
            yield query(place, target, name)


def query(place: str, target: Mapping[str, Any], name: str = "") -> Query:
    """Return one query as it stands in a file."""
    text = target.get("query") or target.get("rawSql") or target.get("expr")
    assert isinstance(text, str), f"{place}: no query"
    return Query(place, target["datasource"]["type"], text, target.get("format", "table"), name or target.get("legendFormat", ""))


def with_variables(text: str, board: Mapping[str, Any], chosen: Chosen, moment: Moment) -> str:
    """Put the values of variables into a query, as the browser does. Raises KeyError for a variable that does not exist."""
    known = {variable["name"]: variable for variable in board["templating"]["list"]}

    def put(found: re.Match[str]) -> str:
        name, form = found["name"], found["form"] or ""
        if name == "__timezone":
            return moment.zone
        if name.startswith("__"):
            return found[0]
        value = chosen.get(name)
        if value is None:
            # What stands for All is put in as it is, whatever the form.
            variable = known[name]
            return str(variable["allValue"] if variable["includeAll"] else variable["current"]["value"])
        return FORMATS[form]([value] if isinstance(value, str) else list(value))

    return re.sub(r"\$\{(?P<name>\w+)(?::(?P<form>\w+))?\}", put, text)


def _regex(values: list[str]) -> str:
    escaped = [re.sub(r"([\\^$*+?.()|\[\]{}/])", r"\\\1", value) for value in values]
    return escaped[0] if len(escaped) == 1 else f"({'|'.join(escaped)})"


def _sqlstring(values: list[str]) -> str:
    return ",".join("'" + value.replace("'", "''") + "'" for value in values)


FORMATS = {"sqlstring": _sqlstring, "regex": _regex, "": ",".join, "raw": ",".join}


def _rfc3339(at: datetime) -> str:
    return at.astimezone(UTC).isoformat().replace("+00:00", "Z")


def _seconds(text: str) -> float:
    number, unit = re.fullmatch(r"'?(\d+)(ms|s|m|h|d|w)'?", text.strip()).groups()  # type: ignore[union-attr]
    return int(number) * {"ms": 0.001, "s": 1, "m": 60, "h": 3600, "d": 86400, "w": 604800}[unit]


def as_sql(text: str, moment: Moment, *, is_timescale: bool = True) -> str:
    """Expand the macros of a query as the PostgreSQL data source does. Raises ValueError for one that it does not know."""
    start, stop = _rfc3339(moment.start), _rfc3339(moment.stop)
    interval_s = moment.interval.total_seconds()
    text = text.replace("$__interval_ms", f"{interval_s * 1000:g}").replace("$__interval", f"{interval_s:g}s")

    def expand(found: re.Match[str]) -> str:
        arguments = [part.strip() for part in found[2].split(",")]
        match found[1]:
            case "__timeFilter":
                return f"{arguments[0]} BETWEEN '{start}' AND '{stop}'"
            case "__timeFrom":
                return f"'{start}'"
            case "__timeTo":
                return f"'{stop}'"
            case "__timeGroup" | "__timeGroupAlias" as macro:
                width_s = _seconds(arguments[1])
                bucket = (
                    f"time_bucket('{width_s:.3f}s',{arguments[0]})"
                    if is_timescale
                    else f"floor(extract(epoch from {arguments[0]})/{width_s:g})*{width_s:g}"
                )
                # Before a comma the other one gives the column its name as well.
                is_named = macro == "__timeGroupAlias" or text[found.end() : found.end() + 1] == ","
                return bucket + ' AS "time"' * is_named
            case other:
                raise ValueError(f"${other}: the data source knows no such macro")

    return re.sub(r"\$([_a-zA-Z0-9]+)\(([^)]*)\)", expand, text)


def as_flux(text: str, moment: Moment, bucket: str) -> str:
    """Expand what the InfluxDB data source expands in Flux."""
    seconds = f"{moment.interval.total_seconds():g}s"
    for name, value in {
        "v.timeRangeStart": _rfc3339(moment.start),
        "v.timeRangeStop": _rfc3339(moment.stop),
        "v.windowPeriod": seconds,
        "v.defaultBucket": f'"{bucket}"',
        "$__interval": seconds,
    }.items():
        text = text.replace(name, value)
    return text
