"""What the alerts of a dosing plant ask PostgreSQL or TimescaleDB: rows of time, labels and value, all with the time of the evaluation."""

from __future__ import annotations

from iiot_dashboards.alerts import BEGINS_H, ENDS_H, WEEKDAYS, ZONE
from iiot_dashboards.production_sql import END, newest_levels

AT = f'{END} AS "time"'


def _since(interval: str) -> str:
    return f"time >= {END} - interval '{interval}' AND time < {END}"


INVENTORY_LOW = f"""SELECT {AT}, device_id, chemical, coalesce(container_id, '-') AS container_id, percent_full AS value
FROM ({newest_levels()}) AS levels ORDER BY device_id, chemical, container_id"""
TEMPERATURE_HIGH = f"""SELECT DISTINCT ON (device_id, location) {AT}, device_id, coalesce(location, '-') AS location, temperature_c AS value
FROM equipment_temperature WHERE {_since("10 minutes")} AND temperature_c IS NOT NULL
ORDER BY device_id, location, equipment_temperature.time DESC"""
VIBRATION_HIGH = f"""SELECT {AT}, device_id, coalesce(pump::text, '-') AS pump, max(mean) AS value FROM (
    SELECT device_id, pump, axis, avg(rms) AS mean FROM equipment_vibration WHERE {_since("1 minute")} GROUP BY 1, 2, 3
) AS axes WHERE mean IS NOT NULL GROUP BY 1, 2, 3 ORDER BY 2, 3"""
DOSING_INACCURATE = f"""SELECT {AT}, device_id, pump::text AS pump, chemical, avg(abs(error_g)) AS value
FROM dosing_consumption WHERE {_since("1 hour")} AND error_g IS NOT NULL GROUP BY 1, 2, 3, 4 ORDER BY 2, 3, 4"""
DOSE_OFF = f"""SELECT {AT}, device_id, pump::text AS pump, chemical, max(abs(error_g)) AS value
FROM dosing_consumption WHERE {_since("10 minutes")} AND error_g IS NOT NULL GROUP BY 1, 2, 3, 4 ORDER BY 2, 3, 4"""
# For each machine that dosed within 30 days, and for all of them: minutes since its last point, or since work began today if that is less.
# Each newest time is a look into an index.
PLANT_SILENT = f"""WITH plant AS (
    SELECT '{ZONE}' AS zone, {BEGINS_H} AS begins_h, {ENDS_H} AS ends_h, ARRAY[{", ".join(map(str, WEEKDAYS))}] AS weekdays
), clock AS (
    SELECT *, extract(isodow FROM {END} AT TIME ZONE zone) AS weekday, extract(epoch FROM ({END} AT TIME ZONE zone)::time) / 60 AS minute
    FROM plant
), heard AS (
    SELECT device_id, greatest(
        (SELECT max(time) FROM dosing_consumption AS t WHERE t.device_id = machine.device_id AND {_since("30 days")}),
        (SELECT max(time) FROM inventory_levels AS t WHERE t.device_id = machine.device_id AND {_since("30 days")}),
        (SELECT max(time) FROM equipment_temperature AS t WHERE t.device_id = machine.device_id AND {_since("30 days")}),
        (SELECT max(time) FROM equipment_vibration AS t WHERE t.device_id = machine.device_id AND {_since("30 days")})
    ) AS last FROM (
        SELECT DISTINCT device_id FROM dosing_consumption_hourly WHERE bucket >= {END} - interval '30 days' AND bucket < {END}
    ) AS machine
), known AS (
    SELECT * FROM heard UNION ALL SELECT 'plant', max(last) FROM heard
)
SELECT {AT}, device_id, CASE WHEN weekday = ANY (weekdays) AND minute >= begins_h * 60 AND minute < ends_h * 60
    THEN least(extract(epoch FROM {END} - last) / 60, minute - begins_h * 60) ELSE 0 END AS value
FROM known, clock ORDER BY device_id"""

RULES = {
    "inventory_low": INVENTORY_LOW,
    "temperature_high": TEMPERATURE_HIGH,
    "vibration_high": VIBRATION_HIGH,
    "dosing_inaccurate": DOSING_INACCURATE,
    "dose_off": DOSE_OFF,
    "plant_silent": PLANT_SILENT,
}
"""By the name of the alert."""
