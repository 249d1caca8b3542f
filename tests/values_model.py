"""The values of docs/profiles.md in plain Python: documents, paths into them, and their texts in lines, payloads and topics."""

from __future__ import annotations

import json
import re
from typing import Any

from times_model import Number, whole

ANY = "*"
NOT_A = {
    "number": "not a number",
    "integer": "not a whole number from -2^63 to 2^63-1",
    "bool": "not true or false",
    "string": "not a string",
    "any": "not a single value",
}
"""What a reject says of a value that does not have the type of its field."""


class Raw(str):
    """A message that is not JSON."""

    __slots__ = ()


class Twice(dict[str, Any]):
    """An object in which each key occurs twice, the first time with another value."""


def serialized(value: Any) -> str:
    """Write a document; numbers keep their text."""
    if isinstance(value, Number | Raw):
        return str(value)
    if isinstance(value, dict):
        before = [(key, {"a": Number("7"), "at": True}) for key in value] if isinstance(value, Twice) else []
        return "{" + ", ".join(f"{json.dumps(key)}: {serialized(inner)}" for key, inner in [*before, *value.items()]) + "}"
    if isinstance(value, list):
        return "[" + ", ".join(map(serialized, value)) + "]"
    return json.dumps(value)


def is_text(value: Any) -> bool:
    """Tell whether a value is a text."""
    return isinstance(value, str) and not isinstance(value, Number)


def shown(value: Any) -> str:
    """Return what a reject shows of a value."""
    return serialized(value)[1:-1] if is_text(value) and not isinstance(value, Raw) else serialized(value)


# --- Paths ---


def steps_of(path: str) -> list[str | int]:
    """Return the steps of a path; none for `.`, which is the whole."""
    steps = re.findall(r'"([^"]*)"|\[(\d+)\]|([^."\[\]]+)', path)
    return [int(index) if index else quoted or key for quoted, index, key in steps]


def below(value: Any) -> list[tuple[str, Any]]:
    """Return what a wildcard matches in a value, and what stands there."""
    if isinstance(value, dict):
        return list(value.items())
    return [(str(number), inner) for number, inner in enumerate(value)] if isinstance(value, list) else []


def matches(value: Any, path: str) -> list[tuple[list[str], Any]]:
    """Return each value to which a path leads, with the texts that its wildcards match. `.` leads to a bare value only."""
    found: list[tuple[list[str], Any]] = [] if path == "." and isinstance(value, dict | list) else [([], value)]
    for step in steps_of(path):
        if step == ANY:
            found = [([*texts, key], inner) for texts, outer in found for key, inner in below(outer)]
        elif isinstance(step, int):
            found = [(texts, outer[step]) for texts, outer in found if isinstance(outer, list) and step < len(outer)]
        else:
            found = [(texts, outer[step]) for texts, outer in found if isinstance(outer, dict) and step in outer]
    return found


def found_at(value: Any, path: str) -> Any:
    """Return the value at a path without wildcards; None for `null`, and if nothing is there."""
    return next((inner for _texts, inner in matches(value, path)), None)


def replaced(path: str, texts: list[str]) -> str:
    """Return a path with the texts that its wildcards match."""
    for text in texts:
        path = path.replace(ANY, text, 1)
    return path


# --- Values ---


def fault_of(value: Any, kind: str) -> str | None:
    """Return why a value cannot be a field of this type; "" if it is left out without a word; None if it can."""
    if value is None or (kind == "measured" and (is_text(value) or isinstance(value, dict | list))):
        return ""
    if isinstance(value, Number) and kind in ("number", "any", "measured"):
        return None if abs(float(value)) != float("inf") else "out of range"
    if isinstance(value, Number) and kind == "integer" and whole(value) is not None:
        return None
    if isinstance(value, bool) and kind in ("bool", "any", "measured"):
        return None
    return None if is_text(value) and kind in ("string", "any") else NOT_A.get(kind, NOT_A["integer"])


def text_of(value: Any) -> str:
    """Return what a template makes of a value."""
    if isinstance(value, bool):
        return "true" if value else "false"
    return str(value) if isinstance(value, str) else ""


def payload_of(value: Any, kind: str) -> str:
    """Return the payload of a value that can be a field."""
    return str(whole(value)) if kind == "integer" else text_of(value)


def field_text(value: Any, kind: str) -> str | None:
    """Return a field as line protocol writes it, None if the value cannot be one."""
    if fault_of(value, kind) is not None:
        return None
    if is_text(value):
        return '"' + re.sub(r"[\x00-\x1f\x7f]", " ", value).replace("\\", "\\\\").replace('"', '\\"') + '"'
    return payload_of(value, kind) + ("i" if kind == "integer" else "")


def escaped(text: str, special: str) -> str:
    """Escape a name."""
    return re.sub(f"([{special}])", r"\\\1", re.sub(r"[\x00-\x1f\x7f\\]", "_", text))


def series_of(measurement: str, tags: dict[str, str]) -> str:
    """Return a series as lines write it; empty tags are left out."""
    pairs = sorted((escaped(key, ", ="), escaped(value, ", =")) for key, value in tags.items() if value)
    return escaped(re.sub("^#|^$", "_", measurement), ", ") + "".join(f",{key}={value}" for key, value in pairs)


def level_of(text: str) -> str:
    """Return a text of the document as a part of a topic."""
    return re.sub("[\x00-\x1f\x7f-\x9f/+#\ufdd0-\ufdef\ufffe\uffff]", "_", text) or "_"


# --- Topics ---


def listed(value: str | list[str] | None) -> list[str]:
    """Return the texts of a key that is a text, a list or missing."""
    return [value] if isinstance(value, str) else value or []


def matched(pattern: str, topic: str | None) -> dict[str, str] | None:
    """Return the named levels, or None if the topic does not match."""
    if topic is None:
        return None
    wanted, levels, names = pattern.split("/"), topic.split("/"), {}
    for index, level in enumerate(wanted):
        if level == "#":
            return names
        if index >= len(levels):
            return None
        if level.startswith("{"):
            names[level[1:-1]] = levels[index]
        elif level not in ("+", levels[index]):
            return None
    return names if len(levels) == len(wanted) else None


def accepted(rule: dict[str, Any], topic: str | None) -> dict[str, str] | None:
    """Return the named levels; None if the rule is not for documents with this topic."""
    if any(matched(pattern, topic) is not None for pattern in listed(rule.get("except_filter"))):
        return None
    filters = listed(rule.get("filter"))
    found = (matched(pattern, topic) for pattern in filters)
    return next((levels for levels in found if levels is not None), None) if filters else {}
