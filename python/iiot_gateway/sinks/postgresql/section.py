"""The section `[postgresql]`: a database whose tables take typed rows."""

from __future__ import annotations

from collections.abc import Mapping
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal
from urllib.parse import parse_qs, urlsplit

from iiot_gateway.config.component import MAY_DROP, Faults, KeyPath, SinkSection, place
from iiot_gateway.config.keys import HOUR_S, days, flag, integer, number, path, secret, text, texts
from iiot_gateway.config.secret import Secret

if TYPE_CHECKING:
    from iiot_gateway._native import PostgresSettings
    from iiot_gateway.config.schema import Config

KEEP_CONFIRMED_S = 60.0
"""How long the journal keeps what the database has confirmed, for a failover to a replica that is behind."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PostgresqlSection(SinkSection):
    """`[postgresql]`, `[postgresql.NAME]`: typed rows for PostgreSQL 13 or later, with TimescaleDB or without, each exactly once."""

    url: str = text(
        "postgresql://iiot@localhost:5432/telemetry",
        "postgresql://USER@HOST:PORT/DATABASE, with libpq's parameters behind a question mark.",
    )
    password: Secret = secret("Preferably set by PGPASSWORD, password_file or libpq's .pgpass.")
    password_file: str = path("", "A file that holds the password and nothing else.")
    schema: str = text("public", "The schema of the tables.")
    tables: Literal["manage", "fixed"] = text(
        "manage", "manage makes missing tables, columns and partitions; fixed uses only existing ones.", "manage", "fixed"
    )
    configuration_tags: bool = flag(False, "Whether the tags of the configuration are columns too.")
    unique: bool = flag(
        False, "Leave out a row whose content and time equal those of an existing row, for gateways that get the same messages."
    )
    nul: Literal["reject", "replace"] = text(
        "reject", "A text with U+0000, which PostgreSQL cannot hold: reject its row, or write U+FFFD instead.", "reject", "replace"
    )
    retention_days: Mapping[str, float] = days(
        "How many days a measurement is kept: older rows are rejected, "
        "and partitions that the gateway made are dropped. Other measurements are never deleted."
    )
    batch_rows: int = integer(10000, "The most rows per transaction.", low=1, high=100000)
    batch_interval_ms: int = integer(100, "How long the first row of a transaction waits for more.", low=0, high=60000)
    connect_timeout_s: float = number(10.0, "How long connecting may take.", low=0.1, high=HOUR_S)
    timeout_s: float = number(60.0, "A transaction that takes longer is repeated.", low=0.1, high=HOUR_S)
    lock_timeout_s: float = number(10.0, "How long a transaction waits for a lock that another holds.", low=0.1, high=HOUR_S)
    profiles: tuple[str, ...] = texts("Only frames of these profiles; empty takes all.")
    may_drop: bool = flag(False, MAY_DROP)


def settings(section: PostgresqlSection) -> PostgresSettings:
    """Return the settings of the connection."""
    from iiot_gateway._native import PostgresSettings

    return PostgresSettings(
        section.url,
        password=section.password.reveal() or None,
        schema=section.schema,
        connect_timeout_s=section.connect_timeout_s,
        timeout_s=section.timeout_s,
        lock_timeout_s=section.lock_timeout_s,
    )


def faults(config: Config, _given: AbstractSet[KeyPath]) -> Faults:
    """Yield every broken rule."""
    from iiot_gateway._native import PostgresConnection, PostgresError

    for name, section in config.of(PostgresqlSection).items():
        if _has_password(section.url):
            yield (
                (*place(name), "url"),
                "a password in a URL ends up in logs; use PGPASSWORD, password_file or libpq's .pgpass",
            )
            continue
        try:
            PostgresConnection(settings(section))
        except PostgresError as error:
            yield (*place(name), "schema" if str(error).startswith("the schema") else "url"), str(error)


def _has_password(url: str) -> bool:
    try:
        parts = urlsplit(url)
    except ValueError:
        return False  # the code that parses the URL reports its faults
    return parts.password is not None or "password" in parse_qs(parts.query, keep_blank_values=True)
