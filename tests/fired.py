"""Known points for alerts, and what each rule must find at several moments; and how a rule is read from its file and decided."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any

import yaml

from asked import MOMENT, FluxServer
from grafana import ROOT, Moment, as_flux, as_sql
from panels import POINTS, Point, at, dose, shaking, warmth
from panels_of_nodes import NODES, value
from timescale import Database

Found = dict[str, float]
"""By the labels of a series, in the order of their names: its value."""


@dataclass(frozen=True)
class Rule:
    """A rule as its file says it."""

    name: str
    text: str
    compare: str
    limits: list[float]

    def fires(self, value: float) -> bool:
        """Tell whether a value is beyond the limit."""
        match self.compare:
            case "gt":
                return value > self.limits[0]
            case "lt":
                return value < self.limits[0]
            case "outside_range":
                return not self.limits[0] <= value <= self.limits[1]
        raise ValueError(self.compare)


def files() -> dict[str, dict[str, Any]]:
    """Return the files of rules, by name."""
    return {file.stem: yaml.safe_load(file.read_text()) for file in sorted((ROOT / "provisioning" / "alerting").glob("rules-*.yaml"))}


def rules(file: str) -> Iterator[Rule]:
    """Give the rules of a file."""
    (group,) = files()[file]["groups"]
    for rule in group["rules"]:
        asked, _reduced, limit = (part["model"] for part in rule["data"])
        evaluator = limit["conditions"][0]["evaluator"]
        text = asked.get("query") or asked.get("rawSql") or asked["expr"]
        yield Rule(rule["title"], text, evaluator["type"], evaluator["params"])


def by_sql(database: Database, rule: Rule, now: datetime) -> Found:
    """Evaluate the query of a rule at a moment."""
    sql = as_sql(rule.text, _evaluated_at(now))
    rows = [json.loads("|".join(row)) for row in database.rows(f"SET ROLE iiot_reader; SELECT row_to_json(found) FROM ({sql}) AS found")]
    assert all(datetime.fromisoformat(row.pop("time")) == now for row in rows), "the time of every row is that of the evaluation"
    return {_labels(row): round(float(row["value"]), 4) for row in rows}


def by_flux(server: FluxServer, rule: Rule, now: datetime) -> Found:
    """Evaluate the query of a rule at a moment."""
    rows = server.ask(as_flux(rule.text, _evaluated_at(now), server.bucket))
    assert all(datetime.fromisoformat(row.pop("_time")) == now for row in rows), "the time of every row is that of the evaluation"
    assert len({_labels(row) for row in rows}) == len(rows), "each series is one row"
    return {_labels(row): round(float(row["_value"]), 4) for row in rows}


def _evaluated_at(now: datetime) -> Moment:
    return replace(MOMENT, start=now - timedelta(minutes=10), stop=now, interval=timedelta(0))


def _labels(row: dict[str, Any]) -> str:
    return " ".join(str(row[name]) for name in sorted(row) if name not in ("value", "_value"))


NOON = at("2d 12h")
PLANT: tuple[Point, ...] = (
    *POINTS,
    dose("2d 11h 20m", 2, "base", "auto", (5, 5.2, 0.2, 500)),
    dose("2d 11h 30m", 1, "acid", "auto", (10, 11.5, 1.5, 1000)),
    dose("2d 11h 55m", 1, "acid", "auto", (10, 7.5, -2.5, 1000)),
    shaking("2d 11h 59m 20s", "d1", 1, "x", 0.1),
    shaking("2d 11h 59m 40s", "d1", 1, "x", 0.3),
    shaking("2d 11h 59m 40s", "d1", 1, "y", 0.1),
    # The newest value counts, wherever it was measured; the limit itself is not too hot.
    warmth("2d 11h 55m", "d2", "cabinet", 20),
    warmth("2d 11h 58m", "d2", "cabinet", 80.5),
    warmth("2d 11h 58m", "d2", "pump_motor_3", 80),
)
EVALUATED: dict[str, tuple[datetime, Found, set[str]]] = {
    # What was two days old is still what is known; of two containers of one chemical each counts.
    "inventory_low": (NOON, {"acid a d1": 5, "acid b d1": 99, "base - d2": 10}, {"acid a d1", "base - d2"}),
    "temperature_high": (
        NOON,
        {"d1 ambient": 22, "d1 pump_motor_1": 65.5, "d2 cabinet": 80.5, "d2 pump_motor_2": 40, "d2 pump_motor_3": 80},
        {"d2 cabinet"},
    ),
    # The axis that shakes most, by its mean: not its peak, and not the mean over the axes.
    "vibration_high": (NOON, {"d1 1": 0.2, "d2 2": 0.05}, {"d1 1"}),
    "dosing_inaccurate": (NOON, {"acid d1 1": 2, "base d2 2": 0.2}, {"acid d1 1"}),
    "dose_off": (NOON, {"acid d1 1": 2.5}, {"acid d1 1"}),
    "plant_silent": (NOON, {"d1": round(20 / 60, 4), "d2": 1, "plant": round(20 / 60, 4)}, set()),
}
"""By the name of a rule: when, what it finds of PLANT, and which of it fires."""
SILENT: dict[str, tuple[datetime, Found, set[str]]] = {
    "at noon": EVALUATED["plant_silent"],
    "when one machine has sent nothing for more than ten minutes": (
        at("2d 12h 9m 30s"),
        {"d1": round(9 + 50 / 60, 4), "d2": 10.5, "plant": round(9 + 50 / 60, 4)},
        {"d2"},
    ),
    "an hour later": (at("2d 13h"), {"d1": round(60 + 20 / 60, 4), "d2": 61, "plant": round(60 + 20 / 60, 4)}, {"d1", "d2", "plant"}),
    "five minutes after work began": (at("2d 6h 5m"), {"d1": 5, "d2": 5, "plant": 5}, set()),
    "before work": (at("2d 5h 59m"), {"d1": 0, "d2": 0, "plant": 0}, set()),
    "after work": (at("2d 22h"), {"d1": 0, "d2": 0, "plant": 0}, set()),
    "on Saturday": (at("5d 12h"), {"d1": 0, "d2": 0, "plant": 0}, set()),
}
"""What plant_silent finds at other moments, and for what it fires: minutes within working hours, which are 6 to 22 h on weekdays in UTC."""
NOTHING: Found = {"plant": 360}
"""What it finds at noon where nothing ever came, and it fires for it."""
SENSORS: tuple[Point, ...] = (
    *NODES,
    # Below both ranges, above both, and upon their limits, which are within. Of two readings the newest counts.
    value("temperature", "2d 11h 50m", 20, node="node3", unit="celsius"),
    value("temperature", "2d 11h 58m", -10.5, node="node3", unit="celsius"),
    value("temperature", "2d 11h 58m", 40.5, node="node4", unit="celsius", site="north"),
    value("temperature", "2d 11h 58m", 40, node="node5", unit="celsius"),
    value("humidity", "2d 11h 50m", 50, node="node3", unit="percent"),
    value("humidity", "2d 11h 58m", 14.5, node="node3", unit="percent"),
    value("humidity", "2d 11h 58m", 85.5, node="node4", unit="percent", site="north"),
    value("humidity", "2d 11h 58m", 15, node="node5", unit="percent"),
)
OF_NODES: dict[str, tuple[datetime, Found, set[str]]] = {
    "node_silent": (
        NOON,
        {"node1 -": 30, "node2 north": 36 * 60, "node3 -": 2, "node4 north": 2, "node5 -": 2},
        {"node1 -", "node2 north"},
    ),
    "battery_low": (NOON, {"node1 -": 2850, "node2 north": 3300}, {"node1 -"}),
    # Of the first node nothing is known that is younger than a quarter of an hour.
    "temperature_out_of_range": (NOON, {"node3 -": -10.5, "node4 north": 40.5, "node5 -": 40}, {"node3 -", "node4 north"}),
    "humidity_out_of_range": (
        NOON,
        {"node1 -": 45, "node2 north": 55.5, "node3 -": 14.5, "node4 north": 85.5, "node5 -": 15},
        {"node3 -", "node4 north"},
    ),
}
"""By the name of a rule: when, what it finds of SENSORS, and which of it fires."""
