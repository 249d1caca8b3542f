"""Known points of LoRa nodes and of devices, and what each panel of their dashboards must show of them."""

from __future__ import annotations

from panels import Cell, Point


def value(measurement: str, when: str, number: float | str, **tags: str) -> Point:
    """Return a point whose field is called `value`, as those of nodes and devices are."""
    return measurement, when, tags, {"value": number if isinstance(number, str) else float(number)}


def _counted(when: str, received: float, errors: float) -> tuple[Point, ...]:
    """Return the readings of both counters, of which one comes a second later."""
    return value("packets_received", when, received, node="stats"), value("crc_errors", f"{when} 1s", errors, node="stats")


NODES: tuple[Point, ...] = (
    value("temperature", "2d 6h 10m", 20, node="node1", unit="celsius"),
    value("temperature", "2d 6h 20m", 21, node="node1", unit="celsius"),
    # The newest value is half an hour old, and older than the five minutes that such queries often look back.
    value("temperature", "2d 11h 30m", 21.7, node="node1", unit="celsius"),
    value("temperature", "1d", 18, node="node2", unit="celsius", site="north"),
    value("humidity", "2d 11h 59m", 45, node="node1", unit="percent"),
    value("humidity", "2d 11h 58m", 55.5, node="node2", unit="percent", site="north"),
    value("gas_resistance", "2d 7h", 50_000, node="node1", unit="ohms"),
    value("battery", "2d 11h 59m", 2850, node="node1", unit="millivolts"),
    value("battery", "2d 11h 59m", 3300, node="node2", unit="millivolts", site="north"),
    value("rssi", "2d 7h", -95, node="signal", unit="dbm"),
    value("rssi", "2d 8h", -105, node="signal", unit="dbm"),
    value("snr", "2d 8h", 7.5, node="signal", unit="db"),
    # The receiver starts anew between the third and the fourth reading: its counters begin at nothing.
    *_counted("1h", 100, 10),
    *_counted("2h", 110, 11),
    *_counted("3h", 130, 11),
    *_counted("4h", 5, 1),
    *_counted("5h", 9, 1),
    *_counted("8h", 12, 2),
    value("firmware", "1h", "1.0", node="node1"),
    value("firmware", "2h", "1.0", node="node1"),
    value("firmware", "1d", "1.1", node="node1"),
)
OF_NODES: dict[str, list[list[Cell]]] = {
    "Temperature, node 1 / A": [[59.5, "", 21.7]],
    "Temperature, node 1 / B": [[59.5, "", 1800]],
    "Humidity, node 1 / A": [[59.9833, "", 45]],
    "Humidity, node 1 / B": [[59.9833, "", 60]],
    "Temperature, node 2 / A": [[24, "", 18]],
    "Temperature, node 2 / B": [[24, "", 36 * 3600]],
    "Humidity, node 2 / A": [[59.9667, "", 55.5]],
    "Humidity, node 2 / B": [[59.9667, "", 120]],
    # Windows of six hours, stamped at their end.
    "Temperature": [[30, "north node2", 18], [60, "node1", 20.9]],
    "Humidity": [[60, "node1", 45], [60, "north node2", 55.5]],
    "Gas resistance": [[60, "node1", 50_000]],
    "Battery": [[60, "node1", 2850], [60, "north node2", 3300]],
    "RSSI": [[60, "RSSI", -100]],
    "SNR": [[60, "SNR", 7.5]],
    # 10 + 20 + 5 + 4, then 3: neither the counters themselves nor a negative step.
    "Packets received": [[0, "received", 39], [6, "received", 3]],
    "CRC error rate": [[0, "error rate", round(100 * 2 / 41, 4)], [6, "error rate", 25]],
}
"""By the title of a panel, and the letter of its query where it has several."""

DEVICES: tuple[Point, ...] = (
    value("temperature", "2d 7h", 40, device_id="boiler"),
    value("temperature", "2d 11h 59m", 42, device_id="boiler"),
    value("temperature", "2d 8h", 12.5, device_id="roof", site="north"),
    value("pressure", "2d 11h", 3, device_id="boiler"),
    # Fields of other types beside the numbers.
    ("status", "2d 10h", {"device_id": "boiler"}, {"value": "online"}),
    ("status", "2d 9h", {"device_id": "roof", "site": "north"}, {"type": "offline"}),
    ("status", "2d 8h", {"device_id": "roof", "site": "north"}, {"type": "heartbeat"}),
)
OF_DEVICES: dict[str, list[list[Cell]]] = {
    "Temperature": [[60, "boiler", 41], [60, "roof", 12.5]],
    "Last heard": [["boiler", 60], ["roof", 3 * 3600]],
    "Over time: ${measurement}": [[60, "boiler", 41], [60, "roof", 12.5]],
    "Last status": [["boiler", "online", "2 h"], ["roof", "offline", "3 h"]],
    "Compared: ${measurement}": [["boiler, 60 s ago", 42], ["roof, 4 h ago", 12.5]],
}
