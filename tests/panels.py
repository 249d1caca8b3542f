"""The queries of a dosing plant's dashboards and alerts as Grafana sends them, with points for them and what each must give.

Grafana's macros are expanded as its PostgreSQL source does where `timescaledb` is set: $__timeFilter(time) to a condition,
$__timeGroupAlias(time, '1h') to time_bucket. All times are relative to MONDAY, the beginning of last week in UTC, so that retention leaves
them alone; NOW stands for `now()`. Answers are worked out by hand. Each mistake that such queries are known for would give another answer.
"""

from __future__ import annotations

MONDAY = "(date_trunc('week', now(), 'UTC') - interval '7 days')"
NOW = f"({MONDAY} + interval '2 days 12 hours')"
"""Wednesday noon."""
ZONE = "Europe/Berlin"
"""The plant's; always ahead of UTC."""


def at(text: str) -> str:
    """Return a time of last week: `1d 2h`."""
    return f"({MONDAY} + interval '{text}')"


DOSES = (
    # when, device, pump, chemical, target, actual, error
    ("1h 10m", "d1", 1, "acid", 10, 10.5, 0.5),
    ("1h 50m", "d1", 1, "acid", 20, 19.25, -0.75),
    ("2h", "d1", 1, "acid", 30, 30, 0),
    ("1h 20m", "d2", 2, "base", 7, 4.5, -2.5),
    ("2h 30m", "d2", 2, "base", 5, None, None),
    # At half past midnight in the plant, still Tuesday in UTC.
    ("1d 23h 30m", "d2", 2, "base", 3, 5.25, 2.25),
    ("2d 1h", "d1", 1, "acid", 10, 11, 1),
    ("2d 2h", "d1", 1, "acid", 10, 12.5, 2.5),
)


def _values(rows: tuple[tuple[object, ...], ...]) -> str:
    def text(cell: object) -> str:
        return "NULL" if cell is None else str(cell) if isinstance(cell, int | float) else f"'{cell}'"

    return ", ".join(f"({at(str(row[0]))}, {', '.join(map(text, row[1:]))})" for row in rows)


POINTS = (
    "INSERT INTO dosing_consumption (time, device_id, pump, chemical, target_g, actual_g, error_g) VALUES " + _values(DOSES),
    "INSERT INTO batch_events (time, device_id, event, recipe, pumps) VALUES "
    + _values(
        (
            ("1d 23h", "d1", "start", "CU-85", 2),
            ("1d 23h 30m", "d1", "complete", "CU-85", 2),
            ("2d 1h", "d1", "complete", "CU-85", 3),
            ("2d 3h", "d2", "complete", "FG", None),
        )
    ),
    "INSERT INTO inventory_levels (time, device_id, chemical, remaining_g, capacity_g, percent_full, container_id) VALUES "
    + _values(
        (
            ("1h", "d1", "acid", 900, 1000, 90, "a"),
            ("2d", "d1", "acid", 50, 1000, 5, "a"),
            ("2d 1h", "d1", "acid", 990, 1000, 99, "b"),
            # Not heard of for two days: still what is known of it.
            ("30m", "d2", "base", 100, 1000, 10, None),
        )
    ),
    "INSERT INTO equipment_temperature (time, device_id, location, temperature_c) VALUES "
    + _values(
        (
            ("2d 10h", "d1", "pump_motor_1", 70),
            ("2d 11h 59m", "d1", "pump_motor_1", 65.5),
            ("2d 11h 59m", "d1", "ambient", 22),
            ("2d 11h 58m", "d2", "pump_motor_2", 40),
        )
    ),
    "INSERT INTO equipment_vibration (time, device_id, pump, axis, rms) VALUES "
    + _values(
        (
            ("2d 11h 59m", "d1", 1, "x", 0.15),
            ("2d 11h 59m", "d1", 1, "y", 0.3),
            ("2d 11h 59m", "d2", 2, "x", 0.05),
        )
    ),
)

DAY = f"time >= date_trunc('day', {NOW}, '{ZONE}') AND time < {NOW}"
LAST_DAYS = f"time BETWEEN {MONDAY} AND {NOW}"


def hours(expression: str) -> str:
    """Return how many hours after MONDAY a time is."""
    return f"extract(epoch FROM {expression} - {MONDAY})::int / 3600"


