"""The production overview from InfluxDB, in Flux, over the points of the profile `factory-dosing`."""

from __future__ import annotations

from iiot_dashboards import production
from iiot_dashboards.flux import AGO, LAST_DAY, ZONE, has, newest, picked, points
from iiot_dashboards.frame import Board, Variable
from iiot_dashboards.sdk import INFLUX, Flux


def tag_values(name: str, label: str, measurement: str, condition: str = "") -> Variable:
    """Return a variable with the values of a tag."""
    query = f"""import "influxdata/influxdb/schema"
schema.tagValues(bucket: v.defaultBucket, tag: "{name}", predicate: (r) => r._measurement == "{measurement}"{condition}, start: -30d)"""
    return Variable(name.removesuffix("_id"), label, INFLUX, query, ".*")


VARIABLES = (
    tag_values("site", "Site", "dosing_consumption"),
    tag_values("device_id", "Device", "dosing_consumption", f" and {picked('site')}"),
    tag_values("pump", "Pump", "dosing_consumption"),
    tag_values("chemical", "Chemical", "dosing_consumption"),
)
PLACE = ("site", "device_id")
DOSES = (*PLACE, "chemical", "pump")
TODAY = f"""import "date"
import "timezone"
{ZONE}
today = date.truncate(t: v.timeRangeStop, unit: 1d, location: plant)
"""
WHOLE_HOURS = 'import "date"\n'
SINCE_HOUR = "date.truncate(t: v.timeRangeStart, unit: 1h)"

TOTALS = f"""{TODAY}
{points("dosing_consumption", "actual_g", "today", *DOSES)}
    |> group(columns: ["chemical"])
    |> sum()
    |> group()
    |> rename(columns: {{chemical: "name", _value: "grams"}})
    |> keep(columns: ["name", "grams"])
    |> sort(columns: ["name"])"""
OVER_TIME = f"""{WHOLE_HOURS}
{points("dosing_consumption", "actual_g", SINCE_HOUR, *DOSES)}
    |> group(columns: ["chemical"])
    |> aggregateWindow(every: 1h, fn: sum, createEmpty: false, timeSrc: "_start")
    |> keep(columns: ["_time", "_value", "chemical"])"""
DAYS = f"""{TODAY}
{points("dosing_consumption", "actual_g", "date.truncate(t: date.sub(from: v.timeRangeStop, d: 6d), unit: 1d, location: plant)", *DOSES)}
    |> group(columns: ["chemical"])
    |> aggregateWindow(every: 1d, fn: sum, createEmpty: false, timeSrc: "_start", location: plant)
    |> keep(columns: ["_time", "_value", "chemical"])"""
# A histogram counts what is up to each bound, so the bin below is taken away. The bound below all makes the row that this begins with.
ACCURACY = f"""{points("dosing_consumption", "error_g", "v.timeRangeStart", *DOSES)}
    |> toFloat()
    |> group()
    |> histogram(bins: [float(v: "-Inf"), -2.0, -1.0, -0.5, 0.5, 1.0, 2.0, float(v: "+Inf")])
    |> difference()
    |> map(fn: (r) => ({{
        label: if r.le < -1.5 then "up to -2"
            else if r.le < -0.75 then "-2 to -1"
            else if r.le < 0.0 then "-1 to -0.5"
            else if r.le < 0.75 then "-0.5 to 0.5"
            else if r.le < 1.5 then "0.5 to 1"
            else if r.le < 2.5 then "1 to 2"
            else "above 2",
        doses: int(v: r._value),
    }}))"""
INVENTORY = f"""import "date"
{AGO}
{newest("inventory_levels", "percent_full", *PLACE, "chemical")}
    |> group(columns: ["device_id", "chemical", "container_id"])
    |> sort(columns: ["_time"])
    |> last()
    |> group()
    |> map(fn: (r) => ({{
        name: r.device_id + " " + r.chemical
            + (if {has("container_id")} then " " + r.container_id else "")
            + ", " + ago(t: r._time) + " ago",
        percent: r._value,
    }}))
    |> sort(columns: ["name"])"""
