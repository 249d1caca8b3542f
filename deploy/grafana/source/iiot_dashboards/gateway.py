"""The dashboard of the gateway itself, from its /metrics, and of the databases behind it."""

from __future__ import annotations

from typing import Any

from iiot_dashboards.frame import Board, Variable
from iiot_dashboards.sdk import PROMETHEUS, promql
from iiot_dashboards.style import AGE_S, BAD_GOOD, GOOD_BAD, HOURS_LEFT, LAG_S, columns, figures, lines, words

INSTANCE = Variable("instance", "Gateway", PROMETHEUS, "label_values(iiot_gateway_uptime_seconds, instance)", ".*")
OF = '{instance=~"${instance:regex}"}'
AND = 'instance=~"${instance:regex}"'
RATE = "$__rate_interval"


def _now(query: str, legend: str) -> Any:
    """Ask for this moment alone: over the time range a series that ended, such as a state of before, would still be shown."""
    return promql(query, legend, instant=True)


def _dropped(by: str, window: str) -> str:
    """Count what was dropped within a window, also the first loss: a counter that appears with it has no `increase`.

    Where Prometheus is younger than the window, all that was ever dropped counts.
    """
    total = f"sum {by}(iiot_sink_dropped_frames_total{OF}"
    return f"{total}) - ({total} offset {window}) or 0 * {total}))"


def _well(made: Board) -> None:
    made.row("Is all well?")
    uptime = f"iiot_gateway_uptime_seconds{OF} * on (instance) group_left (version) iiot_gateway_info"
    made.add(figures("Version and uptime", _now(uptime, "{{version}}"), unit="s", decimals=1), 4, 5)
    text = "Whether the source gives bytes or is subscribed. Its state says what is missing."
    sources = _now(f"iiot_source_running{OF}", "{{source}}: {{state}}")
    made.add(figures("State of sources", sources, steps=BAD_GOOD, text=text).mappings(words("stopped", "running")), 6, 5)
    text = "Whether the sink delivers."
    sinks = _now(f"iiot_sink_connected{OF}", "{{sink}}")
    made.add(figures("State of sinks", sinks, steps=BAD_GOOD, text=text).mappings(words("waits", "delivers")), 6, 5)
    text = "How long the free room of the journal holds at the present rate."
    left = _now(f"iiot_journal_hours_left{OF}", "{{instance}}")
    made.add(figures("Journal: hours left", left, unit="h", steps=HOURS_LEFT, decimals=1, text=text), 4, 5)
    dropped = f"{_dropped('', '24h')} or vector(0)"
    made.add(figures("Frames dropped in 24 hours", _now(dropped, "dropped"), steps=GOOD_BAD, decimals=0), 4, 5)


def _intake(made: Board) -> None:
    made.row("Intake")
    frames = f"sum by (outcome) (rate(iiot_intake_frames_total{OF}[{RATE}]))"
    made.add(lines("Frames per second by outcome", promql(frames, "{{outcome}}"), unit="short"), 8, 8)
    rejected = f"sum by (reason) (increase(iiot_intake_rejected_total{OF}[{RATE}]))"
    made.add(columns("Rejects by reason", promql(rejected, "{{reason}}"), unit="short"), 8, 8)
    others = (
        promql(f"sum by (kind) (increase(iiot_intake_ignored_documents_total{OF}[{RATE}]))", "ignored: {{kind}}", "A"),
        promql(f"sum by (reason) (increase(iiot_intake_skipped_messages_total{OF}[{RATE}]))", "skipped: {{reason}}", "B"),
        promql(f"increase(iiot_intake_sessions_lost_total{OF}[{RATE}])", "session lost: {{source}}", "C"),
        promql(f"increase(iiot_intake_times_not_believed_total{OF}[{RATE}])", "time not believed: {{source}}", "D"),
    )
    made.add(columns("Beside the frames", *others, unit="short", text="Documents that are no frames, and what sources noticed."), 8, 8)
    documents = f"rate(iiot_source_documents_total{OF}[{RATE}])"
    made.add(lines("Documents per second and source", promql(documents, "{{source}}"), unit="short"), 8, 8)
    age = f"time() - iiot_source_last_document_timestamp_seconds{OF}"
    made.add(lines("Age of the last document of each source", promql(age, "{{source}}"), unit="s", steps=AGE_S).min(0), 8, 8)
    lost = (
        promql(f"iiot_intake_lost_on_air_frames{OF}", "lost on air", "A"),
        promql(f"increase(iiot_source_restarts_total{OF}[{RATE}])", "restarts of {{source}}", "B"),
    )
    made.add(lines("Lost on air, and restarts of sources", *lost, unit="short"), 8, 8)


