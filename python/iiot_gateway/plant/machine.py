"""A simulated dosing machine: batches, doses, containers, motors. Pure: the same seed gives the same messages."""

from __future__ import annotations

import heapq
import json
import random
from collections.abc import Iterator
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, Literal

Clock = Literal["uptime", "unix"]

CHEMICALS = {1: ("DMDEE", 20_000), 2: ("T-12", 15_000), 3: ("T-9", 10_000), 4: ("L25B", 10_000)}
"""The chemical of each pump, and how many grams a full container holds."""
RECIPES: dict[str, dict[int, Decimal]] = {
    "CU-85": {1: Decimal("125.50"), 2: Decimal("42.00"), 4: Decimal("310.00")},
    "CU-65/75": {1: Decimal("98.00"), 3: Decimal("36.50"), 4: Decimal("275.00")},
    "FG-85/95": {1: Decimal("140.25"), 2: Decimal("38.75"), 3: Decimal("21.00")},
}
"""The grams that each pump doses."""
MODES = ("CATALYST", "BDO")
GRAMS_PER_S = Decimal("12.5")
REFILL_AT = Decimal("0.15")
AMBIENT_C = 22.0
CENT = Decimal("0.01")
REBOOT_MEAN_S = 6 * 3600.0


@dataclass(frozen=True, slots=True)
class Message:
    """A message of a machine."""

    at_s: float
    """Seconds since the plant started."""
    topic: str
    document: dict[str, Any]

    def payload(self) -> bytes:
        """Return the document in the form in which the machine writes it."""
        return json.dumps(self.document, separators=(",", ":"), default=float).encode()


