"""Keeps the extension's directory of devices in step with the registry. Consumers and the built-in broker ask only the extension."""

from __future__ import annotations

import threading
from collections.abc import Callable, Coroutine
from contextlib import closing
from hashlib import blake2b
from typing import TYPE_CHECKING, Any

import anyio
import anyio.to_thread

from iiot_gateway._native import DeviceDirectory
from iiot_gateway.errors import RegistryUnusable
from iiot_gateway.log import REGISTRY_UNAVAILABLE, Repeated, get_log
from iiot_gateway.registry.building import open_registry, registry_of
from iiot_gateway.registry.section import DevicesSection

if TYPE_CHECKING:
    from iiot_gateway.components import Building
    from iiot_gateway.config.schema import Config
    from iiot_gateway.registry.store import Registry

LOOK_S = 0.2
"""How long (s) a change of the registry may take to have an effect over MQTT; over HTTP it has an effect at once."""
LOADED_S = 0.2


def registered(config: Config) -> DeviceDirectory | None:
    """Return the devices of the registry as they are now, None without [devices]. Raises RegistryUnusable."""
    registry = open_registry(config)
    if registry is None:
        return None
    with closing(registry):
        directory = DeviceDirectory()
        DirectorySync(registry, directory).load()
    return directory


class DirectorySync:
    """Tells the extension about changes."""

    def __init__(self, registry: Registry, directory: DeviceDirectory) -> None:
        self._registry = registry
        self._directory = directory
        self._known: dict[str, bytes] = {}
        """A fingerprint per device of the data that the extension has."""
        self._generation = -1
        self._lock = threading.Lock()

    @property
    def is_loaded(self) -> bool:
        """Whether the extension has been given the registry's devices since the start."""
        return self._generation >= 0

    def load(self) -> None:
        """Tell the extension what has changed since the last call. Blocks. Any thread may call it. Raises RegistryUnusable."""
        # One call at a time reads and tells. Otherwise the older of two states could be told last.
        with self._lock:
            self._load()

    def _load(self) -> None:
        generation = self._registry.generation()
        if generation == self._generation:
            return
        found: set[str] = set()
        for page in self._registry.devices.pages():
            keys: dict[str, list[tuple[bytes, float | None]]] = {}
            for device_id, digest, expires_at in self._registry.keys.digests(page[0].id, page[-1].id):
                keys.setdefault(device_id, []).append((digest, expires_at))
            for device in page:
                own = sorted(keys.get(device.id, ()))
                said = (device.user_name, device.is_enabled(), sorted(device.point_tags().items()), own)
                fingerprint = blake2b(repr(said).encode(), digest_size=16).digest()
                found.add(device.id)
                if self._known.get(device.id) != fingerprint:
                    self._directory.set(
                        device.id, user_name=device.user_name or None, is_enabled=device.is_enabled(), tags=device.point_tags(), keys=own
                    )
                    # Each page is noted at once, because reading the next one may fail.
                    self._known[device.id] = fingerprint
        for device_id in self._known.keys() - found:
            self._directory.remove(device_id)
            del self._known[device_id]
        self._generation = generation

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


def directory_of(building: Building) -> DeviceDirectory | None:
    """Return the directory that consumers and the built-in broker ask about devices, None without [devices]. Raises RegistryUnusable."""
    synced = building.once(_synced)
    return None if synced is None else synced[0]


def _synced(building: Building) -> tuple[DeviceDirectory, DirectorySync] | None:
    registry = registry_of(building)
    if registry is None:
        return None
    directory = DeviceDirectory(unknown=building.config.one(DevicesSection).unknown)
    sync = DirectorySync(registry, directory)
    try:
        sync.load()
    except RegistryUnusable as error:
        if not registry.database.is_server:
            raise
        # Until the server is there, no messages of devices are accepted: they would be taken for messages of unknown devices.
        get_log().warning(REGISTRY_UNAVAILABLE, error=str(error), consequence="messages of devices wait at their broker")
    return directory, sync


def loaded_directory(building: Building) -> DeviceDirectory | None:
    """Return the same directory, which already knows all devices. Raises RegistryUnusable."""
    synced = building.once(_synced)
    if synced is None:
        return None
    synced[1].load()
    return synced[0]


def when_loaded(building: Building) -> Callable[[], Coroutine[Any, Any, None]] | None:
    """Return a function that waits until the directory knows the devices, None if it does."""
    synced = building.once(_synced)
    if synced is None or synced[1].is_loaded:
        return None
    sync = synced[1]

    async def wait() -> None:
        while not sync.is_loaded:  # noqa: ASYNC110 - the directory is loaded in a thread
            await anyio.sleep(LOADED_S)

    return wait


def directory_in_use(building: Building) -> tuple[DeviceDirectory, DirectorySync] | None:
    """Return the directory and the object that fills it, None if no consumer and no broker has asked for them."""
    return building.made(_synced)
