"""The data of `tail`: follows the topics of a running gateway, with their newest values, over its control socket."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from iiot_gateway.cli.topics import topic_matches
from iiot_gateway.visible import visible

LOOK_S = 0.25
RATE_WINDOW_S = 10.0
EXAMPLES = 3

Ask = Callable[[dict[str, Any]], Any]
"""Sends a request to the running gateway. Raises GatewayUnreachable if none answers."""


@dataclass(slots=True)
class Topic:
    """The present state of one topic."""

    name: str
    unit: str | None
    value: str = ""
    time_ms: int = 0
    received_at_ms: int = 0
    count: int = 0
    """Values since the gateway's start."""
    counts: deque[tuple[float, int]] = field(default_factory=deque)

    def rate(self, now_s: float) -> float:
        """Return the values per second over the last seconds. `now_s` is a time of the monotonic clock."""
        while len(self.counts) > 1 and now_s - self.counts[0][0] > RATE_WINDOW_S:
            self.counts.popleft()
        if not self.counts:
            return 0.0
        first_s, first = self.counts[0]
        return (self.count - first) / (now_s - first_s) if now_s - first_s >= 1.0 else 0.0


class Feed:
    """Follows the topics that match some patterns; all topics without a pattern."""

    def __init__(self, ask: Ask, patterns: Sequence[str], clock: Callable[[], float] = time.monotonic) -> None:
        self.topics: dict[int, Topic] = {}
        """Topics by the gateway's number of the series, in the order in which they became known."""
        self.others: list[str] = []
        """Topics that match no pattern."""
        self._ask = ask
        self._patterns = patterns
        self._clock = clock
        self._run: str | None = None
        self._version = 0
        self._shown: dict[str, tuple[str, int]] = {}

    def look(self) -> list[Topic]:
        """Ask the gateway once. Return the topics with a new value. Raises GatewayUnreachable and GatewayError."""
        document = self._ask({"command": "live", "run": self._run, "since": self._version})
        if document["run"] != self._run:
            # The gateway was restarted, so its numbers and counts begin again.
            self.topics.clear()
            self.others.clear()
        self._run, self._version = document["run"], document["version"]
        moved: dict[int, Topic] = {}
        for series in document["added"]:
            if topic := self._add(series):
                moved[series["id"]] = topic
        for value in document["changed"]:
            if topic := self.topics.get(value["id"]):
                self._set(topic, value)
                moved[value["id"]] = topic
        return [topic for topic in moved.values() if self._is_new(topic)]

    def _add(self, series: dict[str, Any]) -> Topic | None:
        name = series["topic"]
        if not name:
            return None
        if self._patterns and not any(topic_matches(pattern, name) for pattern in self._patterns):
            self.others.append(name)
            return None
        topic = self.topics.setdefault(series["id"], Topic(name, None))
        topic.unit = series["unit"]
        self._set(topic, series)
        return topic

    def _set(self, topic: Topic, value: dict[str, Any]) -> None:
        topic.value, topic.time_ms, topic.received_at_ms = value["value"], value["time_ms"], value["received_at_ms"]
        topic.count = value["count"]
        topic.counts.append((self._clock(), topic.count))

    def _is_new(self, topic: Topic) -> bool:
        """Return whether this value is new: after a restart of the gateway, it may have been returned before."""
        shown = (topic.value, topic.time_ms)
        if self._shown.get(topic.name) == shown:
            return False
        self._shown[topic.name] = shown
        return True


def nothing(feed: Feed, patterns: list[str]) -> str:
    """Return a sentence that there is nothing to show, and what there is instead."""
    if not feed.others:
        return "nothing is published yet; waiting"
    examples = ", ".join(visible(topic) for topic in feed.others[:EXAMPLES])
    more = ", ..." if len(feed.others) > EXAMPLES else ""
    return f"no topic matches {' '.join(patterns)}; waiting. {len(feed.others)} are there: {examples}{more}"
