"""The two dashboards of LoRa nodes behind a receiver, over the points of the profile `lora-bridge`: one field, `value`, per measurement."""

from __future__ import annotations

from iiot_dashboards.flux import has, newest, picked, points
from iiot_dashboards.frame import Annotation, Board, Variable
from iiot_dashboards.sdk import INFLUX, Flux
from iiot_dashboards.style import BATTERY_MV, CLIMATE_C, ERROR_RATE, HUMIDITY, RSSI_DBM, SNR_DB, columns, current, lines

SITE = Variable(
    "site",
    "Site",
    INFLUX,
    """import "influxdata/influxdb/schema"
schema.tagValues(bucket: v.defaultBucket, tag: "site", predicate: (r) => r._measurement == "temperature", start: -30d)""",
    ".*",
)
# Looked for from 30 days before, so that the version that a node has had all the time is no event.
FIRMWARE = Annotation(
    "New firmware",
    "blue",
    Flux(
        f"""import "date"
{points("firmware", "value", "date.sub(from: v.timeRangeStart, d: 30d)", "site")}
    |> group(columns: ["node", "_value"])
    |> sort(columns: ["_time"])
    |> first()
    |> group()
    |> filter(fn: (r) => r._time >= v.timeRangeStart)
    |> map(fn: (r) => ({{_time: r._time, title: "Firmware of " + r.node, text: r._value}}))""",
        "firmware",
    ),
    INFLUX,
)


def _newest_of(measurement: str, node: str, shown: str) -> str:
    return f"""import "date"
{newest(measurement, "value", "site", also=f'r.node == "{node}"')}
    |> group()
    |> sort(columns: ["_time"])
    |> last()
    |> map(fn: (r) => ({{_time: r._time, _value: {shown}}}))"""


def value_of(measurement: str, node: str) -> Flux:
    """Return the newest value within 30 days, of whichever chosen site has it."""
    return Flux(_newest_of(measurement, node, "r._value"))


def age_of(measurement: str, node: str) -> Flux:
    """Return how many seconds before the end of the time range that was."""
    return Flux(_newest_of(measurement, node, "float(v: int(v: v.timeRangeStop) - int(v: r._time)) / 1000000000.0"), "B")


def over_time(measurement: str, shown: str = "r.node") -> Flux:
    """Return the mean of each window, a series for each site and node."""
    return Flux(f"""{points(measurement, "value", "v.timeRangeStart", "site")}
    |> group(columns: ["site", "node"])
    |> aggregateWindow(every: v.windowPeriod, fn: mean)
    |> map(fn: (r) => ({{_time: r._time, _value: r._value, name: (if {has("site")} then r.site + " " else "") + {shown}}}))
    |> group(columns: ["name"])""")


NAME = "${__field.labels.name}"


def sensors() -> Board:
    """Return the dashboard of what the nodes measure."""
    made = Board(
        "iiot-lora-sensors",
        "LoRa: environmental sensors",
        "Temperature, humidity and gas resistance of the nodes, from InfluxDB.",
        sources=[INFLUX],
        variables=[SITE],
        annotations=[FIRMWARE],
    )
    for node, called in (("node1", "node 1"), ("node2", "node 2")):
        for measurement, unit, steps in (("temperature", "celsius", CLIMATE_C), ("humidity", "humidity", HUMIDITY)):
            title = f"{measurement.capitalize()}, {called}"
            made.add(current(title, value_of(measurement, node), age_of(measurement, node), unit=unit, steps=steps), 6, 5)
    made.add(lines("Temperature", over_time("temperature"), unit="celsius", decimals=1, name=NAME), 12, 9)
    made.add(lines("Humidity", over_time("humidity"), unit="humidity", decimals=1, name=NAME), 12, 9)
    text = "Of a BME680. It falls when the air has more volatile compounds in it; compare a node with itself only."
    made.add(lines("Gas resistance", over_time("gas_resistance"), unit="ohm", name=NAME, text=text), 24, 7)
    made.row("Supply of the nodes")
    made.add(lines("Battery", over_time("battery"), unit="mvolt", name=NAME, steps=BATTERY_MV), 24, 5)
    return made


def _increases(measurement: str, condition: str) -> str:
    """Return what a counter rose by between two readings. A counter that begins anew rose by what it shows."""
    return f"""{points(measurement, "value", "v.timeRangeStart", "site", also=condition)}
    |> difference(nonNegative: true, initialZero: true)"""


RECEIVED = f"""{_increases("packets_received", 'r.node == "stats"')}
    |> group()
    |> aggregateWindow(every: v.windowPeriod, fn: sum, createEmpty: false, timeSrc: "_start")
    |> keep(columns: ["_time", "_value"])"""
ERRORS = f"""counted = (measurement) => from(bucket: v.defaultBucket)
    |> range(start: v.timeRangeStart, stop: v.timeRangeStop)
    |> filter(fn: (r) => r._measurement == measurement and r._field == "value" and r.node == "stats" and {picked("site")})
    |> difference(nonNegative: true, initialZero: true)
    |> group()
    |> aggregateWindow(every: v.windowPeriod, fn: sum, createEmpty: false, timeSrc: "_start")
    |> keep(columns: ["_time", "_value"])
    |> map(fn: (r) => ({{r with kind: measurement}}))

union(tables: [counted(measurement: "crc_errors"), counted(measurement: "packets_received")])
    |> pivot(rowKey: ["_time"], columnKey: ["kind"], valueColumn: "_value")
    |> filter(fn: (r) => exists r.crc_errors and exists r.packets_received)
    |> filter(fn: (r) => r.crc_errors + r.packets_received > 0.0)
    |> map(fn: (r) => ({{_time: r._time, _value: 100.0 * r.crc_errors / (r.crc_errors + r.packets_received)}}))"""


def signal() -> Board:
    """Return the dashboard of the radio link."""
    made = Board(
        "iiot-lora-signal",
        "LoRa: signal quality and statistics",
        "The link between the nodes and their receiver: signal, packets, errors. From InfluxDB.",
        sources=[INFLUX],
        variables=[SITE],
        annotations=[FIRMWARE],
    )
    text = "Of the packets that were received."
    made.add(lines("RSSI", over_time("rssi", '"RSSI"'), unit="dBm", steps=RSSI_DBM, coloured=True, name=NAME, text=text), 12, 9)
    text = "LoRa still hears packets below the noise, at a spreading factor of 7 down to -7.5 dB, at 12 down to -20 dB."
    made.add(lines("SNR", over_time("snr", '"SNR"'), unit="dB", steps=SNR_DB, coloured=True, name=NAME, text=text), 12, 9)
    made.add(columns("Packets received", Flux(RECEIVED), unit="short", name="received", text="In each window of the time axis."), 12, 9)
    text = "Share of the packets with a wrong checksum in each window, from what both counters rose by."
    made.add(lines("CRC error rate", Flux(ERRORS), unit="percent", steps=ERROR_RATE, name="error rate", text=text).min(0), 12, 9)
    return made
