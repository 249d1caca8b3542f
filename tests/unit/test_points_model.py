"""Profiles against a plain model of their rules (documents_model.py): any profile, any document, any topic."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator
from contextlib import closing
from tempfile import TemporaryDirectory
from typing import Any

from hypothesis import Phase, given, settings
from hypothesis import strategies as st

from documents_model import Expected, expect
from drawn_profiles import TOPICS, Drawing, written
from iiot_gateway import _native
from values_model import serialized

NOW_NS = 1_700_000_000_000_000_000
MOST_TOLD, EXCERPT_BYTES = 4, 200
"""How many values a reject of a whole document names, and how much of a value a reject shows."""
Case = dict[str, Any]
"""Profile, topic, tags of the configuration, and documents."""


def check(profile: dict[str, Any], decoded: _native.Decoded, expected: Expected) -> None:
    """Compare what the gateway made of a document with what the model expects."""
    assert decoded.ignored == ({expected.ignored: 1} if expected.ignored else {})
    # Paths with wildcards are read in the order of the document.
    is_wild = any("*" in metric["path"] for metric in profile.get("metric", []))
    in_order = sorted if is_wild else list
    lines = [line.rpartition(" ") for line in decoded.lines().decode().split("\n")[:-1]]
    assert in_order(head for head, _, _time in lines) == in_order(head for head, _time in expected.lines)
    if expected.is_settled:
        # So which of two values of one series comes first is not the model's to say.
        timed = [(head if not is_wild else "", int(time)) for head, _, time in lines]
        assert in_order(timed) == in_order((head if not is_wild else "", time) for head, time in expected.lines)
    publishes = [(topic.decode(), payload.decode(), retain) for topic, payload, retain in decoded.publishes()]
    assert in_order(publishes) == in_order((f"pre/{topic}", payload, retain) for topic, payload, retain in expected.publishes)
    unused = {next(why for why in ("an uptime", "not believed") if text.startswith(why)) for text in decoded.unused_times}
    assert unused == expected.unused_times

    rejects = decoded.rejects()
    if expected.refused is not None:
        assert len(rejects) == 1
        assert rejects[0][1].startswith(expected.refused)
        assert (expected.refused == "no usable value") == rejects[0][1].startswith("no usable value")
        told = [f"{path}: {reason}: ".replace('"', "") for path, reason, _text in expected.faults]
        assert all(fault in rejects[0][1].replace('"', "") for fault in told) or len(told) > MOST_TOLD
        return
    faults = [(*text.replace('"', "").rpartition(": ")[::2], excerpt) for _at, text, excerpt in rejects]
    shown = [(path.replace('"', ""), reason, text[:EXCERPT_BYTES]) for path, reason, text in expected.faults]
    assert Counter(faults) == Counter(shown)


def run(case: Case) -> None:
    """Give the documents to the gateway and to the model, twice, so that what was learnt of a shape serves the next."""
    profile = case["profile"]
    decoder = _native.Decoder(_native.Profile.parse(written(profile)), topic_prefix="pre/", tags=case["tags"])
    for document in [*case["documents"], *case["documents"]]:
        decoded = decoder.message(serialized(document).encode(), NOW_NS, topic=case["topic"])
        check(profile, decoded, expect(profile, case["topic"], document, NOW_NS, case["tags"]))


def fails(case: Case) -> bool:
    """Tell whether the gateway differs from the model."""
    try:
        run(case)
    except AssertionError:
        return True
    except (_native.ProfileError, KeyError):
        return False
    return False


def smaller(value: Any) -> Iterator[Any]:
    """Give the value without one of its parts. Tags and measurements stay, because they keep the values of a metric apart."""
    if isinstance(value, dict):
        for key in value.keys() - {"tags", "measurement"}:
            yield type(value)((name, inner) for name, inner in value.items() if name != key)
            yield from (type(value)({**value, key: inner}) for inner in smaller(value[key]))
    if isinstance(value, list):
        for at, item in enumerate(value):
            yield [*value[:at], *value[at + 1 :]]
            yield from ([*value[:at], inner, *value[at + 1 :]] for inner in smaller(item))


def drawn(seed: int) -> Case:
    """Return a case."""
    drawing = Drawing(seed)
    profile = drawing.profile()
    tags = drawing.one([{}, {"site": "north", "u": "1 2"}])
    return {"profile": profile, "topic": drawing.one(TOPICS), "tags": tags, "documents": drawing.documents(profile)}


def fields_of(head: str) -> list[tuple[str, str]]:
    """Return series and name of each field of a line."""
    found = re.fullmatch(r"((?:\\.|[^ \\])+) (.+)", head)
    assert found
    return [(found[1], name) for name, _text in re.findall(r'((?:\\.|[^,= \\])+)=("(?:\\.|[^"\\])*"|[^,]*)', found[2])]


# Cases are made smaller below: a smaller seed is no smaller case.
@settings(max_examples=600, phases=[Phase.reuse, Phase.generate])
@given(seed=st.integers(0, 2**64 - 1))
def test_documents_yield_what_the_model_expects(seed: int) -> None:
    """Lines, times, publishes, rejects and ignored documents; a failure shows the smallest case that was found."""
    case = drawn(seed)
    if fails(case):
        while found := next(filter(fails, smaller(case)), None):
            case = found
        print(written(case["profile"]), case["topic"], case["tags"], *map(serialized, case["documents"]), sep="\n")
        run(case)


@settings(max_examples=30, phases=[Phase.reuse, Phase.generate])
@given(seed=st.integers(0, 2**64 - 1))
def test_the_journal_keeps_all_values_and_keeps_them_apart(seed: int) -> None:
    """Each line that the model expects is delivered, and no two values of one series and field have the same time."""
    case = drawn(seed)
    profile = {key: table for key, table in case["profile"].items() if key not in ("clock", "sequence")}
    topic = case["topic"] or "p"
    expected = [expect(profile, topic, document, NOW_NS, case["tags"]) for document in case["documents"]]
    with TemporaryDirectory() as folder, closing(_native.Journal.open(f"{folder}/journal.db", sync="normal")) as journal:
        journal.add_sink("database")
        compiled = _native.Profile.parse(written(profile))
        intake = journal.add_source("plant", profile=compiled, topic_prefix="", tags=case["tags"], dedup_window_s=3600.0)
        for number, document in enumerate(case["documents"]):
            intake.push_message(topic.encode(), serialized(document).encode(), NOW_NS + number, 0)
        assert intake.settled(10.0)
        sink, lines = _native.LineSink(journal, "database"), []
        while batch := sink.next_batch(max_lines=1_000, max_bytes=1 << 20, linger_ms=0, timeout_ms=0):
            lines += [line.rpartition(" ") for line in batch.text().decode().split("\n")[:-1]]
            sink.confirm(batch)
        duplicates = journal.status()["intake"].get("duplicate", 0)

    delivered = Counter(head for head, _, _time in lines)
    heads = Counter(head for document in expected for head, _time in document.lines)
    assert delivered <= heads if duplicates else delivered == heads
    values = [(series, field, time) for head, _, time in lines for series, field in fields_of(head)]
    assert len(set(values)) == len(values)
