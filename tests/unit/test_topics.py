"""Topic patterns, with the examples of the MQTT 5.0 specification (4.7.1)."""

from __future__ import annotations

import pytest

from iiot_gateway.cli.topics import pattern_fault, topic_matches


@pytest.mark.parametrize(
    ("pattern", "topic"),
    [
        ("sport/tennis/player1/#", "sport/tennis/player1"),
        ("sport/tennis/player1/#", "sport/tennis/player1/score/wimbledon"),
        ("sport/#", "sport"),
        ("#", "sport/tennis"),
        ("sport/tennis/+", "sport/tennis/player1"),
        ("sport/+", "sport/"),
        ("+/+", "/finance"),
        ("/+", "/finance"),
        ("iiot/node1/temperature", "iiot/node1/temperature"),
    ],
)
def test_a_pattern_means_a_topic(pattern: str, topic: str) -> None:
    """# means the level above it as well."""
    assert pattern_fault(pattern) is None
    assert topic_matches(pattern, topic)


@pytest.mark.parametrize(
    ("pattern", "topic"),
    [("sport/tennis/+", "sport/tennis/player1/ranking"), ("sport/+", "sport"), ("+", "/finance"), ("sport/tennis", "sport/Tennis")],
)
def test_a_pattern_does_not_mean_another_topic(pattern: str, topic: str) -> None:
    """+ is one level, not none and not two."""
    assert not topic_matches(pattern, topic)


@pytest.mark.parametrize(
    ("pattern", "fault"),
    [
        ("sport/tennis#", "# must stand alone in its level, and stands in 'tennis#'"),
        ("sport/tennis/#/ranking", "# must be the last level"),
        ("sport+", "+ must stand alone in its level, and stands in 'sport+'"),
        ("", "it is empty"),
        ("a\0b", "a topic holds no NUL and at most 65535 bytes"),
        ("a" * 65536, "a topic holds no NUL and at most 65535 bytes"),
    ],
)
def test_a_wrong_pattern_is_named_with_what_is_wrong(pattern: str, fault: str) -> None:
    """As the specification forbids it."""
    assert pattern_fault(pattern) == fault
