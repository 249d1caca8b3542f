"""The plan of `postgresql init` for a plant: tables with their indexes and retention, hourly sums, and a view. Data only."""

from __future__ import annotations

from dataclasses import dataclass

DOUBLE = "double precision"


@dataclass(frozen=True, slots=True)
class Table:
    """A table for one measurement; the time column comes before these columns."""

    name: str
    needed: dict[str, str]
    """Columns that are NOT NULL, and their types."""
    columns: dict[str, str]
    """The others."""
    indexes: dict[str, str]
    """Each over a column and the time, newest first."""
    segments: tuple[str, ...] = ("device_id",)
    """By what compressed rows are kept together."""


@dataclass(frozen=True, slots=True)
class Hourly:
    """A view with hourly counts, sums and averages."""

    name: str
    table: str
    by: tuple[str, ...]
    count: str
    sums: tuple[tuple[str, str, str], ...]
    """Column, and what its sum and its average are called; an empty name leaves one out."""


@dataclass(frozen=True, slots=True)
class Latest:
    """A view with the newest row of each group."""

    name: str
    table: str
    by: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Plan:
    """The plan for one plant."""

    tables: tuple[Table, ...]
    hourly: Hourly
    latest: Latest
    keep_days: float
    keep_hourly_days: float
    compress_days: float
    is_unique: bool = False
    """Each table can hold equal rows of one time once only, as `unique = true` of the section needs."""

    def retention(self) -> dict[str, float]:
        """Return how many days the rows of each table are kept, by table."""
        return {**{table.name: self.keep_days for table in self.tables}, self.hourly.name: self.keep_hourly_days}


FACTORY_DOSING = Plan(
    tables=(
        Table(
            "dosing_consumption",
            {"device_id": "text", "pump": "integer", "chemical": "text"},
            {
                "target_g": DOUBLE,
                "actual_g": DOUBLE,
                "error_g": DOUBLE,
                "recipe": "text",
                "mode": "text",
                "duration_ms": "bigint",
            },
            {
                "idx_dosing_device_time": "device_id",
                "idx_dosing_chemical_time": "chemical",
                "idx_dosing_recipe_time": "recipe",
                "idx_dosing_pump": "pump",
            },
            ("device_id", "chemical"),
        ),
        Table(
            "batch_events",
            {"device_id": "text", "event": "text"},
            {"recipe": "text", "pumps": "integer"},
            {"idx_batch_device_time": "device_id", "idx_batch_event_time": "event", "idx_batch_recipe_time": "recipe"},
        ),
        Table(
            "inventory_levels",
            {"device_id": "text", "chemical": "text"},
            {"remaining_g": DOUBLE, "capacity_g": DOUBLE, "percent_full": DOUBLE, "container_id": "text"},
            {"idx_inventory_device_time": "device_id", "idx_inventory_chemical_time": "chemical"},
            ("device_id", "chemical"),
        ),
        Table(
            "equipment_temperature",
            {"device_id": "text"},
            {
                "location": "text",
                "sensor_type": "text",
                "temperature_c": DOUBLE,
                "temperature_f": DOUBLE,
                "humidity_percent": DOUBLE,
            },
            {"idx_temperature_device_time": "device_id"},
        ),
        Table(
            "equipment_vibration",
            {"device_id": "text"},
            {
                "pump": "integer",
                "axis": "text",
                "acceleration_g": DOUBLE,
                "velocity_mm_s": DOUBLE,
                "rms": DOUBLE,
                "frequency_hz": DOUBLE,
            },
            {"idx_vibration_device_time": "device_id"},
        ),
    ),
    hourly=Hourly(
        "dosing_consumption_hourly",
        "dosing_consumption",
        ("device_id", "chemical", "recipe", "mode"),
        "dose_count",
        (("actual_g", "total_grams", "avg_grams"), ("error_g", "", "avg_error"), ("duration_ms", "", "avg_duration_ms")),
    ),
    # The container is part of the key if it is known, so that a full container does not hide an empty one.
    latest=Latest("latest_inventory", "inventory_levels", ("device_id", "chemical", "container_id")),
    keep_days=90,
    keep_hourly_days=730,
    compress_days=7,
)
PLANS = {"factory-dosing": FACTORY_DOSING}
"""By the name of the profile whose points go into these tables."""