class Machine:
    """A machine, which gives its messages in the order of their times, without an end."""

    def __init__(self, device_id: str, *, seed: int, clock: Clock, start_unix_s: float, pace: float = 1.0) -> None:
        self._id = device_id
        self._dice = random.Random(f"{seed} {device_id}")  # noqa: S311 - a simulation
        self._clock = clock
        self._start_unix_s = start_unix_s
        self._pace = pace
        """How many times faster the machine is than a real one; the measurements per dose stay the same."""
        self._booted_s = 0.0
        self._left = {pump: Decimal(full) for pump, (_chemical, full) in CHEMICALS.items()}
        self._heat = dict.fromkeys(CHEMICALS, 0.0)
        self._running: set[int] = set()
        self._events: list[tuple[float, int, Iterator[tuple[float, list[tuple[str, dict[str, Any]]]]]]] = []
        for number, process in enumerate((self._batches(), self._temperatures(), *(self._vibrations(pump) for pump in CHEMICALS))):
            heapq.heappush(self._events, (self._dice.uniform(0, 2), number, process))

    def messages(self) -> Iterator[Message]:
        """Yield every message, without an end."""
        sent = 0
        reboot_s = self._dice.expovariate(1 / REBOOT_MEAN_S)
        while True:
            at_s, number, process = heapq.heappop(self._events)
            if at_s > reboot_s:
                self._booted_s = reboot_s
                reboot_s += self._dice.expovariate(1 / REBOOT_MEAN_S)
            wait_s, published = next(process)
            for topic, document in published:
                # The number distinguishes two equal readings within one second from a message that is sent twice.
                sent += 1
                known = {"device_id": self._id, "timestamp": self._timestamp(at_s), "n": sent}
                yield Message(at_s / self._pace, f"factory/{topic}", {**known, **document})
            heapq.heappush(self._events, (at_s + wait_s, number, process))

    def _timestamp(self, at_s: float) -> int:
        real_s = at_s / self._pace
        if self._clock == "unix":
            return int(self._start_unix_s + real_s)
        return int(max(0.0, real_s - self._booted_s / self._pace) * 1000)

    def _batches(self) -> Iterator[tuple[float, list[tuple[str, dict[str, Any]]]]]:
        while True:
            recipe = self._dice.choice(list(RECIPES))
            mode = self._dice.choice(MODES)
            doses = RECIPES[recipe]
            yield 1.0, [("batch/events", {"event": "batch_start", "recipe": recipe, "pumps": len(doses)})]
            for pump, target_g in doses.items():
                if self._left[pump] < CHEMICALS[pump][1] * REFILL_AT:
                    self._left[pump] = Decimal(CHEMICALS[pump][1])
                    yield 5.0, [self._level(pump)]
                self._running.add(pump)
                duration_s = float(target_g / GRAMS_PER_S)
                yield duration_s, []
                self._running.discard(pump)
                yield 1.0, [self._dose(pump, target_g, recipe, mode, duration_s), self._level(pump)]
            yield self._dice.uniform(20, 60), [("batch/events", {"event": "batch_complete", "recipe": recipe, "pumps": len(doses)})]

    def _dose(self, pump: int, target_g: Decimal, recipe: str, mode: str, duration_s: float) -> tuple[str, dict[str, Any]]:
        error_g = Decimal(f"{self._dice.gauss(0, 0.25):.2f}")
        actual_g = min(target_g + error_g, self._left[pump])
        self._left[pump] -= actual_g
        return "dosing/consumption", {
            "pump": pump,
            "chemical": CHEMICALS[pump][0],
            "recipe": recipe,
            "mode": mode,
            "target_g": target_g,
            "actual_g": actual_g,
            "error_g": actual_g - target_g,
            "duration_ms": int(duration_s * 1000 + self._dice.uniform(-80, 80)),
        }

    def _level(self, pump: int) -> tuple[str, dict[str, Any]]:
        chemical, full = CHEMICALS[pump]
        percent = (self._left[pump] * 100 / full).quantize(CENT)
        container = f"{self._id}-tank{pump}"
        level = {
            "chemical": chemical,
            "container_id": container,
            "remaining_g": self._left[pump],
            "capacity_g": full,
            "percent_full": percent,
        }
        return "inventory/levels", level

    def _temperatures(self) -> Iterator[tuple[float, list[tuple[str, dict[str, Any]]]]]:
        while True:
            published = []
            for pump in CHEMICALS:
                warm = 38.0 if pump in self._running else 0.0
                self._heat[pump] += (warm - self._heat[pump]) * 0.2
                celsius = AMBIENT_C + self._heat[pump] + self._dice.gauss(0, 0.3)
                reading = {"location": f"motor{pump}", "sensor_type": "DS18B20"}
                published.append(
                    (
                        "equipment/temperature",
                        {**reading, "temperature_c": round(celsius, 2), "temperature_f": round(celsius * 1.8 + 32, 2)},
                    )
                )
            yield self._dice.uniform(10, 30), published

    def _vibrations(self, pump: int) -> Iterator[tuple[float, list[tuple[str, dict[str, Any]]]]]:
        while True:
            level = 0.08 if pump in self._running else 0.01
            published = []
            for axis in "xyz":
                rms = abs(self._dice.gauss(level, level / 5))
                published.append(
                    (
                        "equipment/vibration",
                        {
                            "pump": pump,
                            "axis": axis,
                            "acceleration_g": round(rms * 1.41, 4),
                            "velocity_mm_s": round(rms * 9.2, 3),
                            "rms": round(rms, 4),
                            "frequency_hz": round(self._dice.gauss(49.5, 0.4), 1),
                        },
                    )
                )
            yield self._dice.uniform(1, 5), published


class Tally:
    """The published data: messages per topic, doses and grams per chemical."""

    def __init__(self) -> None:
        self.messages: dict[str, int] = {}
        self.doses: dict[str, int] = {}
        self.grams: dict[str, Decimal] = {}

    def add(self, message: Message) -> None:
        """Count a message that the broker has acknowledged."""
        self.messages[message.topic] = self.messages.get(message.topic, 0) + 1
        if message.topic == "factory/dosing/consumption":
            chemical = message.document["chemical"]
            self.doses[chemical] = self.doses.get(chemical, 0) + 1
            self.grams[chemical] = self.grams.get(chemical, Decimal()) + message.document["actual_g"]

    def document(self) -> dict[str, Any]:
        """Return the counts. Grams are texts, because they are exact."""
        return {
            "messages": dict(sorted(self.messages.items())),
            "doses": dict(sorted(self.doses.items())),
            "actual_g": {chemical: str(grams) for chemical, grams in sorted(self.grams.items())},
        }
