"""The rules of docs/profiles.md for `[point.others]` in plain Python: which values a table finds, and what becomes of them."""

from __future__ import annotations

import re
from fnmatch import fnmatchcase
from typing import Any

from times_model import Number
from values_model import below, is_text, listed, steps_of

HOLE = re.compile(r"\{([^}]+)\}")


def tables_of(rule: dict[str, Any]) -> list[dict[str, Any]]:
    """Return the tables of a point for other values."""
    others = rule.get("others", [])
    return [others] if isinstance(others, dict) else others


def named_values(item: Any, separator: str | None) -> dict[str, Any]:
    """Return the values in an object or a list by their names; of equal names the last one counts, and stands where it stood."""
    values: dict[str, Any] = {}

    def go(prefix: str, value: Any) -> None:
        for key, inner in below(value):
            if isinstance(inner, dict | list):
                if separator is not None:
                    go(prefix + key + separator, inner)
            elif inner is not None:
                values.pop(prefix + key, None)
                values[prefix + key] = inner

    go("", item)
    return values


def use_of(name: str, value: Any, table: dict[str, Any], taken: list[str]) -> str:
    """Return what becomes of a value: the type of a field, `tag`, `unnamed`, or nothing."""

    def is_in(patterns: list[str]) -> bool:
        return any(fnmatchcase(name, pattern) for pattern in patterns)

    if is_in(taken):
        return ""
    if is_in(table.get("tags", [])) and name:
        return "tag"
    if is_in(table.get("except", [])) or not is_in(table.get("fields", ["*"])):
        return ""
    if isinstance(value, bool):
        return "measured" if is_in(table.get("booleans", ["*"])) else "unnamed"
    if is_text(value):
        return "" if "strings" not in table else "string" if is_in(table["strings"]) else "unnamed"
    return "integer" if is_in(table.get("integers", [])) and isinstance(value, Number) else "measured"


def paths_of_profile(profile: dict[str, Any]) -> list[str]:
    """Return the paths outside of metrics and points at which the values are no measurements."""
    clock, times = profile.get("clock", {}), profile.get("time", {})
    sequences, ignores = profile.get("sequence", []), profile.get("ignore", [])
    return [
        *(clock[key] for key in ("uptime_ms", "packet_counter", "age_ms") if key in clock),
        *listed(times.get("path")),
        *listed(times.get("device")),
        *(path for rule in sequences for key in ("object", "seq", "boot") for path in listed(rule.get(key))),
        *(hole for rule in sequences for hole in HOLE.findall(rule["node"])),
        *(path for rule in ignores for key in ("has", "lacks") for path in rule.get(key, [])),
    ]


def objects_of(rule: dict[str, Any]) -> list[str]:
    """Return the paths of objects in which the tables of a point look."""
    return [path for table in tables_of(rule) for path in [*table.get("tag_objects", []), *listed(table.get("within"))]]


def paths_of_point(rule: dict[str, Any]) -> list[str]:
    """Return the paths at which a point looks."""
    fields = [{"path": name} if isinstance(said, str) else {"path": name, **said} for name, said in rule.get("fields", {}).items()]
    templates = [rule["measurement"], *rule.get("tags", {}).values()]
    templates += [table[key] for table in [*fields, *tables_of(rule)] for key in ("topic", "value") if key in table]
    levels = {name for pattern in listed(rule.get("filter")) for name in HOLE.findall(pattern)}
    holes = [hole for template in templates for hole in HOLE.findall(template)]
    return [
        *(table["path"] for table in fields if "level" not in table),
        *(path for table in fields for path in table.get("unless", [])),
        *listed(rule.get("time", {}).get("path")),
        *(hole for hole in holes if hole not in levels and hole != "#" and hole[0] != "@" and not hole.isdigit()),
        *objects_of(rule),
    ]


def taken_by(profile: dict[str, Any], rule: dict[str, Any], table: dict[str, Any]) -> list[str]:
    """Return patterns of the names that are no other values of a table: paths lead to them, or fields have these names."""
    separator, base = table.get("flatten"), steps_of(table.get("within", "."))

    def inside(path: str) -> list[str]:
        steps = steps_of(path)
        return [str(step) for step in steps[len(base) :]] if steps[: len(base)] == base else []

    found = [steps for steps in map(inside, [*paths_of_profile(profile), *paths_of_point(rule)]) if steps]
    names = [steps[0] if separator is None else separator.join(steps) for steps in found]
    if separator is not None:
        names += [separator.join([*steps, "*"]) for steps in map(inside, objects_of(rule)) if steps]
    return [*names, *rule.get("fields", {})]
