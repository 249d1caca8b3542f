"""Messages to devices over MQTT: commands, each sent until the broker has it, and configurations, which are retained.

    TOPICS/ID/commands/TYPE     {"command_id": 7, "payload": {...}}                      QoS 1
    TOPICS/ID/commands/config   {"configuration": {...}, "version": 3}                   QoS 1, retained
    TOPICS/ID/status/command    {"command_id": 7}                                        from the device, when it has done it

A command is sent again after a restart if it may not have reached the broker. A device recognises a repeated command by its
command_id. Commands are also sent again when a device comes back: a broker keeps nothing for a device without a session. What a broker
refuses stays queued, and is sent again after a restart.
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
    from iiot_gateway.registry.commands import Command, Commands

LOOK_S = 0.5
ACKNOWLEDGEMENT = "command"
"""The type of status with which a device acknowledges a command."""


class Outgoing:
    """Sends to devices, and receives their acknowledgements."""

    def __init__(self, api: DeviceApi, side: SideConnection) -> None:
        self._api = api
        self._side = side
        self._topics = api.section.topics
        self._handed_over: dict[int, tuple[int, Command]] = {}
        """The commands that the broker has not acknowledged, as far as is known, by id. The first number is that of the publish."""
        self._published = 0
        """How many publishes were handed over."""
        self._answered: set[int] = set()
        """The numbers of publishes for commands that the broker has answered."""
        self._refused: set[int] = set()
        """The numbers of publishes that the broker has refused."""
        self._configured: dict[str, tuple[float, int]] = {}
        """Creation and version of the configuration that each device was sent, by device id."""
        self._generation = -1
        """The generation of the registry at which every configuration had been sent."""
        self._acknowledged: list[tuple[str, int]] = []
        self._log = get_log(part="devices")
        self._refusals = Repeated()

    async def run(self) -> None:
        """Serve until cancelled."""
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(serve_side, self._side, self._take, self._log, DEVICES_DISCONNECTED)
            tasks.start_soon(self._send)

    def _take(self, _connection: int, messages: Messages, refused: Refused) -> None:
        for topic, payload, was_retained in messages:
            device_id, _, kind = topic.removeprefix(f"{self._topics}/").partition("/status/")
            if was_retained:
                continue
            if kind == OFFLINE:
                self._api.leaves(device_id)
            elif kind == ACKNOWLEDGEMENT and (number := _number(payload)) is not None:
                self._acknowledged.append((device_id, number))
        for topic, reason, number in refused:
            self._refused.add(number)
            if (extra := self._refusals.allows(DEVICE_COMMAND)) is not None:
                self._log.error(DEVICE_COMMAND, topic=topic, state="refused", reason=reason, **extra)
        # A publish waits until its refusal is fetched, and all refusals that were fetched are known now.
        open_numbers = [number for number, _ in list(self._handed_over.values())]
        self._answered = {number for number in open_numbers if not self._side.is_waiting(number)}

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
        self._settle(commands)
        waiting = commands.waiting()
        for ended in self._handed_over.keys() - {command.id for command in waiting}:
            del self._handed_over[ended]
        self._refused &= {number for number, _ in self._handed_over.values()}
        for command in waiting:
            if command.id not in self._handed_over:
                document = json.dumps({"command_id": command.id, "payload": command.payload}).encode()
                if self._publish(self._command_topic(command), document, retain=False):
                    self._handed_over[command.id] = self._published, command
        self._configure()

    def _settle(self, commands: Commands) -> None:
        """Note which commands the broker has."""
        # In this order: `_take` notes a refusal before it counts the publish as answered.
        answered, refused = self._answered, self._refused
        for command_id, (number, command) in list(self._handed_over.items()):
            if number in answered and number not in refused:
                is_noted = commands.sent(command_id)
                del self._handed_over[command_id]
                if is_noted:
                    self._log.info(DEVICE_COMMAND, device=command.device, command=command_id, state="sent")

    def _publish(self, topic: str, document: bytes, *, retain: bool) -> bool:
        if not self._side.publish(topic, document, retain=retain):
            return False
        self._published += 1
        return True

    def _configure(self) -> None:
        generation = self._api.registry.generation()
        if generation == self._generation:
            return
        is_complete = True
        devices = self._api.registry.devices.configured()
        for gone in self._configured.keys() - {device.id for device in devices}:
            # The next device with this id must not get a configuration that was meant for its predecessor.
            if self._publish(self._configuration_topic(gone), b"", retain=True):
                del self._configured[gone]
            else:
                is_complete = False
        for device in devices:
            edition = (device.created_at, device.configuration_version)
            if self._configured.get(device.id) == edition:
                continue
            document = json.dumps({"configuration": dict(device.configuration), "version": device.configuration_version}).encode()
            if self._publish(self._configuration_topic(device.id), document, retain=True):
                self._configured[device.id] = edition
            else:
                is_complete = False
        if is_complete:
            self._generation = generation

    def _command_topic(self, command: Command) -> str:
        return f"{self._topics}/{command.device}/commands/{command.type}"

    def _configuration_topic(self, device_id: str) -> str:
        return f"{self._topics}/{device_id}/commands/config"


def _number(payload: bytes) -> int | None:
    try:
        document = json.loads(payload)
    except (ValueError, RecursionError):
        return None
    number = document.get("command_id") if isinstance(document, dict) else None
    return number if isinstance(number, int) and 0 < number < 2**63 else None
