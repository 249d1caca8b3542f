"""Messages of HTTP clients go into the journal in batches, and a descriptor says when they are synced."""

from __future__ import annotations

import select
import time
from importlib.resources import files
from pathlib import Path

import pytest

from iiot_gateway._native import Journal, JournalError, LineSink, Posts, Profile, device_tags, read_lines, read_time

PROFILE = """
name = "plant"
[time]
path = "at"
format = "auto"
[[point]]
measurement = "m"
fields = { v = "number" }
"""
WAIT_S = 20.0

Message = tuple[str | None, bytes, str, bytes, bytes | None, int]


def message(document: bytes, message_id: bytes | None = None) -> Message:
    """Return a message of the device e1."""
    return ("$api/telemetry", document, "e1", device_tags({"device_id": "e1"}), message_id, time.time_ns())


@pytest.fixture
def journal(tmp_path: Path) -> Journal:
    """Return a journal with one sink."""
    journal = Journal.open(str(tmp_path / "journal.db"), max_bytes=8 << 20)
    journal.add_sink("influxdb")
    return journal


def posts(journal: Journal) -> Posts:
    """Return the source of posts."""
    return Posts(journal, "http", profile=Profile.parse(PROFILE), topic_prefix="iiot", tags={})


def test_the_descriptor_tells_of_answers(journal: Journal) -> None:
    """Nothing has to be asked until it is readable, and it is silent again when every answer was taken."""
    http = posts(journal)
    tickets = [
        http.post([message(b'{"v":1}', b"a"), message(b'{"x":1}')]),
        http.post([message(b'{"v":1}', b"a"), message(b'{"v":2}', b"a")]),
    ]
    answers: dict[int, list[str]] = {}
    while len(answers) < len(tickets):
        readable, _, _ = select.select([http.fileno()], [], [], WAIT_S)
        assert readable
        for ticket, outcomes in http.results():
            answers[ticket] = [outcome for outcome, _ in outcomes]
    assert answers == {tickets[0]: ["accepted", "rejected"], tickets[1]: ["duplicate", "conflict"]}
    assert http.results() == []
    assert http.has_room()
    assert http.counts()[:2] == (4, 28)
    assert journal.status()["intake"]["accepted"] == 1


def test_what_is_posted_must_be_something(journal: Journal) -> None:
    """An empty batch, a closed descriptor and a closed journal are errors."""
    http = posts(journal)
    with pytest.raises(ValueError, match="no message"):
        http.post([])
    http.close()
    with pytest.raises(ValueError, match="closed"):
        http.fileno()
    journal.close()
    with pytest.raises(JournalError):
        http.post([message(b'{"v":1}')])


def test_tags_of_a_device_have_keys() -> None:
    """Empty values are left out, the order is that of the keys, and an empty key is an error."""
    assert device_tags({}) == device_tags({"a": ""}) == b""
    assert device_tags({"b": "1", "a": "2"}) == device_tags({"a": "2", "b": "1"})
    with pytest.raises(ValueError, match="empty key"):
        device_tags({"": "x"})


@pytest.mark.parametrize(
    ("text", "time_ns"),
    [
        (b"1764417600", 1_764_417_600_000_000_000),
        (b'"2025-11-29T12:00:00.5Z"', 1_764_417_600_500_000_000),
        (b'"1764417600123"', 1_764_417_600_123_000_000),
        (b'"soon"', None),
        (b"null", None),
        (b"", None),
    ],
)
def test_times_are_read_as_profiles_read_them(text: bytes, time_ns: int | None) -> None:
    """A JSON value is a time or none."""
    assert read_time(text) == time_ns


def test_lines_of_influxdb_become_documents(journal: Journal) -> None:
    """Each line is a document, or says what is wrong with it, and the built-in profile makes the same line of the document."""
    body = b'# made by hand\nweather,place=hall t=54.10,n=45000i,on=t,s="x" 1764417600\nweather t=\n'
    (document, well), (nothing, wrong) = read_lines(body, "s", 10)
    assert (well, nothing) == ("", b"")
    assert wrong == "line 3, column 11: the value of the field is expected"
    with pytest.raises(ValueError, match="more than 1 lines"):
        read_lines(body, "s", 1)
    with pytest.raises(ValueError, match="precision"):
        read_lines(body, "h", 10)  # type: ignore[arg-type]
    profile = Profile.parse((files("iiot_gateway") / "profiles" / "line-protocol.toml").read_text())
    http = Posts(journal, "http", profile=profile, topic_prefix="iiot", tags={})
    http.post([("$api/line", document, "", b"", None, time.time_ns())])
    assert journal.sync(WAIT_S)
    batch = LineSink(journal, "influxdb").next_batch(max_lines=10, max_bytes=1 << 20, linger_ms=0, timeout_ms=10_000)
    assert batch is not None
    assert batch.text() == b'weather,place=hall t=54.10,n=45000i,on=true,s="x" 1764417600000000000\n'
