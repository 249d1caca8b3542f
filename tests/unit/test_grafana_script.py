"""scripts/test-grafana-influx.sh says of each part of a running stack whether it is well, and ends with 1 if one is not."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator

import pytest
from scripted_stack import ADMINISTRATOR, ScriptedStack

from grafana import ROOT, boards

SCRIPT = ROOT.parent.parent / "scripts" / "test-grafana-influx.sh"
LINES = [
    "ok   InfluxDB is healthy",
    "ok   Grafana is healthy",
    "ok   the data source InfluxDB works",
    "ok   the dashboards are there",
    "ok   a point arrived, and Grafana shows it",
]


@pytest.fixture
def stack() -> Iterator[ScriptedStack]:
    """One in which everything is well."""
    with ScriptedStack(list(boards())) as running:
        yield running


def run(stack: ScriptedStack, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run the script against it. Its password must reach Grafana whole."""
    settings = {"GRAFANA_URL": stack.url, "INFLUXDB_URL": stack.url, "INFLUXDB_TOKEN": "writes", "GRAFANA_ADMIN_PASSWORD": ADMINISTRATOR}
    path = {"PATH": os.environ["PATH"]}
    return subprocess.run([str(SCRIPT)], env=path | settings | environment, capture_output=True, text=True, check=False, timeout=60)


def test_a_stack_that_is_well_passes_all_five_checks(stack: ScriptedStack) -> None:
    """And the point stands in the database."""
    done = run(stack)

    assert done.stdout.splitlines() == LINES, done.stderr
    assert done.returncode == 0
    assert len(stack.lines) == 1


@pytest.mark.parametrize(
    ("broken", "number", "words"),
    [
        ("influxdb", 0, "InfluxDB at"),
        ("grafana", 1, "Grafana at"),
        ("source", 2, "the data source with the uid influx"),
    ],
)
def test_each_part_that_is_not_well_is_named(stack: ScriptedStack, broken: str, number: int, words: str) -> None:
    """The checks behind it are made all the same."""
    stack.broken.add(broken)

    done = run(stack)

    lines = done.stdout.splitlines()
    assert done.returncode == 1
    assert lines[number].startswith(f"FAIL {words}")
    assert lines[:number] + lines[number + 1 :] == LINES[:number] + LINES[number + 1 :]


def test_a_missing_dashboard_and_a_wrong_token_are_named(stack: ScriptedStack) -> None:
    """With what to look at."""
    stack.uids.remove("iiot-devices")

    done = run(stack, INFLUXDB_TOKEN=f"{stack.url} knows no such")

    assert done.returncode == 1
    assert "FAIL dashboards: not there: iiot-devices;" in done.stdout
    assert "FAIL writing a point: " in done.stdout
    assert "(see INFLUXDB_TOKEN)" in done.stdout


@pytest.mark.slow
def test_a_point_that_grafana_does_not_show_is_a_failure(stack: ScriptedStack) -> None:
    """After ten tries, a second apart."""
    stack.broken.add("view")

    done = run(stack)

    assert done.returncode == 1
    assert "through Grafana" in done.stdout.splitlines()[-1]
