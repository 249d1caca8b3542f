"""What Grafana reads at its start holds together: data sources, folders, rules, receivers, templates, and what start.sh makes of them."""

from __future__ import annotations

import re
import subprocess
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from fired import files
from grafana import ROOT, boards, panels
from iiot_dashboards.alerts import ALERTS
from iiot_dashboards.sdk import DATA_SOURCES
from iiot_gateway.metrics import METRICS

PROVISIONING = ROOT / "provisioning"
DOCS = ROOT.parent.parent / "docs"
PACKAGE = DOCS.parent / "python" / "iiot_gateway"
OWN = {
    alert["name"]: alert
    for file in ("profiles/factory-dosing.toml", "profiles/lora-bridge.toml", "sinks/alerts/gateway.toml")
    for alert in tomllib.loads((PACKAGE / file).read_text())["alert"]
}
"""The gateway's own rules."""
PAGE = (DOCS / "grafana.md").read_text()
RULES = files()
FILES = {str(file.relative_to(PROVISIONING)): yaml.safe_load(file.read_text()) for file in sorted(PROVISIONING.rglob("*.yaml"))}


def rules() -> Iterator[tuple[str, dict[str, Any]]]:
    """Give every rule with the name of its file."""
    for name, document in RULES.items():
        for group in document["groups"]:
            for rule in group["rules"]:
                yield name, rule


def strings(value: Any, path: str = "") -> Iterator[tuple[str, str]]:
    """Give every text in a document, with its path."""
    if isinstance(value, dict):
        for key, each in value.items():
            yield from strings(each, f"{path}.{key}")
    elif isinstance(value, list):
        for each in value:
            yield from strings(each, path)
    elif isinstance(value, str):
        yield path, value


