"""A simulated ESP32: its measurements, and the tally of the messages that many of them sent. Pure: the same seed gives the same values."""

from __future__ import annotations

import random
import threading
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

HEARTBEAT = "heartbeat"
HEARTBEAT_EVERY = 20
"""The number of messages between two heartbeats."""
TYPES = ("temperature", "humidity", "battery")


@dataclass(frozen=True, slots=True)
class Reading:
    """The next message of a device."""

    kind: str
    """A type of telemetry, or a heartbeat."""
    value: float | None = None


def readings(device_id: str, seed: int) -> Iterator[Reading]:
    """Yield the messages of a device, without an end: temperature (degrees Celsius), humidity (%), battery (V), heartbeats."""
    dice = random.Random(f"{seed} {device_id}")  # noqa: S311 - a simulation
    values = {"temperature": dice.uniform(18, 26), "humidity": dice.uniform(35, 60), "battery": dice.uniform(3.9, 4.15)}
    number = dice.randrange(HEARTBEAT_EVERY)
    while True:
        number += 1
        if number % HEARTBEAT_EVERY == 0:
            yield Reading(HEARTBEAT)
            continue
        kind = TYPES[number % len(TYPES)]
        if kind == "battery":
            values[kind] = values[kind] - 0.0004 if values[kind] > 3.4 else 4.15
        else:
            low, high = (12, 34) if kind == "temperature" else (20, 85)
            values[kind] = min(high, max(low, values[kind] + dice.gauss(0, 0.2)))
        yield Reading(kind, round(values[kind], 3 if kind == "battery" else 2))


class DeviceTally:
    """The outcomes of the messages that devices sent. Its methods may be called from any thread."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._counts: Counter[str] = Counter()
        self._answered: Counter[str] = Counter()
        self._refusals: Counter[str] = Counter()

    def count(self, word: str, number: int = 1) -> None:
        """Count an event: registered, sent, sent_again, commands."""
        with self._lock:
            self._counts[word] += number

    def answered(self, kind: str, number: int = 1) -> None:
        """Count messages that the other side has confirmed."""
        with self._lock:
            self._answered[kind] += number

    def refused(self, why: str) -> None:
        """Count a message that the other side will never accept."""
        with self._lock:
            self._refusals[why] += 1

    def document(self) -> dict[str, Any]:
        """Return the counts. Each sent message is answered, refused or unanswered."""
        with self._lock:
            answered, refused = self._answered.total(), self._refusals.total()
            return {
                "registered": self._counts["registered"],
                "sent": self._counts["sent"],
                "answered": answered,
                "answered_by_type": dict(sorted(self._answered.items())),
                "sent_again": self._counts["sent_again"],
                "refused": refused,
                "refusals": dict(sorted(self._refusals.items())),
                "unanswered": self._counts["sent"] - answered - refused,
                "commands": self._counts["commands"],
            }
