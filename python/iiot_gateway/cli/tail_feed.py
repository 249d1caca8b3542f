"""The data of `tail`: the topics of a running gateway with their newest values, followed over its control socket."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from iiot_gateway.cli.topics import topic_matches

RATE_WINDOW_S = 10.0

Ask = Callable[[dict[str, Any]], Any]
"""Asks the running gateway. Raises GatewayUnreachable if none answers."""


@dataclass(slots=True)
class Topic:
    """One topic as it is now."""

    name: str
    unit: str | None
    value: str = ""
    time_ms: int = 0
    received_at_ms: int = 0
    count: int = 0
    """Values since the gateway's start."""
    counts: deque[tuple[float, int]] = field(default_factory=deque)

    def rate(self, now_s: float) -> float:
        """Return values per second over the last seconds, on the monotonic clock."""
        while len(self.counts) > 1 and now_s - self.counts[0][0] > RATE_WINDOW_S:
            self.counts.popleft()
        if not self.counts:
            return 0.0
        first_s, first = self.counts[0]
        return (self.count - first) / (now_s - first_s) if now_s - first_s >= 1.0 else 0.0


class Feed:
    """Follows the topics that some patterns mean; all without a pattern."""

    def __init__(self, ask: Ask, patterns: Sequence[str], clock: Callable[[], float] = time.monotonic) -> None:
        self.topics: dict[int, Topic] = {}
        """By the gateway's number of the series, in the order in which they became known."""
        self.others: list[str] = []
        """Topics that no pattern means."""
        self._ask = ask
        self._patterns = patterns
        self._clock = clock
        self._run: str | None = None
        self._version = 0
        self._shown: dict[str, tuple[str, int]] = {}

    def look(self) -> list[Topic]:
        """Ask once; return the topics with a value that was not returned before. Raises GatewayUnreachable and GatewayError."""
        document = self._ask({"command": "live", "run": self._run, "since": self._version})
        if document["run"] != self._run:
            # Another process: its numbers and its counts begin anew.
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
        """Tell whether this value was not given before; behind a restart of the gateway it may have been."""
        shown = (topic.value, topic.time_ms)
        if self._shown.get(topic.name) == shown:
            return False
        self._shown[topic.name] = shown
        return True
