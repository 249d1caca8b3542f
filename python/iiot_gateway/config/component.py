"""A component as the configuration sees it: its section, its rules for `check`, and notes on surprising settings.

Every source, every sink and every service beside them declares one in a light file of its own, `section.py`; `sections.py` lists them. How
a component is built stands in `components.py`, because `check` needs none of that.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal

from iiot_gateway.config.keys import nothing

if TYPE_CHECKING:
    from iiot_gateway.config.schema import Config
    from iiot_gateway.findings import Finding, Running

KeyPath = tuple[str, ...]
Faults = Iterator[tuple[KeyPath, str]]
"""Broken rules: the path of a key, and what is wrong with it."""


class SourceSection:
    """The section of a source: these keys stand in each."""

    __slots__ = ()

    if TYPE_CHECKING:

        @property
        def profile(self) -> str:
            """Name or path of the profile; empty takes that of [gateway]."""

        @property
        def topic_prefix(self) -> str:
            """Prefix of the source's topics; empty takes that of [gateway]."""

        @property
        def tags(self) -> Mapping[str, str]:
            """Tags on every point."""

        @property
        def dedup_window_s(self) -> float:
            """How long a repeat is known."""

        @property
        def max_document_bytes(self) -> int:
            """A longer document is rejected."""


MAY_DROP = (
    "While the journal is full, frames that only sinks with this key lack are dropped, so that this sink does not stop a source that waits."
)
"""What the key `may_drop` of each sink does."""


class SinkSection:
    """The section of a sink: these keys stand in each."""

    __slots__ = ()

    if TYPE_CHECKING:

        @property
        def profiles(self) -> tuple[str, ...]:
            """Which profiles' frames it takes; empty takes all."""

        @property
        def may_drop(self) -> bool:
            """Whether its frames go first where room is scarce."""


class PublishingSection(SinkSection):
    """The section of a sink that publishes under topics; others know points by their tags alone."""

    __slots__ = ()

    if TYPE_CHECKING:

        @property
        def broker_url(self) -> str:
            """Where it publishes."""

        @property
        def topic_prefix(self) -> str:
            """Prefix of the topics that are the gateway's own there."""


def _no_faults(_config: Config, _given: AbstractSet[KeyPath]) -> Faults:
    return iter(())


def _no_notes(_config: Config) -> Iterator[str]:
    return iter(())


def _no_prefixes(_config: Config, _broker_url: str) -> Iterator[tuple[str, str]]:
    return iter(())


def _no_trials(_config: Config, _sink: str) -> Iterator[tuple[str, str, str]]:
    return iter(())


def _nothing_to_find(_config: Config, _running: Running) -> Iterator[Finding]:
    return iter(())


@dataclass(frozen=True, slots=True)
class Variable:
    """What a variable of the environment sets that other programs know too."""

    key: str
    per: float = 1.0
    """Its unit is so many times smaller than that of the key."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Component:
    """A kind of section of the configuration, and its rules."""

    name: str
    """The section is called [name]; further ones are [name.OTHER]."""
    section: type
    """A frozen dataclass of `keys.py` declarations; its docstring is "`[name]`: what it is for."."""
    many: bool = True
    """Whether further ones may stand beside the first."""
    is_on_alone: bool = False
    """Whether the section means something without any key, where only one may stand."""
    only_named: str = ""
    """What is said to somebody who writes [name] where only [name.OTHER] means something."""
    comes_with: tuple[str, ...] = ()
    """Sections with which it is there, with its defaults, if it is not written."""
    example: str = ""
    """Lines of one section of a list, for the template. Such sections are tables under [[name]]."""
    template: Literal["shown", "commented", "absent"] = "commented"
    """How it stands in the template."""
    variables: Mapping[str, Variable] = field(default_factory=nothing)
    """Variables of the environment under which other programs know its keys, by name."""
    keep_confirmed_s: float = 0.0
    """How long the journal keeps what such a sink has confirmed, for another side that may come back as it was earlier."""
    faults: Callable[[Config, AbstractSet[KeyPath]], Faults] = _no_faults
    """Gives every broken rule; the second argument are the key paths that somebody wrote."""
    notes: Callable[[Config], Iterator[str]] = _no_notes
    """Gives a sentence on each thing that is no fault and may not do what its author expects."""
    publishes_below: Callable[[Config, str], Iterator[tuple[str, str]]] = _no_prefixes
    """Gives the prefixes below which the gateway publishes to a broker, each with the name of the section that does."""
    doctor: Callable[[Config, Running], Iterator[Finding]] = _nothing_to_find
    """Tries what the sections name, and gives what was found."""
    trials: Callable[[Config, str], Iterator[tuple[str, str, str]]] = _no_trials
    """Gives further topics that `doctor` tries at the broker of a sink: what for, the topic, and the filter that rights are needed to."""


def is_list(component: Component) -> bool:
    """Tell whether sections of a kind are tables under [[name]]; they are called name.0, name.1 and so on."""
    return bool(component.example)


def place(name: str) -> KeyPath:
    """Return the key path of a section by its name: `mqtt.backup` stands in [mqtt.backup]."""
    return tuple(name.split("."))
