"""Every rule of plant and nodes finds what is right, and fires where it should: in SQL, and in Flux where a server can run it."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime

import pytest

from asked import FluxServer, insert, needs_flux
from fired import EVALUATED, NOON, NOTHING, OF_NODES, PLANT, SENSORS, SILENT, Found, Rule, by_flux, by_sql, rules
from timescale import Database

pytestmark = pytest.mark.slow


def check(evaluate: Callable[[Rule], Found], file: str, expected: dict[str, tuple[object, Found, set[str]]]) -> None:
    """Compare what the rules of a file find, and print it."""
    seen = {rule.name: (rule, evaluate(rule)) for rule in rules(file)}
    for name, (rule, found) in seen.items():
        print(f"| {name} | {expected[name][1]} | {found} | fires for {sorted(fired_by(rule, found))} |")
    assert {name: found for name, (_rule, found) in seen.items()} == {name: found for name, (_at, found, _fires) in expected.items()}
    assert {name: fired_by(rule, found) for name, (rule, found) in seen.items()} == {
        name: fires for name, (_at, _found, fires) in expected.items()
    }


def fired_by(rule: Rule, found: Found) -> set[str]:
    """Return the labels for which a rule fires."""
    return {labels for labels, value in found.items() if rule.fires(value)}


def silences(evaluate: Callable[[Rule, datetime], Found], rule: Rule) -> dict[str, tuple[datetime, Found, set[str]]]:
    """Return what plant_silent finds at each moment of SILENT, and for what it fires."""
    seen = {moment: (now, evaluate(rule, now)) for moment, (now, _found, _fires) in SILENT.items()}
    return {moment: (now, found, fired_by(rule, found)) for moment, (now, found) in seen.items()}


def test_the_rules_in_sql_find_what_is_right(database: Database, capsys: pytest.CaptureFixture[str]) -> None:
    """On an empty database the plant is silent, and nothing else is wrong."""
    asked = {rule.name: rule for rule in rules("rules-factory-timescale")}
    assert {name: found for name, rule in asked.items() if (found := by_sql(database, rule, NOON))} == {"plant_silent": NOTHING}
    assert fired_by(asked["plant_silent"], NOTHING) == {"plant"}
    insert(database, PLANT)

    with capsys.disabled():
        check(lambda rule: by_sql(database, rule, EVALUATED[rule.name][0]), "rules-factory-timescale", EVALUATED)
    assert silences(lambda rule, now: by_sql(database, rule, now), asked["plant_silent"]) == SILENT


@needs_flux
def test_the_rules_of_a_plant_in_flux_find_the_same(capsys: pytest.CaptureFixture[str]) -> None:
    """As the SQL does, of the same points."""
    server = FluxServer()
    asked = {rule.name: rule for rule in rules("rules-factory-influx")}
    assert {name: found for name, rule in asked.items() if (found := by_flux(server, rule, NOON))} == {"plant_silent": NOTHING}
    assert fired_by(asked["plant_silent"], NOTHING) == {"plant"}
    server.write(PLANT)

    with capsys.disabled():
        check(lambda rule: by_flux(server, rule, EVALUATED[rule.name][0]), "rules-factory-influx", EVALUATED)
    assert silences(lambda rule, now: by_flux(server, rule, now), asked["plant_silent"]) == SILENT


@needs_flux
def test_the_rules_of_nodes_in_flux_find_what_is_right(capsys: pytest.CaptureFixture[str]) -> None:
    """A node that fell silent is found by its last reading, however old that is."""
    server = FluxServer()
    assert [found for rule in rules("rules-lora") if (found := by_flux(server, rule, NOON))] == []
    server.write(SENSORS)

    with capsys.disabled():
        check(lambda rule: by_flux(server, rule, OF_NODES[rule.name][0]), "rules-lora", OF_NODES)
