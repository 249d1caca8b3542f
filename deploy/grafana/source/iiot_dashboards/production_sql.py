"""The production overview from PostgreSQL or TimescaleDB: the same SQL on both, over the tables that `postgresql init` makes."""

from __future__ import annotations

from typing import Any

from iiot_dashboards import production
from iiot_dashboards.frame import Board, Variable
from iiot_dashboards.sdk import SQL, Sql
from iiot_dashboards.style import DOSING_ERRORS, ERROR_RATE, lines, properties, rows

ZONE = "${__timezone}"
"""Of the dashboard. It is Grafana's own default where nobody chose another, and that is where the plant's time zone belongs."""
END = "$__timeTo()::timestamptz"
TODAY = f"time >= date_trunc('day', {END}, '{ZONE}') AND time < {END}"
WEEK = f"time >= date_trunc('day', {END} - interval '6 days', '{ZONE}') AND time < {END}"
WHOLE_HOURS = f"time >= date_trunc('hour', $__timeFrom()::timestamptz) AND time < {END}"
RECENTLY = f"time >= {END} - interval '30 days' AND time < {END}"
LAST_DAY = f"time >= {END} - interval '1 day' AND time < {END}"
SITE = "to_jsonb(t) ->> 'site'"
"""Only tables that the gateway makes itself have such a column (`configuration_tags`), so it is asked for in this way."""


def chosen(variable: str, expression: str) -> str:
    """Return the condition of a variable. All is NULL, so that the server leaves the condition out."""
    return f"((${{{variable}:sqlstring}}) IS NULL OR {expression} IN (${{{variable}:sqlstring}}))"


PLACE = f"{chosen('site', SITE)} AND {chosen('device', 'device_id')}"
STOCK = f"{PLACE} AND {chosen('chemical', 'chemical')}"
DOSES = f"{STOCK} AND {chosen('pump', 'pump::text')}"
PUMPS = f"{PLACE} AND {chosen('pump', 'pump::text')}"


def _values_of(column: str, table: str, condition: str = "true") -> str:
    return f"""SELECT DISTINCT {column} FROM {table} AS t
WHERE time > now() - interval '30 days' AND {column} IS NOT NULL AND {condition} ORDER BY 1"""


def variable(name: str, label: str, query: str, *, multi: bool = True) -> Variable:
    """Return a variable for `chosen`."""
    return Variable(name, label, SQL, query, "NULL", multi)


VARIABLES = (
    variable("site", "Site", _values_of(SITE, "batch_events")),
    variable("device", "Device", _values_of("device_id", "batch_events", chosen("site", SITE))),
    variable("pump", "Pump", _values_of("pump::text", "dosing_consumption")),
    variable("chemical", "Chemical", _values_of("chemical", "dosing_consumption")),
)

TOTALS = f"SELECT chemical AS name, sum(actual_g) AS grams FROM dosing_consumption AS t WHERE {TODAY} AND {DOSES} GROUP BY 1 ORDER BY 1"
OVER_TIME = f"""
SELECT $__timeGroupAlias(time,1h), chemical AS metric, sum(actual_g) AS value
FROM dosing_consumption AS t WHERE {WHOLE_HOURS} AND actual_g IS NOT NULL AND {DOSES} GROUP BY 1, 2 ORDER BY 1, 2"""
DAYS = f"""
SELECT date_trunc('day', time, '{ZONE}') AS "time", chemical AS metric, sum(actual_g) AS value
FROM dosing_consumption AS t WHERE {WEEK} AND actual_g IS NOT NULL AND {DOSES} GROUP BY 1, 2 ORDER BY 1, 2"""
# Bins with their upper bounds, as InfluxDB counts them: the signs are turned, because width_bucket takes the lower bounds.
ACCURACY = f"""
SELECT label, count(error_g) AS doses FROM (VALUES
    (6, 'up to -2'), (5, '-2 to -1'), (4, '-1 to -0.5'), (3, '-0.5 to 0.5'), (2, '0.5 to 1'), (1, '1 to 2'), (0, 'above 2')
) AS bins (bin, label)
LEFT JOIN (SELECT error_g FROM dosing_consumption AS t WHERE $__timeFilter(time) AND {DOSES}) AS doses
    ON width_bucket(-error_g, ARRAY[-2, -1, -0.5, 0.5, 1, 2]::float8[]) = bin
GROUP BY bin, label ORDER BY bin DESC"""
DURATION = f"""
SELECT $__timeGroupAlias(time,1h,NULL), chemical AS metric, avg(duration_ms) / 1000 AS value
FROM dosing_consumption AS t WHERE {WHOLE_HOURS} AND duration_ms IS NOT NULL AND {DOSES} GROUP BY 1, 2 ORDER BY 1, 2"""
ERRORS = f"""
SELECT $__timeGroupAlias(time,1h,NULL), device_id AS metric, 100.0 * count(*) FILTER (WHERE abs(error_g) > 0.5) / count(*) AS value
FROM dosing_consumption AS t WHERE {WHOLE_HOURS} AND error_g IS NOT NULL AND {DOSES} GROUP BY 1, 2 ORDER BY 1, 2"""


