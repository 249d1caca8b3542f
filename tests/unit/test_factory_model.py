"""The profile `factory-dosing` against a plain model of its table: any document, any topic, and the times of machines of every kind."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from drawn_profiles import NUMBERS, TEXTS
from iiot_gateway import _native
from times_model import Number
from values_model import escaped, field_text, serialized, text_of

TABLE: dict[str, tuple[str, list[str], list[str], list[str]]] = {
    "factory/dosing/consumption": (
        "dosing_consumption",
        ["device_id", "pump", "chemical", "recipe", "mode"],
        ["target_g", "actual_g", "error_g"],
        ["duration_ms"],
    ),
    "factory/equipment/temperature": (
        "equipment_temperature",
        ["device_id", "location", "sensor_type"],
        ["temperature_c", "temperature_f", "humidity_percent"],
        [],
    ),
    "factory/equipment/vibration": (
        "equipment_vibration",
        ["device_id", "pump", "axis"],
        ["acceleration_g", "velocity_mm_s", "rms", "frequency_hz"],
        [],
    ),
    "factory/inventory/levels": (
        "inventory_levels",
        ["device_id", "chemical", "container_id"],
        ["remaining_g", "capacity_g", "percent_full"],
        [],
    ),
    "factory/batch/events": ("batch_events", ["device_id", "event", "recipe"], [], ["pumps"]),
}
"""By topic: measurement, tags, numbers, integers. This is the table of docs/factory-dosing.md."""
OTHER_TOPICS = [
    "factory/dosing",
    "factory/dosing/commands",
    "factory/dosing/consumption/1",
    "Factory/batch/events",
    "factory//events",
    "a",
    None,
]
NOW_NS = 1_700_000_000_000_000_000
KEYS = sorted({key for _measurement, *lists in TABLE.values() for keys in lists for key in keys} | {"n", "firmware"})
"""Those of every table, so that a document may have keys of another one."""
MS = 1_000_000
SECOND = 1_000 * MS

numbers = st.sampled_from(NUMBERS).map(Number)
scalars = st.one_of(numbers, st.sampled_from(TEXTS), st.booleans(), st.none())
values = st.recursive(
    scalars,
    lambda inner: st.one_of(st.lists(inner, max_size=4), st.dictionaries(st.sampled_from(["a", "list", *KEYS]), inner, max_size=5)),
    max_leaves=14,
)

TAGS = {"facility": "main_factory", "system": "chemical_dosing"}


@st.composite
def documents(draw: st.DrawFn, topic: str | None) -> Any:
    """Draw what a machine might send under a topic: mostly objects with the keys of its table, and lists of them."""
    own = [key for keys in TABLE[topic][1:] for key in keys] if topic in TABLE else KEYS
    objects = st.one_of(
        st.fixed_dictionaries({}, optional=dict.fromkeys(own, st.one_of(numbers, scalars))),
        st.dictionaries(st.sampled_from(KEYS), values, max_size=10),
    )
    return draw(st.one_of(objects, objects, st.lists(st.one_of(objects, objects, values), max_size=4), values))


def profile() -> _native.Profile:
    """Return the built-in profile."""
    return _native.Profile.parse((Path(__file__).parents[2] / "python/iiot_gateway/profiles/factory-dosing.toml").read_text())


def row(topic: str | None, item: Any) -> tuple[str, str, int]:
    """Return series and fields of an object, the latter empty if it is no point, and how many of its values are faults."""
    measurement, tags, numbers, integers = TABLE[topic or ""]
    get = item.get if isinstance(item, dict) else lambda _key: None
    known = {**TAGS, **{key: text_of(get(key)) for key in tags if text_of(get(key))}}
    fields, faults = [], 0
    for name, kind in [*((name, "number") for name in numbers), *((name, "integer") for name in integers)]:
        text = field_text(get(name), kind)
        faults += text is None and get(name) is not None
        if text is not None:
            fields.append(f"{name}={text}")
    series = measurement + "".join(f",{key}={escaped(value, ', =')}" for key, value in sorted(known.items()))
    return series, ",".join(fields), faults


@pytest.mark.slow
@pytest.mark.parametrize("topic", [*TABLE, *OTHER_TOPICS])
@settings(max_examples=100)
@given(data=st.data())
def test_lines_are_those_of_the_table(data: st.DataObject, topic: str | None) -> None:
    """Documents one after another, so that what was learnt of one's shape serves the next."""
    sent = data.draw(st.lists(documents(topic), min_size=1, max_size=4))
    decoder = _native.Decoder(profile(), topic_prefix="", tags=TAGS)
    for document in [*sent, *sent]:
        decoded = decoder.message(serialized(document).encode(), NOW_NS, topic=topic)

        rows = [row(topic, item) for item in (document if isinstance(document, list) else [document])] if topic in TABLE else []
        lines, seen = [], dict[str, int]()
        for series, fields, _faults in rows:
            if fields:
                # Points of one series follow each other by a millisecond.
                lines.append(f"{series} {fields} {NOW_NS + seen.get(series, 0) * MS}")
                seen[series] = seen.get(series, 0) + 1
        assert decoded.lines().decode().split("\n")[:-1] == lines, decoded.rejects()
        faults = sum(faults for *_row, faults in rows) if lines else 1
        assert len(decoded.rejects()) == faults, "each wrong value is told, and a message that gives nothing"


