"""The unit of a metric in Home Assistant, and its device class.

The unit is the tag `unit` that a profile gives a metric. An unknown unit is passed on unchanged and without a device class; then Home
Assistant accepts any text. The documentation of Home Assistant (developers.home-assistant.io, Sensor entity) lists the units and state
classes that each device class allows; a test compares this table with it.
"""

from __future__ import annotations

from dataclasses import dataclass

MEASUREMENT = "measurement"
TOTAL_INCREASING = "total_increasing"


@dataclass(frozen=True, slots=True)
class Meaning:
    """How Home Assistant shows a number."""

    unit: str | None
    device_class: str | None = None
    state_class: str = MEASUREMENT
    diagnostic: bool = False
    """Whether the value describes the device itself, not a quantity that it measures."""


UNITS: dict[Meaning, tuple[str, ...]] = {
    Meaning("°C", "temperature"): ("celsius", "degc"),
    Meaning("°F", "temperature"): ("fahrenheit", "degf"),
    Meaning("K", "temperature"): ("kelvin",),
    Meaning("%"): ("percent",),
    Meaning("Pa", "pressure"): ("pascal", "pascals"),
    Meaning("hPa", "pressure"): ("hectopascal", "hectopascals"),
    Meaning("kPa", "pressure"): ("kilopascal", "kilopascals"),
    Meaning("bar", "pressure"): (),
    Meaning("mbar", "pressure"): ("millibar", "millibars"),
    Meaning("psi", "pressure"): (),
    Meaning("mV", "voltage"): ("millivolt", "millivolts"),
    Meaning("V", "voltage"): ("volt", "volts"),
    Meaning("mA", "current"): ("milliampere", "milliamperes"),
    Meaning("A", "current"): ("ampere", "amperes"),
    Meaning("W", "power"): ("watt", "watts"),
    Meaning("kW", "power"): ("kilowatt", "kilowatts"),
    Meaning("Wh", "energy", TOTAL_INCREASING): ("watt_hour", "watt_hours"),
    Meaning("kWh", "energy", TOTAL_INCREASING): ("kilowatt_hour", "kilowatt_hours"),
    Meaning("Hz", "frequency"): ("hertz",),
    Meaning("Ω"): ("ohm", "ohms"),
    Meaning("kΩ"): ("kiloohm", "kiloohms"),
    Meaning("lx", "illuminance"): ("lux",),
    Meaning("dBm", "signal_strength", diagnostic=True): (),
    # For example a signal-to-noise ratio, which is not a signal strength.
    Meaning("dB", diagnostic=True): ("decibel", "decibels"),
    Meaning("ms", "duration"): ("millisecond", "milliseconds"),
    Meaning("s", "duration"): ("second", "seconds"),
    Meaning("min", "duration"): ("minute", "minutes"),
    Meaning("h", "duration"): ("hour", "hours"),
    Meaning("mm", "distance"): ("millimetre", "millimetres", "millimeter", "millimeters"),
    Meaning("m", "distance"): ("metre", "metres", "meter", "meters"),
    Meaning("m/s", "speed"): ("metres_per_second", "meters_per_second"),
    Meaning("g", "weight"): ("gram", "grams"),
    Meaning("kg", "weight"): ("kilogram", "kilograms"),
    # The class `volume` is for meters that count up; a level in a tank is a measurement.
    Meaning("L", "volume_storage"): ("litre", "litres", "liter", "liters"),
    Meaning("L/min", "volume_flow_rate"): ("litres_per_minute", "liters_per_minute"),
    Meaning("m³/h", "volume_flow_rate"): ("cubic_metres_per_hour", "cubic_meters_per_hour"),
    Meaning("ppm"): (),
}
"""The names of each unit in profiles, besides its own symbol."""

BY_MEASUREMENT = {
    ("%", "humidity"): "humidity",
    ("%", "battery"): "battery",
    ("%", "moisture"): "moisture",
    ("%", "soil_moisture"): "moisture",
    ("ppm", "co2"): "carbon_dioxide",
    ("ppm", "carbon_dioxide"): "carbon_dioxide",
}
"""Device classes for units that are ambiguous: the name of the measurement decides."""

# Exact symbols are tried first, then small letters, so that mW is not taken for MW.
_BY_SYMBOL = {meaning.unit: meaning for meaning in UNITS}
_BY_NAME = {name.casefold(): meaning for meaning, names in UNITS.items() for name in (meaning.unit or "", *names)}


def meaning_of(unit: str | None, measurement: str) -> Meaning:
    """Return how to show a number in this unit. `unit` is the text of the tag, or None without the tag."""
    if not unit:
        return Meaning(None)
    known = _BY_SYMBOL.get(unit) or _BY_NAME.get(unit.casefold())
    if known is None:
        return Meaning(unit)
    device_class = BY_MEASUREMENT.get((known.unit or "", measurement), known.device_class)
    return Meaning(known.unit, device_class, known.state_class, known.diagnostic)
