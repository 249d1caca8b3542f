"""A component as the configuration sees it: its section, its rules for `check`, and notes on surprising settings.

Every source, sink and service declares one in the `__init__.py` of its folder, or in its only file; `sections.py` lists them. The keys
and rules of a folder are in its `section.py`, which its other files import. Both files load nothing heavy.
`components.py` says how a component is built, because `check` does not need that.
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
    """The section of a source: the keys that each source has."""

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
            """How long a repeated document is recognised, in seconds."""

        @property
        def max_document_bytes(self) -> int:
            """A longer document is rejected."""


MAY_DROP = (
    "While the journal is full, frames that only sinks with this key lack are dropped, so that this sink does not stop a source that waits."
)
"""What the key `may_drop` of each sink does."""


class SinkSection:
    """The section of a sink: the keys that each sink has."""

    __slots__ = ()

    if TYPE_CHECKING:

        @property
        def profiles(self) -> tuple[str, ...]:
            """The profiles whose frames the sink takes; empty takes all."""

        @property
        def may_drop(self) -> bool:
            """Whether the journal may drop the sink's frames first while it is full."""


class PublishingSection(SinkSection):
    """The section of a sink that publishes to topics. Other sinks distinguish points by their tags alone."""

    __slots__ = ()

    if TYPE_CHECKING:

        @property
        def broker_url(self) -> str:
            """The broker to which the sink publishes."""

        @property
        def topic_prefix(self) -> str:
            """Prefix of the gateway's own topics at this broker."""


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
    """The key that an environment variable of another program sets."""

    key: str
    per: float = 1.0
    """How many units of the variable make one unit of the key."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Component:
    """A kind of section in the configuration, and its rules."""

    name: str
    """The name of the section, [name]; further sections of the kind are called [name.OTHER]."""
    section: type
    """A frozen dataclass of `keys.py` declarations; its docstring is "`[name]`: what it is for."."""
    many: bool = True
    """Whether there may be several sections of this kind."""
    is_on_alone: bool = False
    """Whether a section without any key has a meaning; only for kinds with a single section."""
    only_named: str = ""
    """The fault that is reported for [name] if only [name.OTHER] has a meaning."""
    comes_with: tuple[str, ...] = ()
    """Sections that bring this section along with its defaults if it is not in the file."""
    example: str = ""
    """Lines of an example section for the template, for sections that are tables under [[name]]."""
    template: Literal["shown", "commented", "absent"] = "commented"
    """How the section appears in the template."""
    variables: Mapping[str, Variable] = field(default_factory=nothing)
    """Environment variables of other programs that set the section's keys, by name."""
    keep_confirmed_s: float = 0.0
    """How long the journal keeps frames that such a sink has confirmed, in seconds: the other side may return to an earlier state."""
    faults: Callable[[Config, AbstractSet[KeyPath]], Faults] = _no_faults
    """Yields every broken rule. The second argument holds the key paths in the file and the environment."""
    notes: Callable[[Config], Iterator[str]] = _no_notes
    """Yields a sentence on each setting that is no fault, but may surprise its author."""
    publishes_below: Callable[[Config, str], Iterator[tuple[str, str]]] = _no_prefixes
    """Yields the prefixes below which the gateway publishes to a broker, each with the name of the section that publishes."""
    doctor: Callable[[Config, Running], Iterator[Finding]] = _nothing_to_find
    """Tries the servers, ports and files that the sections name, and yields the findings."""
    trials: Callable[[Config, str], Iterator[tuple[str, str, str]]] = _no_trials
    """Yields further topics that `doctor` tries at a sink's broker: the purpose, the topic, and the filter to which rights are needed."""


def is_list(component: Component) -> bool:
    """Return whether sections of a kind are tables under [[name]]; they are called name.0, name.1 and so on."""
    return bool(component.example)


def place(name: str) -> KeyPath:
    """Return the key path of a section by its name: `mqtt.backup` is the section [mqtt.backup]."""
    return tuple(name.split("."))