def start(folder: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run start.sh, which ends by printing where Grafana would look."""
    command = ["sh", str(ROOT / "start.sh"), str(PROVISIONING), str(folder / "made"), "sh", "-c", 'echo "$GF_PATHS_PROVISIONING"']
    path = {"PATH": "/usr/bin:/bin"}
    return subprocess.run(command, env=path | environment, capture_output=True, text=True, check=False, timeout=20)


def made(folder: Path) -> dict[str, Any]:
    """Return what start.sh has made of the files of alerts."""
    return {file.stem: yaml.safe_load(file.read_text()) for file in sorted((folder / "made" / "alerting").glob("*.yaml"))}


def test_the_data_sources_are_those_that_dashboards_and_rules_name() -> None:
    """By uid, type and name. The database stands in jsonData: beside `url` it is not found from Grafana 12.2 on."""
    sources = FILES["datasources/databases.yaml"]["datasources"]
    assert {source["uid"]: (source["type"], source["name"]) for source in sources} == DATA_SOURCES
    assert [source["name"] for source in sources if "database" in source] == []
    assert {query["datasourceUid"] for _file, rule in rules() for query in rule["data"]} == {*DATA_SOURCES, "__expr__"}


def test_only_the_variables_that_are_documented_are_put_in() -> None:
    """In texts that Grafana expands, a dollar sign is one of these; rules and templates have none that it would take for one."""
    found: set[str] = set()
    for name, document in FILES.items():
        for path, text in strings(document):
            if ".model." in path:
                continue  # passed on as it is: macros of the data sources
            if path.endswith((".annotations.summary",)):
                # Not expanded, but for the form with braces in the newest versions.
                assert "${" not in text, f"{name}{path}"
                continue
            found |= set(re.findall(r"\$\{?(\w+)", text))
    assert found == VARIABLES
    for variable in (*VARIABLES, *re.findall(r"^check (\w+)", (ROOT / "start.sh").read_text(), re.MULTILINE)):
        assert f"`{variable}`" in PAGE, variable


VARIABLES = {
    "INFLUXDB_ORG",
    "INFLUXDB_BUCKET",
    "INFLUXDB_READ_TOKEN",
    "POSTGRES_READER_PASSWORD",
    "ALERT_EMAIL",
    "ALERT_SLACK_URL",
    "ALERT_WEBHOOK_URL",
}


def test_every_rule_is_whole() -> None:
    """A query, its newest value, a limit; a severity; a sentence with the value; a page; a panel that shows what it is about."""
    shown = boards()
    by_name = {alert.name: alert for alert in ALERTS}
    uids: set[str] = set()
    for _file, rule in rules():
        alert = by_name[rule["title"]]
        assert re.fullmatch(r"[a-z0-9-]{1,40}", rule["uid"])
        assert rule["uid"] not in uids
        uids.add(rule["uid"])
        assert [query["refId"] for query in rule["data"]] == ["A", "B", "C"]
        assert rule["condition"] == "C"
        query, reduced, limit = (part["model"] for part in rule["data"])
        assert query["datasource"]["type"] == DATA_SOURCES[rule["data"][0]["datasourceUid"]][0]
        assert (reduced["type"], reduced["expression"]) == ("reduce", "A")
        assert (limit["type"], limit["expression"]) == ("threshold", "B")
        assert rule["labels"] == {"severity": alert.severity}
        assert "$values.B.Value" in rule["annotations"]["summary"]
        assert rule["panelId"] in {panel["id"] for panel in panels(shown[rule["dashboardUid"]])}
        assert rule["annotations"]["__panelId__"] == str(rule["panelId"])
        if "rawSql" in query:
            assert query["format"] == "time_series"
            assert 'AS "time"' in query["rawSql"]
        for metric in re.findall(r"\biiot_\w+", query.get("expr", "")):
            assert metric in METRICS
    assert {rule["title"] for _file, rule in rules()} == set(by_name)


def test_no_folder_of_rules_is_one_of_dashboards() -> None:
    """Grafana finds folders of rules by title, and would make a second one. Within a folder no title repeats."""
    (provider,) = FILES["dashboards/iiot.yaml"]["providers"]
    folders = [group["folder"] for document in RULES.values() for group in document["groups"]]
    assert len(set(folders)) == len(folders)
    assert provider["folder"] not in folders
    for document in RULES.values():
        titles = [rule["title"] for group in document["groups"] for rule in group["rules"]]
        assert len(set(titles)) == len(titles)


@pytest.mark.parametrize("alert", ALERTS, ids=lambda alert: alert.name)
def test_every_alert_has_a_page(alert: Any) -> None:
    """Which quotes its words, and says what to do and when it resolves."""
    page = (DOCS.parent / alert.runbook).read_text()
    grafana = re.sub(r"\{\{ printf .*? \}\}|\{\{ \$labels\.pump \}\}", "N", alert.summary)
    grafana = re.sub(r"\{\{ \$labels\.(\w+?)(?:_id)? \}\}", lambda label: label[1].upper(), grafana)
    gateway = re.sub(r"\{(value|pump|rms|\w+_(?:g|c|full))\}", "N", OWN[alert.name]["message"])
    gateway = re.sub(r"\{(\w+)\}", lambda label: {"since": "TIME"}.get(label[1], label[1].upper()), gateway)
    both = f"Grafana and the gateway say: “{grafana}”"
    each = f"Grafana says: “{grafana}”. The gateway says: “{gateway}”."
    assert f"`{alert.name}`, {alert.severity}. {both if grafana == gateway else each}\n" in page
    assert [line for line in page.splitlines() if line.startswith("## ")] == [
        "## What it means",
        "## How to look",
        "## What to do",
        "## When it resolves",
    ]


@pytest.mark.parametrize("alert", ALERTS, ids=lambda alert: alert.name)
def test_an_alert_is_the_same_in_the_gateway(alert: Any) -> None:
    """Whoever has both is not told two limits."""
    own = OWN[alert.name]
    minutes = {"plant_silent": 60, "node_silent": 60}.get(alert.name, 1)
    limits = [own[key] for key in ("below", "above", "silent_s") if key in own]
    assert [limit * minutes for limit in alert.limits] == limits
    assert {"lt": "below", "gt": "above", "outside_range": "below"}[alert.compare] in own or "silent_s" in own
    assert alert.severity == own.get("severity", "warning")
    assert {"0s": 0, "1m": 60, "5m": 300}[alert.hold] == own.get("for_s", 0)


def test_receivers_policies_and_templates_know_each_other() -> None:
    """A policy that names nobody, or a template that is not there, would stop Grafana or leave a message empty."""
    (contact,) = FILES["alerting/contact-points.yaml"]["contactPoints"]
    (policy,) = FILES["alerting/policies.yaml"]["policies"]
    (template,) = FILES["alerting/templates.yaml"]["templates"]
    assert {policy["receiver"], *(route["receiver"] for route in policy["routes"])} == {contact["name"]}
    assert [receiver["type"] for receiver in contact["receivers"]] == ["email", "slack", "webhook"]
    defined = set(re.findall(r'\{\{ define "([\w.]+)"', template["template"]))
    used = set(re.findall(r'\{\{ template "([\w.]+)" \. \}\}', str(contact)))
    assert used == defined
    assert template["template"].count("{{") == template["template"].count("}}")
    opened = len(re.findall(r"\{\{-? ?(?:if|range|define)\b", template["template"]))
    assert opened == len(re.findall(r"\{\{-? ?end\b", template["template"]))


def test_without_an_address_nobody_is_told_and_grafana_starts(tmp_path: Path) -> None:
    """An empty address would be refused, with everything else in its file."""
    done = start(tmp_path)

    assert done.returncode == 0, done.stderr
    assert done.stdout.strip() == str(tmp_path / "made")
    assert "no receiver of alerts is set" in done.stderr
    assert set(made(tmp_path)) == {*RULES, "templates"}


def test_only_the_receivers_that_have_an_address_stay(tmp_path: Path) -> None:
    """The others leave the file valid."""
    done = start(tmp_path, ALERT_EMAIL="ops@plant.example", ALERT_WEBHOOK_URL="http://127.0.0.1:9/hook")

    assert done.returncode == 0, done.stderr
    (contact,) = made(tmp_path)["contact-points"]["contactPoints"]
    assert [receiver["uid"] for receiver in contact["receivers"]] == ["iiot-email", "iiot-webhook"]
    assert made(tmp_path)["policies"] == FILES["alerting/policies.yaml"]


@pytest.mark.parametrize(
    ("profiles", "stay"),
    [
        ("", set(RULES)),
        ("infra", set(RULES)),
        ("lora", {"rules-lora", "rules-gateway"}),
        ("infra,factory-timescale", {"rules-factory-timescale", "rules-gateway"}),
        ("factory-influx,lora", {"rules-factory-influx", "rules-lora", "rules-gateway"}),
        ("devices", {"rules-gateway"}),
    ],
)
def test_rules_of_databases_that_do_not_run_are_left_out(tmp_path: Path, profiles: str, stay: set[str]) -> None:
    """They would do nothing but say so."""
    done = start(tmp_path, COMPOSE_PROFILES=profiles)

    assert done.returncode == 0, done.stderr
    assert {name for name in made(tmp_path) if name.startswith("rules-")} == stay


def test_the_working_hours_are_those_of_the_plant(tmp_path: Path) -> None:
    """In both languages, and nothing else changes."""
    hours = {"PLANT_TIME_ZONE": "America/New_York", "PLANT_BEGINS_H": "7", "PLANT_ENDS_H": "19", "PLANT_WEEKDAYS": "1,2,3,4,5,6,7"}
    done = start(tmp_path, **hours, RUNBOOKS_URL="https://wiki.example/runbooks")

    assert done.returncode == 0, done.stderr
    texts = {}
    for name, document in made(tmp_path).items():
        for group in document.get("groups", ()):
            assert all(rule["annotations"]["runbook_url"].startswith("https://wiki.example/runbooks/") for rule in group["rules"])
            texts |= {(name, rule["title"]): str(rule["data"]) for rule in group["rules"]}
    flux, sql = texts["rules-factory-influx", "plant_silent"], texts["rules-factory-timescale", "plant_silent"]
    for part in ('timezone.location(name: "America/New_York")', "begins_h = 7", "ends_h = 19", "weekdays = [1,2,3,4,5,6,7]"):
        assert part in flux
    for part in ("America/New_York", "7 AS begins_h", "19 AS ends_h", "ARRAY[1,2,3,4,5,6,7] AS weekdays"):
        assert part in sql
    changed = {(name, rule["title"]) for name, rule in rules() if texts[name, rule["title"]] != str(rule["data"])}
    assert changed == {("rules-factory-influx", "plant_silent"), ("rules-factory-timescale", "plant_silent")}


@pytest.mark.parametrize(
    ("name", "value"),
    [("PLANT_TIME_ZONE", "Europe/Berlin' OR 1"), ("PLANT_BEGINS_H", "six"), ("PLANT_WEEKDAYS", "1-5"), ("RUNBOOKS_URL", "https://a|b")],
)
def test_a_value_that_would_break_a_rule_is_refused(tmp_path: Path, name: str, value: str) -> None:
    """By name, with an example."""
    done = start(tmp_path, **{name: value})

    assert done.returncode == 1
    assert done.stderr.startswith(f"start.sh: {name}={value}: write it as ")
