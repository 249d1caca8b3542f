"""Delays double, jitter, and begin anew after health."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from iiot_gateway.backoff import Backoff
from iiot_gateway.log import Repeated, Risen
from iiot_gateway.sinks.mqtt.takeover import TakeoverDetector


def test_delays_double_up_to_the_ceiling() -> None:
    """Without jitter the row is 1, 2, 4 and so on to 60."""
    backoff = Backoff(jitter=lambda: 0.0)

    assert [backoff.next_delay_s() for _ in range(8)] == [1, 2, 4, 8, 16, 32, 60, 60]


def test_a_healthy_minute_begins_the_row_anew() -> None:
    """A connection that held is no reason to wait long."""
    backoff = Backoff(jitter=lambda: 0.0)
    for _ in range(5):
        backoff.next_delay_s(1.0)

    assert backoff.next_delay_s(59.9) == 32
    assert backoff.next_delay_s(60.0) == 1


@given(st.lists(st.floats(0, 1000)), st.floats(0, 1, exclude_max=True))
def test_delays_stay_within_their_limits(healthy: list[float], jitter: float) -> None:
    """No history and no jitter gives less than a second or more than a minute."""
    backoff = Backoff(jitter=lambda: jitter)

    assert all(1.0 <= backoff.next_delay_s(healthy_s) <= 60.0 for healthy_s in healthy)


def test_the_longest_delay_is_near_the_ceiling_at_once() -> None:
    """Who was told to keep away does not come back in a second."""
    assert Backoff(jitter=lambda: 0.0).longest() == 60


def test_a_repeated_error_is_logged_once_an_interval_with_the_count_left_out() -> None:
    """A minute of the same error is two lines."""
    now = [0.0]
    repeated = Repeated(60.0, clock=lambda: now[0])

    first, second, third = repeated.allows("refused"), repeated.allows("refused"), repeated.allows("refused")
    now[0] = 61.0

    assert (first, second, third) == ({}, None, None)
    assert repeated.allows("refused") == {"suppressed": 2}
    assert repeated.allows("timeout") == {}


def test_numbers_that_rise_are_told_at_once_and_then_once_an_interval() -> None:
    """Each time by how much they have risen since the last time."""
    now = [0.0]
    risen = Risen(60.0, clock=lambda: now[0])

    assert risen.since({}) is None
    assert risen.since({"wrong_key": 2}) == {"wrong_key": 2}
    assert risen.since({"wrong_key": 5, "foreign_topic": 1}) is None
    now[0] = 60.0
    assert risen.since({"wrong_key": 9, "foreign_topic": 1}) == {"wrong_key": 7, "foreign_topic": 1}
    now[0] = 200.0
    assert risen.since({"wrong_key": 9, "foreign_topic": 1}) is None


@pytest.mark.parametrize(
    ("ends", "conflict"),
    [
        ([("lost", 0.5, True), ("lost", 1.0, True), ("lost", 0.2, True)], True),
        ([("lost", 0.5, False), ("lost", 1.0, False), ("lost", 0.2, False)], False),
        ([("lost", 0.5, True), ("lost", 1.0, False), ("lost", 0.2, True), ("lost", 0.2, True)], False),
        ([("session_taken_over", 300.0, False)], True),
        ([("lost", 0.5, True), ("lost", 3600.0, False), ("lost", 0.5, True), ("lost", 0.5, True)], False),
        ([("unreachable", 0.0, False)] * 9, False),
        ([("lost", 0.5, True), ("unreachable", 0.0, False), ("lost", 0.5, True), ("lost", 0.5, True)], False),
        ([("lost", 900.0, True)] * 9, False),
        ([("ack_timeout", 0.5, True)] * 9, False),
    ],
)
def test_short_connections_are_a_fight_for_the_client_id_while_the_broker_stays(
    ends: list[tuple[str, float, bool]],
    conflict: bool,  # noqa: FBT001
) -> None:
    """A broker that was away in between is no fight; accepted and thrown out by one that stays, three times in a row, is one."""
    detector = TakeoverDetector()

    found = [detector.observe(kind, connected_s, broker_stayed=stayed) for kind, connected_s, stayed in ends]

    assert found[-1] is conflict


def test_a_second_short_connection_is_perhaps_a_fight() -> None:
    """It is said as what it is, until it is proven."""
    detector = TakeoverDetector()

    perhaps = []
    for _ in range(3):
        detector.observe("lost", 0.5, broker_stayed=True)
        perhaps.append(detector.is_perhaps)

    assert perhaps == [False, True, False]


def test_short_connections_without_proof_stay_perhaps_a_fight() -> None:
    """A broker that did not answer may have been restarted; it is said as long as they go on, and no longer."""
    detector = TakeoverDetector()

    perhaps = []
    for connected_s in (0.5, 0.5, 0.5, 0.5, 60.0):
        assert not detector.observe("lost", connected_s, broker_stayed=False)
        perhaps.append(detector.is_perhaps)

    assert perhaps == [False, True, True, True, False]
