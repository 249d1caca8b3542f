"""Every query in Flux is valid to InfluxData's own checker: syntax, functions, arguments, types and imports."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from fired import rules
from grafana import Moment, as_flux, boards, queries, with_variables
from iiot_gateway.cli.influxdb_plan import PLANS
from servers import find_program

CHECKER = Path(__file__).parent.parent / "fluxcheck"
NOW = datetime(2026, 11, 18, 12, tzinfo=UTC)
MOMENT = Moment(NOW - timedelta(days=1), NOW)

Checked = Callable[[list[str]], list[bool]]


@pytest.fixture(scope="module")
def checked(tmp_path_factory: pytest.TempPathFactory) -> Checked:
    """Tell of each text whether it is valid."""
    npm, node = find_program("npm"), find_program("node")
    if npm is None or node is None:
        if os.environ.get("CI"):
            pytest.fail("npm is missing: apt install nodejs npm")
        pytest.skip("npm is missing: apt install nodejs npm")
    folder = tmp_path_factory.mktemp("flux") / "fluxcheck"
    shutil.copytree(CHECKER, folder, ignore=shutil.ignore_patterns("node_modules"))
    subprocess.run([npm, "ci", "--silent", "--no-audit", "--no-fund", "--ignore-scripts"], cwd=folder, check=True, timeout=180)

    def check(texts: list[str]) -> list[bool]:
        done = subprocess.run([node, "check.cjs"], cwd=folder, input=json.dumps(texts), capture_output=True, text=True, check=True)
        valid: list[bool] = json.loads(done.stdout)
        return valid

    return check


def _texts() -> dict[str, str]:
    """Return every query in Flux as Grafana sends it: of panels, variables, annotations and rules."""
    found: dict[str, str] = {}
    for uid, board in boards().items():
        asked = {query.place: query.text for query in queries(board) if query.kind == "influxdb"}
        for variable in board["templating"]["list"]:
            if variable["type"] == "query" and variable["datasource"]["type"] == "influxdb":
                asked[f"{uid} / variable {variable['name']}"] = variable["query"]["query"]
        for annotation in board["annotations"]["list"]:
            if annotation["datasource"]["type"] == "influxdb":
                asked[f"{uid} / annotation {annotation['name']}"] = annotation["target"]["query"]
        found |= {place: with_variables(text, board, {}, MOMENT) for place, text in asked.items()}
    for file in ("rules-factory-influx", "rules-lora"):
        found |= {f"{file} / {rule.name}": rule.text for rule in rules(file)}
    texts = {place: as_flux(text, MOMENT, "telemetry") for place, text in found.items()}
    return texts | {f"task of the plan {name}": plan.flux("org") for name, plan in PLANS.items()}


def test_every_query_in_flux_is_valid(checked: Checked) -> None:
    """Nothing is left that Grafana would have to replace, and no rule depends on the width of a panel."""
    texts = _texts()

    assert [place for place, is_valid in zip(texts, checked(list(texts.values())), strict=True) if not is_valid] == []
    assert [place for place, text in texts.items() if re.search(r"\bv\.|\$", text.replace("$/", "/"))] == []
    assert [rule.name for file in ("rules-factory-influx", "rules-lora") for rule in rules(file) if "windowPeriod" in rule.text] == []


@pytest.mark.parametrize(
    "text",
    [
        'from(bucket: "b") |> rang(start: -1h)',
        'from(bucket: "b") |> range(start: -1h) |> filter(fn: (r) => r.a == )',
        'from(bucket: "b") |> range(begin: -1h)',
        'import "dat"\nfrom(bucket: "b") |> range(start: -1h)',
        'import "date"\nfrom(bucket: "b") |> range(start: date.truncate(t: now(), unit: "day"))',
    ],
)
def test_the_checker_finds_mistakes(checked: Checked, text: str) -> None:
    """Or it would be no use."""
    assert checked([text]) == [False]