def newest_levels(condition: str = "true") -> str:
    """Return a query for the newest level of each container: greatest times by a hash, without sorting, and an index for the rest."""
    return f"""SELECT device_id, chemical, container_id, time, percent_full FROM (
    SELECT device_id, chemical, container_id, max(time) AS time
    FROM inventory_levels AS t WHERE {RECENTLY} AND percent_full IS NOT NULL AND {condition} GROUP BY 1, 2, 3
) AS newest CROSS JOIN LATERAL (
    SELECT percent_full FROM inventory_levels AS level
    WHERE level.device_id = newest.device_id AND level.time = newest.time AND level.chemical = newest.chemical
        AND level.container_id IS NOT DISTINCT FROM newest.container_id AND percent_full IS NOT NULL LIMIT 1
) AS found"""


AGO = """CASE
    WHEN age < 120 THEN age || ' s' WHEN age < 7200 THEN age / 60 || ' min'
    WHEN age < 172800 THEN age / 3600 || ' h' ELSE age / 86400 || ' d'
END || ' ago'"""
"""An age in seconds as people say it."""
INVENTORY = f"""
SELECT concat_ws(' ', device_id, chemical, container_id) || ', ' || {AGO} AS name, percent_full AS percent FROM (
    SELECT *, extract(epoch FROM {END} - time)::bigint AS age FROM ({newest_levels(STOCK)}) AS levels
) AS aged ORDER BY 1"""
BATCHES = f"""
SELECT coalesce(recipe, 'no recipe') AS name, count(*) AS batches FROM batch_events AS t
WHERE {TODAY} AND event LIKE '%complete' AND {PLACE} GROUP BY 1 ORDER BY 1"""
SEVEN_DAYS = f"""
SELECT to_char(time AT TIME ZONE '{ZONE}', 'YYYY-MM-DD') AS "Date", recipe AS "Recipe", mode AS "Mode",
    count(*) AS "Doses", sum(actual_g) AS "Dosed", avg(abs(error_g)) AS "Mean error",
    count(*) FILTER (WHERE abs(error_g) > 2) AS "Off by more than 2 g"
FROM dosing_consumption AS t WHERE {WEEK} AND {DOSES} GROUP BY 1, 2, 3 ORDER BY 1 DESC, 2, 3"""
MOTORS = f"""
SELECT $__timeGroupAlias(time,$__interval,NULL), device_id || ' ' || location AS metric, max(temperature_c) AS value
FROM equipment_temperature AS t
WHERE $__timeFilter(time) AND location LIKE 'pump\\_motor\\_%' AND {PLACE} AND {chosen("pump", "substring(location FROM '[0-9]+$')")}
GROUP BY 1, 2 ORDER BY 1, 2"""
VIBRATION = f"""
SELECT $__timeGroupAlias(time,$__interval,NULL), device_id || ' pump ' || pump AS metric, max(rms) AS value
FROM equipment_vibration AS t WHERE $__timeFilter(time) AND pump IS NOT NULL AND {PUMPS} GROUP BY 1, 2 ORDER BY 1, 2"""
EQUIPMENT = f"""
SELECT device_id || ' pump ' || pump || ', ' || {AGO} AS name,
    greatest(0, 100 - greatest(0, temperature_c - 60) - 100 * greatest(0, rms - 0.1)) AS health FROM (
    SELECT *, extract(epoch FROM {END} - least(warmth.time, shaking.time))::bigint AS age FROM (
        SELECT DISTINCT ON (1, 2) device_id, substring(location FROM '[0-9]+$')::int AS pump, time, temperature_c
        FROM equipment_temperature AS t WHERE {LAST_DAY} AND location LIKE 'pump\\_motor\\_%' AND {PLACE} ORDER BY 1, 2, time DESC
    ) AS warmth JOIN (
        SELECT DISTINCT ON (1, 2) device_id, pump, time, max(rms) AS rms
        FROM equipment_vibration AS t WHERE {LAST_DAY} AND rms IS NOT NULL AND {PUMPS}
        GROUP BY device_id, pump, time ORDER BY 1, 2, time DESC
    ) AS shaking USING (device_id, pump)
) AS aged ORDER BY 1"""

