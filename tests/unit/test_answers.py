"""What answers mean, and that bisecting finds exactly the bad lines."""

from __future__ import annotations

from dataclasses import dataclass

import pytest
from hypothesis import given
from hypothesis import strategies as st

from iiot_gateway.sinks.influxdb.answers import reason, remedy, result
from iiot_gateway.sinks.outlet import Result
from iiot_gateway.sinks.plan import Delivery, Range


@dataclass(frozen=True, slots=True)
class Answered:
    """An answer as the extension gives it."""

    status: int = 0
    error: str | None = None
    detail: str = ""
    retry_after_s: float | None = None
    content_type: str = ""
    location: str = ""
    body: bytes = b""


@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        (Answered(204), Result.ACCEPTED),
        (Answered(200), Result.REFUSED),
        (Answered(202), Result.REFUSED),
        (Answered(201), Result.BAD_LINES),
        (Answered(400), Result.BAD_LINES),
        (Answered(422), Result.BAD_LINES),
        (Answered(413), Result.TOO_LARGE),
        (Answered(401), Result.REFUSED),
        (Answered(403), Result.REFUSED),
        (Answered(404), Result.REFUSED),
        (Answered(405), Result.REFUSED),
        (Answered(415), Result.REFUSED),
        (Answered(301), Result.REFUSED),
        (Answered(429), Result.WAIT),
        (Answered(503, retry_after_s=1.0), Result.WAIT),
        (Answered(503), Result.FAILED),
        (Answered(500), Result.FAILED),
        (Answered(502), Result.FAILED),
        (Answered(0, "refused"), Result.WAIT),
        (Answered(0, "timeout"), Result.WAIT),
        (Answered(0, "tls"), Result.REFUSED),
        (Answered(0, "cancelled"), Result.CANCELLED),
    ],
)
def test_an_answer_has_one_meaning(answer: Answered, expected: Result) -> None:
    """Every row of the table in the module holds."""
    assert result(answer) is expected


def test_the_reason_is_the_peers_own_message() -> None:
    """A reject carries what the database said, not JSON around it."""
    conflict = b'{"code":"unprocessable entity","message":"field type conflict"}'
    assert reason(Answered(422, body=conflict)) == "422 field type conflict"
    assert reason(Answered(400, body=b"not json")) == "400 not json"
    assert reason(Answered(0, "refused")) == "refused"


def test_what_is_no_database_is_shown_with_status_kind_and_beginning() -> None:
    """A login page answers 200 to everything; a redirect names where it leads."""
    page = Answered(200, content_type="text/html", body=b"<html>\n<title>Sign in</title>" + b"x" * 1000)

    assert reason(page).startswith(
        "200 (text/html) is not the answer of a database, which confirms with 204: <html> <title>Sign in</title>"
    )
    assert len(reason(page)) <= 240
    assert reason(Answered(202)).endswith("204: an empty body")
    assert reason(Answered(302, location="https://login.example/")) == "302 a redirect to https://login.example/, which is not followed"


@pytest.mark.parametrize(
    ("status", "words"),
    [
        (200, "set url to the database itself"),
        (308, "set url to the database itself"),
        (405, "/x/api/v2/write"),
        (415, "set gzip = false"),
        (401, "token"),
    ],
)
def test_the_remedy_fits_the_refusal(status: int, words: str) -> None:
    """Each refusal says what a person can do."""
    assert words in remedy(status, "/x/api/v2/write")


def play(lines: int, bad: set[int], partial: bool) -> tuple[list[int], Delivery, int]:  # noqa: FBT001
    """Be a database that refuses ranges with a bad line; a partial one (422) writes the good lines of a refused range."""
    written: list[int] = []
    plan = Delivery(lines)
    requests = 0
    while (part := plan.next()) is not None:
        requests += 1
        numbers = range(part.first, part.end)
        good = [number for number in numbers if number not in bad]
        if len(good) == len(numbers):
            written += good
            plan.accepted()
        else:
            if partial:
                written += good
            plan.refused("bad")
            if plan.in_doubt:
                plan.believe()  # the database takes good lines
    return written, plan, requests


