"""Known points of a dosing plant, and what each panel of its dashboards must show of them, whichever database holds them.

All times are of last week, so that retention leaves them alone. Answers are worked out by hand. Each mistake that such queries are known
for would give another answer: days of UTC, the last five minutes, several points a time, unknown errors, cumulative bins, and so on.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta

_TODAY = datetime.now(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
MONDAY = _TODAY - timedelta(days=_TODAY.weekday() + 7)
"""The beginning of last week in UTC."""
NOW = MONDAY + timedelta(days=2, hours=12)
"""Wednesday noon: the end of the dashboards' time range."""
ZONE = "Europe/Berlin"
"""The plant's; always ahead of UTC."""

Cell = float | str
Point = tuple[str, str, Mapping[str, str], Mapping[str, Cell]]
"""Measurement, time since MONDAY, tags, fields."""


def at(text: str) -> datetime:
    """Return a time of last week: `1d 2h`."""
    parts = {unit: int(number) for number, unit in re.findall(r"(\d+)([dhms])", text)}
    return MONDAY + timedelta(days=parts.get("d", 0), hours=parts.get("h", 0), minutes=parts.get("m", 0), seconds=parts.get("s", 0))


def dose(when: str, pump: int, chemical: str, mode: str, values: tuple[float, ...]) -> Point:
    """Return a dose: target, actual, error, duration; a machine that lost its scales knows the first and the last alone."""
    names = ("target_g", "actual_g", "error_g", "duration_ms") if len(values) == 4 else ("target_g", "duration_ms")
    tags = {"device_id": f"d{pump}", "pump": str(pump), "chemical": chemical, "recipe": "CU-85", "mode": mode}
    fields = dict[str, Cell](zip(names, map(float, values), strict=True))
    return "dosing_consumption", when, tags, fields | {"duration_ms": int(values[-1])}


def _level(when: str, device: str, chemical: str, container: str, percent: float) -> Point:
    tags = {"device_id": device, "chemical": chemical} | ({"container_id": container} if container else {})
    return "inventory_levels", when, tags, {"remaining_g": percent * 10.0, "capacity_g": 1000.0, "percent_full": float(percent)}


def _batch(when: str, device: str, event: str, recipe: str, pumps: int) -> Point:
    return "batch_events", when, {"device_id": device, "event": event, "recipe": recipe}, {"pumps": pumps}


def warmth(when: str, device: str, location: str, celsius: float) -> Point:
    """Return a temperature at a place of a machine."""
    return (
        "equipment_temperature",
        when,
        {"device_id": device, "location": location},
        {"temperature_c": float(celsius), "humidity_percent": 40.0},
    )


def shaking(when: str, device: str, pump: int, axis: str, rms: float) -> Point:
    """Return a measurement of a pump's vibration along an axis."""
    return "equipment_vibration", when, {"device_id": device, "pump": str(pump), "axis": axis}, {"rms": float(rms)}


POINTS: tuple[Point, ...] = (
    dose("1h 10m", 1, "acid", "auto", (10, 10.5, 0.5, 1000)),
    dose("1h 50m", 1, "acid", "auto", (20, 19.25, -0.75, 2000)),
    dose("2h", 1, "acid", "auto", (30, 30, 0, 3000)),
    # Of the same chemical in the same hour, by another machine.
    dose("1h 40m", 2, "acid", "auto", (4, 4.25, 0.25, 2400)),
    dose("1h 20m", 2, "base", "hand", (7, 4.5, -2.5, 700)),
    dose("2h 30m", 2, "base", "hand", (5, 500)),
    # At half past midnight in the plant, still Tuesday in UTC.
    dose("1d 23h 30m", 2, "base", "hand", (3, 5.25, 2.25, 300)),
    dose("2d 1h", 1, "acid", "auto", (10, 11, 1, 1000)),
    dose("2d 2h", 1, "acid", "hand", (10, 12.5, 2.5, 1200)),
    _batch("1d 23h", "d1", "batch_start", "CU-85", 2),
    _batch("1d 23h 30m", "d1", "batch_complete", "CU-85", 2),
    _batch("2d 1h", "d1", "batch_complete", "CU-85", 3),
    _batch("2d 3h", "d2", "batch_complete", "FG", 1),
    _level("1h", "d1", "acid", "a", 90),
    _level("2d", "d1", "acid", "a", 5),
    _level("2d 1h", "d1", "acid", "b", 99),
    # Not heard of for two days: still what is known of it.
    _level("30m", "d2", "base", "", 10),
    warmth("2d 10h", "d1", "pump_motor_1", 70),
    warmth("2d 11h 59m", "d1", "pump_motor_1", 65.5),
    warmth("2d 11h 59m", "d1", "ambient", 22),
    warmth("2d 11h 58m", "d2", "pump_motor_2", 40),
    shaking("2d 11h 59m", "d1", 1, "x", 0.15),
    shaking("2d 11h 59m", "d1", 1, "y", 0.3),
    shaking("2d 11h 59m", "d2", 2, "x", 0.05),
    # So hot and shaking that its health would be below nothing; its vibration is the older value.
    warmth("2d 11h", "d2", "pump_motor_4", 170),
    shaking("1d 13h", "d2", 4, "x", 0.3),
)
TEXTS: tuple[Point, ...] = tuple(
    (measurement, when, tags, {"operator": "anna"}) for measurement, when, tags, _fields in POINTS if measurement == "batch_events"
)
"""A field that a machine adds: InfluxDB takes it beside the others, whereas tables of `postgresql init` have no column for it."""
TABLES = tuple(dict.fromkeys(measurement for measurement, *_ in POINTS))