# Of whole rows, because older servers lack some of the columns.
ITSELF = """
SELECT figure AS "Figure", value AS "Value" FROM pg_stat_database AS s, LATERAL (VALUES
    (1, 'On the disk', pg_size_pretty(pg_database_size(s.datid))),
    (2, 'Memory for the cache', current_setting('shared_buffers')),
    (3, 'Blocks found in the cache', round(100.0 * s.blks_hit / nullif(s.blks_hit + s.blks_read, 0), 1) || ' %'),
    (4, 'Mean time of a transaction',
        round((to_jsonb(s) ->> 'active_time')::numeric / nullif(s.xact_commit + s.xact_rollback, 0), 2) || ' ms'),
    (5, 'Transactions rolled back', s.xact_rollback::text),
    (6, 'Deadlocks', s.deadlocks::text),
    (7, 'Connections', s.numbackends::text)
) AS figures (place, figure, value) WHERE s.datname = current_database() ORDER BY place"""


def board() -> Board:
    """Return the dashboard."""
    made = Board(
        "iiot-production-sql",
        "Production overview (TimescaleDB)",
        "Dosing machines: consumption, accuracy, stock and batches, from PostgreSQL or TimescaleDB.",
        sources=[SQL],
        variables=VARIABLES,
    )
    made.row("Today")
    made.add(production.totals(Sql(TOTALS)), 8, 8)
    made.add(production.stock(Sql(INVENTORY)), 10, 8)
    made.add(production.batches(Sql(BATCHES)), 6, 8)
    made.row("Dosing")
    made.add(production.over_time(_series(OVER_TIME)), 12, 8)
    made.add(production.days(_series(DAYS)), 12, 8)
    made.add(production.accuracy(Sql(ACCURACY)), 8, 8)
    made.add(lines("Mean duration of a dose, per hour", _series(DURATION), unit="s", decimals=1), 8, 8)
    made.add(lines("Doses that are off by more than 0.5 g, per hour", _series(ERRORS), unit="percent", steps=ERROR_RATE).min(0), 8, 8)
    made.add(_seven_days(), 17, 9)
    text = "Counted since the server's statistics began."
    made.add(rows("What the database says of itself", Sql(ITSELF), text=text), 7, 9)
    made.row("Equipment")
    made.add(production.motors(_series(MOTORS)), 9, 8)
    made.add(production.vibration(_series(VIBRATION)), 9, 8)
    made.add(production.health(Sql(EQUIPMENT)), 6, 8)
    return made


def _series(query: str) -> Sql:
    return Sql(query, form="time_series")


def _seven_days() -> Any:
    return (
        rows("Last seven days by date, recipe and mode", Sql(SEVEN_DAYS))
        .override_by_name("Dosed", properties(unit="massg", decimals=1))
        .override_by_name("Mean error", properties(unit="massg", decimals=2))
        .override_by_name("Off by more than 2 g", DOSING_ERRORS)
    )