@given(st.integers(0, 300).flatmap(lambda n: st.tuples(st.just(n), st.sets(st.integers(0, max(0, n - 1)), max_size=n))), st.booleans())
def test_bisecting_finds_exactly_the_bad_lines(batch: tuple[int, set[int]], partial: bool) -> None:  # noqa: FBT001
    """Every good line is written, every bad one is a reject, for a database that writes nothing (400) or the rest (422)."""
    lines, bad = batch
    bad &= set(range(lines))

    written, plan, _requests = play(lines, bad, partial)

    assert [index for index, _why in plan.rejects] == sorted(bad)
    assert set(written) == set(range(lines)) - bad
    if not partial:
        assert written == sorted(written), "lines go out in their order"


def test_one_bad_line_of_5000_costs_few_requests() -> None:
    """The search halves: two requests a level and the first."""
    _written, plan, requests = play(5000, {1234}, partial=False)

    assert [index for index, _why in plan.rejects] == [1234]
    assert requests <= 1 + 2 * 13


def test_a_range_that_was_not_settled_is_given_again() -> None:
    """Waiting changes nothing in the plan."""
    plan = Delivery(10)

    assert plan.next() == plan.next() == Range(0, 10)


def test_a_database_that_refuses_everything_is_doubted_after_few_requests() -> None:
    """No line of 5,000 is believed bad, the search ends early, and each later look costs one request and its proof."""
    plan = Delivery(5000)
    requests = 0
    while not plan.in_doubt:
        requests += 1
        plan.refused("400 unsupported path requested")

    assert requests <= 40
    assert 0 < len(plan.scouts()) <= 16
    plan.doubt()
    assert plan.rejects == []
    assert plan.next() == Range(0, 5000)
    plan.refused("400 unsupported path requested")
    assert plan.in_doubt
    plan.doubt()
    assert plan.next() == Range(0, 5000)
    plan.accepted()
    assert (plan.next(), plan.rejects) == (None, [])


def test_what_was_in_before_the_doubt_is_not_sent_again() -> None:
    """The doubt is about the lines behind the last one that is in."""
    plan = Delivery(4)
    plan.refused("bad")
    plan.accepted()
    plan.refused("bad")
    plan.refused("bad")
    plan.refused("bad")
    assert plan.in_doubt

    plan.doubt()

    assert plan.next() == Range(2, 4)


def test_a_line_alone_is_believed_bad_only_after_a_proof() -> None:
    """One line that is refused says nothing about the line."""
    plan = Delivery(1)
    plan.refused("bad")
    assert plan.in_doubt
    plan.doubt()
    plan.refused("bad")
    assert plan.in_doubt
    plan.believe()
    assert plan.next() == Range(0, 1), "what was refused in doubt is looked at anew"
    plan.refused("bad")
    assert plan.in_doubt
    plan.believe()

    assert (plan.next(), plan.rejects) == (None, [(0, "bad")])


def test_a_range_is_halved_without_suspecting_anything() -> None:
    """Where a 5xx has lasted, halves are tried; a line goes by a proof of its own, and nothing is halved in doubt."""
    plan = Delivery(2)
    assert plan.halve()
    plan.reject("500 conflict")
    assert (plan.next(), plan.rejects, plan.in_doubt) == (Range(1, 2), [(0, "500 conflict")], False)
    plan.doubt()

    assert not plan.halve()
    assert plan.next() == Range(1, 2)


def test_a_proof_settles_the_suspects_as_well() -> None:
    """A proof shows that the database takes lines: what was refused before it is bad too, and does not count as delivered."""
    plan = Delivery(2)
    plan.halve()
    plan.refused("400 x")
    plan.reject("500 y")

    assert (plan.next(), sorted(plan.rejects), plan.in_doubt) == (None, [(0, "400 x"), (1, "500 y")], False)
