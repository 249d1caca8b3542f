"""How components are built: the arguments that each gets, and the objects that it returns.

`config/component.py` describes components for the configuration.

Every kind of component has a class here. Code that chooses among them names each: a forgotten one is an error of the type check.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Mapping, Sequence
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
        """Whether a recording is played: then no live source runs, and no commands are accepted."""
        self.status: Callable[[], dict[str, Any]] | None = None
        """Returns the status document for the health topic; set once the gateway is built."""
        self.document: Callable[[], dict[str, Any]] = dict
        """Returns the whole status document; empty until the gateway is built. Reads the journal."""
        self.http_parts: list[HttpPart] = []
        """The parts that components add to the HTTP interface."""
        self.devices: Callable[[], DeviceDirectory | None] = lambda: None
        """Returns the directory of registered devices; None without [devices]."""
        self.commands: dict[str, Callable[[dict[str, Any]], Any]] = {}
        """The commands of components on the control socket, by name."""
        self.refusals: dict[str, Callable[[], dict[str, int]]] = {}
        """Counts of data that was refused before it became a frame: by component, and since the start by reason."""
        self.alerts: Callable[[], dict[str, Any]] | None = None
        """Returns the states of alerts; None without an alerts sink."""
        self._once: dict[Callable[[Building], Any], Any] = {}
        self._once_lock = threading.RLock()

    def once(self, make: Callable[[Building], T]) -> T:
        """Return the result of `make`, which is called only at the first call. Any thread may call this, and so may `make`."""
        with self._once_lock:
            if make not in self._once:
                self._once[make] = make(self)
            made: T = self._once[make]
        return made

    def made(self, make: Callable[[Building], T]) -> T | None:
        """Return the result that `once` has stored for a function; None if it was not called."""
        return self._once.get(make)

    def source_rules(self, name: str) -> dict[str, Any]:
        """Return the journal's keyword arguments for a live source."""
        return rule_arguments(source_rules(self.config, name, self.config.sources()[name]))

    def own_topics(self, broker_url: str) -> list[str]:
        """Return the filters of the topics that services use at a broker. No value is published to them."""
        services = (component for component in self.config.components if isinstance(component, ServiceComponent))
        return [topic for service in services for topic in service.own_topics(self, broker_url)]

    def device_logins(self) -> dict[str, Any]:
        """Return the built-in broker's settings for logins of devices; none if no source has devices. Raises RegistryUnusable."""
        kinds = (component for component in self.config.components if isinstance(component, MessageSource))
        wanted = (kind.device_logins(self) for kind in kinds if self.config.of(kind.section))
        return {key: value for settings in wanted for key, value in settings.items()}

    def health(self) -> dict[str, Any]:
        """Return the document for the health topic."""
        return {} if self.status is None else self.status()


def rule_arguments(given: SourceRules) -> dict[str, Any]:
    """Return the journal's keyword arguments for a source of bytes. Raises ProfileInvalid."""
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
    """A source of bytes, in which the intake finds documents."""

    build: Callable[[str, Any, Intake], Source]
    """Makes the source from its name, its section and its intake: the journal's intake, or the file that `record` writes."""


def _no_logins(_building: Building) -> Mapping[str, Any]:
    return {}


@dataclass(frozen=True, slots=True, kw_only=True)
class MessageSource(Component):
    """A source of messages. Each message is a whole document with its topic."""

    build: Callable[[Building, str, Any], Source]
    """Makes the source from the gateway, its name and its section."""
    record: Callable[[Config, str, Any, MessageWriter], Source]
    """Makes the source for `record`, which writes the messages to its file."""
    device_logins: Callable[[Building], Mapping[str, Any]] = _no_logins
    """Returns the settings with which devices of the source may log in at the built-in broker. Called only if the source has a section."""


@dataclass(frozen=True, slots=True)
class Metric:
    """A metric of one kind of sink; its label is the sink's name."""

    key: str
    """The key of the number in the status of such a sink (`SinkStatus.details`)."""
    name: str
    """iiot_sink_<noun>_<unit>[_total]."""
    kind: str
    """A counter, which only rises, or a gauge."""
    help: str
    label: str = ""
    """The name of a second label, if the status holds one number per value of this label."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SinkComponent(Component):
    """A sink."""

    build: Callable[[Building, str, Any], Sink]
    """Makes the sink from the gateway, its name and its section. The journal knows the sink already."""
    metrics: tuple[Metric, ...] = ()


def _no_topics(_building: Building, _broker_url: str) -> Iterable[str]:
    return ()


def _looks_at_nothing(_config: Config) -> bool:
    return False


@dataclass(frozen=True, slots=True, kw_only=True)
class ServiceComponent(Component):
    """A service that runs beside sources and sinks, and has no ledger."""

    build: Callable[[Building, Sequence[Source], Sequence[Sink]], Sequence[Service]]
    """Returns the services to run; none if the service is not wanted."""
    own_topics: Callable[[Building, str], Iterable[str]] = _no_topics
    """Returns the filters of the topics that the service uses at a broker."""
    looks_at_values: Callable[[Config], bool] = _looks_at_nothing
    """Returns whether the service needs the live values."""
