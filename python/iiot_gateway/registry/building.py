"""Opens the registry of a gateway, once for all who ask it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from iiot_gateway.registry.section import registry_path
from iiot_gateway.registry.store import Registry

if TYPE_CHECKING:
    from iiot_gateway.components import Building


def registry_of(building: Building) -> Registry | None:
    """Return the registry of a gateway, None without [devices]. Raises RegistryUnusable."""
    return building.once(_registry)


def _registry(building: Building) -> Registry | None:
    path = registry_path(building.config)
    return None if path is None else Registry(path)
