"""Opens the registry that a configuration names: once for all parts of a gateway, or for a command."""

from __future__ import annotations

from typing import TYPE_CHECKING

from iiot_gateway.registry.file import RegistryFile
from iiot_gateway.registry.section import registry_path, server_section
from iiot_gateway.registry.store import Registry

if TYPE_CHECKING:
    from iiot_gateway.components import Building
    from iiot_gateway.config.schema import Config
    from iiot_gateway.registry.server import RegistryServer

PATIENCE_S = 2.0
"""How long the start of a gateway waits for the server, in seconds; after that it continues without the server."""


def open_registry(config: Config) -> Registry | None:
    """Open the registry for a command, None without [devices]. Raises RegistryUnusable."""
    if server_section(config) is not None:
        return Registry(_server(config))
    path = registry_path(config)
    return None if path is None else Registry(RegistryFile(path))


def registry_of(building: Building) -> Registry | None:
    """Return the registry of a gateway, None without [devices]. Raises RegistryUnusable if it can never be used."""
    return building.once(_registry)


def _registry(building: Building) -> Registry | None:
    config = building.config
    if server_section(config) is None or building.is_replay:
        return open_registry(config)
    server = _server(config)
    server.watch(PATIENCE_S)
    return Registry(server)


def _server(config: Config) -> RegistryServer:
    # Only gateways with such a registry pay for it.
    from iiot_gateway.registry.server import RegistryServer
    from iiot_gateway.registry.server_schema import server_place

    return RegistryServer(server_place(config))
