"""The figures of a run: names, goals, and what each was measured beside."""

from __future__ import annotations

from dataclasses import dataclass, field

GOALS: dict[str, tuple[str, float]] = {
    "decode_packets_per_s": (">=", 3_000_000),
    "decode_vs_stock_python": (">=", 150),
    "decode_vs_fstrings": (">=", 20),
    "end_to_end_packets_per_s": ("", 0),
    "end_to_end_vs_bare": (">=", 0.90),
    "end_to_end_with_alerts_vs_none": (">=", 0.95),
    "backlog_points_per_s": (">=", 500_000),
    "backlog_vs_bare": (">=", 0.80),
    "latency_added_p50_ms": ("<=", 0.3),
    "latency_p99_vs_bare": ("<=", 1.5),
    "latency_p99_vs_relay": ("", 0),
    "rss_rest_mb": ("<=", 35),
    "rss_rest_http_mb": ("<=", 45),
    "rss_peak_mb": ("<=", 64),
    "rss_slope_mb_per_hour": ("<=", 1),
    "crossings_per_1000_frames": ("<=", 20),
    "history_points_per_s": (">=", 100_000),
    "history_day_ms": ("<=", 50),
    "history_day_without_rollups_ms": ("", 0),
    "history_bytes_per_point": ("", 0),
    "broker_qos1_publishes_per_s": (">=", 20_000),
    "ingest_messages_per_s": ("", 0),
    "ingest_vs_bare": (">=", 0.80),
    "ingest_to_database_vs_bare": (">=", 0.70),
    "ingest_to_database_vs_both": ("", 0),
    "ingest_cpu_us_per_message": ("<=", 12),
    "ingest_rss_peak_mb": ("<=", 64),
    "alerts_messages_per_s": ("", 0),
    "alerts_vs_none": (">=", 0.95),
    "alerts_cpu_vs_none": ("", 0),
    "http_posts_per_s": ("", 0),
    "http_posts_vs_bare": (">=", 0.60),
    "http_batch_points_per_s": (">=", 100_000),
    "http_p99_ms": ("<=", 20),
    "registry_lookup_us": ("<=", 20),
    "rss_devices_mb": ("<=", 60),
    "postgresql_rows_per_s": ("", 0),
    "postgresql_vs_copy": (">=", 0.85),
    "postgresql_cpu_us_per_row": ("<=", 6),
    "postgresql_rss_peak_mb": ("<=", 64),
    "postgresql_latency_added_p50_ms": ("<=", 2),
    "fleet_messages_per_s_of_one": ("<=", 800),
    "fleet_four_vs_one": (">=", 3.6),
    "fleet_cpu_four_vs_one": ("<=", 1.1),
    "fleet_cpu_four_vs_apart": ("<=", 1.1),
    "rss_demo_mb": ("<=", 70),
    "demo_slope_mb_per_hour": ("", 0),
    "demo_answer_p50_ms": ("", 0),
}
"""Every figure in the order of printing, with the side of its goal that is good."""


@dataclass(frozen=True, slots=True)
class Figure:
    """One measured value."""

    name: str
    value: float
    beside: str
    """What it is compared with in the same run, and the spread."""

    def is_met(self) -> str:
        """Return `yes` or `no`: whether the value meets its goal; empty if there is no goal."""
        side, goal = GOALS[self.name]
        if not side:
            return ""
        return "yes" if (self.value >= goal if side == ">=" else self.value <= goal) else "no"


@dataclass(slots=True)
class Report:
    """Collects figures and prints each as it comes."""

    figures: list[Figure] = field(default_factory=list)

    def add(self, name: str, value: float, beside: str) -> None:
        """Take a figure."""
        figure = Figure(name, value, beside)
        side, goal = GOALS[name]
        self.figures.append(figure)
        wanted = f"{side} {number(goal)}" if side else "-"
        print(f"{name:<31} {number(value):>10}  {wanted:>12}  {figure.is_met():<3}  {beside}", flush=True)

    def values(self) -> dict[str, float]:
        """Return name -> value."""
        return {figure.name: figure.value for figure in self.figures}


HEADING = f"{'figure':<31} {'value':>10}  {'goal':>12}  {'met':<3}  beside it, in the same run"


def number(value: float) -> str:
    """Return a number with three figures, thousands parted."""
    return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.3g}"


def spread(values: list[float]) -> str:
    """Return least and greatest."""
    return f"{number(min(values))} to {number(max(values))}"
