"""Delays double, jitter, and begin anew after health."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from iiot_gateway.backoff import Backoff
from iiot_gateway.log import Repeated
from iiot_gateway.sinks.takeover import TakeoverDetector


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


@pytest.mark.parametrize(
    ("ends", "conflict"),
    [
        ([("lost", 0.5), ("lost", 1.0), ("lost", 0.2)], True),
        ([("session_taken_over", 300.0)], True),
        ([("lost", 0.5), ("lost", 3600.0), ("lost", 0.5)], False),
        ([("unreachable", 0.0)] * 9, False),
        ([("lost", 0.5), ("unreachable", 0.0), ("lost", 0.5), ("lost", 0.5)], True),
        ([("lost", 900.0)] * 9, False),
    ],
)
def test_short_connections_in_a_row_are_a_fight_for_the_client_id(ends: list[tuple[str, float]], conflict: bool) -> None:  # noqa: FBT001
    """A broker that is away is no fight; accepted and at once thrown out, three times, is one."""
    detector = TakeoverDetector()

    assert [detector.observe(kind, connected_s) for kind, connected_s in ends][-1] is conflict