SHOWN: dict[str, list[list[Cell]]] = {
    "Consumption today by chemical": [["acid", 23.5], ["base", 5.25]],
    "Stock": [["d1 acid a, 12 h ago", 5], ["d1 acid b, 11 h ago", 99], ["d2 base, 2 d ago", 10]],
    "Batches completed today by recipe": [["CU-85", 2], ["FG", 1]],
    # Hours since MONDAY, stamped at their beginning.
    "Consumption per hour": [
        [1, "acid", 34],
        [1, "base", 4.5],
        [2, "acid", 30],
        [47, "base", 5.25],
        [49, "acid", 11],
        [50, "acid", 12.5],
    ],
    "Accuracy: doses by error in grams": [
        ["up to -2", 1],
        ["-2 to -1", 0],
        ["-1 to -0.5", 1],
        ["-0.5 to 0.5", 3],
        ["0.5 to 1", 1],
        ["1 to 2", 0],
        ["above 2", 2],
    ],
    "Motor temperatures": [[54, "d1 pump_motor_1", 70], [54, "d2 pump_motor_2", 40], [54, "d2 pump_motor_4", 170]],
    "Vibration of each pump (RMS, greatest axis)": [[36, "d2 pump 4", 0.3], [54, "d1 pump 1", 0.3], [54, "d2 pump 2", 0.05]],
    "Health of each pump": [["d1 pump 1, 60 s ago", 74.5], ["d2 pump 2, 2 min ago", 100], ["d2 pump 4, 23 h ago", 0]],
    "Mean duration of a dose, per hour": [
        [1, "acid", 1.8],
        [1, "base", 0.7],
        [2, "acid", 3],
        [2, "base", 0.5],
        [47, "base", 0.3],
        [49, "acid", 1],
        [50, "acid", 1.2],
    ],
    # The dose without a known error is in no rate.
    "Doses that are off by more than 0.5 g, per hour": [
        [1, "d1", 50],
        [1, "d2", 50],
        [2, "d1", 0],
        [47, "d2", 100],
        [49, "d1", 100],
        [50, "d1", 100],
    ],
    "Last seven days by date, recipe and mode": [
        [f"{MONDAY + timedelta(days=2):%Y-%m-%d}", "CU-85", "auto", 1, 11, 1, 0],
        [f"{MONDAY + timedelta(days=2):%Y-%m-%d}", "CU-85", "hand", 2, 17.75, 2.375, 2],
        [f"{MONDAY:%Y-%m-%d}", "CU-85", "auto", 4, 64, 0.375, 0],
        [f"{MONDAY:%Y-%m-%d}", "CU-85", "hand", 2, 4.5, 2.5, 1],
    ],
}
"""By the title of a panel: its rows. A row of a series is time, name, value."""


def day(number: int) -> float:
    """Return when a day of the plant begins, in hours since MONDAY."""
    from zoneinfo import ZoneInfo

    there = (MONDAY + timedelta(days=number)).replace(tzinfo=ZoneInfo(ZONE))
    return (there - MONDAY) / timedelta(hours=1)


SHOWN["Consumption per day, last seven days"] = [
    [day(0), "acid", 64],
    [day(0), "base", 4.5],
    [day(2), "acid", 23.5],
    [day(2), "base", 5.25],
]
