"""Registries of devices in both databases."""

from __future__ import annotations

import secrets
from typing import Any

from iiot_gateway._native import PostgresSettings
from iiot_gateway.registry.file import RegistryFile
from iiot_gateway.registry.server import RegistryServer
from iiot_gateway.registry.server_schema import ServerPlace
from iiot_gateway.registry.store import Registry
from servers import Postgres


def server_place(server: Postgres, schema: str = "", user: str = "postgres") -> ServerPlace:
    """Return a schema of a server, which nobody else uses unless it is named."""
    name = schema or f"registry_{secrets.token_hex(4)}"
    settings = PostgresSettings(server.url_of(user), schema=name, timeout_s=5.0, lock_timeout_s=5.0)
    return ServerPlace(settings, name, f"127.0.0.1:{server.port}, schema {name},")


def opened_again(registry: Registry) -> Registry:
    """Open the same registry as another process would."""
    database = registry.database
    if isinstance(database, RegistryFile):
        return Registry(RegistryFile(database.path))
    assert isinstance(database, RegistryServer)
    return Registry(RegistryServer(database.place))


def in_server(server: Postgres, settings: dict[str, Any]) -> dict[str, Any]:
    """Return the settings of a `Fleet` with its registry in a server; the values of devices are kept there too then."""
    name = f"plant_{secrets.token_hex(4)}"
    server.rows(f"CREATE SCHEMA {name}")
    section = f'[postgresql]\nurl = "{server.url}"\nschema = "{name}"'
    devices = f'database = "postgresql"\ndatabase_schema = "registry_of_{name}"\n{settings.get("devices", "")}'
    sections = settings.get("sections", '[history]\npath = "history.db"')
    return {**settings, "devices": devices, "sections": f"{section}\n{sections}"}
