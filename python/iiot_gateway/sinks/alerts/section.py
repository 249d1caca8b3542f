"""The section `[alerts]`: the sink that judges frames by the rules, and the settings that apply to all receivers."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from typing import TYPE_CHECKING

from iiot_gateway.config.component import MAY_DROP, Faults, KeyPath, PublishingSection, SinkSection, place
from iiot_gateway.config.keys import YEAR_S, flag, integer, texts
from iiot_gateway.config.nearest import nearest_name
from iiot_gateway.sinks.alerts.given import given_rules
from iiot_gateway.sinks.alerts.mail_section import MailSection
from iiot_gateway.sinks.alerts.rule_section import AlertSection
from iiot_gateway.sinks.alerts.webhook_section import WebhookSection

if TYPE_CHECKING:
    from iiot_gateway.config.schema import Config
    from iiot_gateway.sinks.alerts.given import GivenRule

NAME = "alerts"
LOG, TOPICS = "log", "topics"
"""Receivers without a section of their own."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AlertsSection(SinkSection):
    """`[alerts]`: judges accepted frames by the rules of [[alert]], of profiles and of the gateway, and tells whom it concerns."""

    log: bool = flag(True, "The log has an event for each alert that begins or ends.")
    topics: bool = flag(True, "Each rule has a retained topic PREFIX/gateway/alerts/NAME at the brokers of [mqtt] sections.")
    off: tuple[str, ...] = texts("Names of rules of profiles and of the gateway that are turned off.")
    repeat_s: int = integer(
        14400, "An alert that goes on is notified again after this many seconds. 0 notifies only once.", low=0, high=YEAR_S
    )
    group_s: int = integer(10, "Changes of one rule are collected for this many seconds, and sent as one notification.", low=0, high=3600)
    late_s: int = integer(300, "A value that was older than this when it arrived is late: it begins and ends no alert.", low=1, high=YEAR_S)
    forget_d: int = integer(30, "A series without a value for this many days is forgotten; its alert ends.", low=1, high=36600)
    expire_h: int = integer(24, "A change that could not be sent for this many hours is given up.", low=1, high=8784)
    max_waiting: int = integer(
        1000, "The most changes that wait for one receiver; beyond that, the oldest are dropped.", low=1, high=100_000
    )
    max_series: int = integer(
        10000, "The most series that are watched, of all rules together; values of further series are only counted.", low=1, high=1_000_000
    )
    profiles: tuple[str, ...] = texts("Only frames of these profiles; empty takes all.")
    may_drop: bool = flag(True, MAY_DROP)


def receivers(config: Config) -> list[str]:
    """Return the names of all receivers."""
    section = config.one(AlertsSection)
    built_in = [name for name, is_on in ((LOG, section.log), (TOPICS, section.topics and _brokers(config))) if is_on]
    return [*built_in, *config.of(WebhookSection), *config.of(MailSection)]


def active_rules(config: Config, *, quiet: bool = False) -> list[GivenRule]:
    """Return the rules that are used; none without [alerts]. Raises ProfileInvalid; with `quiet`, files with faults are left out."""
    if not config.of(AlertsSection):
        return []
    off = config.one(AlertsSection).off
    return [given for given in given_rules(config, quiet=quiet) if given.rule.name not in off]


def alert_topic(prefix: str, rule: str) -> str:
    """Return the topic with the state of a rule, at a broker with this prefix."""
    return f"{prefix}/gateway/alerts/{rule}"


def alert_topics(config: Config, prefix: str) -> dict[str, str]:
    """Return the topic of each rule, at a broker with this prefix; none if topics are switched off. Raises ProfileInvalid."""
    return {given.rule.name: alert_topic(prefix, given.rule.name) for given in active_rules(config) if config.one(AlertsSection).topics}


def _brokers(config: Config) -> list[str]:
    return [name for name, section in config.sinks().items() if isinstance(section, PublishingSection)]


def faults(config: Config, _given: AbstractSet[KeyPath]) -> Faults:
    """Yield every broken rule."""
    if not config.of(AlertsSection):
        return
    known = [given.rule.name for given in given_rules(config, quiet=True)]
    for name in config.one(AlertsSection).off:
        if name not in known:
            yield (NAME, "off"), f"there is no rule {name!r}{nearest_name(name, known)}"
    told = receivers(config)
    for at, rule in config.of(AlertSection).items():
        for name in rule.receivers:
            if name not in told:
                yield (
                    (*place(at), "receivers"),
                    f"there is no receiver {name!r}{nearest_name(name, told)}; there are {', '.join(told) or 'none'}",
                )
    if not told:
        yield (NAME, "log"), "nobody is told of any alert: turn log or topics on, or add [webhook] or [mail]"


def notes(config: Config) -> Iterator[str]:
    """Yield sentences on alerts that notify nobody, and on rules that can never fire."""
    if config.of(AlertSection) and not config.of(AlertsSection):
        yield "[[alert]] has no effect, because nobody is told: add [alerts], [webhook] or [mail]"
    from iiot_gateway.sinks.alerts.reach import unreachable

    yield from unreachable(config, active_rules(config, quiet=True))


def queued_receivers(config: Config) -> Sequence[str]:
    """Return the receivers that have a queue. Topics have none: they are written from the state."""
    return [name for name in receivers(config) if name != TOPICS]
