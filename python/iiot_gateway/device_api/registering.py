"""The calls with which a device registers, and reads and changes its own entry."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import anyio.to_thread
from msgspec import UNSET
from starlette.requests import Request
from starlette.responses import Response

from iiot_gateway.api.problem import Problem
from iiot_gateway.device_api.answer import Answer
from iiot_gateway.device_api.bodies import OwnChange, Registration, read_asked, read_json, too_deep
from iiot_gateway.registry.device import Device, DeviceState, id_fault, levels_fault, tags_fault, text_fault
from iiot_gateway.registry.devices import Removed, Taken, TooMany
from iiot_gateway.registry.keys import KeyKind
from iiot_gateway.registry.shown import configuration_of, shown_device
from iiot_gateway.registry.stored_key import device_key

if TYPE_CHECKING:
    from iiot_gateway.device_api.service import DeviceApi

MOST_BYTES = 16_384
MOST_CONFIGURATION_BYTES = 65_536


class Registering:
    """The calls of a device about itself."""

    def __init__(self, api: DeviceApi) -> None:
        self._api = api

    async def register(self, request: Request) -> Response:
        """POST devices/register: a new device and its key, which is shown only once."""
        self._api.registrations.take(self._api.address(request))
        _, body = await read_asked(request, lambda: self._may_register(request), MOST_BYTES)
        device = new_device(read_json(body, Registration))
        key = self._api.new_device_key()
        try:
            add, most = self._api.registry.devices.add, self._api.section.max_devices
            added = await anyio.to_thread.run_sync(lambda: add(device, device_key(key), most=most))
        except TooMany as error:
            remedy = "an administrator removes devices, raises devices.max_devices, or adds this one with `iiot-gateway devices add`"
            raise Problem(409, "too_many_devices", str(error), remedy) from error
        except Removed as error:
            remedy = "choose another one; if it is the same device, an administrator brings it back with `iiot-gateway devices add --again`"
            raise Problem(409, "device_removed", str(error), remedy) from error
        except Taken as error:
            raise Problem(
                409,
                "device_exists",
                str(error),
                "choose another one; or ask an administrator to rotate the key of the device that exists",
            ) from error
        document = {"message": "Device registered successfully", "device": {**shown_device(added), "api_key": key}}
        return Answer(document, 201, headers={"location": f"/api/v1/devices/{added.id}"})

    async def status(self, request: Request) -> Response:
        """GET devices/status: the entry of the device whose key is sent."""
        _, sender = await self._api.door.own_device(request)
        return Answer({"status": "success", "device": self._api.shown(sender.device)})

    async def configuration(self, request: Request) -> Response:
        """GET devices/config: the configuration of the device."""
        _, sender = await self._api.door.own_device(request)
        etag = f'"{sender.device.configuration_version}"'
        if request.headers.get("if-none-match") == etag:
            return Response(status_code=304, headers={"etag": etag})
        return Answer({"status": "success", **configuration_of(sender.device)}, headers={"etag": etag})

    async def configure(self, request: Request) -> Response:
        """PUT devices/config: changes of the device's entry, and a new configuration, which gets the next version."""
        (caller, sender), body = await read_asked(request, lambda: self._api.door.own_device(request), MOST_CONFIGURATION_BYTES)
        self._api.requests.take(str(caller.key.id))
        change = read_json(body, OwnChange)
        given = {name: value for name in change.__struct_fields__ if (value := getattr(change, name)) is not UNSET}
        if fault := levels_fault("configuration", given.get("configuration")):
            raise too_deep(fault)
        if "status" in given:
            given["state"] = DeviceState(given.pop("status"))
        for name in ("location", "firmware_version", "hardware_version"):
            if name in given and (fault := text_fault(name, given[name])):
                raise Problem(422, "change_invalid", fault)
        device = await self._api.change(sender.device.id, given)
        answer = {"message": "Device configuration updated successfully", "device": self._api.shown(device), **configuration_of(device)}
        return Answer(answer)

    async def mqtt_credentials(self, request: Request) -> Response:
        """GET devices/mqtt-credentials: how the device logs in at the broker. Its key is not shown again: only a digest is kept here."""
        _, sender = await self._api.door.own_device(request)
        device = sender.device
        below = f"{self._api.section.topics}/{device.id}"
        if self._api.mqtt_address is None:
            raise Problem(404, "no_broker", "this gateway takes nothing over MQTT from devices", "send over HTTP")
        host, port = self._api.mqtt_address
        credentials = {
            "mqtt_host": host or request.url.hostname,
            "mqtt_port": port,
            "username": device.user_name or device.id,
            "password_hint": "the device's key",
            "api_key": None,
            "client_id": device.id,
            "topics": {
                "telemetry_publish": f"{below}/telemetry/{{type}}",
                "status_publish": f"{below}/status/{{type}}",
                "commands_subscribe": f"{below}/commands/#",
            },
        }
        return Answer({"status": "success", "credentials": credentials})

    async def _may_register(self, request: Request) -> None:
        api = self._api
        if api.section.registration == "closed":
            remedy = "an administrator adds them with `iiot-gateway devices add`"
            raise Problem(403, "registration_closed", "devices cannot register themselves here", remedy)
        if api.section.registration == "key":
            (await api.door.caller(request)).must_be(KeyKind.REGISTRATION, KeyKind.ADMINISTRATOR)


def new_device(registration: Registration) -> Device:
    """Return the device of a registration, without an id if none is given. Raises Problem 422."""
    for name in ("name", "device_type", "location", "firmware_version", "hardware_version"):
        if fault := text_fault(name, getattr(registration, name), may_be_empty=name not in ("name", "device_type")):
            raise Problem(422, "registration_invalid", fault)
    if fault := tags_fault(registration.tags):
        raise Problem(422, "registration_invalid", fault)
    if registration.id is not None and (fault := id_fault(registration.id)):
        raise Problem(422, "registration_invalid", fault)
    return Device(
        id=registration.id or "",
        name=registration.name,
        type=registration.device_type,
        location=registration.location,
        firmware_version=registration.firmware_version,
        hardware_version=registration.hardware_version,
        tags=registration.tags,
        created_at=time.time(),
    )
