"""The panels of a dosing plant that both databases have; a dashboard brings the query, and how its series are called."""

from __future__ import annotations

from typing import Any

from iiot_dashboards.style import (
    HEALTH,
    MOTOR_C,
    PERCENT_FULL,
    VIBRATION_RMS,
    bars_of_rows,
    categories,
    columns,
    figure_of_rows,
    gauges,
    lines,
)

TODAY = "Today is the day of the dashboard's time zone, up to the end of its time range."


def totals(query: Any) -> Any:
    """Show the grams of today by chemical: rows with `name` and `grams`."""
    return bars_of_rows("Consumption today by chemical", query, field="grams", unit="massg", decimals=1, text=TODAY)


def stock(query: Any) -> Any:
    """Show the newest level of each container: rows with `name` and `percent`."""
    text = "The newest level of each container within 30 days. Its age stands behind the name."
    return gauges("Stock", query, field="percent", unit="percent", steps=PERCENT_FULL, text=text)


def batches(query: Any) -> Any:
    """Show the batches of today by recipe: rows with `name` and `batches`."""
    return figure_of_rows("Batches completed today by recipe", query, field="batches", unit="short", text=TODAY)


def over_time(query: Any, name: str = "") -> Any:
    """Show the grams of each hour, a series for each chemical."""
    return columns("Consumption per hour", query, unit="massg", name=name)


def days(query: Any, name: str = "") -> Any:
    """Show the grams of each of the plant's days, a series for each chemical."""
    return columns("Consumption per day, last seven days", query, unit="massg", name=name).time_from("7d")


def accuracy(query: Any) -> Any:
    """Show how many doses each bin of errors has: rows with `label` and `doses`."""
    return categories(
        "Accuracy: doses by error in grams", query, text="Each bin includes its upper bound. Doses without a known error are left out."
    )


def motors(query: Any, name: str = "") -> Any:
    """Show the greatest temperature of each motor in each window."""
    return lines("Motor temperatures", query, unit="celsius", steps=MOTOR_C, name=name)


def vibration(query: Any, name: str = "") -> Any:
    """Show the greatest RMS of each pump's axes in each window."""
    return lines("Vibration of each pump (RMS, greatest axis)", query, unit="accG", steps=VIBRATION_RMS, name=name)


def health(query: Any) -> Any:
    """Show the health of each pump: rows with `name` and `health`."""
    text = "100 - (motor temperature - 60 °C) - 100 x (RMS - 0.1), each part only where it is above zero."
    text += " Newest values of the last day. The age of the older one stands behind the name."
    return bars_of_rows("Health of each pump", query, field="health", unit="percent", steps=HEALTH, top=100, text=text)