PANELS: dict[str, tuple[str, list[list[str]]]] = {
    "1 totals today, by the plant's day": (
        f"SELECT chemical, sum(actual_g) FROM dosing_consumption WHERE {DAY} GROUP BY 1 ORDER BY 1",
        [["acid", "23.5"], ["base", "5.25"]],
    ),
    "2 consumption over time, a point an hour and chemical, stamped at its beginning": (
        f"""
        SELECT {hours("time")}, chemical, sum FROM (
            SELECT time_bucket('3600.000s', time) AS time, chemical, sum(actual_g) FROM dosing_consumption
            WHERE {LAST_DAYS} AND actual_g IS NOT NULL GROUP BY 1, 2
        ) AS hourly ORDER BY 1, 2""",
        [
            ["1", "acid", "29.75"],
            ["1", "base", "4.5"],
            ["2", "acid", "30"],
            ["47", "base", "5.25"],
            ["49", "acid", "11"],
            ["50", "acid", "12.5"],
        ],
    ),
    "2 the same from the hourly sums": (
        f"""
        SELECT {hours("bucket")}, chemical, total_grams, dose_count FROM dosing_consumption_hourly
        WHERE bucket BETWEEN {MONDAY} AND {NOW} ORDER BY 1, 2""",
        [
            ["1", "acid", "29.75", "2"],
            ["1", "base", "4.5", "1"],
            ["2", "acid", "30", "1"],
            ["2", "base", "", "1"],
            ["47", "base", "5.25", "1"],
            ["49", "acid", "11", "1"],
            ["50", "acid", "12.5", "1"],
        ],
    ),
    "2 in days of the plant": (
        f"""
        SELECT {hours("day")}, sum(actual_g) FROM (
            SELECT time_bucket('1 day', time AT TIME ZONE '{ZONE}' AT TIME ZONE 'UTC') AS day, actual_g FROM dosing_consumption
        ) AS days GROUP BY 1 ORDER BY 1""",
        [["0", "64.25"], ["48", "28.75"]],
    ),
    "3 accuracy, as a histogram with nothing left out": (
        """
        SELECT label, count(error_g) FROM (VALUES
            (0, '< -2'), (1, '-2 to -1'), (2, '-1 to -0.5'), (3, '-0.5 to 0.5'), (4, '0.5 to 1'), (5, '1 to 2'), (6, '> 2')
        ) AS bins (bin, label)
        LEFT JOIN dosing_consumption ON width_bucket(error_g, ARRAY[-2, -1, -.5, .5, 1, 2]::float8[]) = bin
        GROUP BY bin, label ORDER BY bin""",
        [["< -2", "1"], ["-2 to -1", "0"], ["-1 to -0.5", "1"], ["-0.5 to 0.5", "1"], ["0.5 to 1", "1"], ["1 to 2", "1"], ["> 2", "2"]],
    ),
    "4 motor temperatures, the greatest of each window": (
        f"""
        SELECT {hours("time")}, metric, max FROM (
            SELECT time_bucket('21600.000s', time) AS time, device_id || ' ' || location AS metric, max(temperature_c)
            FROM equipment_temperature WHERE {LAST_DAYS} AND location LIKE 'pump_motor_%' GROUP BY 1, 2
        ) AS motors ORDER BY 1, 2""",
        [["54", "d1 pump_motor_1", "70"], ["54", "d2 pump_motor_2", "40"]],
    ),
    "5 vibration, one series a pump": (
        f"""
        SELECT device_id, pump, max(rms) FROM equipment_vibration WHERE {LAST_DAYS}
        GROUP BY time_bucket('60.000s', time), 1, 2 ORDER BY 1, 2""",
        [["d1", "1", "0.3"], ["d2", "2", "0.05"]],
    ),
    "6 inventory, the last value of each container and its age in hours": (
        f"SELECT device_id, chemical, container_id, percent_full, {hours(NOW)} - {hours('time')} FROM latest_inventory ORDER BY 1, 2, 3",
        [["d1", "acid", "a", "5", "12"], ["d1", "acid", "b", "99", "11"], ["d2", "base", "", "10", "60"]],
    ),
    "7 batches today, each counted once": (
        f"SELECT count(*) FROM batch_events WHERE event = 'complete' AND {DAY}",
        [["3"]],
    ),
    "8 health, from the newest temperature and vibration of each pump": (
        """
        SELECT t.device_id, t.pump, greatest(0, 100 - greatest(0, temperature_c - 60) - 100 * greatest(0, rms - 0.1)) FROM (
            SELECT DISTINCT ON (1, 2) device_id, substring(location FROM 'pump_motor_(\\d+)')::int AS pump, temperature_c
            FROM equipment_temperature WHERE location LIKE 'pump_motor_%' ORDER BY 1, 2, time DESC
        ) AS t JOIN (
            SELECT device_id, pump, max(rms) AS rms FROM (
                SELECT *, rank() OVER (PARTITION BY device_id, pump ORDER BY time DESC) FROM equipment_vibration
            ) AS ranked WHERE rank = 1 GROUP BY 1, 2
        ) AS v USING (device_id, pump) ORDER BY 1, 2""",
        [["d1", "1", "74.5"], ["d2", "2", "100"]],
    ),
    "9 error rate, without doses whose error is not known": (
        """
        SELECT device_id, round((100.0 * count(*) FILTER (WHERE abs(error_g) > 2) / count(*))::numeric, 1)
        FROM dosing_consumption WHERE error_g IS NOT NULL GROUP BY 1 ORDER BY 1""",
        [["d1", "20.0"], ["d2", "100.0"]],
    ),
    "10 daily summary: doses are doses, batches come from batch_events": (
        f"""
        SELECT (SELECT count(*) FROM dosing_consumption WHERE {DAY}),
            (SELECT count(*) FROM batch_events WHERE event = 'complete' AND {DAY})""",
        [["3", "3"]],
    ),
    "alert: dosing error, with a time and labels": (
        f"""
        SELECT {hours("time")}, device_id, chemical, error_g FROM dosing_consumption
        WHERE abs(error_g) > 2 AND time BETWEEN {at("2d")} AND {NOW}""",
        [["50", "d1", "acid", "2.5"]],
    ),
    "alert: low stock": (
        "SELECT device_id, chemical, container_id, percent_full FROM latest_inventory WHERE percent_full < 20 ORDER BY 1, 2, 3",
        [["d1", "acid", "a", "5"], ["d2", "base", "", "10"]],
    ),
    "alert: how long each device has been silent, in minutes; also on an empty table": (
        f"""
        SELECT device_id, extract(epoch FROM {NOW} - max(time))::int / 60 FROM (VALUES ('d1'), ('d2'), ('d3')) AS known (device_id)
        LEFT JOIN dosing_consumption USING (device_id) GROUP BY 1 ORDER BY 1""",
        [["d1", "600"], ["d2", "750"], ["d3", ""]],
    ),
}
