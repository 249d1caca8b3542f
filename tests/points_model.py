"""The points of docs/profiles.md in plain Python: which points the rules of a profile make of a document."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

from others_model import HOLE, named_values, tables_of, taken_by, use_of
from times_model import Moment, Number, read
from values_model import (
    ANY,
    Raw,
    accepted,
    escaped,
    fault_of,
    field_text,
    found_at,
    level_of,
    listed,
    matches,
    payload_of,
    replaced,
    series_of,
    shown,
    text_of,
)

NAME_TAKEN = "another value has its name"
Fault = tuple[str, str, str]
"""A value that cannot be used: path, reason, text."""
Publish = tuple[str, str, bool]
"""Topic without the prefix, payload, retain."""


@dataclass
class Point:
    """A point: its series and its fields as lines write them, and its time, if it has one."""

    series: str
    said: str
    """The series without the tags of the configuration, by which the gateway tells points apart."""
    fields: dict[str, str]
    publishes: list[Publish]
    time: Moment | None


@dataclass
class Part:
    """A document, or an item of one that is an array."""

    profile: dict[str, Any]
    topic: str | None
    tags: dict[str, str]
    """Those of the configuration."""
    document: Any
    faults: list[Fault] = field(default_factory=list)

    def at(self, path: str) -> Any:
        """Return the value at a path."""
        return found_at(self.document, path)

    def count(self, path: str | None) -> int | None:
        """Return a whole number that is not negative and fits 64 bits; any other value is a fault."""
        value = self.at(path) if path else None
        if isinstance(value, Number) and re.fullmatch(r"\d+", value) and int(value) < 2**64:
            return int(value)
        if path and value is not None:
            self.faults.append((path, "not a whole number from 0 to 2^64-1", shown(value)))
        return None

    def age_ms(self) -> int | None:
        """Read the clock and the sequences; return how long the values waited at their node."""
        clock = self.profile.get("clock", {})
        for key in ("uptime_ms", "packet_counter"):
            self.count(clock.get(key))
        for sequence in self.profile.get("sequence", []):
            if self.count(sequence["seq"]) is not None:
                self.count(sequence.get("boot"))
        return self.count(clock.get("age_ms"))

    def time(self, rule: dict[str, Any], look: Callable[[str], Any], place: Callable[[str], str] = str) -> Moment | None:
        """Return the time at the first path of the rule that leads to a value. `place` returns the whole path of what `look` finds."""
        for path in listed(rule.get("path")):
            value = look(path)
            if value is not None:
                moment = read(rule, value)
                if moment is None:
                    self.faults.append((place(path), "not a time in the profile's format", shown(value)))
                return moment
        return None

    def fill(self, template: str, known: dict[str, str], look: Callable[[str], Any], clean: Callable[[str], str] = str) -> str:
        """Fill in a template: known texts, tags of the device (here it has none), and values of the document."""

        def text(hole: str) -> str:
            return known[hole] if hole in known else "" if hole.startswith("@") else text_of(look(hole))

        return HOLE.sub(lambda hole: clean(text(hole[1])), template)

    def metric(self, rule: dict[str, Any]) -> Iterator[Point]:
        """Give a point for each value at the path of a metric."""
        kind = rule.get("type", "number")
        is_left_out = any(self.at(path) is True for path in rule.get("unless", []))
        for texts, value in [] if is_left_out else matches(self.document, rule["path"]):
            known = {str(number): text for number, text in enumerate(texts, 1)}
            fault, text = fault_of(value, kind), field_text(value, kind)
            if fault:
                self.faults.append((replaced(rule["path"], texts), fault, shown(value)))
            if text is None:
                continue
            own = {key: self.fill(template, known, self.at) for key, template in rule.get("tags", {}).items()}
            measurement = self.fill(rule["measurement"], known, self.at)
            series = series_of(measurement, {**self.tags, **own}), series_of(measurement, own)
            topics = [self.fill(rule["topic"], known, self.at, level_of)] if "topic" in rule else []
            publishes = [(topic, payload_of(value, kind), rule.get("retain", False)) for topic in topics]
            yield Point(*series, {escaped(rule.get("field", "value"), ", ="): text}, publishes, None)

    def points(self) -> Iterator[Point]:
        """Give all points: those of metrics first, and of these, those without wildcards."""
        for metric in sorted(self.profile.get("metric", []), key=lambda metric: ANY in metric["path"]):
            yield from self.metric(metric)
        for rule in self.profile.get("point", []):
            levels = accepted(rule, self.topic)
            for place, item in items_of(rule.get("each"), self.document) if levels is not None else []:
                yield from Making(self, rule, {**(levels or {}), "#": self.topic or ""}, place, item).points()


def items_of(each: str | None, document: Any) -> list[tuple[str, Any]]:
    """Return the items of which a rule makes points, each with its path."""
    if each is None:
        return [("", document)]
    if ANY in each:
        return [(replaced(each, texts), item) for texts, item in matches(document, each)]
    value = found_at(document, each)
    if isinstance(value, list):
        return [(f"{each}[{number}]", item) for number, item in enumerate(value)]
    return [] if value is None else [(each, value)]


def joined(item: str, path: str) -> str:
    """Return a path in an item behind the path of the item."""
    return path if not item else item if path == "." else f"{item}.{path}"


@dataclass
class Making:
    """The point that a rule makes of an item."""

    part: Part
    rule: dict[str, Any]
    known: dict[str, str]
    """The named levels of the topic, and the topic as `#`."""
    place: str
    """The path of the item; empty for the document."""
    item: Any
    fields: dict[str, str] = field(default_factory=dict)
    publishes: list[Publish] = field(default_factory=list)
    brought: dict[str, str] = field(default_factory=dict)
    """The tags that the document gives."""

    def look(self, path: str) -> Any:
        """Return the value at a path, in the item or else in the document."""
        value = found_at(self.item, path)
        return self.part.at(path) if value is None and "each" in self.rule and path != "." else value

    def place_of(self, path: str) -> str:
        """Return the whole path of what `look` finds."""
        return path if found_at(self.item, path) is None else joined(self.place, path)

    def fault(self, path: str, reason: str, value: Any) -> None:
        """Report a value that cannot be used."""
        self.part.faults.append((path, reason, shown(value)))

    def add(self, name: str, value: Any, kind: str, path: str, table: dict[str, Any], called: str | None = None) -> None:
        """Add a field, if the value can be one. `table` says where it is published, under the name `called`."""
        fault, text = fault_of(value, kind), field_text(value, kind)
        if fault:
            self.fault(path, fault, value)
        if text is None:
            return
        if name in self.fields:
            self.fault(joined(self.place, name), NAME_TAKEN, value)
            return
        self.fields[name] = text
        if "topic" in table:
            topic = self.part.fill(table["topic"], {**self.known, "1": called or name}, self.look, level_of)
            self.publishes.append((topic, payload_of(value, kind), table.get("retain", False)))

    def level(self, name: str, table: dict[str, Any]) -> None:
        """Add a field that is a level of the topic; an empty level is no value."""
        text, kind = self.known[table["level"]], table.get("type", "number")
        is_number = kind != "string" and re.fullmatch(r"-?(0|[1-9]\d*)(\.\d+)?([eE][+-]?\d+)?", text)
        value = Number(text) if is_number else text
        if text and (fault := fault_of(value, kind)):
            self.fault(f"{{{table['level']}}} of the topic", fault, Raw(""))
        elif text:
            self.add(name, value, kind, "", table)

    def points(self) -> Iterator[Point]:
        """Give the point, if it has a field."""
        for name, said in self.rule.get("fields", {}).items():
            table = {"type": said} if isinstance(said, str) else said
            if any(self.look(path) is True for path in table.get("unless", [])):
                continue
            if "level" in table:
                self.level(name, table)
            else:
                path = table.get("path", name)
                self.add(name, self.look(path), table.get("type", "number"), self.place_of(path), table)
        for table in tables_of(self.rule):
            self.others(table)
        if self.fields:
            own = {key: self.part.fill(text, self.known, self.look) for key, text in self.rule.get("tags", {}).items()}
            measurement = self.part.fill(self.rule["measurement"], self.known, self.look)
            time = self.part.time(self.rule.get("time", {}), self.look, self.place_of)
            fields = {escaped(name, ", ="): text for name, text in self.fields.items()}
            said = {**self.brought, **own}
            series = series_of(measurement, {**self.part.tags, **said}), series_of(measurement, said)
            yield Point(*series, fields, self.publishes, time)

    def others(self, table: dict[str, Any]) -> None:
        """Add the other values that a table finds."""
        within = table.get("within")
        inner = self.item if within is None else self.look(within)
        wanted = self.part.fill(table["value"], self.known, self.look) or "value" if "value" in table else None
        is_bare = inner is not None and not isinstance(inner, dict | list)
        values = named_values(inner, table.get("flatten"))
        if is_bare and wanted:
            values = {"value": inner}
        taken = taken_by(self.part.profile, self.rule, table)
        uses = {name: use_of(name, value, table, taken) for name, value in values.items()}

        can_be = [name for name, use in uses.items() if use not in ("", "tag", "unnamed") and fault_of(values[name], use) is None]
        chosen = next((name for name in (wanted, "value") if wanted and name in can_be), None)
        for name, value in values.items():
            own = str(wanted if is_bare else name)
            path = joined(self.place, own) if within is None else f"{self.place_of(within)}.{own}"
            match uses[name]:
                case "tag":
                    self.bring({name: value} if not is_bare else {})
                case "unnamed":
                    self.fault(path, "a text or boolean that the profile does not name", value)
                case "measured" | "integer" | "string" as kind if name == chosen:
                    self.add("value", value, kind, path, table, wanted)
                case "measured" | "integer" | "string" if chosen and name == "value" and name in can_be:
                    self.fault(path, NAME_TAKEN, value)
                case "measured" | "integer" | "string" as kind:
                    self.add(name, value, kind, path, table)
        self.tag_objects(table)

    def tag_objects(self, table: dict[str, Any]) -> None:
        """Add the values of objects as tags."""
        for path in table.get("tag_objects", []):
            found = self.look(path)
            if isinstance(found, dict):
                self.bring(named_values(found, None))
            elif found is not None:
                self.fault(self.place_of(path), "not an object", found)

    def bring(self, tags: dict[str, Any]) -> None:
        """Add tags of the document; the last one of a name counts."""
        self.brought |= {name: text_of(value) for name, value in tags.items() if name and text_of(value)}
