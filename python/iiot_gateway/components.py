"""How components are built: the arguments that each gets, and the objects that it returns.

`config/component.py` describes components for the configuration.

Every kind of component has a class here. Code that chooses among them names each: a forgotten one is an error of the type check.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeVar

from iiot_gateway.config.component import Component
from iiot_gateway.config.wiring import SourceRules, source_rules
from iiot_gateway.profile import read_profile

if TYPE_CHECKING:
    from iiot_gateway._native import DeviceDirectory, Journal
    from iiot_gateway.api.part import HttpPart
    from iiot_gateway.config.schema import Config
    from iiot_gateway.pipeline.supervisor import Service
    from iiot_gateway.sinks.base import Sink
    from iiot_gateway.sources.base import Intake, Source
    from iiot_gateway.sources.recording import MessageWriter

T = TypeVar("T")


class Building:
    """A gateway that is being built."""

    def __init__(self, config: Config, journal: Journal, *, is_replay: bool = False) -> None:
        self.config = config
        self.journal = journal
        self.is_replay = is_replay
        """Whether a recording is played: no live source runs, and no command is taken."""
        self.status: Callable[[], dict[str, Any]] | None = None
        """The status document for the health topic; set once the gateway stands."""
        self.document: Callable[[], dict[str, Any]] = dict
        """The whole status document; empty until the gateway stands. Reads the journal."""
        self.http_parts: list[HttpPart] = []
        """What components bring for the HTTP interface."""
        self.devices: Callable[[], DeviceDirectory | None] = lambda: None
        """Gives who is registered, where somebody is."""
        self.commands: dict[str, Callable[[dict[str, Any]], Any]] = {}
        """What components answer on the control socket."""
        self.refusals: dict[str, Callable[[], dict[str, int]]] = {}
        """What was refused before anything of it was a frame: by whom, and how often since the start by reason."""
        self.alerts: Callable[[], dict[str, Any]] | None = None
        """The states of alerts, where rules are judged."""
        self._once: dict[Callable[[Building], Any], Any] = {}
        self._once_lock = threading.RLock()

    def once(self, make: Callable[[Building], T]) -> T:
        """Return what a function makes: at the first call; later ones get the same. For any thread, and for such a function too."""
        with self._once_lock:
            if make not in self._once:
                self._once[make] = make(self)
            made: T = self._once[make]
        return made

    def made(self, make: Callable[[Building], T]) -> T | None:
        """Return what a function has made; None if nobody has asked for it."""
        return self._once.get(make)

    def source_rules(self, name: str) -> dict[str, Any]:
        """Return the keywords with which the journal is told of a live source."""
        return rule_arguments(source_rules(self.config, name, self.config.sources()[name]))

    def own_topics(self, broker_url: str) -> list[str]:
        """Return the filters of the topics that services use at a broker; no value goes there."""
        services = (component for component in self.config.components if isinstance(component, ServiceComponent))
        return [topic for service in services for topic in service.own_topics(self, broker_url)]

    def health(self) -> dict[str, Any]:
        """Return the document for the health topic."""
        return {} if self.status is None else self.status()


def rule_arguments(given: SourceRules) -> dict[str, Any]:
    """Return the keywords of the journal for a source of bytes. Raises ProfileInvalid."""
    return {
        "profile": read_profile(given.profile),
        "topic_prefix": given.topic_prefix,
        "tags": given.tags,
        "dedup_window_s": given.dedup_window_s,
        "max_document_bytes": given.max_document_bytes,
        "rtt_channel": given.rtt_channel,
    }


@dataclass(frozen=True, slots=True, kw_only=True)
class ByteSource(Component):
    """A source of bytes, among which the intake finds the documents."""

    build: Callable[[str, Any, Intake], Source]
    """From its name, its section and where its bytes go: the journal's intake, or the file that `record` writes."""


@dataclass(frozen=True, slots=True, kw_only=True)
class MessageSource(Component):
    """A source of messages, each a whole document with its topic."""

    build: Callable[[Building, str, Any], Source]
    """From the gateway, its name and its section."""
    record: Callable[[Config, str, Any, MessageWriter], Source]
    """The same for `record`, whose file the messages go to."""


@dataclass(frozen=True, slots=True)
class Metric:
    """A metric of one kind of sink; its label is the sink's name."""

    key: str
    """Under which the status of such a sink holds the number (`SinkStatus.details`)."""
    name: str
    """iiot_sink_<noun>_<unit>[_total]."""
    kind: str
    """A counter, which only rises, or a gauge."""
    help: str
    label: str = ""
    """A second label, where the status holds a number for each of its values."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SinkComponent(Component):
    """A sink."""

    build: Callable[[Building, str, Any], Sink]
    """From the gateway, its name and its section; the journal knows the sink then."""
    metrics: tuple[Metric, ...] = ()


def _no_topics(_building: Building, _broker_url: str) -> Iterable[str]:
    return ()


def _looks_at_nothing(_config: Config) -> bool:
    return False


@dataclass(frozen=True, slots=True, kw_only=True)
class ServiceComponent(Component):
    """A service that runs beside sources and sinks, and has no ledger."""

    build: Callable[[Building, Sequence[Source], Sequence[Sink]], Sequence[Service]]
    """Gives what is to run: nothing where it is not wanted."""
    own_topics: Callable[[Building, str], Iterable[str]] = _no_topics
    """Gives the filters of the topics that it uses at a broker."""
    looks_at_values: Callable[[Config], bool] = _looks_at_nothing
    """Tells whether it needs the live values."""
