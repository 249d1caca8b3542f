"""The metrics as Prometheus' own parser reads them."""

from __future__ import annotations

from typing import Any

from prometheus_client.parser import text_string_to_metric_families

from iiot_gateway.metrics import METRICS, render

NOW_S = 1_700_000_000.0


def document() -> dict[str, Any]:
    """Return a status document with everything in it."""
    return {
        "gateway": {"version": "0.1.0", "uptime_s": 5.5, "frames_per_s": 2.0, "log_lines_lost": 4, "resident_bytes": 40_000_000},
        "intake": {
            "received": 100,
            "accepted": 80,
            "duplicate": 12,
            "rejected": 8,
            "retried": 2,
            "lost_on_air": 7,
            "receptions_not_remembered": 4,
            "losses_not_tracked": 5,
            "lost_journal_unavailable": 0,
            "ignored": 5,
            "ignored_kinds": {"join": 4, "ack": 1},
            "skipped_kinds": {"retained": 8},
            "sessions_lost": {"mqtt_consumer": 1},
            "reject_reasons": {"not JSON": 6, 'a "reason" with \\ and\na line': 4},
            "times_not_believed": {"serial": 3},
        },
        "sites": {"0a1b": {"received": 40, "doubles": 2, "forgotten": 0}},
        "sinks": {
            "mqtt": {
                "state": "connected",
                "accepted": 80,
                "delivered": 70,
                "queued": 4,
                "rejected": 1,
                "dropped": 5,
                "superseded": 0,
                "dropped_reasons": {"journal_full": 5, "journal_age": 0, "sink_away": 0},
                "lost_by_peer": 6,
                "oldest_queued_at_ms": int(NOW_S * 1000) - 12_500,
                "reconnects": 1,
                "in_flight": 3,
                "late": 2,
                "refreshed": 9,
                "publishes": 700,
            },
            "history": {"state": "connected", "oldest_queued_at_ms": None, "points": 1000, "bytes": 4096, "pruned_points": 3},
            "postgresql": {
                "state": "connected",
                "oldest_queued_at_ms": None,
                "rows": 500,
                "transactions": 20,
                "commit_s": 0.25,
                "repeated": 2,
                "left_out": 1,
            },
            "alerts": {
                "state": "connected",
                "oldest_queued_at_ms": None,
                "alerts_firing": {"inventory_low": 2},
                "late_values": 3,
                "beyond_values": 0,
                "changes_waiting": {"mail": 4},
                "notifications_sent": {"mail": 5, "log": 6},
                "attempts_failed": {"mail": 7},
                "changes_coalesced": {"mail": 8},
                "changes_expired": {"mail": 0},
                "changes_dropped": {"mail": 0},
            },
            "gone": {"state": "removed", "oldest_queued_at_ms": None},
        },
        "refused": {"broker": {"wrong_key": 3, "foreign_topic": 2}, "devices": {}},
        "journal": {"bytes": 4096, "max_bytes": 268435456, "frames": 4, "hours_left": 31.5},
        "source": {
            "serial": {"state": "running", "bytes": 10, "documents": 1, "restarts": 0, "last_document_at": NOW_S},
        },
    }


def read(text: str) -> dict[tuple[str, tuple[str, ...]], float]:
    """Return (name, label values) -> value."""
    return {
        (sample.name, tuple(sample.labels.values())): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


def test_prometheus_reads_every_metric_with_its_type_and_help() -> None:
    """Each has a TYPE and a HELP that the parser takes, and all of the table are there."""
    families = {family.name: family for family in text_string_to_metric_families(render(document(), NOW_S))}

    for name, (kind, help_text) in METRICS.items():
        family = families[name.removesuffix("_total")]
        assert (family.type, family.documentation) == (kind, help_text), name
        assert (kind == "counter") == name.endswith("_total"), name


def test_each_number_of_the_ledger_has_its_metric() -> None:
    """Reasons survive their quotes, and lag is seconds."""
    values = read(render(document(), NOW_S))

    assert values["iiot_intake_rejected_total", ("not JSON",)] == 6
    assert values["iiot_intake_rejected_total", ('a "reason" with \\ and\na line',)] == 4
    assert values["iiot_intake_retried_total", ()] == 2
    assert values["iiot_intake_times_not_believed_total", ("serial",)] == 3
    assert values["iiot_intake_ignored_documents_total", ("join",)] == 4
    assert values["iiot_intake_skipped_messages_total", ("retained",)] == 8
    assert values["iiot_intake_sessions_lost_total", ("mqtt_consumer",)] == 1
    assert values["iiot_refused_requests_total", ("broker", "wrong_key")] == 3
    assert values["iiot_sink_lost_by_peer_frames_total", ("mqtt",)] == 6
    assert values["iiot_intake_times_not_remembered_total", ()] == 0
    assert values["iiot_intake_receptions_not_remembered_total", ()] == 4
    assert values["iiot_intake_losses_not_tracked_total", ()] == 5
    assert values["iiot_intake_lost_on_air_frames", ()] == 7
    assert values["iiot_sink_lag_seconds", ("mqtt",)] == 12.5
    assert values["iiot_sink_lag_seconds", ("gone",)] == 0
    assert values["iiot_sink_dropped_frames_total", ("mqtt", "journal_full")] == 5
    assert values["iiot_sink_in_flight_publishes", ("mqtt",)] == 3
    assert values["iiot_sink_publishes_total", ("mqtt",)] == 700
    assert values["iiot_sink_rows_total", ("postgresql",)] == 500
    assert values["iiot_sink_commit_seconds_total", ("postgresql",)] == 0.25
    assert values["iiot_sink_alerts_firing", ("alerts", "inventory_low")] == 2
    assert values["iiot_sink_alerts_sent_notifications_total", ("alerts", "log")] == 6
    assert values["iiot_journal_max_bytes", ()] == 268435456
    assert values["iiot_journal_hours_left", ()] == 31.5


def test_what_can_fall_is_no_counter() -> None:
    """A retry lowers rejected, a late frame lowers lost on air: a counter that falls looks like a restart."""
    after = document()
    after["intake"] |= {"accepted": 81, "rejected": 7, "retried": 3, "lost_on_air": 6}
    after["sinks"]["mqtt"] |= {"rejected": 0, "queued": 5}
    before_text, after_text = render(document(), NOW_S), render(after, NOW_S)

    for name, labels in read(before_text):
        if name.endswith("_total"):
            assert read(after_text)[name, labels] >= read(before_text)[name, labels], name
