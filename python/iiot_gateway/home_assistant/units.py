"""The unit of a metric in Home Assistant, and its device class.

The unit is the tag `unit` that a profile gives a metric. A unit that is not known goes on as it is, without a device class: Home Assistant
takes any text then. Which units and state classes a device class allows stands in its documentation of sensors
(developers.home-assistant.io, Sensor entity); a test holds this table against it.
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
    """It tells of the device itself, not of what it measures."""


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
    # The ratio of signal to noise, say: no strength.
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
    # The class `volume` is for meters, which count; a level in a tank is a measurement.
    Meaning("L", "volume_storage"): ("litre", "litres", "liter", "liters"),
    Meaning("L/min", "volume_flow_rate"): ("litres_per_minute", "liters_per_minute"),
    Meaning("m³/h", "volume_flow_rate"): ("cubic_metres_per_hour", "cubic_meters_per_hour"),
    Meaning("ppm"): (),
}
"""Beside its own symbol, the names that a unit goes by in profiles."""

BY_MEASUREMENT = {
    ("%", "humidity"): "humidity",
    ("%", "battery"): "battery",
    ("%", "moisture"): "moisture",
    ("%", "soil_moisture"): "moisture",
    ("ppm", "co2"): "carbon_dioxide",
    ("ppm", "carbon_dioxide"): "carbon_dioxide",
}
"""Units that say too little: the name of the measurement decides, if it is one of these."""

# A symbol means itself before it means anything in small letters: mW is no MW.
_BY_SYMBOL = {meaning.unit: meaning for meaning in UNITS}
_BY_NAME = {name.casefold(): meaning for meaning, names in UNITS.items() for name in (meaning.unit or "", *names)}


def meaning_of(unit: str | None, measurement: str) -> Meaning:
    """Return how a number in this unit is shown; `unit` is the tag's text, None without one."""
    if not unit:
        return Meaning(None)
    known = _BY_SYMBOL.get(unit) or _BY_NAME.get(unit.casefold())
    if known is None:
        return Meaning(unit)
    device_class = BY_MEASUREMENT.get((known.unit or "", measurement), known.device_class)
    return Meaning(known.unit, device_class, known.state_class, known.diagnostic)
