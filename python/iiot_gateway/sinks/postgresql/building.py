"""Makes a PostgreSQL sink from its section."""

from __future__ import annotations

from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from iiot_gateway import _native
from iiot_gateway.errors import SettingUnusable
from iiot_gateway.sinks.postgresql.section import PostgresqlSection, settings
from iiot_gateway.sinks.postgresql.sink import PostgresqlSink

if TYPE_CHECKING:
    from iiot_gateway.components import Building


def build_sink(building: Building, name: str, section: PostgresqlSection) -> PostgresqlSink:
    """Make a sink. Raises SettingUnusable."""
    return PostgresqlSink(name, section, native_sink(building.journal, name, section), shown(section), building.journal.run)


def native_sink(journal: _native.Journal, name: str, section: PostgresqlSection) -> _native.PostgresSink:
    """Make the extension's sink, which reads, sends and confirms rows, and register it in the journal. Raises SettingUnusable."""
    try:
        return _native.PostgresSink(
            journal,
            name,
            settings(section),
            manage=section.tables == "manage",
            configuration_tags=section.configuration_tags,
            unique=section.unique,
            replace_nul=section.nul == "replace",
            retention_days=dict(section.retention_days),
        )
    except _native.PostgresError as error:
        raise SettingUnusable(f"[{name}] {error}") from error


def shown(section: PostgresqlSection) -> str:
    """Return the host and the database, for people."""
    parts = urlsplit(section.url)
    return f"{parts.netloc.rpartition('@')[2]}{parts.path}"
