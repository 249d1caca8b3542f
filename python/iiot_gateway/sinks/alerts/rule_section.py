"""The sections `[[alert]]`: each is one rule, in the configuration, in a profile, or among the gateway's own rules."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, Any, Literal

from iiot_gateway._native import alert_rule_fault
from iiot_gateway.config.component import Component, Faults, KeyPath, place
from iiot_gateway.config.keys import DAY_S, YEAR_S, flag, integer, number, optional, tags, text, texts
from iiot_gateway.config.nearest import nearest_name

if TYPE_CHECKING:
    from iiot_gateway.config.schema import Config

NAME = re.compile(r"[A-Za-z0-9_-]{1,64}")
MOST = 1e300
FIGURES = ("queue_age_s", "journal_hours", "dropped_frames", "source_silent_s")
"""The gateway's own figures."""

EXAMPLE = """\
name = "cold_store_warm"
measurement = "temperature"
field = "value"
tags = { node = "node3" }
above = 8.0
hysteresis = 0.5
for_s = 600
message = "Cold store at {value} °C"
severity = "critical"
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class AlertSection:
    """`[[alert]]`: a rule, which says what values are watched, when an alert begins, and its text. docs/alerts.md has all keys."""

    name: str = text(
        "", "The name of the rule, in letters, digits, _ and -. It replaces a rule of a profile or of the gateway with this name."
    )
    measurement: str = text("", "The measurement of the points; for a silence, empty means any.")
    field: str = text("", "The field whose value is compared.")
    gateway: str = text("", f"A figure of the gateway, in place of measurement and field: {', '.join(FIGURES)}.")
    tags: Mapping[str, str] = tags("Only points with these tags.")
    by: tuple[str, ...] = texts(
        "One alert per combination of these tags. Empty means all tags; for a silence, it means one alert for everything."
    )
    of: Literal["value", "mean", "change", "rate"] = text(
        "value",
        "What is compared: the value; or, over a window, the mean, the change since the oldest value, or the rate of this change.",
        "value",
        "mean",
        "change",
        "rate",
    )
    absolute: bool = flag(False, "Compare the absolute value.")
    window_s: int = integer(0, "The length of the window, in seconds.", low=0, high=31 * DAY_S)
    per: Literal["", "second", "minute", "hour", "day"] = text(
        "", "The unit of time of a rate; empty means hour.", "", "second", "minute", "hour", "day"
    )
    above: float | None = optional("An alert begins when the value is above this.", low=-MOST, high=MOST)
    below: float | None = optional("An alert begins when the value is below this.", low=-MOST, high=MOST)
    hysteresis: float = number(0.0, "How far the value must come back from the limit before the alert ends.", low=0, high=MOST)
    for_s: int = integer(0, "The values must be beyond the limit for this many seconds before the alert begins.", low=0, high=YEAR_S)
    silent_s: int = integer(0, "An alert begins after this many seconds without a value; instead of above and below.", low=0, high=YEAR_S)
    hours: str = text("", 'For a silence: the alert begins only within these hours, like "Mon-Fri 06:00-22:00, Sat 06:00-14:00".')
    zone: str = text("", "The time zone of the hours.")
    message: str = text("", "The text of the notification; {value}, {since} and names of tags in braces are replaced.")
    severity: Literal["warning", "critical"] = text("warning", "How serious the alert is.", "warning", "critical")
    receivers: tuple[str, ...] = texts('Names of receivers, like ["mail", "webhook.phone", "log"]; empty means all.')

    def json(self, profiles: tuple[str, ...] = (), told: tuple[str, ...] = ()) -> str:
        """Return the rule for the extension, as JSON. `told` lists all receivers."""
        keys: dict[str, Any] = {key.name: getattr(self, key.name) for key in fields(self)}
        given = {key: value for key, value in keys.items() if value not in (None, "")}
        return json.dumps(
            {
                **given,
                "tags": dict(self.tags),
                "of": "silence" if self.silent_s else self.of,
                "profiles": profiles,
                "receivers": self.receivers or told,
            }
        )


def rule_faults(rule: AlertSection) -> list[tuple[str, str]]:
    """Yield every fault of one section: the key, and what is wrong with it."""
    found = list(_keys(rule))
    # The extension checks the hours, the zone and the message in detail.
    if not found and (fault := alert_rule_fault(rule.json())):
        found.append(fault)
    return found


def _keys(rule: AlertSection) -> Iterator[tuple[str, str]]:
    if not NAME.fullmatch(rule.name):
        yield "name", "expected 1 to 64 letters, digits, _ and -"
    if rule.silent_s:
        yield from _silence(rule)
    else:
        yield from _comparison(rule)


def _silence(rule: AlertSection) -> Iterator[tuple[str, str]]:
    for key in ("field", "gateway", "window_s", "per", "above", "below", "hysteresis", "absolute", "for_s"):
        if getattr(rule, key) not in (None, "", 0, False):
            yield key, "has no meaning beside silent_s"
    if rule.of != "value":
        yield "of", "has no meaning beside silent_s"
    if rule.zone and not rule.hours:
        yield "zone", "has no meaning without hours"
    if rule.hours and not rule.zone:
        yield "zone", 'is needed beside hours, like "Europe/Vienna" or "UTC"'


def _comparison(rule: AlertSection) -> Iterator[tuple[str, str]]:
    for key in ("hours", "zone"):
        if getattr(rule, key):
            yield key, "has no meaning without silent_s"
    if rule.above is None and rule.below is None:
        yield "above", "is needed, or below, or silent_s: when is there an alert?"
    elif rule.above is not None and rule.below is not None and rule.above - rule.hysteresis < rule.below + rule.hysteresis:
        yield "above", "must be above `below`, by twice the hysteresis at least, or no value would end the alert"
    yield from _watched(rule)
    if rule.of == "value" and rule.window_s:
        yield "window_s", 'has no meaning beside of = "value"'
    if rule.of != "value" and not rule.window_s:
        yield "window_s", f'is needed beside of = "{rule.of}"'
    if rule.per and rule.of != "rate":
        yield "per", 'has no meaning without of = "rate"'


def _watched(rule: AlertSection) -> Iterator[tuple[str, str]]:
    if not rule.gateway:
        for key in ("measurement", "field"):
            if not getattr(rule, key):
                yield key, "is needed: which values are compared?"
        return
    if rule.gateway not in FIGURES:
        yield "gateway", f"expected one of {', '.join(FIGURES)}, found {rule.gateway!r}{nearest_name(rule.gateway, list(FIGURES))}"
    for key in ("measurement", "field", "by"):
        if getattr(rule, key):
            yield key, "has no meaning beside gateway"


def faults(config: Config, _given: AbstractSet[KeyPath]) -> Faults:
    """Yield every broken rule."""
    seen: set[str] = set()
    for at, rule in config.of(AlertSection).items():
        for key, message in rule_faults(rule):
            yield (*place(at), key), message
        if rule.name in seen:
            yield (*place(at), "name"), f"another rule is called {rule.name!r}; each needs a name of its own"
        seen.add(rule.name)


COMPONENT = Component(name="alert", section=AlertSection, faults=faults, example=EXAMPLE)