def _sinks(made: Board) -> None:
    made.row("Sinks")
    text = "Frames in the journal that a sink has not passed."
    made.add(lines("Queued", promql(f"iiot_sink_queued_frames{OF}", "{{sink}}"), unit="short", text=text).min(0), 8, 8)
    text = "How long the oldest queued frame has waited."
    made.add(lines("Lag", promql(f"iiot_sink_lag_seconds{OF}", "{{sink}}"), unit="s", steps=LAG_S, text=text).min(0), 8, 8)
    delivered = f'sum by (sink) (rate(iiot_sink_frames_total{{outcome="delivered", {AND}}}[{RATE}]))'
    made.add(lines("Delivered per second", promql(delivered, "{{sink}}"), unit="short"), 8, 8)
    dropped = (
        promql(_dropped("by (sink, reason) ", RATE), "{{sink}}: {{reason}}", "A"),
        promql(f"increase(iiot_sink_lost_by_peer_frames_total{OF}[{RATE}])", "{{sink}}: lost by the database", "B"),
    )
    made.add(columns("Dropped and lost", *dropped, unit="short"), 8, 8)
    made.add(lines("Rejected by the other side", promql(f"iiot_sink_rejected_frames{OF}", "{{sink}}"), unit="short"), 8, 8)
    made.add(columns("Reconnects", promql(f"increase(iiot_sink_reconnects_total{OF}[{RATE}])", "{{sink}}"), unit="short"), 8, 8)


def _process(made: Board) -> None:
    made.row("Journal and process")
    size = (promql(f"iiot_journal_bytes{OF}", "in use", "A"), promql(f"iiot_journal_max_bytes{OF}", "limit", "B"))
    made.add(lines("Size of the journal", *size, unit="bytes").min(0), 8, 8)
    made.add(lines("Memory", promql(f"iiot_gateway_resident_bytes{OF}", "{{instance}}"), unit="bytes").min(0), 8, 8)
    lost = promql(f"increase(iiot_log_lines_lost_total{OF}[{RATE}])", "{{instance}}")
    made.add(columns("Log lines lost", lost, unit="short", text="Lines that could not be written to standard error."), 8, 8)


def _databases(made: Board) -> None:
    made.row("What the databases say of themselves")

    def time_of(path: str, ref_id: str) -> Any:
        requests = f'http_api_request_duration_seconds_bucket{{path="{path}"}}'
        return promql(f"histogram_quantile(0.95, sum by (le) (rate({requests}[{RATE}])))", path, ref_id)

    text = "95 of 100 requests were answered within this time. From InfluxDB's own metrics."
    times = (time_of("/api/v2/write", "A"), time_of("/api/v2/query", "B"))
    made.add(lines("InfluxDB: time of writes and queries", *times, unit="s", text=text).min(0), 6, 8)
    disk = promql("sum by (bucket) (storage_shard_disk_size)", "bucket {{bucket}}")
    made.add(lines("InfluxDB: disk", disk, unit="bytes").min(0), 6, 8)
    memory = promql("go_memstats_sys_bytes and on (instance) influxdb_info", "{{instance}}")
    made.add(lines("InfluxDB: memory", memory, unit="bytes").min(0), 6, 8)
    commits = f"rate(iiot_sink_commit_seconds_total{OF}[{RATE}]) / rate(iiot_sink_transactions_total{OF}[{RATE}])"
    text = "Mean time of a transaction, as the gateway sees it: rows, position and COMMIT."
    made.add(lines("PostgreSQL: time of a transaction", promql(commits, "{{sink}}"), unit="s", text=text).min(0), 6, 8)


def board() -> Board:
    """Return the dashboard."""
    made = Board(
        "iiot-gateway",
        "Gateway",
        "What the gateway received, what became of it, and how the databases behind it are. From Prometheus.",
        sources=[PROMETHEUS],
        variables=[INSTANCE],
        since="now-6h",
    )
    for part in (_well, _intake, _sinks, _process, _databases):
        part(made)
    return made
