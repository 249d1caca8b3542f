"""Finds values of documents to which no path of the profile leads. `docs/profiles.md` describes paths.

Values that `[point.others]` leaves out, or below a wildcard, may be overlooked. A value that the profile uses is never named.
"""

from __future__ import annotations

import json
import re
import tomllib
from collections.abc import Iterable, Iterator
from contextlib import suppress
from functools import lru_cache
from types import EllipsisType
from typing import Any, NamedTuple

from iiot_gateway.cli.topics import topic_matches
from iiot_gateway.visible import visible

MOST_PATHS = 50
LONGEST_PATH = 100

Steps = tuple[str | int | EllipsisType | None, ...]
"""Keys and indices of items. In a path of the profile, None stands for every key and item, and `...` at the end for everything below."""

_STEP = re.compile(r'"(?P<quoted>[^"]*)"|\[(?P<item>\d+)\]|(?P<any>\*)|(?P<key>[^.*"\[\]]+)')
_HOLE = re.compile(r"\{([^}]*)\}")
_PLAIN_KEY = re.compile(r'[^\s.*"\[\]{}]+')


class _Part(NamedTuple):
    """A metric, a point, or the rest of the profile: the values that it uses in documents under some topics."""

    paths: set[Steps]
    filters: list[str]
    """Without filters, documents with any topic or none."""
    except_filters: list[str]

    def accepts(self, topic: str | None) -> bool:
        if topic is None:
            return not self.filters
        return (not self.filters or _any_matches(self.filters, topic)) and not _any_matches(self.except_filters, topic)


class UnnamedValues:
    """Counts the documents in which such values are, by path. At most `MOST_PATHS` paths are remembered."""

    def __init__(self, profile: str) -> None:
        """Read the text of a profile, which must be valid."""
        self._parts = list(_parts(tomllib.loads(profile)))
        self._counts: dict[tuple[frozenset[int], str], int] = {}
        self._topics: dict[frozenset[int], str] = {}
        self._has_more = False
        self._accepting = lru_cache(1024)(self._find_accepting)
        self._is_named = lru_cache(16384)(self._find_named)

    def add(self, topic: str | None, document: bytes) -> None:
        """Look at an accepted document. One that is no JSON has no paths."""
        with suppress(ValueError, RecursionError):
            value = json.loads(document)
            parts = self._accepting(topic)
            is_named: dict[str, bool] = {}
            for steps in _values(value, ()):
                # The items of a document that is an array are handled like documents.
                whole_and_item = (steps, steps[1:]) if isinstance(value, list) else (steps,)
                path = _shown(steps)
                # Items are shown under one path, which is named if any of them is.
                is_named[path] = is_named.get(path, False) or any(self._is_named(parts, steps) for steps in whole_and_item)
            for path, named in is_named.items():
                if not named:
                    self._count(parts, topic, path)

    def lines(self) -> Iterator[str]:
        """Yield a text for each path, in the order in which they came."""
        for (parts, path), count in self._counts.items():
            topic = self._topics.get(parts)
            under = "" if topic is None else f" for topics such as {visible(topic)}"
            yield f"{visible(path)}: no metric or point{under} has this path ({count} {'document' if count == 1 else 'documents'})"
        if self._has_more:
            yield f"no metric or point has any of further paths; only the first {MOST_PATHS} are shown"

    def _count(self, parts: frozenset[int], topic: str | None, path: str) -> None:
        key = (parts, path)
        if key not in self._counts and len(self._counts) == MOST_PATHS:
            self._has_more = True
            return
        self._counts[key] = self._counts.get(key, 0) + 1
        if topic is not None and any(part.filters for part in self._parts):
            self._topics.setdefault(parts, topic)

    def _find_accepting(self, topic: str | None) -> frozenset[int]:
        return frozenset(number for number, part in enumerate(self._parts) if part.accepts(topic))

    def _find_named(self, parts: frozenset[int], value: Steps) -> bool:
        return any(_leads_to(path, value) for number in parts for path in self._parts[number].paths)


def _values(value: Any, steps: Steps) -> Iterator[Steps]:
    """Yield the path of every value. `null` is no value."""
    if isinstance(value, dict):
        for key, inner in value.items():
            yield from _values(inner, (*steps, key))
    elif isinstance(value, list):
        for index, inner in enumerate(value):
            yield from _values(inner, (*steps, index))
    elif value is not None:
        yield steps


