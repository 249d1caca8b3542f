"""Every query in PromQL finds what is right in known metrics: rendered as /metrics renders them, and asked of a server that speaks PromQL.

The server is VictoriaMetrics, which the tests have anyway. Its `increase` is without Prometheus' guess at what came before the first sample
and after the last one; these metrics rise evenly, so that both agree. A series that a scrape no longer has ends at once in Prometheus, so
here no sample counts for longer than a scrape.
"""

from __future__ import annotations

import json
import re
import urllib.parse
from typing import Any

import pytest

from asked import MOMENT, table
from fired import rules
from grafana import boards, queries, with_variables
from iiot_gateway.metrics import render
from panels import NOW
from servers import VictoriaMetrics

pytestmark = pytest.mark.slow

STEP_S = 15
STEPS = 80
END_S = int(NOW.timestamp())
"""The last of STEPS scrapes, of which the first was 20 minutes before."""
RESTART = 4
"""So many scrapes before the end the gateway started anew, as a new version."""


def document(step: int) -> dict[str, Any]:
    """Return the status at a scrape: a frame a second comes, and every other figure has a story of its own."""
    now_s = END_S - (STEPS - 1 - step) * STEP_S
    from_end = STEPS - 1 - step
    frames = step * STEP_S
    is_new = from_end <= RESTART
    sink = {"accepted": frames, "rejected": 3, "reconnects": step // 40, "lost_by_peer": 0, "superseded": 0}
    return {
        "gateway": {
            "version": "2.0" if is_new else "1.9",
            "uptime_s": (RESTART - from_end) * STEP_S if is_new else 10_000 + frames,
            "frames_per_s": 1.0,
            "log_lines_lost": 2 if from_end < 2 else 0,
            "resident_bytes": 40_000_000,
        },
        "intake": {
            "received": frames,
            "accepted": frames,
            "duplicate": 0,
            "lost_on_air": 7,
            "lost_journal_unavailable": 0,
            "reject_reasons": {"not_json": step},
            "ignored_kinds": {"join": step},
            "skipped_kinds": {"retained": step},
            "sessions_lost": {"mqtt_consumer": 1},
            "times_not_believed": {"mqtt_consumer": step},
        },
        "sinks": {
            "influxdb": {**sink, "state": "connected", "delivered": frames, "queued": 0, "oldest_queued_at_ms": None},
            # Away for seven minutes; the first frames that it lost came with the counter itself, two scrapes ago.
            "postgresql": {
                **sink,
                "state": "waiting",
                "delivered": frames // 2,
                "queued": 420,
                "oldest_queued_at_ms": (now_s - 420) * 1000,
                "dropped_reasons": {"journal_full": 5} if from_end < 2 else {},
                "rows": frames,
                "transactions": step,
                "commit_s": step * 0.02,
                "repeated": 0,
                "left_out": 0,
            },
        },
        "journal": {"bytes": 5_000_000, "max_bytes": 10_000_000, "frames": 420, "hours_left": 5.5},
        "source": {
            "mqtt_consumer": {
                "bytes": frames * 100,
                "documents": frames,
                "restarts": 0,
                "state": "subscribed",
                "last_document_at": now_s - 1,
            },
            # Unplugged since ten scrapes; before that it ran, and that state is over.
            "serial": {
                "bytes": 9,
                "documents": 9,
                "restarts": 0,
                "state": "unplugged" if from_end < 10 else "running",
                "last_document_at": END_S - 1000,
            },
        },
    }


INFLUXDB = """
influxdb_info{version="2.7"} 1
go_memstats_sys_bytes 100000000
storage_shard_disk_size{bucket="b1",id="1"} 1000
storage_shard_disk_size{bucket="b1",id="2"} 500
"""


def requests(step: int) -> str:
    """Return InfluxDB's histogram of requests: all of them take less than 0.1 s, evenly spread between 0 and 0.1."""
    return "".join(
        f'http_api_request_duration_seconds_bucket{{path="{path}",le="{bound}"}} {count * step}\n'
        for path in ("/api/v2/write", "/api/v2/query")
        for bound, count in (("0.1", 10), ("1", 10), ("+Inf", 10))
    )


@pytest.fixture
def server(victoria_metrics: VictoriaMetrics) -> VictoriaMetrics:
    """A server with all scrapes."""
    for step in range(STEPS):
        at_ms = (END_S - (STEPS - 1 - step) * STEP_S) * 1000
        for instance, text in (("gateway:5000", render(document(step), at_ms / 1000)), ("influxdb:8086", INFLUXDB + requests(step))):
            lines = "\n".join(line for line in text.splitlines() if not line.startswith("#"))
            victoria_metrics.post(f"/api/v1/import/prometheus?timestamp={at_ms}&extra_label=instance={instance}", lines.encode())
    victoria_metrics.flush()
    return victoria_metrics


def ask(server: VictoriaMetrics, query: str, at_s: float = END_S) -> list[tuple[dict[str, str], float]]:
    """Return labels and value of each series at a moment."""
    text = query.replace("$__rate_interval", "1m")
    answer = json.loads(
        server.get(f"/api/v1/query?{urllib.parse.urlencode({'query': text, 'time': at_s, 'nocache': 1, 'max_lookback': f'{STEP_S}s'})}")
    )
    return [(series["metric"], round(float(series["value"][1]), 4)) for series in answer["data"]["result"]]


def named(legend: str, labels: dict[str, str]) -> str:
    """Return what a legend says of a series."""
    return re.sub(r"\{\{(\w+)\}\}", lambda label: labels.get(label[1], ""), legend)


SHOWN: dict[str, dict[str, float]] = {
    "Version and uptime": {"2.0": 60},
    # One line for the serial port: the state of before has ended.
    "State of sources": {"mqtt_consumer: subscribed": 1, "serial: unplugged": 0},
    "State of sinks": {"influxdb": 1, "postgresql": 0},
    "Journal: hours left": {"gateway:5000": 5.5},
    "Frames per second by outcome": {"accepted": 1, "duplicate": 0, "lost_journal_unavailable": 0, "received": 1},
    "Rejects by reason": {"not_json": 4},
    "Beside the frames / A": {"ignored: join": 4},
    "Beside the frames / B": {"skipped: retained": 4},
    "Beside the frames / C": {"session lost: mqtt_consumer": 0},
    "Beside the frames / D": {"time not believed: mqtt_consumer": 4},
    "Documents per second and source": {"mqtt_consumer": 1, "serial": 0},
    "Age of the last document of each source": {"mqtt_consumer": 1, "serial": 1000},
    "Lost on air, and restarts of sources / A": {"lost on air": 7},
    "Lost on air, and restarts of sources / B": {"restarts of mqtt_consumer": 0, "restarts of serial": 0},
    "Queued": {"influxdb": 0, "postgresql": 420},
    "Lag": {"influxdb": 0, "postgresql": 420},
    "Delivered per second": {"influxdb": 1, "postgresql": 0.5},
    "Frames dropped in 24 hours": {"dropped": 5},
    "Dropped and lost / A": {"postgresql: journal_full": 5},
    "Dropped and lost / B": {"influxdb: lost by the database": 0, "postgresql: lost by the database": 0},
    "Rejected by the other side": {"influxdb": 3, "postgresql": 3},
    "Reconnects": {"influxdb": 0, "postgresql": 0},
    "Size of the journal / A": {"in use": 5_000_000},
    "Size of the journal / B": {"limit": 10_000_000},
    "Memory": {"gateway:5000": 40_000_000},
    "Log lines lost": {"gateway:5000": 2},
    "InfluxDB: time of writes and queries / A": {"/api/v2/write": 0.095},
    "InfluxDB: time of writes and queries / B": {"/api/v2/query": 0.095},
    "InfluxDB: disk": {"bucket b1": 1500},
    "InfluxDB: memory": {"influxdb:8086": 100_000_000},
    "PostgreSQL: time of a transaction": {"postgresql": 0.02},
}
"""By the title of a panel and the letter of its query: what each name shows."""
ALERTS: dict[str, tuple[dict[str, float], set[str]]] = {
    "queue_old": ({"influxdb": 0, "postgresql": 420}, {"postgresql"}),
    "journal_short": ({"": 5.5}, {""}),
    # The counter came with the loss, which `increase` does not see; a sink without any loss has no counter.
    "frames_dropped": ({"intake": 0, "postgresql": 5}, {"postgresql"}),
    "source_silent": ({"mqtt_consumer": 1, "serial": 1000}, {"serial"}),
}
"""By the name of a rule: what it finds by sink or source, and which of it fires."""


def test_every_panel_of_the_gateway_shows_what_is_right(server: VictoriaMetrics, capsys: pytest.CaptureFixture[str]) -> None:
    """Also what was dropped first: its counter is fifteen seconds old."""
    board = boards()["iiot-gateway"]
    seen: dict[str, dict[str, float]] = {}
    for query in queries(board):
        found = ask(server, with_variables(query.text, board, {}, MOMENT))
        seen[query.place.removeprefix("iiot-gateway / ")] = {named(query.name, labels): value for labels, value in found}

    with capsys.disabled():
        print(table((name, SHOWN[name], shown) for name, shown in seen.items()))
    assert seen == SHOWN
    assert with_variables(OF_ANOTHER, board, {"instance": ["other:5000"]}, MOMENT) == 'iiot_journal_bytes{instance=~"other:5000"}'


OF_ANOTHER = 'iiot_journal_bytes{instance=~"${instance:regex}"}'


def test_the_rules_of_the_gateway_find_what_is_right(server: VictoriaMetrics, capsys: pytest.CaptureFixture[str]) -> None:
    """Also the first loss of a sink; and nothing of it eleven minutes later."""
    seen: dict[str, tuple[dict[str, float], set[str]]] = {}
    for rule in rules("rules-gateway"):
        found = {labels.get("sink", labels.get("source", "")): value for labels, value in ask(server, rule.text)}
        seen[rule.name] = (found, {name for name, value in found.items() if rule.fires(value)})

    with capsys.disabled():
        print(table((name, ALERTS[name], shown) for name, shown in seen.items()))
    assert seen == ALERTS


def test_restarts_and_versions_are_events(server: VictoriaMetrics) -> None:
    """For a minute, so that each is drawn; and not while nothing happens."""
    asked = {each["name"]: each["target"]["expr"] for each in boards()["iiot-gateway"]["annotations"]["list"] if "target" in each}
    started_s = END_S - RESTART * STEP_S

    def seen(at_s: float) -> dict[str, list[str]]:
        return {name: [labels.get("version", "") for labels, _value in ask(server, query, at_s)] for name, query in asked.items()}

    assert seen(started_s - 120) == {"Gateway restarts": [], "New versions": []}
    assert seen(started_s + 15) == {"Gateway restarts": [""], "New versions": ["2.0"]}
