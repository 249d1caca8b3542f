"""The sections of every gateway, and the whole configuration: these sections, and those of the components by their class."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from types import MappingProxyType
from typing import Any, Literal, TypeVar

from iiot_gateway.config.component import Component, PublishingSection, SinkSection, SourceSection
from iiot_gateway.config.keys import flag, integer, nothing, number, path, secret, text, texts
from iiot_gateway.config.secret import Secret
from iiot_gateway.sources.probe_rs.section import ProbeRsSection

DEFAULT_PREFIX = "iiot"

S = TypeVar("S")


@dataclass(frozen=True, slots=True, kw_only=True)
class GatewaySection(ProbeRsSection):
    """`[gateway]`: what holds for all sources, and the first debug probe."""

    env_file: str = path(
        "", "A file with lines NAME=VALUE. They count as variables of the environment, unless the environment itself sets them."
    )
    channel_capacity: int = integer(
        100,
        "A key of the original gateway. It has no effect, because the journal is the only queue.",
        low=0,
        high=2**31 - 1,
        without_meaning="the journal is the only queue, and it is bounded by journal.max_bytes",
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class JournalSection:
    """`[journal]`: the durable log between sources and sinks."""

    path: str = path("iiot-gateway.db", "The journal's file.")
    sync: Literal["full", "normal"] = text("full", "full: to the disk after each group; normal: once per second.", "full", "normal")
    max_bytes: int = integer(268435456, "At this size the oldest frames are removed, and counted as dropped.", low=1048576, high=2**44)
    max_age_h: float = number(0.0, "Frames older than this are removed, and counted as dropped. 0 keeps them.", low=0, high=876000)
    max_rejects: int = integer(10000, "How many rejects are kept with their text; all are counted.", low=0, high=10_000_000)


@dataclass(frozen=True, slots=True, kw_only=True)
class HttpSection:
    """`[http]`: the web page, /api/v1/, /healthz, /readyz and /metrics."""

    enabled: bool = flag(True, "false saves ten megabytes of memory.")
    listen: str = text("127.0.0.1:5000", "ADDRESS:PORT. Any address except loopback needs a token.")
    token: Secret = secret("If it is set, every client must send it. Preferably set by IIOT_HTTP__TOKEN or token_file.")
    token_file: str = path("", "A file that holds the token and nothing else.")
    allowed_hosts: tuple[str, ...] = texts("Further names that browsers may call a loopback address by, for a proxy in front.")
    tls_cert_file: str = path("", "The server's certificate with its chain (PEM); if it is set, the server accepts only https://.")
    tls_key_file: str = path("", "The key of that certificate (PEM).")
    behind_proxy: bool = flag(False, "true: a proxy in front handles TLS; its X-Forwarded-For names the clients.")
    plaintext: Literal["refuse", "allow"] = text(
        "refuse", "Whether devices on other machines may send without TLS: use allow only on a trusted network.", "refuse", "allow"
    )
    max_connections: int = integer(
        1024, "The most connections at once, besides those of pages; further ones are told to come later.", low=8, high=60_000
    )
    max_pages: int = integer(64, "The most pages that may watch at once; further ones are told to come later.", low=0, high=1000)


@dataclass(frozen=True, slots=True, kw_only=True)
class LogSection:
    """`[log]`: to standard error."""

    level: Literal["debug", "info", "warning", "error"] = text(
        "info", "The lowest level that is logged.", "debug", "info", "warning", "error"
    )
    format: Literal["auto", "json", "console"] = text("auto", "auto: console on a terminal, JSON otherwise.", "auto", "json", "console")


@dataclass(frozen=True, slots=True, kw_only=True)
class Config:
    """The whole configuration. Sources and sinks have the names of their sections: `mqtt`, `mqtt.backup`."""

    gateway: GatewaySection = field(default_factory=GatewaySection)
    journal: JournalSection = field(default_factory=JournalSection)
    http: HttpSection = field(default_factory=HttpSection)
    log: LogSection = field(default_factory=LogSection)
    sections: Mapping[type, Mapping[str, Any]] = field(default_factory=nothing)
    """Every other section, by its class and then by its name. Use `of` and `one`."""
    components: tuple[Component, ...] = field(default=(), compare=False, repr=False)
    """The components that sections can belong to."""
    base: Path = Path()
    """The folder at which relative paths begin."""
    notes: tuple[str, ...] = ()
    """Sentences on settings that are no faults, but may surprise their author."""

    def of(self, kind: type[S]) -> Mapping[str, S]:
        """Return the sections of a class, by name."""
        return self.sections.get(kind, {})

    def one(self, kind: type[S]) -> S:
        """Return the section of a class that has only one section; with its defaults if the file does not have it."""
        return next(iter(self.of(kind).values()), None) or kind()

    def having(self, name: str, section: Any) -> Config:
        """Return the configuration with a section added or replaced."""
        kind = type(section)
        changed = {**self.sections, kind: MappingProxyType({**self.of(kind), name: section})}
        return replace(self, sections=MappingProxyType(changed))

    def sources(self) -> dict[str, SourceSection]:
        """Return the section of every configured source, by the source's name; the probe of [gateway] is called `probe_rs`."""
        first: dict[str, SourceSection] = {"probe_rs": self.gateway} if self.gateway.chip else {}
        return {**first, **self._all(SourceSection)}

    def sinks(self) -> dict[str, SinkSection]:
        """Return the section of every configured sink, by the sink's name."""
        return self._all(SinkSection)

    def _all(self, base: type[S]) -> dict[str, S]:
        return {name: section for kind, named in self.sections.items() if issubclass(kind, base) for name, section in named.items()}

    def journal_path(self) -> str:
        """Return the journal's file."""
        return str(self.base / self.journal.path)

    def topic_prefix(self) -> str:
        """Return the prefix for sources without their own prefix."""
        first = next((section for section in self.sinks().values() if isinstance(section, PublishingSection)), None)
        return self.gateway.topic_prefix or (DEFAULT_PREFIX if first is None else first.topic_prefix)