BATCHES = f"""{TODAY}
{points("batch_events", "pumps", "today", *PLACE)}
    |> filter(fn: (r) => r.event =~ /complete$/)
    |> group(columns: ["recipe"])
    |> count()
    |> group()
    |> map(fn: (r) => ({{name: if {has("recipe")} then r.recipe else "no recipe", batches: r._value}}))
    |> sort(columns: ["name"])"""
MOTORS = f"""{points("equipment_temperature", "temperature_c", "v.timeRangeStart", *PLACE)}
    |> filter(fn: (r) => r.location =~ /^pump_motor_${{pump:regex}}$/)
    |> group(columns: ["device_id", "location"])
    |> aggregateWindow(every: v.windowPeriod, fn: max, timeSrc: "_start")
    |> keep(columns: ["_time", "_value", "device_id", "location"])"""
VIBRATION = f"""{points("equipment_vibration", "rms", "v.timeRangeStart", *PLACE, "pump")}
    |> group(columns: ["device_id", "pump"])
    |> aggregateWindow(every: v.windowPeriod, fn: max, timeSrc: "_start")
    |> keep(columns: ["_time", "_value", "device_id", "pump"])"""
HEALTH = f"""import "date"
import "join"
import "strings"
{AGO}
warmth = {newest("equipment_temperature", "temperature_c", *PLACE, since=LAST_DAY)}
    |> filter(fn: (r) => r.location =~ /^pump_motor_${{pump:regex}}$/)
    |> map(fn: (r) => ({{r with pump: strings.trimPrefix(v: r.location, prefix: "pump_motor_")}}))
    |> group(columns: ["device_id", "pump"])
    |> sort(columns: ["_time"])
    |> last()
    |> keep(columns: ["device_id", "pump", "_time", "_value"])
    |> group()

// Of the newest moment the axis that shakes most.
shaking = {newest("equipment_vibration", "rms", *PLACE, "pump", since=LAST_DAY)}
    |> group(columns: ["device_id", "pump"])
    |> sort(columns: ["_time", "_value"])
    |> last()
    |> keep(columns: ["device_id", "pump", "_time", "_value"])
    |> group()

above = (value, limit) => if value > limit then value - limit else 0.0

join.inner(
    left: warmth,
    right: shaking,
    on: (l, r) => l.device_id == r.device_id and l.pump == r.pump,
    as: (l, r) => ({{
        name: l.device_id + " pump " + l.pump + ", " + ago(t: if l._time < r._time then l._time else r._time) + " ago",
        health: above(value: 100.0 - above(value: l._value, limit: 60.0) - 100.0 * above(value: r._value, limit: 0.1), limit: 0.0),
    }}),
)
    |> sort(columns: ["name"])"""


def board() -> Board:
    """Return the dashboard."""
    made = Board(
        "iiot-production-influx",
        "Production overview (InfluxDB)",
        "Dosing machines: consumption, accuracy, stock, batches and equipment, from InfluxDB.",
        sources=[INFLUX],
        variables=VARIABLES,
    )
    by_chemical = "${__field.labels.chemical}"
    made.row("Today")
    made.add(production.totals(Flux(TOTALS)), 8, 8)
    made.add(production.stock(Flux(INVENTORY)), 10, 8)
    made.add(production.batches(Flux(BATCHES)), 6, 8)
    made.row("Dosing")
    made.add(production.over_time(Flux(OVER_TIME), by_chemical), 9, 8)
    made.add(production.days(Flux(DAYS), by_chemical), 8, 8)
    made.add(production.accuracy(Flux(ACCURACY)), 7, 8)
    made.row("Equipment")
    made.add(production.motors(Flux(MOTORS), "${__field.labels.device_id} ${__field.labels.location}"), 9, 8)
    made.add(production.vibration(Flux(VIBRATION), "${__field.labels.device_id} pump ${__field.labels.pump}"), 9, 8)
    made.add(production.health(Flux(HEALTH)), 6, 8)
    return made
