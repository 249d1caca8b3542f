"""Points with several fields, against a plain model of the rules: any profile of the long form, any document, any topic."""

from __future__ import annotations

import fnmatch
import json
import re
from collections import Counter
from collections.abc import Iterator
from decimal import Decimal
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from iiot_gateway import _native

NOW_NS = 1_700_000_000_000_000_000
KEYS = ["a", "b", "name", "list", "nodes", "x y"]
PATHS = ["a", "b", "name", "nodes.a", "list[0]", "nodes.b.a", "."]
EACH = [None, "list[*]", "nodes.*", "nodes", "list"]
TYPES = ["number", "integer", "bool", "string", "any"]
FILTERS = [None, "p/{name}/t", "p/+/{kind}", "p/#", "q/{a}"]
TOPICS = [None, "p/n1/t", "p/n 2/t", "q/z", "p", "r/s"]
TEMPLATES = ["m", "{a}", "x{name}", "{nodes.a}-{b}", "{kind}", "{#}"]
EXCEPT_FILTERS = [None, "p/+/t", "q/#"]
PATTERNS = ["*", "a", "b", "nodes*", "*a", "?", "list_?", "n*_*a", "x y"]


class Number(str):
    """A JSON number, as its text."""

    __slots__ = ()


numbers = st.sampled_from(["0", "-0", "1", "27.60", "-2.50", "45000.0", "4.5e4", "1e400", "12345678901234567890", "0.1e1"]).map(Number)
texts = st.sampled_from(["", "on", "a b", "x,y=z", 'q"q', "back\\slash", "line\nfeed", "é"])
scalars = st.one_of(numbers, texts, st.booleans(), st.none())
values = st.recursive(
    scalars,
    lambda inner: st.one_of(st.lists(inner, max_size=4), st.dictionaries(st.sampled_from(KEYS), inner, max_size=5)),
    max_leaves=14,
)


@st.composite
def profiles(draw: st.DrawFn) -> list[dict[str, Any]]:
    """Draw the points of a profile."""
    points = []
    patterns = st.lists(st.sampled_from(PATTERNS), max_size=2)
    for _ in range(draw(st.integers(1, 3))):
        fields = draw(
            st.dictionaries(st.sampled_from(["f", "g", "a"]), st.tuples(st.sampled_from(PATHS), st.sampled_from(TYPES)), max_size=3)
        )
        plain = draw(st.sampled_from([None, {}, {"except": ["b"]}])) if fields else draw(st.sampled_from([{}, {"except": ["b"]}]))
        optional = dict.fromkeys(("tags", "fields", "booleans", "strings", "except"), patterns)
        chosen = draw(st.fixed_dictionaries({}, optional={"flatten": st.sampled_from(["_", ".", ""]), **optional}))
        others = draw(st.sampled_from([plain, chosen]))
        points.append(
            {
                "filter": draw(st.sampled_from(FILTERS)),
                "except_filter": draw(st.sampled_from(EXCEPT_FILTERS)),
                "each": draw(st.sampled_from(EACH)),
                "measurement": draw(st.sampled_from(TEMPLATES)),
                "tags": draw(st.dictionaries(st.sampled_from(["t", "u"]), st.sampled_from(TEMPLATES), max_size=2)),
                "fields": fields,
                "others": others,
            }
        )
    return points


def written(points: list[dict[str, Any]]) -> str:
    """Write the profile file."""
    lines = ['name = "model"']
    for point in points:
        lines.append("[[point]]")
        lines += [
            f"{key} = {json.dumps(point[key])}" for key in ("filter", "except_filter", "each", "measurement") if point[key] is not None
        ]
        lines.append("tags = { " + ", ".join(f"{key} = {json.dumps(value)}" for key, value in point["tags"].items()) + " }")
        if point["others"] is not None:
            lines.append("others = { " + ", ".join(f"{key} = {json.dumps(value)}" for key, value in point["others"].items()) + " }")
        if point["fields"]:
            lines.append("[point.fields]")
            lines += [f'{name} = {{ path = "{path}", type = "{kind}" }}' for name, (path, kind) in point["fields"].items()]
    return "\n".join(lines) + "\n"


