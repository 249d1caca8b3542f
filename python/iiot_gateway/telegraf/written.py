"""Writes the result as the gateway's files: the configuration and one profile per source."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any

from iiot_gateway.telegraf.made import Consumer, Made, Part, Point


def config(made: Made) -> str:
    """Return the text of the configuration."""
    blocks = [["# Made by `iiot-gateway import telegraf`. `iiot-gateway check` finds faults, `config template` shows all keys."]]
    if made.tags:
        blocks.append(["[gateway]", f"tags = {_value(made.tags)}"])
    blocks += [_consumer(consumer) for consumer in made.consumers.values()]
    blocks += [_part(sink) for sink in made.sinks]
    return "\n\n".join("\n".join(block) for block in blocks) + "\n"


def profiles(made: Made) -> dict[str, str]:
    """Return the texts of the profiles by the names of their files."""
    return {f"{consumer.profile}.toml": _profile(consumer, made) for consumer in made.consumers.values()}


def _part(part: Part) -> list[str]:
    remarks = [f"# {remark}" for remark in part.remarks]
    return [f"[{part.name}]", *(f"{key} = {_value(value)}" for key, value in part.keys.items()), *remarks]


def _consumer(consumer: Consumer) -> list[str]:
    topics: list[Any] = [topic if qos == 1 else {"filter": topic, "qos": qos} for topic, qos in consumer.subscriptions]
    whole = Part(consumer.name, {**consumer.keys, "topics": topics, "profile": f"{consumer.profile}.toml"}, consumer.remarks)
    return _part(whole)


def _profile(consumer: Consumer, made: Made) -> str:
    head = [f'name = "{consumer.profile}"', 'description = "Messages as Telegraf read them."']
    return "\n\n".join("\n".join(block) for block in [head, *(list(_point(point, made)) for point in consumer.points)]) + "\n"


def _point(point: Point, made: Made) -> Iterator[str]:
    yield "[[point]]"
    yield f"filter = {_value(point.filters[0] if len(point.filters) == 1 else point.filters)}"
    if point.except_filters:
        yield f"except_filter = {_value(point.except_filters)}"
    if point.each:
        yield f"each = {_value(point.each)}"
    yield f"measurement = {_value(point.measurement)}"
    if point.tags:
        yield f"tags = {_value(point.tags)}"
    if point.time:
        yield f"time = {_value(point.time)}"
    published = {"topic": f"{_topic(point.measurement)}/{{name}}", **({"retain": True} if made.retain else {})} if made.topic_prefix else {}
    if point.others is not None:
        yield "[point.others]"
        others = {**point.others, **({**published, "topic": f"{_topic(point.measurement)}/{{1}}"} if published else {})}
        yield from (f"{key} = {_value(value)}" for key, value in others.items())
    if point.fields:
        yield "[point.fields]"
        for name, value in point.fields.items():
            rule = {"type": value} if isinstance(value, str) else value
            if published:
                rule = {**rule, **published, "topic": f"{_topic(point.measurement)}/{_topic(name)}"}
            yield f"{_key(name)} = {_value(value if rule == {'type': value} else rule)}"


def _topic(text: str) -> str:
    """Return a measurement or name in the form of topic levels."""
    return text.replace("+", "_").replace("#", "_").strip("/") or "_"


def _key(text: str) -> str:
    is_bare = text and all(character.isascii() and (character.isalnum() or character in "_-") for character in text)
    return text if is_bare else _value(text)


def _value(value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str):
        return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007F")
    if isinstance(value, Mapping):
        return "{ " + ", ".join(f"{_key(str(key))} = {_value(item)}" for key, item in value.items()) + " }"
    if isinstance(value, list | tuple):
        return "[" + ", ".join(_value(item) for item in value) + "]"
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    return str(value)
