"""The presence of devices: a device that is silent for longer than its interval is offline.

A change is a point of the measurement `status`, an event of the log, and a retained topic below PREFIX/gateway/. It is stored, so that a
restart tells nothing twice.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from typing import TYPE_CHECKING

import anyio
import anyio.to_thread

from iiot_gateway.api.problem import Problem
from iiot_gateway.errors import RegistryUnusable
from iiot_gateway.log import DEVICE_PRESENCE, REGISTRY_UNAVAILABLE, Repeated, get_log
from iiot_gateway.registry.device import DeviceState
from iiot_gateway.registry.section import STATUS_TOPIC

if TYPE_CHECKING:
    from iiot_gateway.device_api.service import DeviceApi

LOOK_S = 0.5
ONLINE, OFFLINE = "online", "offline"

Publish = Callable[[str, str], None]
"""Tells a broker of a device's presence."""


class Presence:
    """Watches when devices were heard."""

    def __init__(self, api: DeviceApi, publish: Publish | None = None) -> None:
        self._api = api
        self._publish = publish
        self._generation = -1
        self._devices: dict[str, float | None] = {}
        """Active devices, and the times in the registry when they were heard last."""
        self._presence: dict[str, str] = {}
        """The presence that is stored, by device id."""
        self._told: set[str] = set()
        """Devices whose presence was published since the start; the broker may have lost what was published before."""

    async def run(self) -> None:
        """Watch until cancelled."""
        repeated = Repeated()
        while True:
            try:
                await self._look()
            except (RegistryUnusable, Problem) as error:
                # A change that could not be published is published at the next look, because it is not in the registry either.
                message = error.message if isinstance(error, Problem) else str(error)
                if (extra := repeated.allows(message)) is not None:
                    get_log().warning(REGISTRY_UNAVAILABLE, error=message, consequence="changes of presence are told later", **extra)
            await anyio.sleep(LOOK_S)

    async def _look(self) -> None:
        api = self._api
        generation = api.registry.generation()
        if generation != self._generation:
            await anyio.to_thread.run_sync(self._load)
            self._generation = generation
        for device_id, stored in list(self._devices.items()):
            last_seen = api.heard_at(device_id, stored)
            if last_seen is None:
                continue
            presence = OFFLINE if api.is_silent(device_id, last_seen) else ONLINE
            if presence != self._presence[device_id]:
                await self._change(device_id, presence, last_seen)
            elif device_id not in self._told:
                self._tell(device_id, presence)

    def _load(self) -> None:
        devices: dict[str, float | None] = {}
        presence: dict[str, str] = {}
        for device in self._api.registry.devices.each():
            if device.state is DeviceState.ACTIVE:
                devices[device.id] = device.last_seen
                presence[device.id] = device.presence
        self._devices, self._presence = devices, presence

    async def _change(self, device_id: str, presence: str, last_seen: float) -> None:
        self._api.door.refresh()
        sender = await self._api.door.sender(device_id)
        if sender is None or await self._is_known_elsewhere(device_id, presence, last_seen):
            return
        document = json.dumps({"status": presence}).encode()
        # The id makes it a single point, even if the process dies between the journal and the registry.
        message_id = f"presence {presence} {last_seen}".encode()
        await self._api.queue.post([(STATUS_TOPIC, document, device_id, sender.tags, message_id, time.time_ns())])
        await anyio.to_thread.run_sync(self._api.registry.devices.set_presence, device_id, presence)
        if presence == ONLINE:
            await anyio.to_thread.run_sync(self._api.registry.commands.send_again, device_id)
        self._presence[device_id] = presence
        log = get_log().warning if presence == OFFLINE else get_log().info
        log(DEVICE_PRESENCE, device=device_id, presence=presence, silent_s=round(time.time() - last_seen, 1))
        self._tell(device_id, presence)

    async def _is_known_elsewhere(self, device_id: str, presence: str, last_seen: float) -> bool:
        """Return whether another gateway with the same registry has heard the device meanwhile, or has already published the change."""
        if not self._api.registry.database.is_server:
            return False
        stored = await anyio.to_thread.run_sync(self._api.registry.devices.get, device_id)
        if stored is None:
            return True
        self._devices[device_id] = stored.last_seen
        self._presence[device_id] = stored.presence
        return presence == stored.presence or (presence == OFFLINE and (stored.last_seen or 0.0) > last_seen)

    def _tell(self, device_id: str, presence: str) -> None:
        self._told.add(device_id)
        if self._publish is not None:
            self._publish(device_id, presence)
