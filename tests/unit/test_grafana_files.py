"""The files for Grafana are what their source makes, and hold together: types, uids, data sources, variables, grid, metrics."""

from __future__ import annotations

import json
import re
from collections import Counter
from itertools import combinations
from typing import Any

import pytest

from grafana import ROOT, boards, panels, queries
from iiot_dashboards.__main__ import files
from iiot_dashboards.sdk import DATA_SOURCES, decode, encode
from iiot_gateway.metrics import METRICS

BOARDS = boards()
PANEL_TYPES = {"barchart", "bargauge", "gauge", "row", "stat", "table", "text", "timeseries"}
"""Those of Grafana itself that we use: a type that it does not know shows an error instead of a panel."""

each_board = pytest.mark.parametrize("board", BOARDS.values(), ids=BOARDS)


def test_the_files_are_what_the_source_makes() -> None:
    """Whoever changes one changes both: `PYTHONPATH=deploy/grafana/source python -m iiot_dashboards`."""
    made = files()

    assert {name for name in made if (ROOT / name).read_text() != made[name]} == set()
    assert {f"dashboards/{file.name}" for file in (ROOT / "dashboards").iterdir()} == {
        name for name in made if name.startswith("dashboards/")
    }


@each_board
def test_a_dashboard_survives_the_round_trip(board: dict[str, Any]) -> None:
    """A key that Grafana's schema does not know would be lost on the way."""
    assert json.loads(encode(decode(board))) == board


@each_board
def test_panels_are_known_and_do_not_overlap(board: dict[str, Any]) -> None:
    """Each has its own id and title, and a place within the 24 columns of the grid."""
    shown = panels(board)
    assert {panel["type"] for panel in shown} <= PANEL_TYPES
    assert [number for number, count in Counter(panel["id"] for panel in shown).items() if count > 1] == []
    assert [title for title, count in Counter(panel["title"] for panel in shown).items() if count > 1] == []
    places = [(panel["title"], *(panel["gridPos"][key] for key in "xywh")) for panel in shown]
    for title, x, _y, w, h in places:
        assert w > 0, title
        assert h > 0, title
        assert 0 <= x <= 24 - w, title
    for (one, x, y, w, h), (other, x2, y2, w2, h2) in combinations(places, 2):
        assert x + w <= x2 or x2 + w2 <= x or y + h <= y2 or y2 + h2 <= y, f"{one} lies upon {other}"


@each_board
def test_every_reference_leads_somewhere(board: dict[str, Any]) -> None:
    """Data sources are variables of the dashboard; variables in queries exist, and each has a value from the beginning."""
    variables = {variable["name"]: variable for variable in board["templating"]["list"]}
    for variable in variables.values():
        assert variable["current"]["value"], variable["name"]
        if variable["type"] == "query" and variable["includeAll"]:
            # A new database lists nothing, so All must mean something by itself.
            assert variable["allValue"], variable["name"]
    for uid, (kind, name) in DATA_SOURCES.items():
        if uid in variables:
            assert (variables[uid]["query"], variables[uid]["current"]) == (kind, {"text": name, "value": uid})
    found = [
        part["datasource"]
        for panel in panels(board)
        for part in (panel, *(panel.get("targets") or ()))
        if part.get("datasource") is not None
    ]
    found += [variable["datasource"] for variable in variables.values() if "datasource" in variable]
    found += [annotation["datasource"] for annotation in board["annotations"]["list"]]
    for source in found:
        assert (
            source["type"]
            == ({**{f"${{{uid}}}": kind for uid, (kind, _) in DATA_SOURCES.items()}, "-- Grafana --": "grafana"})[source["uid"]]
        )
        assert source["uid"].strip("${}") in {*variables, "-- Grafana --"}
    for name in re.findall(r"\$\{(\w+)(?::\w+)?\}", json.dumps(board)):
        assert name in variables or name == "__timezone", name


@each_board
def test_a_dashboard_leads_on_and_shows_what_happened(board: dict[str, Any]) -> None:
    """Links keep time range and variables; Grafana's own annotations stay beside ours; the newest values come by themselves."""
    assert [(link["keepTime"], link["includeVars"]) for link in board["links"]] == [(True, True)]
    names = [annotation["name"] for annotation in board["annotations"]["list"]]
    assert names[:3] == ["Annotations & Alerts", "Gateway restarts", "New versions"]
    assert board["refresh"] == "10s"
    assert board["schemaVersion"] == 42


def test_uids_and_titles_are_unique() -> None:
    """Grafana stops writing dashboards at the first one that repeats either."""
    assert len(BOARDS) == len(list((ROOT / "dashboards").glob("*.json")))
    assert len({board["title"] for board in BOARDS.values()}) == len(BOARDS)
    assert all(re.fullmatch(r"[a-z0-9-]{1,40}", uid) for uid in BOARDS)


@each_board
def test_every_metric_that_is_asked_for_exists(board: dict[str, Any]) -> None:
    """In /metrics of the gateway; what databases say of themselves is named by them."""
    asked = [query.text for query in queries(board) if query.kind == "prometheus"]
    asked += [
        annotation["target"]["expr"]
        for annotation in board["annotations"]["list"]
        if "target" in annotation and "expr" in annotation["target"]
    ]
    for text in asked:
        for metric in re.findall(r"\biiot_\w+", text):
            assert metric in METRICS, text
