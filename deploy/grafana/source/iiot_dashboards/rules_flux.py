"""What the alerts of a dosing plant and of LoRa nodes ask InfluxDB: one row of _time, _value and labels for each series, and nothing else.

The windows are fixed: in a rule `v.windowPeriod` is nothing.
"""

from __future__ import annotations

from iiot_dashboards.alerts import BEGINS_H, ENDS_H, WEEKDAYS, ZONE
from iiot_dashboards.flux import points

NOW = "v.timeRangeStop"


def _since(duration: str) -> str:
    return f"date.sub(from: {NOW}, d: {duration})"


def _rows(labels: tuple[str, ...], value: str = "r._value") -> str:
    """Return the end of every query: labels that are missing read `-`, and every row has the time of the evaluation."""
    named = ", ".join(f'{label}: if exists r.{label} and r.{label} != "" then r.{label} else "-"' for label in labels)
    listed = ", ".join(f'"{label}"' for label in labels)
    return f"""
    |> group()
    |> map(fn: (r) => ({{_time: {NOW}, _value: {value}, {named}}}))
    |> group(columns: [{listed}])"""


def _newest(measurement: str, field: str, duration: str, *labels: str, also: str = "") -> str:
    """Return the newest value of each combination of labels."""
    listed = ", ".join(f'"{label}"' for label in labels)
    return f"""import "date"

{points(measurement, field, _since(duration), also=also)}
    |> last()
    |> group(columns: [{listed}])
    |> sort(columns: ["_time"])
    |> last(){_rows(labels)}"""


def _errors(duration: str, function: str) -> str:
    """Return mean or maximum of the errors without their signs, for each device, pump and chemical."""
    return f"""import "date"
import "math"

{points("dosing_consumption", "error_g", _since(duration))}
    |> map(fn: (r) => ({{r with _value: math.abs(x: r._value)}}))
    |> group(columns: ["device_id", "pump", "chemical"])
    |> {function}(){_rows(("device_id", "pump", "chemical"))}"""


VIBRATION_HIGH = f"""import "date"

{points("equipment_vibration", "rms", _since("1m"))}
    |> group(columns: ["device_id", "pump", "axis"])
    |> mean()
    |> group(columns: ["device_id", "pump"])
    |> max(){_rows(("device_id", "pump"))}"""
_OF_DEVICE = _rows(("device_id",))
_WEEKDAYS = ", ".join(map(str, WEEKDAYS))
# For each machine and for all of them: minutes since its last point within 30 days, or since work began today if that is less.
PLANT_SILENT = f"""import "array"
import "date"
import "timezone"

plant = timezone.location(name: "{ZONE}")
begins_h = {BEGINS_H}
ends_h = {ENDS_H}
weekdays = [{_WEEKDAYS}]

minute = date.hour(t: {NOW}, location: plant) * 60 + date.minute(t: {NOW}, location: plant)
weekday = (date.weekDay(t: {NOW}, location: plant) + 6) % 7 + 1 // Monday is 1
is_working = contains(value: weekday, set: weekdays) and minute >= begins_h * 60 and minute < ends_h * 60
at_work = float(v: minute - begins_h * 60)

heard = from(bucket: v.defaultBucket)
    |> range(start: {_since("30d")}, stop: {NOW})
    |> filter(fn: (r) => r._measurement =~ /^(dosing_consumption|inventory_levels|equipment_temperature|equipment_vibration)$/)
    |> last()
    |> keep(columns: ["_time", "device_id"])
    |> map(fn: (r) => ({{device_id: r.device_id, last: r._time}}))
    |> group(columns: ["device_id"])
    |> max(column: "last")
    |> group()

union(tables: [
    heard,
    heard |> map(fn: (r) => ({{device_id: "plant", last: r.last}})),
    array.from(rows: [{{device_id: "plant", last: {_since("30d")}}}]),
])
    |> group(columns: ["device_id"])
    |> max(column: "last")
    |> map(fn: (r) => ({{r with age: float(v: int(v: {NOW}) - int(v: r.last)) / 60000000000.0}}))
    |> map(fn: (r) => ({{r with _value: if not is_working then 0.0 else if r.age < at_work then r.age else at_work}})){_OF_DEVICE}"""
NODE_SILENT = f"""import "date"

{points("temperature", "value", _since("30d"), also="r.node =~ /.+/")}
    |> last()
    |> map(fn: (r) => ({{r with _value: float(v: int(v: {NOW}) - int(v: r._time)) / 60000000000.0}}))
    |> group(columns: ["site", "node"])
    |> min(){_rows(("site", "node"))}"""

DOSING = {
    "inventory_low": _newest("inventory_levels", "percent_full", "30d", "device_id", "chemical", "container_id"),
    "temperature_high": _newest("equipment_temperature", "temperature_c", "10m", "device_id", "location"),
    "vibration_high": VIBRATION_HIGH,
    "dosing_inaccurate": _errors("1h", "mean"),
    "dose_off": _errors("10m", "max"),
    "plant_silent": PLANT_SILENT,
}
LORA = {
    "node_silent": NODE_SILENT,
    "battery_low": _newest("battery", "value", "1d", "site", "node"),
    "temperature_out_of_range": _newest("temperature", "value", "15m", "site", "node", also="r.node =~ /.+/"),
    "humidity_out_of_range": _newest("humidity", "value", "15m", "site", "node", also="r.node =~ /.+/"),
}
"""By the name of the alert."""