@dataclass(frozen=True)
class Sent:
    """A message of a machine, and the time that it must get: no earlier, and only as much later as others of its series stand there."""

    document: dict[str, Any]
    own_ns: int
    is_dated: bool


@st.composite
def messages(draw: st.DrawFn) -> list[Sent]:
    """Draw messages that arrive a tenth of a second after each other, some of them twice."""
    clocks = draw(st.lists(st.sampled_from(["unix", "uptime", "none"]), min_size=1, max_size=3))
    boots = [draw(st.integers(10_000, 1_000_000)) for _clock in clocks]
    sent: list[Sent] = []
    for number in range(draw(st.integers(1, 40))):
        arrival_ns = NOW_NS + number * SECOND // 10
        repeat = draw(st.integers(0, 5))
        if repeat == 0 and sent:
            sent.append(sent[draw(st.integers(max(0, len(sent) - 5), len(sent) - 1))])
            continue
        machine = draw(st.integers(0, len(clocks) - 1))
        document: dict[str, Any] = {
            "device_id": f"m{machine}",
            "n": number,
            "pump": draw(st.integers(1, 2)),
            "actual_g": draw(st.integers(0, 2)),
        }
        own_ns, is_dated = arrival_ns, True
        match clocks[machine]:
            case "unix":
                own_ns = arrival_ns // SECOND * SECOND
                document["timestamp"] = own_ns // SECOND
            case "uptime":
                document["timestamp"] = boots[machine] + number * 100
            case _:
                is_dated = False
        sent.append(Sent(document, own_ns, is_dated))
    return sent


def delivered(journal: _native.Journal) -> Iterator[str]:
    """Give the lines that a database would get."""
    sink = _native.LineSink(journal, "database")
    while batch := sink.next_batch(max_lines=1_000, max_bytes=1 << 20, linger_ms=0, timeout_ms=0):
        yield from batch.text().decode().splitlines()
        sink.confirm(batch)


@settings(max_examples=60)
@given(sent=messages())
def test_each_message_is_one_point_at_its_own_time(sent: list[Sent]) -> None:
    """Seconds, uptimes, no times: nothing is overwritten, a repeat is a duplicate, and a time moves only where another value stands."""
    with (
        TemporaryDirectory() as folder,
        closing(_native.Journal.open(f"{folder}/journal.db", sync="normal", max_bytes=16 << 20)) as journal,
    ):
        journal.add_sink("database")
        intake = journal.add_source("plant", profile=profile(), topic_prefix="", tags={})
        expected: list[Sent] = []
        accepted: set[str] = set()
        for number, message in enumerate(sent):
            text = json.dumps(message.document)
            intake.push_message(b"factory/dosing/consumption", text.encode(), NOW_NS + number * SECOND // 10, 0)
            if not (message.is_dated and text in accepted):
                arrival_ns = NOW_NS + number * SECOND // 10
                expected.append(message if message.is_dated else Sent(message.document, arrival_ns, is_dated=False))
            accepted.add(text)
        assert intake.settled(10.0)
        ledger = journal.status()["intake"]
        assert (ledger["accepted"], ledger.get("duplicate", 0)) == (len(expected), len(sent) - len(expected))
        taken: set[tuple[str, int]] = set()
        lines = list(delivered(journal))
        assert len(lines) == len(expected)
        for line, message in zip(lines, expected, strict=True):
            head, fields, time = line.split(" ")
            document = message.document
            assert head == f"dosing_consumption,device_id={document['device_id']},pump={document['pump']}"
            assert fields == f"actual_g={document['actual_g']}"
            at_ns = message.own_ns
            while (head, at_ns) in taken:
                at_ns += MS
            assert int(time) == at_ns
            taken.add((head, at_ns))