def _leads_to(path: Steps, value: Steps) -> bool:
    if path[-1:] == (...,):
        path = path[:-1]
        value = value[: len(path)]
    return len(path) == len(value) and all(step is None or step == found for step, found in zip(path, value, strict=True))


def _shown(value: Steps) -> str:
    text = ""
    for step in value:
        if isinstance(step, str):
            text += f".{step}" if _PLAIN_KEY.fullmatch(step) else f'."{step}"'
        else:
            text += "[*]"
    text = text.removeprefix(".") or "."
    return text if len(text) <= LONGEST_PATH else f"{text[:LONGEST_PATH]}..."


def _any_matches(filters: list[str], topic: str) -> bool:
    """Return whether a topic matches a filter. As MQTT 4.7.2 says, a wildcard at the beginning stands for no level that begins with `$`."""
    return any(topic_matches(text, topic) and not (text[:1] in "+#" and topic.startswith("$")) for text in filters)


def _parts(profile: dict[str, Any]) -> Iterator[_Part]:
    clock, time, receiver = (profile.get(name, {}) for name in ("clock", "time", "receiver"))
    texts = [table[key] for table in (clock, receiver) for key in ("uptime_ms", "packet_counter", "age_ms", "rssi", "snr") if key in table]
    texts += [*_listed(time, "path"), *_listed(time, "device")]
    for sequence in profile.get("sequence", []):
        texts += [*_holes(sequence["node"]), *(sequence[key] for key in ("object", "seq", "boot") if key in sequence)]
    for ignored in profile.get("ignore", []):
        texts += [*_listed(ignored, "has"), *_listed(ignored, "lacks")]
    yield _Part(_paths(texts), [], [])
    for metric in profile.get("metric", []):
        yield _Part(_paths([*_templates(metric), *_listed(metric, "unless")]) | {_field(_steps(metric["path"]))}, [], [])
    for point in profile.get("point", []):
        filters = [_HOLE.sub("+", text) for text in _listed(point, "filter")]
        yield _Part(_point_paths(point), filters, _listed(point, "except_filter"))


def _point_paths(point: dict[str, Any]) -> set[Steps]:
    texts = [*_templates(point), *_listed(point.get("time", {}), "path")]
    fields = set()
    for name, field in point.get("fields", {}).items():
        table = field if isinstance(field, dict) else {}
        fields.add(_field(_steps(table["path"]) if "path" in table else (name,)))
        texts += [*_templates(table), *_listed(table, "unless")]
    of_items: set[Steps] = set()
    for table in _tables(point, "others"):
        texts += [*_holes(table.get("topic", "")), *_holes(table.get("value", ""))]
        fields |= {(*_steps(text), ...) for text in _listed(table, "tag_objects")}
        # Without `flatten`, the values of objects and lists are left out.
        within = _steps(table.get("within", "."))
        taken = {(*within, ...)} if "flatten" in table else {within, (*within, None)}
        if "within" in table:
            fields |= taken
        else:
            of_items |= taken
    paths = _paths(texts) | fields
    if "each" not in point:
        return paths | of_items
    each = _steps(point["each"])
    begins = [each] if None in each else [each, (*each, None)]
    # A bare item makes a point too. If an item does not have a path, the value is looked up in the document.
    return paths | set(begins) | {(*begin, *path) for begin in begins for path in paths | of_items}


def _field(path: Steps) -> Steps:
    """Return the path of a field, which is a value fault if it leads to an object or a list."""
    return (*path, ...) if path else path


def _templates(table: dict[str, Any]) -> Iterator[str]:
    for text in (table.get("measurement", ""), table.get("topic", ""), *table.get("tags", {}).values()):
        yield from _holes(text)


def _holes(template: str) -> list[str]:
    # A number stands for a wildcard of the path.
    return [hole for hole in _HOLE.findall(template) if not hole.isdigit()]


def _listed(table: dict[str, Any], key: str) -> list[str]:
    """Return the texts of a key whose value is a text or a list."""
    value = table.get(key, [])
    return [value] if isinstance(value, str) else list(value)


def _tables(table: dict[str, Any], key: str) -> list[dict[str, Any]]:
    value = table.get(key, [])
    return [value] if isinstance(value, dict) else list(value)


def _paths(texts: Iterable[str]) -> set[Steps]:
    return {_steps(text) for text in texts}


def _steps(path: str) -> Steps:
    return tuple(_step(match) for match in _STEP.finditer(path))


def _step(match: re.Match[str]) -> str | int | None:
    if match.lastgroup == "any":
        return None
    text = match[match.lastgroup or 0]
    return int(text) if match.lastgroup == "item" else text
