"""The addresses of the device API. What holds for all of them stands here: who may come without TLS, how many, and what is counted."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from iiot_gateway.api.part import HttpPart
from iiot_gateway.api.problem import Problem
from iiot_gateway.device_api.managing import Managing
from iiot_gateway.device_api.reading import Reading
from iiot_gateway.device_api.registering import Registering
from iiot_gateway.device_api.telemetry import Telemetry
from iiot_gateway.errors import RegistryUnusable

if TYPE_CHECKING:
    from iiot_gateway.device_api.service import DeviceApi

Handler = Callable[[Request], Awaitable[Response]]
OWN = ("/api/v1/devices", "/api/v1/influxdb/", "/api/v1/keys", "/api/v2/write", "/write")


def is_own(path: str) -> bool:
    """Tell whether a path is one of the device API, which asks for keys of its own."""
    return path.startswith(OWN)


def http_part(api: DeviceApi) -> HttpPart:
    """Return the device API as a part of the HTTP interface."""
    return HttpPart(routes=lambda: _routes(api), guards=is_own)


def _routes(api: DeviceApi) -> list[Route]:
    telemetry, registering, managing, reading = Telemetry(api), Registering(api), Managing(api), Reading(api)
    # Words before ids: a device is called like none of them.
    table: list[tuple[str, str, Handler]] = [
        ("GET", "influxdb/health", reading.health),
        ("POST", "influxdb/telemetry", telemetry.point),
        ("POST", "influxdb/telemetry/batch", telemetry.batch),
        ("GET", "influxdb/device/{id}/data", reading.data),
        ("DELETE", "influxdb/device/{id}/data", reading.delete),
        ("GET", "influxdb/device/{id}/latest", reading.latest),
        ("POST", "devices/register", registering.register),
        ("POST", "devices/telemetry", telemetry.device_telemetry),
        ("GET", "devices/telemetry", reading.own),
        ("GET", "devices/status", registering.status),
        ("POST", "devices/heartbeat", telemetry.heartbeat),
        ("GET", "devices/config", registering.configuration),
        ("PUT", "devices/config", registering.configure),
        ("GET", "devices/mqtt-credentials", registering.mqtt_credentials),
        ("GET", "devices/commands", managing.own_commands),
        ("POST", "devices/commands/{number:int}/acknowledge", managing.acknowledge),
        ("GET", "devices", managing.devices),
        ("GET", "devices/{id}", managing.device),
        ("PATCH", "devices/{id}", managing.change),
        ("DELETE", "devices/{id}", managing.remove),
        ("GET", "devices/{id}/config", managing.configuration),
        ("PUT", "devices/{id}/config", managing.configure),
        ("GET", "devices/{id}/keys", managing.device_keys),
        ("POST", "devices/{id}/keys", managing.rotate),
        ("GET", "devices/{id}/commands", managing.commands),
        ("POST", "devices/{id}/commands/{type}", managing.command),
        ("GET", "keys", managing.keys),
        ("POST", "keys", managing.create_key),
        ("DELETE", "keys/{number:int}", managing.revoke),
    ]
    by_path: dict[str, dict[str, Handler]] = {}
    for method, path, handler in table:
        by_path.setdefault(f"/api/v1/{path}", {})[method] = handler
    return [Route(path, _guarded(api, handlers), methods=list(handlers)) for path, handlers in by_path.items()]


def _guarded(api: DeviceApi, handlers: dict[str, Handler]) -> Handler:
    """Return what answers at one address, for each method that it takes."""

    async def answer(request: Request) -> Response:
        try:
            api.addresses.take(api.address(request))
            if request.method not in ("GET", "HEAD"):
                api.must_be_private(request)
            return await handlers["GET" if request.method == "HEAD" else request.method](request)
        except Problem as problem:
            api.count(f"{problem.status}:{problem.error}")
            raise
        except RegistryUnusable as error:
            api.count("503:registry_unusable")
            raise Problem(503, "registry_unusable", str(error), "try again", {"retry-after": "5"}) from error

    return answer
