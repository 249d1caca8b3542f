"""Messages to devices over MQTT: commands, each sent until the broker has it, and configurations, which are retained.

    TOPICS/ID/commands/TYPE     {"command_id": 7, "payload": {...}}                      QoS 1
    TOPICS/ID/commands/config   {"configuration": {...}, "version": 3}                   QoS 1, retained
    TOPICS/ID/status/command    {"command_id": 7}                                        from the device, when it has done it

A command is sent again after a restart if it may not have reached the broker. A device recognises a repeated command by its
command_id. Commands are also sent again when a device comes back: a broker keeps nothing for a device without a session.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import anyio
import anyio.to_thread

from iiot_gateway.device_mqtt.presence import OFFLINE
from iiot_gateway.errors import RegistryUnusable
from iiot_gateway.log import DEVICE_COMMAND, DEVICES_DISCONNECTED, REGISTRY_UNAVAILABLE, Repeated, get_log
from iiot_gateway.mqtt.side import Messages, Refused, serve_side

if TYPE_CHECKING:
    from iiot_gateway._native import SideConnection
    from iiot_gateway.device_api.service import DeviceApi
    from iiot_gateway.registry.commands import Command

LOOK_S = 0.5
ACKNOWLEDGEMENT = "command"
"""The type of status with which a device acknowledges a command."""


class Outgoing:
    """Sends to devices, and receives their acknowledgements."""

    def __init__(self, api: DeviceApi, side: SideConnection) -> None:
        self._api = api
        self._side = side
        self._topics = api.section.topics
        self._handed_over: dict[int, Command] = {}
        self._configured: dict[str, tuple[float, int]] = {}
        """Creation and version of the configuration that each device was sent, by device id."""
        self._generation = -1
        """The generation of the registry at which every configuration had been sent."""
        self._acknowledged: list[tuple[str, int]] = []
        self._is_connected = False
        self._log = get_log(part="devices")

    async def run(self) -> None:
        """Serve until cancelled."""
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(serve_side, self._side, self._take, self._log, DEVICES_DISCONNECTED)
            tasks.start_soon(self._send)

    def _take(self, connection: int, messages: Messages, refused: Refused) -> None:
        self._is_connected = connection > 0
        for topic, payload, was_retained in messages:
            device_id, _, kind = topic.removeprefix(f"{self._topics}/").partition("/status/")
            if was_retained:
                continue
            if kind == OFFLINE:
                self._api.leaves(device_id)
            elif kind == ACKNOWLEDGEMENT and (number := _number(payload)) is not None:
                self._acknowledged.append((device_id, number))
        for topic, reason in refused:
            self._log.error(DEVICE_COMMAND, topic=topic, state="refused", reason=reason)

    async def _send(self) -> None:
        repeated = Repeated()
        while True:
            try:
                await anyio.to_thread.run_sync(self._look)
            except RegistryUnusable as error:
                if (extra := repeated.allows(str(error))) is not None:
                    self._log.warning(REGISTRY_UNAVAILABLE, error=str(error), consequence="commands wait", **extra)
            await anyio.sleep(LOOK_S)

    def _look(self) -> None:
        commands = self._api.registry.commands
        while self._acknowledged:
            device_id, number = self._acknowledged[0]
            # The entry is removed only after the registry has the acknowledgement.
            is_known = commands.acknowledged(device_id, number)
            del self._acknowledged[0]
            if is_known:
                self._log.info(DEVICE_COMMAND, device=device_id, command=number, state="acknowledged")
        if expired := commands.expire():
            self._log.warning(DEVICE_COMMAND, state="expired", commands=expired)
        if self._handed_over and self._is_connected and not self._side.waiting():
            for number, command in self._handed_over.items():
                commands.sent(number)
                self._log.info(DEVICE_COMMAND, device=command.device, command=number, state="sent")
            self._handed_over.clear()
        for command in commands.waiting():
            if command.id not in self._handed_over:
                document = json.dumps({"command_id": command.id, "payload": command.payload}).encode()
                if self._side.publish(f"{self._topics}/{command.device}/commands/{command.type}", document, retain=False):
                    self._handed_over[command.id] = command
        self._configure()

    def _configure(self) -> None:
        generation = self._api.registry.generation()
        if generation == self._generation:
            return
        is_complete = True
        devices = self._api.registry.devices.configured()
        for gone in self._configured.keys() - {device.id for device in devices}:
            # The next device with this id must not get a configuration that was meant for its predecessor.
            if self._side.publish(self._configuration_topic(gone), b"", retain=True):
                del self._configured[gone]
            else:
                is_complete = False
        for device in devices:
            edition = (device.created_at, device.configuration_version)
            if self._configured.get(device.id) == edition:
                continue
            document = json.dumps({"configuration": dict(device.configuration), "version": device.configuration_version}).encode()
            if self._side.publish(self._configuration_topic(device.id), document, retain=True):
                self._configured[device.id] = edition
            else:
                is_complete = False
        if is_complete:
            self._generation = generation

    def _configuration_topic(self, device_id: str) -> str:
        return f"{self._topics}/{device_id}/commands/config"


def _number(payload: bytes) -> int | None:
    try:
        document = json.loads(payload)
    except (ValueError, RecursionError):
        return None
    number = document.get("command_id") if isinstance(document, dict) else None
    return number if isinstance(number, int) and 0 < number < 2**63 else None
