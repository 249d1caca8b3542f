"""The rules in the form of Grafana's files: folders, groups, and for each rule the query A, its newest value B and the limit C."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import yaml

from iiot_dashboards import rules_flux, rules_sql
from iiot_dashboards.alerts import DOSING, GATEWAY, LORA, Alert
from iiot_dashboards.frame import Board
from iiot_dashboards.sdk import DATA_SOURCES, INFLUX, PROMETHEUS, SQL

PROMQL = {
    "queue_old": "max by (instance, sink) (iiot_sink_lag_seconds)",
    "journal_short": "min by (instance) (iiot_journal_hours_left)",
    # A counter that appears with its first loss has no increase; so it is compared with nothing, if the sink was there ten minutes ago.
    "frames_dropped": """sum by (instance, sink) (iiot_sink_dropped_frames_total)
    - (
        sum by (instance, sink) (iiot_sink_dropped_frames_total offset 10m)
        or 0 * max by (instance, sink) (iiot_sink_queued_frames offset 10m)
    )
or label_replace(
    sum by (instance) (increase(iiot_intake_frames_total{outcome="lost_journal_unavailable"}[10m])), "sink", "intake", "", ""
)""",
    "source_silent": "time() - max by (instance, source) (iiot_source_last_document_timestamp_seconds)",
}
EVERY = "1m"
TELLS_OF_FAILURE = ("plant_silent", "node_silent", "queue_old")
"""One rule of each group says that its database does not answer; the others keep their state meanwhile."""


def _query(uid: str, text: str) -> dict[str, Any]:
    model: dict[str, Any] = {"refId": "A", "datasource": {"type": DATA_SOURCES[uid][0], "uid": uid}}
    if uid == INFLUX:
        model |= {"query": text}
    elif uid == SQL:
        model |= {"rawQuery": True, "rawSql": text, "format": "time_series", "editorMode": "code"}
    else:
        model |= {"expr": text, "instant": True, "range": False, "editorMode": "code"}
    return {"refId": "A", "datasourceUid": uid, "relativeTimeRange": {"from": 600, "to": 0}, "model": model}


def _expression(ref_id: str, kind: str, of: str, **settings: Any) -> dict[str, Any]:
    model = {"refId": ref_id, "type": kind, "expression": of, "datasource": {"type": "__expr__", "uid": "__expr__"}, **settings}
    return {"refId": ref_id, "datasourceUid": "__expr__", "relativeTimeRange": {"from": 600, "to": 0}, "model": model}


def _rule(alert: Alert, uid: str, text: str, board: Board, panel: str) -> dict[str, Any]:
    is_teller = alert.name in TELLS_OF_FAILURE
    made_board, number = board.uid, board.id_of(panel)
    return {
        "uid": f"iiot-{uid}-{alert.name.replace('_', '-')}",
        "title": alert.name,
        "condition": "C",
        "data": [
            _query(uid, text),
            _expression("B", "reduce", "A", reducer="last", settings={"mode": "dropNN"}),
            _expression("C", "threshold", "B", conditions=[{"evaluator": {"type": alert.compare, "params": list(alert.limits)}}]),
        ],
        "for": alert.hold,
        "noDataState": "NoData" if alert.name == "queue_old" else "OK",
        "execErrState": "Error" if is_teller else "KeepLast",
        "dashboardUid": made_board,
        "panelId": number,
        "labels": {"severity": alert.severity},
        "annotations": {
            "__dashboardUid__": made_board,
            "__panelId__": str(number),
            "summary": alert.summary,
            "runbook_url": alert.runbook,
        },
    }


def _group(folder: str, name: str, alerts: Sequence[Alert], uid: str, texts: dict[str, str], places: dict[str, tuple[Board, str]]) -> str:
    rules = [_rule(alert, uid, texts[alert.name], *places[alert.name]) for alert in alerts]
    group = {"orgId": 1, "name": name, "folder": folder, "interval": EVERY, "rules": rules}
    note = "# Made by deploy/grafana/source. What an operator may change here is said in docs/grafana.md.\n"
    return note + yaml.dump({"apiVersion": 1, "groups": [group]}, Dumper=_Dumper, sort_keys=False, allow_unicode=True, width=10_000)


class _Dumper(yaml.SafeDumper):
    """Texts of several lines stay so."""


def _text(dumper: yaml.SafeDumper, text: str) -> yaml.ScalarNode:
    return dumper.represent_scalar("tag:yaml.org,2002:str", text, style="|" if "\n" in text else None)


_Dumper.add_representer(str, _text)


def files(boards: dict[str, Board]) -> dict[str, str]:
    """Return the files of rules by their paths. A rule leads to the panel that shows what it is about."""

    def dosing(uid: str) -> dict[str, tuple[Board, str]]:
        board = boards[uid]
        titles = {
            "inventory_low": "Stock",
            "temperature_high": "Motor temperatures",
            "vibration_high": "Vibration of each pump (RMS, greatest axis)",
            "dosing_inaccurate": "Accuracy: doses by error in grams",
            "dose_off": "Accuracy: doses by error in grams",
            "plant_silent": "Consumption per hour",
        }
        return {name: (board, title) for name, title in titles.items()}

    sensors, gateway = boards["iiot-lora-sensors"], boards["iiot-gateway"]
    lora = {
        "node_silent": (sensors, "Temperature"),
        "battery_low": (sensors, "Battery"),
        "temperature_out_of_range": (sensors, "Temperature"),
        "humidity_out_of_range": (sensors, "Humidity"),
    }
    itself = {
        "queue_old": (gateway, "Lag"),
        "journal_short": (gateway, "Journal: hours left"),
        "frames_dropped": (gateway, "Dropped and lost"),
        "source_silent": (gateway, "Age of the last document of each source"),
    }
    by_influx, by_sql = dosing("iiot-production-influx"), dosing("iiot-production-sql")
    return {
        "provisioning/alerting/rules-factory-influx.yaml": _group(
            "IIoT alerts (InfluxDB)", "dosing", DOSING, INFLUX, rules_flux.DOSING, by_influx
        ),
        "provisioning/alerting/rules-factory-timescale.yaml": _group(
            "IIoT alerts (TimescaleDB)", "dosing", DOSING, SQL, rules_sql.RULES, by_sql
        ),
        "provisioning/alerting/rules-lora.yaml": _group("IIoT alerts (LoRa)", "nodes", LORA, INFLUX, rules_flux.LORA, lora),
        "provisioning/alerting/rules-gateway.yaml": _group("IIoT alerts (gateway)", "gateway", GATEWAY, PROMETHEUS, PROMQL, itself),
    }
