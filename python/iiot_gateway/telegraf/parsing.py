"""Translates `topic_parsing`: measurement, tags and fields from the levels of a topic."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from iiot_gateway.config.mqtt_text import filter_fault
from iiot_gateway.telegraf import topics
from iiot_gateway.telegraf.section import Section

WHAT = {
    "topic": "the filter of a point",
    "measurement": "the point's measurement",
    "tags": "tags of the point",
    "fields": "fields of the point",
    "types": "types of these fields",
}
TYPES = {"int": "integer", "uint": "integer", "float": "number"}
"""The types of fields; fields of other types are texts."""


@dataclass(frozen=True, slots=True)
class Parsed:
    """A filter in which levels have names if a template needs them, and the templates."""

    filter: str
    measurement: str | None = None
    tags: dict[str, str] = field(default_factory=dict)
    fields: dict[str, dict[str, str]] = field(default_factory=dict)


@dataclass(slots=True)
class Parsings:
    """The points of all `topic_parsing` tables of a plugin, and the topic filters that they use."""

    points: list[tuple[Parsed, list[str]]] = field(default_factory=list)
    """The points, each with the topic filters that earlier tables had already matched."""
    taken: list[str] = field(default_factory=list)


def read(section: Section, wanted: list[str]) -> Parsings:
    """Apply the tables to the plugin's subscriptions, and report their keys. The first pattern that a topic matches counts."""
    found = Parsings()
    for number, table in enumerate(section.tables("topic_parsing")):
        place = ("topic_parsing", number)
        reason, parsed = _apply(table, wanted)
        for key, what in WHAT.items():
            if key in table and reason:
                section.left_out((*place, key), reason)
            elif key in table:
                section.taken((*place, key), what)
        for topic, one in parsed:
            found.points.append((one, [known for known in found.taken if topics.overlaps(known, topic)]))
            found.taken.append(topic)
    return found


def _apply(table: dict[str, Any], wanted: list[str]) -> tuple[str, list[tuple[str, Parsed]]]:
    """Return the result for each filter that shares topics with a table, or the reason why the table cannot be translated."""
    pattern, measurement, tags, fields = (table.get(key, "") for key in ("topic", "measurement", "tags", "fields"))
    types = table.get("types", {})
    if not all(isinstance(text, str) for text in (pattern, measurement, tags, fields)) or not isinstance(types, dict):
        return "expected texts, and a table of types", []
    if filter_fault(pattern) or "{" in pattern or "}" in pattern:
        return "its topic is no topic filter", []
    both = [found for topic in wanted if (found := topics.common(topic, pattern)) is not None]
    if not both:
        return "no topic of the plugin matches it", []
    parsed = []
    for topic in both:
        one = apply(topic, measurement, tags, fields, types)
        if isinstance(one, str):
            return one, []
        parsed.append((topic, one))
    return "", parsed


def apply(topic_filter: str, measurement: str, tags: str, fields: str, types: dict[str, Any]) -> Parsed | str:
    """Apply the masks of one table to a filter. Return a text with the reason if that is not possible."""
    levels = topic_filter.split("/")
    names = [*_names(measurement), *_names(tags), *_names(fields)]
    if len(_names(measurement)) > 1:
        return "`measurement` names several levels"
    if any(place >= len(levels) or "#" in levels[: place + 1] for place, _name in names):
        return "a name stands for a level at `#` or behind it, or beyond the topic"
    if any(levels[place] != "+" for place, _name in _names(fields)):
        return "a field stands for a level that is the same in every topic; write it into `tags`"
    named = {place: f"{{level{place + 1}}}" for place, _name in names if levels[place] == "+"}
    text = {place: named.get(place, levels[place]) for place, _name in names}
    return Parsed(
        "/".join(named.get(place, level) for place, level in enumerate(levels)),
        next((text[place] for place, _name in _names(measurement)), None),
        {name: text[place] for place, name in _names(tags)},
        {name: {"level": f"level{place + 1}", "type": TYPES.get(str(types.get(name)), "string")} for place, name in _names(fields)},
    )


def _names(mask: str) -> list[tuple[int, str]]:
    """Return the names in a mask such as `_/site/_`, each with its level."""
    return [(place, name) for place, name in enumerate(mask.split("/")) if name not in ("", "_", "+", "#")]
