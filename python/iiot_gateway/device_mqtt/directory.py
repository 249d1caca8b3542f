"""Keeps what the extension knows of devices in step with the registry: consumers and the built-in broker ask there, never here."""

from __future__ import annotations

from contextlib import closing
from dataclasses import dataclass
from typing import TYPE_CHECKING

import anyio
import anyio.to_thread

from iiot_gateway._native import DeviceDirectory
from iiot_gateway.errors import RegistryUnusable
from iiot_gateway.log import REGISTRY_UNAVAILABLE, Repeated, get_log
from iiot_gateway.registry.section import registry_path
from iiot_gateway.registry.store import Registry

if TYPE_CHECKING:
    from iiot_gateway.config.schema import Config

LOOK_S = 0.2
"""So long a change of the registry may take to count over MQTT; over HTTP it counts at once."""


def registered(config: Config) -> DeviceDirectory | None:
    """Return the devices of the registry as they are now, None without [devices]. Raises RegistryUnusable."""
    path = registry_path(config)
    if path is None:
        return None
    with closing(Registry(path)) as registry:
        directory = DeviceDirectory()
        DirectorySync(registry, directory).load()
    return directory


@dataclass(frozen=True, slots=True)
class _Known:
    """What the extension was told of a device."""

    user_name: str
    is_enabled: bool
    tags: tuple[tuple[str, str], ...]
    keys: tuple[tuple[bytes, float | None], ...]


class DirectorySync:
    """Tells the extension what changes."""

    def __init__(self, registry: Registry, directory: DeviceDirectory) -> None:
        self._registry = registry
        self._directory = directory
        self._known: dict[str, _Known] = {}
        self._generation = -1

    def load(self) -> None:
        """Tell what has changed since the last call. Blocks. Raises RegistryUnusable."""
        generation = self._registry.generation()
        if generation == self._generation:
            return
        keys: dict[str, list[tuple[bytes, float | None]]] = {}
        for device_id, digest, expires_at in self._registry.keys.digests():
            keys.setdefault(device_id, []).append((digest, expires_at))
        found = {
            device.id: _Known(
                device.user_name, device.is_enabled(), tuple(sorted(device.point_tags().items())), tuple(sorted(keys.get(device.id, ())))
            )
            for device in self._registry.devices.all()
        }
        for device_id in self._known.keys() - found.keys():
            self._directory.remove(device_id)
        for device_id, known in found.items():
            if self._known.get(device_id) != known:
                self._directory.set(
                    device_id, user_name=known.user_name or None, is_enabled=known.is_enabled, tags=dict(known.tags), keys=known.keys
                )
        self._known, self._generation = found, generation

    async def run(self) -> None:
        """Look for changes until cancelled."""
        repeated = Repeated()
        while True:
            await anyio.sleep(LOOK_S)
            try:
                await anyio.to_thread.run_sync(self.load)
            except RegistryUnusable as error:
                if (extra := repeated.allows(str(error))) is not None:
                    get_log().error(
                        REGISTRY_UNAVAILABLE, error=str(error), consequence="changes of devices do not count over MQTT", **extra
                    )
