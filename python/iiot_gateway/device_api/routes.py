"""The addresses of the device API. What holds for all of them stands here: who may come without TLS, how many, and what is counted."""

from __future__ import annotations

from typing import TYPE_CHECKING

from starlette.convertors import IntegerConvertor, register_url_convertor
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Match, Route
from starlette.types import Receive, Scope, Send

from iiot_gateway.api.part import HttpPart
from iiot_gateway.api.problem import Problem
from iiot_gateway.device_api.calls import Handler, calls
from iiot_gateway.device_api.description import describe
from iiot_gateway.errors import RegistryUnusable

if TYPE_CHECKING:
    from iiot_gateway.device_api.service import DeviceApi

OWN = ("/api/v1/devices", "/api/v1/influxdb/", "/api/v1/keys", "/api/v2/write", "/write", "/ping")


class _Whole(IntegerConvertor):
    """A number that a registry can have: of a longer one Python makes no int."""

    regex = "[0-9]{1,19}"


register_url_convertor("whole", _Whole())


def is_own(path: str) -> bool:
    """Tell whether a path is one of the device API, which asks for keys of its own."""
    return path.startswith(OWN)


def http_part(api: DeviceApi) -> HttpPart:
    """Return the device API as a part of the HTTP interface."""
    table = calls(api)
    by_path: dict[str, dict[str, Handler]] = {}
    for call in table:
        by_path.setdefault(call.address(), {})[call.method] = call.handler
    return HttpPart(
        routes=lambda: _routes(api, by_path),
        guards=is_own,
        describe=lambda: describe(table),
    )


def _routes(api: DeviceApi, by_path: dict[str, dict[str, Handler]]) -> list[BaseRoute]:
    routes = {path: Route(path, _guarded(api, handlers), methods=list(handlers)) for path, handlers in by_path.items()}
    words = {path: route for path, route in routes.items() if "{" not in path}
    return [_Words(words), *(route for path, route in routes.items() if path not in words)]


class _Words(BaseRoute):
    """Addresses that hold no names, found at once: devices post to a few of them all the time."""

    def __init__(self, routes: dict[str, Route]) -> None:
        self.routes = routes

    def matches(self, scope: Scope) -> tuple[Match, Scope]:
        """Ask the route of the path."""
        route = self.routes.get(scope["path"])
        return (Match.NONE, {}) if route is None else route.matches(scope)

    async def handle(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Let the route of the path answer."""
        await self.routes[scope["path"]].handle(scope, receive, send)


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
