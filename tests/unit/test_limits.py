"""Limits: so many a minute for each name, and refused, not let through, where nothing more can be counted."""

from __future__ import annotations

from iiot_gateway.api.problem import Problem
from iiot_gateway.device_api.limits import Limit, network_of


class Clock:
    """A clock that stands still."""

    now_s = 0.0

    def __call__(self) -> float:
        """Return the time in seconds."""
        return self.now_s


def refused(limit: Limit, name: str, number: int = 1) -> int | None:
    """Return after how many seconds to come again, None if it was taken."""
    try:
        limit.take(name, number)
    except Problem as problem:
        return int(problem.headers["retry-after"]) if problem.status == 429 else problem.status
    return None


def test_a_minutes_worth_is_taken_at_once_and_then_at_the_rate() -> None:
    """Whoever waits as long as is said is let in."""
    clock = Clock()
    limit = Limit(60, "requests per key", clock=clock)

    assert [refused(limit, "a") for _ in range(60)] == [None] * 60
    assert refused(limit, "a") == 1
    assert refused(limit, "b") is None
    clock.now_s = 1.0
    assert refused(limit, "a") is None
    assert refused(limit, "a") == 1


def test_more_than_a_minutes_worth_leaves_a_debt() -> None:
    """One batch that is larger than the limit must not be refused for ever."""
    clock = Clock()
    limit = Limit(60, "points per key", clock=clock)

    assert refused(limit, "a", 120) is None
    assert refused(limit, "a") == 61
    clock.now_s = 61.0
    assert refused(limit, "a") is None


def test_names_beyond_what_can_be_counted_are_refused() -> None:
    """A limit that forgets under load is none."""
    clock = Clock()
    limit = Limit(60, "requests per address", clock=clock, most=2)

    assert refused(limit, "a") is None
    assert refused(limit, "b") is None
    assert refused(limit, "c") == 60
    clock.now_s = 2.0
    assert refused(limit, "c") is None


def test_zero_is_no_limit() -> None:
    """The configuration says so."""
    limit = Limit(0, "requests per key")

    assert [refused(limit, "a", 1000) for _ in range(1000)] == [None] * 1000


def test_a_client_with_a_whole_network_is_one_address() -> None:
    """Whoever has IPv6 has 2^64 addresses; IPv4 in IPv6's clothes is one, and so is what is no address."""
    assert network_of("2001:db8:1:2:3:4:5:6") == network_of("2001:db8:1:2::9") == "2001:db8:1:2::/64"
    assert network_of("2001:db8:1:3::1") != network_of("2001:db8:1:2::1")
    assert [network_of(address) for address in ("10.0.0.7", "::ffff:10.0.0.7", "unix", "")] == ["10.0.0.7", "::ffff:a00:7", "unix", ""]
