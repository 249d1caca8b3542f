"""The dashboard of devices that the gateway itself registers, over the points of the profile `iotflow` in InfluxDB."""

from __future__ import annotations

from iiot_dashboards.flux import AGO, newest, picked, points
from iiot_dashboards.frame import Board, Variable
from iiot_dashboards.sdk import INFLUX, Flux
from iiot_dashboards.style import AGE_S, bars_of_rows, lines, rows

IS_DEVICE = "r.device_id =~ /.+/"
SCHEMA = 'import "influxdata/influxdb/schema"\n'
VARIABLES = (
    Variable(
        "site",
        "Site",
        INFLUX,
        f'{SCHEMA}schema.tagValues(bucket: v.defaultBucket, tag: "site", predicate: (r) => {IS_DEVICE}, start: -30d)',
        ".*",
    ),
    Variable(
        "device",
        "Device",
        INFLUX,
        f'{SCHEMA}schema.tagValues(bucket: v.defaultBucket, tag: "device_id",'
        f" predicate: (r) => {IS_DEVICE} and {picked('site')}, start: -30d)",
        ".*",
    ),
    Variable(
        "measurement",
        "Compare",
        INFLUX,
        f"""import "types"

from(bucket: v.defaultBucket)
    |> range(start: -30d)
    |> filter(fn: (r) => {IS_DEVICE} and r._field == "value")
    |> last()
    |> filter(fn: (r) => types.isNumeric(v: r._value))
    |> keep(columns: ["_measurement"])
    |> group()
    |> distinct(column: "_measurement")""",
        first="temperature",
        multi=False,
    ),
)
PLACE = ("site", "device_id")
NAME = "${__field.labels.device_id}"


def _over_time(measurement: str) -> Flux:
    return Flux(f"""{points(measurement, "value", "v.timeRangeStart", *PLACE, also=IS_DEVICE)}
    |> toFloat()
    |> group(columns: ["device_id"])
    |> aggregateWindow(every: v.windowPeriod, fn: mean)
    |> keep(columns: ["_time", "_value", "device_id"])""")


# What a device says is a text called `value` (HTTP) or the last level of its topic (MQTT): the field `type`.
STATUS = f"""import "date"
{AGO}
from(bucket: v.defaultBucket)
    |> range(start: date.sub(from: v.timeRangeStop, d: 30d), stop: v.timeRangeStop)
    |> filter(fn: (r) => r._measurement == "status" and (r._field == "value" or r._field == "type"))
    |> filter(fn: (r) => {picked("site")} and {picked("device_id")})
    |> last()
    |> toString()
    |> group(columns: ["device_id"])
    |> sort(columns: ["_time", "_field"])
    |> last()
    |> group()
    |> map(fn: (r) => ({{Device: r.device_id, Status: r._value, Age: ago(t: r._time)}}))
    |> sort(columns: ["Device"])"""
COMPARED = f"""import "date"
{AGO}
{newest("${measurement}", "value", *PLACE, also=IS_DEVICE)}
    |> toFloat()
    |> group(columns: ["device_id"])
    |> sort(columns: ["_time"])
    |> last()
    |> group()
    |> map(fn: (r) => ({{name: r.device_id + ", " + ago(t: r._time) + " ago", number: r._value}}))
    |> sort(columns: ["name"])"""
# Without the values before they are grouped: fields of different types do not go into one table.
AGES = f"""import "date"

from(bucket: v.defaultBucket)
    |> range(start: date.sub(from: v.timeRangeStop, d: 30d), stop: v.timeRangeStop)
    |> filter(fn: (r) => {IS_DEVICE} and {picked("site")} and {picked("device_id")})
    |> last()
    |> keep(columns: ["_time", "device_id"])
    |> group(columns: ["device_id"])
    |> sort(columns: ["_time"])
    |> tail(n: 1)
    |> group()
    |> map(fn: (r) => ({{name: r.device_id, age: float(v: int(v: v.timeRangeStop) - int(v: r._time)) / 1000000000.0}}))
    |> sort(columns: ["name"])"""


def board() -> Board:
    """Return the dashboard."""
    made = Board(
        "iiot-devices",
        "Devices",
        "Devices with keys of their own: what they measure, what they say of themselves, and when they were last heard. From InfluxDB.",
        sources=[INFLUX],
        variables=VARIABLES,
    )
    made.add(lines("Temperature", _over_time("temperature"), unit="celsius", decimals=1, name=NAME), 16, 9)
    text = "How long before the end of the time range a device was last heard, whatever it sent."
    made.add(bars_of_rows("Last heard", Flux(AGES), field="age", unit="s", steps=AGE_S, text=text), 8, 9)
    made.add(lines("Over time: ${measurement}", _over_time("${measurement}"), unit="short", name=NAME), 16, 9)
    text = "The newest status within 30 days, and how long ago it came."
    made.add(rows("Last status", Flux(STATUS), order=("Device", "Status", "Age"), text=text), 8, 9)
    text = "The newest value of each device within 30 days. Its age stands behind the name."
    made.add(bars_of_rows("Compared: ${measurement}", Flux(COMPARED), field="number", unit="short", decimals=1, text=text), 24, 8)
    return made
