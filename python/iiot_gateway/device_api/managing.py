"""The calls with which an administrator manages devices, keys and commands, and a device its commands."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Annotated, Any

import anyio.to_thread
from msgspec import UNSET, Meta, Struct, UnsetType
from starlette.requests import Request
from starlette.responses import Response

from iiot_gateway.api.parameters import refuse_unknown, whole
from iiot_gateway.api.problem import Problem
from iiot_gateway.device_api.answer import Answer
from iiot_gateway.device_api.bodies import read_asked, read_json, too_deep
from iiot_gateway.device_api.door import Caller, Sender, unknown_device
from iiot_gateway.device_api.registering import MOST_BYTES, MOST_CONFIGURATION_BYTES
from iiot_gateway.registry.access import NoDevice
from iiot_gateway.registry.commands import TooManyWaiting, described
from iiot_gateway.registry.device import DEVICE_ID, Device, DeviceState, levels_fault, tags_fault, text_fault
from iiot_gateway.registry.keys import KeyKind, new_key
from iiot_gateway.registry.shown import configuration_of, key_fault, shown_key

if TYPE_CHECKING:
    from iiot_gateway.device_api.service import DeviceApi

PAGE = 1000
MOST_ID = 64
COMMAND_TYPE = r"^[A-Za-z0-9_-]{1,64}$"
LIFETIME_S = 3600.0
Days = Annotated[float, Meta(gt=0, le=36600)]


class Change(Struct, forbid_unknown_fields=True):
    """The body of a change of a device."""

    name: str | UnsetType = UNSET
    device_type: str | UnsetType = UNSET
    location: str | UnsetType | None = UNSET
    firmware_version: str | UnsetType | None = UNSET
    hardware_version: str | UnsetType | None = UNSET
    state: DeviceState | UnsetType = UNSET
    tags: dict[str, str] | UnsetType = UNSET
    user_name: str | UnsetType | None = UNSET


class Rotation(Struct, forbid_unknown_fields=True):
    """How long the old key stays valid."""

    overlap_s: Annotated[float, Meta(ge=0, le=31 * 86_400)] | None = None


class NewKey(Struct, forbid_unknown_fields=True):
    """The body of a request for a new key."""

    kind: KeyKind
    devices: list[str] = []
    label: Annotated[str, Meta(max_length=200)] = ""
    expires_days: Days | None = None


class NewCommand(Struct):
    """The body of a new command."""

    payload: Any = None
    lifetime_s: Annotated[float, Meta(gt=0, le=31 * 86_400)] = LIFETIME_S


class Managing:
    """The calls about devices, keys and commands."""

    def __init__(self, api: DeviceApi) -> None:
        self._api = api

    # Devices

    async def devices(self, request: Request) -> Response:
        """GET devices: all devices in the order of their ids, one page at a time."""
        await self._administrator(request, KeyKind.READER)
        refuse_unknown(request.query_params, ("after", "limit"))
        limit = whole(request.query_params, "limit", low=1, high=PAGE, default=PAGE)
        after = request.query_params.get("after", "")
        if len(after) > MOST_ID:
            raise Problem(400, "parameter_invalid", f"after: expected at most {MOST_ID} characters")
        found = await anyio.to_thread.run_sync(lambda: self._api.registry.devices.all(after=after, limit=limit))
        shown = [self._api.shown(device) for device in found]
        return Answer({"devices": shown, "count": len(shown), "after": found[-1].id if len(found) == limit else None})

    async def device(self, request: Request) -> Response:
        """GET devices/{id}."""
        caller = await self._api.door.caller(request)
        sender = await self._api.door.read_by(caller, request.path_params["id"])
        return Answer({"device": self._api.shown(await self._api.as_stored(sender.device))})

    async def change(self, request: Request) -> Response:
        """PATCH devices/{id}: keys that are not in the body stay as they are."""
        _, body = await read_asked(request, lambda: self._administrator(request), MOST_BYTES)
        change = read_json(body, Change)
        given = {name: value for name in change.__struct_fields__ if (value := getattr(change, name)) is not UNSET}
        changes = {"type" if name == "device_type" else name: "" if value is None else value for name, value in given.items()}
        for name, value in changes.items():
            if fault := _fault(name, value):
                raise Problem(422, "change_invalid", fault)
        device = await self._api.change(request.path_params["id"], changes)
        return Answer({"device": self._api.shown(device)})

    async def remove(self, request: Request) -> Response:
        """DELETE devices/{id}: the entry with its keys and commands. Its data stays, and so its id is not given to another device."""
        await self._administrator(request)
        device_id = request.path_params["id"]
        if not await anyio.to_thread.run_sync(self._api.registry.devices.remove, device_id):
            raise unknown_device(device_id)
        return Answer({"message": "Device removed; its data stays, and its id is given to no other device", "device_id": device_id})

    async def configuration(self, request: Request) -> Response:
        """GET devices/{id}/config."""
        caller = await self._api.door.caller(request)
        device = (await self._api.door.read_by(caller, request.path_params["id"])).device
        return Answer(configuration_of(device))

    async def configure(self, request: Request) -> Response:
        """PUT devices/{id}/config."""

        async def ask() -> tuple[Caller, Sender]:
            caller = await self._api.door.caller(request)
            return caller, await self._api.door.speaking_for(caller, request.path_params["id"])

        (caller, sender), body = await read_asked(request, ask, MOST_CONFIGURATION_BYTES)
        self._api.requests.take(str(caller.key.id))
        configuration = read_json(body, dict[str, Any])
        if fault := levels_fault("configuration", configuration):
            raise too_deep(fault)
        return Answer(configuration_of(await self._api.change(sender.device.id, {"configuration": configuration})))

    # Keys

    async def device_keys(self, request: Request) -> Response:
        """GET devices/{id}/keys: the keys of a device, without their secrets."""
        await self._administrator(request)
        device = (await self._api.door.known(request.path_params["id"])).device
        found = await anyio.to_thread.run_sync(self._api.registry.keys.of, device.id)
        return Answer({"keys": [shown_key(entry) for entry in found]})

    async def rotate(self, request: Request) -> Response:
        """POST devices/{id}/keys: a new key; the old one stays valid for a while."""

        async def ask() -> tuple[Caller, Sender]:
            caller = await self._administrator(request, KeyKind.DEVICE)
            if caller.key.kind is KeyKind.ADMINISTRATOR:
                # The key of a disabled device is replaced before the device is let in again.
                return caller, await self._api.door.known(request.path_params["id"])
            return caller, await self._api.door.speaking_for(caller, request.path_params["id"])

        (caller, sender), body = await read_asked(request, ask, MOST_BYTES, may_be_empty=True)
        self._api.requests.take(str(caller.key.id))
        rotation = read_json(body or b"{}", Rotation)
        overlap_s = self._api.section.key_overlap_s if rotation.overlap_s is None else rotation.overlap_s
        key = self._api.new_device_key()
        rotate = self._api.registry.keys.rotate
        in_use = caller.key.id if caller.own_device else None
        try:
            until = await anyio.to_thread.run_sync(lambda: rotate(sender.device.id, key, overlap_s=overlap_s, in_use=in_use))
        except NoDevice as error:
            raise unknown_device(sender.device.id) from error
        return Answer({"device_id": sender.device.id, "api_key": key, "old_key_valid_until": until}, 201)

    async def keys(self, request: Request) -> Response:
        """GET keys: all keys, without their secrets."""
        await self._administrator(request)
        found = await anyio.to_thread.run_sync(self._api.registry.keys.all)
        return Answer({"keys": [shown_key(entry) for entry in found]})

    async def create_key(self, request: Request) -> Response:
        """POST keys: a key for a gateway, a reader, an administrator or registrations."""
        _, body = await read_asked(request, lambda: self._administrator(request), MOST_BYTES)
        wanted = read_json(body, NewKey)
        if fault := key_fault(wanted.kind, wanted.devices):
            raise Problem(422, "key_invalid", fault)
        key = new_key(wanted.kind)
        expires_at = None if wanted.expires_days is None else time.time() + wanted.expires_days * 86_400
        add = self._api.registry.keys.add
        entry = await anyio.to_thread.run_sync(lambda: add(key, wanted.kind, wanted.devices, label=wanted.label, expires_at=expires_at))
        return Answer({"key": {**shown_key(entry), "api_key": key}}, 201)

    async def revoke(self, request: Request) -> Response:
        """DELETE keys/{number}: revoke a key."""
        await self._administrator(request)
        number = request.path_params["number"]
        if number >= 2**63 or not await anyio.to_thread.run_sync(self._api.registry.keys.revoke, number):
            raise Problem(404, "unknown_key", f"there is no key {number}", "GET /api/v1/keys lists them")
        return Answer({"message": "Key revoked", "id": number})

    # Commands

    async def command(self, request: Request) -> Response:
        """POST devices/{id}/commands/{type}: queue a command."""

        async def ask() -> Device:
            await self._administrator(request)
            return (await self._api.door.known(request.path_params["id"])).device

        device, body = await read_asked(request, ask, MOST_CONFIGURATION_BYTES, may_be_empty=True)
        kind = request.path_params["type"]
        if not DEVICE_ID.fullmatch(kind):
            raise Problem(422, "command_invalid", f"type: found {kind[:80]!r}", "expected 1 to 64 letters, digits, - and _")
        wanted = read_json(body or b"{}", NewCommand)
        if fault := levels_fault("payload", wanted.payload):
            raise too_deep(fault)
        add = self._api.registry.commands.add
        try:
            command = await anyio.to_thread.run_sync(lambda: add(device.id, kind, wanted.payload, lifetime_s=wanted.lifetime_s))
        except TooManyWaiting as error:
            raise Problem(409, "too_many_commands", str(error), "wait until they are acknowledged or expire") from error
        return Answer({"command": described(command)}, 202)

    async def commands(self, request: Request) -> Response:
        """GET devices/{id}/commands: the commands and their states, the newest first."""
        caller = await self._api.door.caller(request)
        device = (await self._api.door.read_by(caller, request.path_params["id"])).device
        found = await anyio.to_thread.run_sync(self._api.registry.commands.of, device.id)
        return Answer({"commands": [described(command) for command in found]})

    async def own_commands(self, request: Request) -> Response:
        """GET devices/commands: the commands for the device whose key is sent; for devices without MQTT."""
        _, sender = await self._api.door.own_device(request)

        def take() -> list[dict[str, Any]]:
            commands = self._api.registry.commands
            commands.expire()
            waiting = commands.waiting_of(sender.device.id)
            # HEAD does not return the waiting commands.
            for each in waiting if request.method == "GET" else ():
                commands.sent(each.id)
            return [{"id": each.id, "type": each.type, "payload": each.payload, "expires_at": each.expires_at} for each in waiting]

        return Answer({"commands": await anyio.to_thread.run_sync(take)})

    async def acknowledge(self, request: Request) -> Response:
        """POST devices/commands/{number}/acknowledge: the device has carried out the command."""
        _, sender = await self._api.door.own_device(request)
        number = request.path_params["number"]
        acknowledged = self._api.registry.commands.acknowledged
        if number >= 2**63 or not await anyio.to_thread.run_sync(acknowledged, sender.device.id, number):
            raise Problem(
                404, "unknown_command", f"no command {number} of this device is waiting", "GET /api/v1/devices/commands lists them"
            )
        return Answer({"message": "Command acknowledged", "id": number})

    async def _administrator(self, request: Request, *others: KeyKind) -> Caller:
        caller = await self._api.door.caller(request)
        caller.must_be(KeyKind.ADMINISTRATOR, *others)
        return caller


def _fault(name: str, value: Any) -> str | None:
    """Return what is wrong with a change of a device."""
    if name == "tags":
        return tags_fault(value)
    if name == "user_name" and value and not DEVICE_ID.fullmatch(value):
        return "user_name: expected 1 to 64 letters, digits, - and _"
    return None if name == "state" else text_fault(name, value, may_be_empty=name not in ("name", "type"))
