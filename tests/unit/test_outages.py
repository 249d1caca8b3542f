"""When the lines of a measurement are suspects: after a 5xx has lasted, once an outage."""

from __future__ import annotations

from iiot_gateway.sinks.outages import MOST, OVER_S, Outages

A, B = b"temperature", b"humidity"


def test_a_measurement_is_waited_for_once() -> None:
    """Not once a line: while 5xx keep coming, whatever is delivered in between."""
    outages = Outages(600.0)
    assert not outages.failed([A], 0.0)
    assert not outages.failed([A], 599.0)
    assert outages.failed([A], 600.0)

    outages.delivered([A])

    assert outages.failed([A], 601.0)
    assert outages.failed([A], 601.0 + OVER_S)
    assert not outages.failed([A], 602.0 + 2 * OVER_S), "another outage is waited for again"


def test_each_measurement_is_waited_for_by_itself() -> None:
    """One that fails for the first time is no suspect because another one is."""
    outages = Outages(10.0)
    outages.failed([A], 0.0)
    assert outages.failed([A], 10.0)

    assert not outages.failed([B], 10.0)
    assert outages.failed([A, B], 10.0), "a range with one of each is halved"
    assert outages.failed([B], 20.0)


def test_what_passes_by_itself_begins_anew() -> None:
    """A batch that is through before the time shows that no line was to blame."""
    outages = Outages(10.0)
    outages.failed([A], 0.0)
    outages.failed([A], 9.0)

    outages.delivered([A])

    assert not outages
    assert not outages.failed([A], 10.0)


def test_only_the_time_between_two_5xx_counts() -> None:
    """A database that could not be reached meanwhile said nothing of lines."""
    outages = Outages(10.0)
    outages.failed([A], 0.0)
    outages.interrupted()

    assert not outages.failed([A], 11.0)
    assert not outages.failed([A], 20.0)
    assert outages.failed([A], 21.0)


def test_without_a_time_lines_are_suspects_at_once() -> None:
    """suspect_after_s = 0 leaves the decision to the proof."""
    assert Outages(0.0).failed([A], 5.0)


def test_the_memory_is_bounded() -> None:
    """Devices may make up measurements without end."""
    outages = Outages(10.0)
    outages.failed((b"%d" % number for number in range(MOST + 1)), 0.0)

    assert not outages.failed([b"0"], 10.0), "the first one was forgotten"
    assert outages.failed([b"%d" % MOST], 10.0)
