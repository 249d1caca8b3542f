"""The alerts: rules for accepted frames and for the gateway itself, and the receivers that are notified."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from iiot_gateway.components import Metric, SinkComponent
from iiot_gateway.sinks.alerts.section import NAME, AlertsSection, faults, notes

if TYPE_CHECKING:
    from iiot_gateway.components import Building
    from iiot_gateway.config.schema import Config
    from iiot_gateway.findings import Finding, Running
    from iiot_gateway.sinks.base import Sink


def build(building: Building, name: str, section: AlertsSection) -> Sink:
    """Make the sink. Raises ProfileInvalid for a rule of a profile that cannot be used."""
    from iiot_gateway.sinks.alerts.building import build_sink

    return build_sink(building, name, section)


def _doctor(config: Config, _running: Running) -> Iterator[Finding]:
    """Try each receiver that can be tried without notifying anybody."""
    from iiot_gateway.sinks.alerts.doctor import receivers as tried

    return tried(config)


COMPONENT = SinkComponent(
    name=NAME,
    section=AlertsSection,
    many=False,
    is_on_alone=True,
    comes_with=("webhook", "mail"),
    faults=faults,
    notes=notes,
    build=build,
    doctor=_doctor,
    metrics=(
        Metric("alerts_firing", "iiot_sink_alerts_firing", "gauge", "Alerts that hold now.", "rule"),
        Metric(
            "late_values",
            "iiot_sink_alerts_late_values_total",
            "counter",
            "Values since the start that were late, so that no alert was judged by them.",
        ),
        Metric("beyond_values", "iiot_sink_alerts_beyond_values_total", "counter", "Values since the start of series beyond max_series."),
        Metric("changes_waiting", "iiot_sink_alerts_waiting_changes", "gauge", "Changes that wait for a receiver.", "receiver"),
        Metric(
            "notifications_sent", "iiot_sink_alerts_sent_notifications_total", "counter", "Notifications that a receiver took.", "receiver"
        ),
        Metric(
            "attempts_failed", "iiot_sink_alerts_failed_attempts_total", "counter", "Attempts to tell a receiver that failed.", "receiver"
        ),
        Metric(
            "changes_coalesced",
            "iiot_sink_alerts_coalesced_changes_total",
            "counter",
            "Changes whose place a newer one took before a receiver was told.",
            "receiver",
        ),
        Metric(
            "changes_expired",
            "iiot_sink_alerts_expired_changes_total",
            "counter",
            "Changes that waited longer than expire_h for a receiver.",
            "receiver",
        ),
        Metric(
            "changes_dropped",
            "iiot_sink_alerts_dropped_changes_total",
            "counter",
            "Changes for which a receiver's queue had no room.",
            "receiver",
        ),
    ),
)