def serialized(value: Any) -> str:
    """Write a document; numbers keep their text."""
    if isinstance(value, Number):
        return str(value)
    if isinstance(value, dict):
        return "{" + ", ".join(f"{json.dumps(key)}: {serialized(inner)}" for key, inner in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ", ".join(map(serialized, value)) + "]"
    return json.dumps(value)


# --- the model ---


def matched(pattern: str | None, topic: str | None) -> dict[str, str] | None:
    """Return the named levels, or None if the topic does not match."""
    if pattern is None:
        return {}
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


def accepted(point: dict[str, Any], topic: str | None) -> dict[str, str] | None:
    """Return the named levels, and the topic as `#`; None if the point does not take documents with this topic."""
    levels = matched(point["filter"], topic)
    if topic is not None and point["except_filter"] is not None and matched(point["except_filter"], topic) is not None:
        return None
    return None if levels is None else {**levels, "#": topic or ""}


def found(value: Any, path: str) -> Any:
    """Return what stands at a path, None if nothing does."""
    if path == ".":
        return None if isinstance(value, dict | list) else value
    for step in re.findall(r"\w+|\[\d+\]", path):
        if step.startswith("["):
            index = int(step[1:-1])
            value = value[index] if isinstance(value, list) and index < len(value) else None
        else:
            value = value.get(step) if isinstance(value, dict) else None
    return value


def text_of(value: Any) -> str:
    """Return what a template makes of a value."""
    if isinstance(value, bool):
        return "true" if value else "false"
    return value if isinstance(value, str) else ""


def field_text(value: Any, kind: str) -> str | None:
    """Return a field as line protocol writes it, None if it is none of its type."""
    if isinstance(value, bool):
        return text_of(value) if kind in ("bool", "any", "measured") else None
    if isinstance(value, Number):
        if kind == "integer":
            number = Decimal(value)
            fits = number == number.to_integral_value() and -(2**63) <= number < 2**63
            return f"{int(number)}i" if fits else None
        return str(value) if kind in ("number", "any", "measured") and abs(Decimal(value)) < Decimal("1.8e308") else None
    if isinstance(value, str) and kind in ("string", "any"):
        return '"' + re.sub(r"[\x00-\x1f\x7f]", " ", value).replace("\\", "\\\\").replace('"', '\\"') + '"'
    return None


def escaped(text: str, special: str) -> str:
    """Escape a name."""
    return re.sub(f"([{special}])", r"\\\1", re.sub(r"[\x00-\x1f\x7f\\]", "_", text))


def pairs_of(value: Any) -> list[tuple[str, Any]]:
    """Return what a wildcard matches in a value, and what stands there."""
    if isinstance(value, dict):
        return list(value.items())
    return [(str(number), inner) for number, inner in enumerate(value)] if isinstance(value, list) else []


def items_of(each: str | None, document: Any) -> list[Any]:
    """Return the items of which a point is made."""
    if each is None:
        return [document]
    if "*" not in each:
        value = document.get(each) if isinstance(document, dict) else None
        return value if isinstance(value, list) else [] if value is None else [value]
    inner = document.get(re.split(r"[.\[]", each)[0]) if isinstance(document, dict) else None
    return [item for _key, item in pairs_of(inner)]


def points_of(point: dict[str, Any], levels: dict[str, str], document: Any) -> Iterator[tuple[Any, str, str]]:
    """Give series, its text and the fields of one point of the profile, for a document that is no list."""
    each = point["each"]
    for item in items_of(each, document):

        def look(path: str, item: Any = item) -> Any:
            value = found(item, path)
            return found(document, path) if value is None and each is not None and path != "." else value

        def fill(template: str) -> str:
            return re.sub(r"\{([^}]+)\}", lambda hole: levels[hole[1]] if hole[1] in levels else text_of(look(hole[1])), template)

        fields = {}
        for name, (path, kind) in point["fields"].items():
            text = field_text(look(path), kind)
            if text is not None:
                fields[name] = text
        brought = {}
        others = point["others"]
        for name, value in named_values(item, others.get("flatten")).items() if others is not None else ():
            use = use_of(name, value, others, taken(point, levels))
            text = field_text(value, use) if use else None
            if use == "tag":
                brought[name] = text_of(value)
            elif text is not None:
                fields[escaped(name, ", =")] = text
        if fields:
            measurement = fill(point["measurement"])
            own = {key: fill(template) for key, template in point["tags"].items()}
            brought = {key: value for key, value in brought.items() if value and key not in own}
            series = measurement, sorted(own.items()), sorted(brought.items())
            tags = own | brought
            head = escaped(measurement, ", ") if measurement else "_"
            head += "".join(f",{escaped(key, ', =')}={escaped(value, ', =')}" for key, value in sorted(tags.items()) if value)
            yield repr(series), head, ",".join(f"{name}={text}" for name, text in fields.items())


def named_values(item: Any, separator: str | None) -> dict[str, Any]:
    """Return the other values of an item by their names; of equal names the last one counts, and stands where it stood."""
    values: dict[str, Any] = {}

    def go(prefix: str, value: Any) -> None:
        for key, inner in pairs_of(value):
            if isinstance(inner, dict | list):
                if separator is not None:
                    go(prefix + key + separator, inner)
            elif inner is not None:
                values.pop(prefix + key, None)
                values[prefix + key] = inner

    go("", item)
    return values


def is_named(name: str, patterns: list[str]) -> bool:
    """Tell whether one of the patterns stands for the name."""
    return any(fnmatch.fnmatchcase(name, pattern) for pattern in patterns)


def use_of(name: str, value: Any, others: dict[str, Any], path_names: set[str]) -> str:
    """Return what becomes of a value: tag, the type of a field, or nothing."""
    if name in path_names:
        return ""
    if is_named(name, others.get("tags", [])) and name:
        return "tag"
    if is_named(name, others.get("except", [])) or not is_named(name, others.get("fields", ["*"])):
        return ""
    if isinstance(value, bool):
        return "measured" if is_named(name, others.get("booleans", ["*"])) else ""
    if isinstance(value, str) and not isinstance(value, Number):
        return "string" if is_named(name, others.get("strings", [])) else ""
    return "measured"


def taken(point: dict[str, Any], levels: dict[str, str]) -> set[str]:
    """Return the names that are no other values: those that the point looks at, and its fields' names."""
    holes = re.findall(r"\{([^}]+)\}", "".join([point["measurement"], *point["tags"].values()]))
    paths = [path for path, _kind in point["fields"].values()] + [hole for hole in holes if hole not in levels]
    separator = point["others"].get("flatten")
    steps = [re.findall(r"\w+", path) for path in paths if path != "."]
    return {step[0] if separator is None else separator.join(step) for step in steps} | set(point["fields"])


def expected(points: list[dict[str, Any]], topic: str | None, document: Any) -> list[str]:
    """Return the lines that the rules give."""
    lines = []
    before: Counter[str] = Counter()
    for part in document if isinstance(document, list) else [document]:
        for point in points:
            levels = accepted(point, topic)
            for series, head, fields in points_of(point, levels, part) if levels is not None else ():
                # Points of one series follow each other by a millisecond.
                lines.append(f"{head} {fields} {NOW_NS + before[series] * 1_000_000}")
                before[series] += 1
    return lines


@settings(max_examples=400)
@given(points=profiles(), topic=st.sampled_from(TOPICS), documents=st.lists(values, min_size=1, max_size=4))
def test_lines_are_those_of_the_model(points: list[dict[str, Any]], topic: str | None, documents: list[Any]) -> None:
    """Documents one after another, so that what was learnt of one's shape serves the next."""
    decoder = _native.Decoder(_native.Profile.parse(written(points)), topic_prefix="", tags={})
    for document in [*documents, *documents]:
        text = serialized(document)
        decoded = decoder.message(text.encode(), NOW_NS, topic=topic)

        lines = decoded.lines().decode().splitlines()
        assert lines == expected(points, topic, document), f"{written(points)}\n{topic}\n{text}\n{decoded.rejects()}"
        assert lines or decoded.rejects(), "what gives nothing is a reject"
