"""The rules of docs/profiles.md in plain Python: what a profile, as TOML gives it, makes of one document that arrives under a topic.

The parts are in points_model.py, others_model.py, times_model.py and values_model.py. Not in this model, and tested elsewhere:

- the times of several documents (uptimes, distinct times, repeats, node clocks): tests/unit/test_factory_model.py,
  rust/iiot-core/src/run_clock/tests.rs and src/series_times/tests.rs, rust/iiot-journal/tests;
- what becomes of nodes, packet counters and sequence numbers, and sequences with wildcards: rust/iiot-core/tests/properties.rs;
- devices of the registry and their tags: rust/iiot-core/tests/devices.rs and device_topics.rs;
- bounds: rust/iiot-core/tests/points.rs, others.rs and profile_faults.rs; of topics, tests/product/test_topics_of_values.py;
- the topics of the gateway: tests/product/test_topics_of_values.py; alerts: rust/iiot-alerts;
- the signal of a link and the names of a receiver: rust/iiot-core/tests/points.rs and tests/unit/test_discovery_documents.py.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from others_model import tables_of
from points_model import Fault, Part, Point, Publish
from times_model import MS, Moment, is_believed
from values_model import Raw, accepted, found_at


@dataclass
class Expected:
    """What a document yields."""

    ignored: str | None = None
    """The name of the entry that ignores it."""
    refused: str | None = None
    """How the reject of the whole document begins."""
    lines: list[tuple[str, int]] = field(default_factory=list)
    """Each line without its time, and the time."""
    publishes: list[Publish] = field(default_factory=list)
    faults: list[Fault] = field(default_factory=list)
    unused_times: set[str] = field(default_factory=set)
    is_settled: bool = True
    """False if only the journal keeps some points apart: they have an uptime, the time of the arrival, or a time that is not believed."""


def ignored(profile: dict[str, Any], topic: str | None, document: Any) -> str | None:
    """Return the name under which the profile ignores a document. An entry without paths comes first, and is for documents of any kind."""
    rules = [rule for rule in profile.get("ignore", []) if accepted(rule, topic) is not None]
    by_topic = [rule for rule in rules if not rule.get("has") and not rule.get("lacks")]

    def is_meant(rule: dict[str, Any]) -> bool:
        has, lacks = ([found_at(document, path) is not None for path in rule.get(key, [])] for key in ("has", "lacks"))
        return all(has) and not any(lacks)

    by_paths = [] if isinstance(document, list) else [rule for rule in rules if rule not in by_topic and is_meant(rule)]
    return next((rule["name"] for rule in [*by_topic, *by_paths]), None)


def takes_texts(profile: dict[str, Any]) -> bool:
    """Tell whether the profile has a field that is the document itself."""
    rules = profile.get("point", [])
    paths = [rule["path"] for rule in profile.get("metric", [])]
    paths += [said.get("path") for rule in rules for said in rule.get("fields", {}).values() if isinstance(said, dict)]
    tables = [table for rule in rules for table in tables_of(rule)]
    return "." in paths or any("value" in table and "within" not in table for table in tables)


def expect(profile: dict[str, Any], topic: str | None, document: Any, now_ns: int, tags: dict[str, str]) -> Expected:
    """Return what a document yields that arrives now. `tags` are those of the configuration."""
    if name := ignored(profile, topic, []):
        return Expected(ignored=name)
    if not profile.get("metric") and all(accepted(rule, topic) is None for rule in profile["point"]):
        return Expected(refused="no filter" if topic is not None else "the document came without a topic")
    if isinstance(document, Raw):
        if not takes_texts(profile) or document.strip()[:1] in ("", "{", "[", '"'):
            return Expected(refused="")
        document = str(document.strip())
    if name := ignored(profile, topic, document):
        return Expected(ignored=name)

    is_array = isinstance(document, list)
    parts = [Part(profile, topic, tags, item) for item in (document if is_array else [document])]
    ages = [part.age_ms() for part in parts]
    own = [part.time(profile.get("time", {}), part.at) for part in parts]
    points = [(point, point.time or time) for part, time in zip(parts, own, strict=True) for point in part.points()]
    faults = [
        ((f"[{number}]" if path == "." else f"[{number}].{path}") if is_array else path, reason, text)
        for number, part in enumerate(parts)
        for path, reason, text in part.faults
    ]
    if not points:
        return Expected(refused="no usable value", faults=faults)
    of_document = (None if is_array else own[0]) or (points[0][1] if len(points) == 1 else None)
    age_ms = next((age for age in ages if age is not None), 0)
    came_ns = now_ns - age_ms * MS
    earliest_is_past = is_believed(profile.get("time", {}), now_ns, now_ns)
    age_is_doubted = age_ms > 0 and (came_ns < 0 or (earliest_is_past and not is_believed(profile.get("time", {}), came_ns, now_ns)))
    has_time = of_document is not None and of_document.at_ns is not None and is_believed(profile.get("time", {}), of_document.at_ns, now_ns)
    unused = {"not believed"} if age_is_doubted and not has_time else set()
    by_field = not is_array and "point" not in profile
    to = Expected(faults=faults, unused_times=unused)
    return timed(profile, points, of_document, to, now_ns, now_ns if age_is_doubted else came_ns, by_field=by_field)


def timed(
    profile: dict[str, Any],
    points: list[tuple[Point, Moment | None]],
    of_document: Moment | None,
    to: Expected,
    now_ns: int,
    came_ns: int,
    *,
    by_field: bool,
) -> Expected:
    """Add lines and publishes. Points without a time that is believed have that of the document, which is when it came if it has none.

    Points of one series with equal times follow each other by a millisecond; with `by_field`, only if their fields are the same as well.
    """
    times, given = profile.get("time", {}), dict[tuple[str, str, int], int]()

    def believed(moment: Moment | None) -> int | None:
        known = moment is not None and moment.at_ns is not None and is_believed(times, moment.at_ns, now_ns)
        return moment.at_ns if moment and known else None

    document_ns = believed(of_document)
    frame_ns = came_ns if document_ns is None else document_ns
    for moment in [of_document, *(moment for _point, moment in points)]:
        if moment is not None and moment.at_ns is None:
            to.unused_times.add("an uptime")
        elif moment is not None and believed(moment) is None:
            to.unused_times.add("not believed")
        doubted = moment is not None and believed(moment) is None and (document_ns is not None or (moment.at_ns or now_ns) >= now_ns)
        is_arrival = document_ns is None and moment is not None and believed(moment) == came_ns
        if len(points) > 1 and moment is not None and (moment.may_be_uptime or doubted or is_arrival):
            to.is_settled = False
    for point, moment in points:
        at_ns = believed(moment)
        at_ns = frame_ns if at_ns is None else at_ns
        fields = ",".join(f"{name}={text}" for name, text in point.fields.items())
        apart = (point.said, "".join(point.fields) if by_field else "", at_ns)
        before = given.setdefault(apart, 0)
        given[apart] += 1
        to.lines.append((f"{point.series} {fields}", at_ns + before * MS))
        to.publishes += point.publishes
    return to
