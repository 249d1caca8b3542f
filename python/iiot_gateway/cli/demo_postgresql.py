"""The database of `demo factory --postgresql URL`: the plant's tables, and a section for them."""

from __future__ import annotations

import json
from pathlib import Path

from iiot_gateway.cli.postgresql_init import applied
from iiot_gateway.config.schema import Config
from iiot_gateway.errors import GatewayError
from iiot_gateway.sinks.postgresql.plant import FACTORY_DOSING
from iiot_gateway.sinks.postgresql.section import PostgresqlSection


def section_text(url: str) -> str:
    """Return the section of a demo that has such a database."""
    days = ", ".join(f"{table.name} = {FACTORY_DOSING.keep_days:g}" for table in FACTORY_DOSING.tables)
    # A JSON string is also a TOML string.
    return f'\n[postgresql]\nurl = {json.dumps(url)}\ntables = "fixed"\nretention_days = {{ {days} }}\n'


def make_tables(config: Config, url: str, path: Path) -> None:
    """Make the plant's tables, but no roles, because roles belong to the whole server. Raises GatewayError."""
    section = config.of(PostgresqlSection).get("postgresql")
    if section is None or section.url != url:
        raise GatewayError(
            f"{path} was made without this database; write its url into [postgresql] there, or name another folder with --folder"
        )
    applied(section, FACTORY_DOSING, FACTORY_DOSING.retention(), None)
