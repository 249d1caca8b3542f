"""Home Assistant's published rules for MQTT discovery, as far as sensors and binary sensors go.

Sources: www.home-assistant.io, MQTT (discovery topics, removal, birth message), MQTT sensor, MQTT binary sensor (their variables);
developers.home-assistant.io, Sensor entity (device classes, their units and state classes) and Entity (categories), as the tables
in sensor/const.py of Home Assistant Core enforce them. `faults` finds what a document breaks.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from typing import Any

TOPIC = re.compile(r"(?P<component>\w+)/(?:(?P<node>[a-zA-Z0-9_-]+)/)?(?P<object>[a-zA-Z0-9_-]+)/config")

COMMON = {
    "name": str,
    "unique_id": str,
    "object_id": str,
    "state_topic": str,
    "availability_topic": str,
    "payload_available": str,
    "payload_not_available": str,
    "device_class": str,
    "entity_category": str,
    "expire_after": int,
    "device": dict,
    "origin": dict,
    "qos": int,
}
SENSOR = COMMON | {"unit_of_measurement": str, "state_class": str, "suggested_display_precision": int}
BINARY_SENSOR = COMMON | {"payload_on": str, "payload_off": str, "off_delay": int, "value_template": str, "json_attributes_topic": str}
KEYS: dict[str, Mapping[str, type]] = {"sensor": SENSOR, "binary_sensor": BINARY_SENSOR}
DEVICE = {
    "identifiers": list,
    "connections": list,
    "name": str,
    "manufacturer": str,
    "model": str,
    "hw_version": str,
    "sw_version": str,
    "serial_number": str,
    "suggested_area": str,
    "via_device": str,
    "configuration_url": str,
}
ORIGIN = {"name": str, "sw_version": str, "support_url": str}
CATEGORIES = {"diagnostic"}
"""`config` is for what can be set, which a sensor cannot."""

PRESSURE = {"Pa", "hPa", "kPa", "bar", "cbar", "mbar", "mmHg", "inHg", "psi"}
LENGTH = {"km", "m", "cm", "mm", "mi", "nmi", "yd", "ft", "in"}
UNITS: dict[str, set[str | None]] = {
    "battery": {"%"},
    "carbon_dioxide": {"ppm"},
    "current": {"A", "mA"},
    "distance": {*LENGTH},
    "duration": {"d", "h", "min", "s", "ms"},
    "energy": {"Wh", "kWh", "MWh", "MJ", "GJ"},
    "frequency": {"Hz", "kHz", "MHz", "GHz"},
    "humidity": {"%"},
    "illuminance": {"lx"},
    "moisture": {"%"},
    "power": {"W", "kW"},
    "pressure": {*PRESSURE},
    "signal_strength": {"dB", "dBm"},
    "speed": {"ft/s", "in/d", "in/h", "km/h", "kn", "m/s", "mph", "mm/d", "mm/h", "mm/s"},
    "temperature": {"°C", "°F", "K"},
    "voltage": {"V", "mV"},
    "volume_flow_rate": {"m³/h", "ft³/min", "L/min", "gal/min"},
    "volume_storage": {"L", "mL", "gal", "fl. oz.", "m³", "ft³", "CCF"},
    "weight": {"kg", "g", "mg", "µg", "oz", "lb", "st"},
}
ACCUMULATING = {"energy": {"total", "total_increasing"}}
"""Device classes that are no measurement; the state classes of all others here."""
ANY_STATE_CLASS = {"distance", "duration", "weight", "battery"}
BINARY_CLASSES = {"connectivity", "problem", "running", "power", "motion", "door"}


def faults(prefix: str, topic: str, payload: bytes) -> list[str]:
    """Return what a discovery message breaks; nothing for a right one."""
    match = TOPIC.fullmatch(topic.removeprefix(f"{prefix}/"))
    if not topic.startswith(f"{prefix}/") or match is None:
        return [f"{topic}: no discovery topic"]
    if match["component"] not in KEYS:
        return [f"{topic}: component {match['component']}"]
    return [f"{topic}: {fault}" for fault in _document(match["component"], json.loads(payload))]


def _document(component: str, document: dict[str, Any]) -> Iterator[str]:
    yield from _keys(document, KEYS[component])
    yield from (f"{key} is needed" for key in ("state_topic", "unique_id", "device") if key not in document)
    yield from _device(document)
    for key in ("state_topic", "availability_topic"):
        if re.search(r"[+#\x00]", document.get(key, "")):
            yield f"{key} has wildcards"
    if document.get("entity_category", "diagnostic") not in CATEGORIES:
        yield "entity_category"
    if document.get("expire_after", 1) <= 0:
        yield "expire_after is above 0"
    if component == "sensor":
        yield from _sensor(document)
    elif document.get("device_class", "running") not in BINARY_CLASSES:
        yield "device_class of a binary sensor"


def _device(document: dict[str, Any]) -> Iterator[str]:
    yield from _keys(document["device"], DEVICE)
    if not (document["device"].get("identifiers") or document["device"].get("connections")):
        yield "a device needs identifiers or connections"
    if not all(isinstance(text, str) for text in document["device"].get("identifiers", [])):
        yield "identifiers are texts"
    if "origin" in document:
        yield from _keys(document["origin"], ORIGIN)
        if "name" not in document["origin"]:
            yield "an origin needs a name"
    if document["name"].startswith(document["device"]["name"]):
        yield "the name of the entity must not begin with that of the device"


def _sensor(document: dict[str, Any]) -> Iterator[str]:
    device_class, unit, state_class = (document.get(key) for key in ("device_class", "unit_of_measurement", "state_class"))
    if device_class is not None:
        if device_class not in UNITS:
            yield f"device_class {device_class}"
        elif unit not in UNITS[device_class]:
            yield f"unit {unit} with device_class {device_class}"
        if state_class not in ACCUMULATING.get(device_class, {"measurement"}) and device_class not in ANY_STATE_CLASS:
            yield f"state_class {state_class} with device_class {device_class}"
    if state_class is not None and state_class not in ("measurement", "total", "total_increasing"):
        yield f"state_class {state_class}"
    if unit is not None and state_class is None and device_class is None:
        yield "a unit makes a number of it, which wants a state_class"


def _keys(table: Mapping[str, Any], known: Mapping[str, type]) -> Iterator[str]:
    for key, value in table.items():
        if key not in known:
            yield f"unknown key {key}"
        elif not isinstance(value, known[key]) or isinstance(value, bool):
            yield f"{key} is a {type(value).__name__}"
