"""The routes of the device API, and the rules for all of them: who may call without TLS, how many calls, and what is counted."""

from __future__ import annotations

from typing import TYPE_CHECKING

from starlette.convertors import IntegerConvertor, register_url_convertor
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from iiot_gateway.api.part import HttpPart
from iiot_gateway.api.problem import Problem, method_not_allowed
from iiot_gateway.device_api.calls import calls
from iiot_gateway.device_api.description import describe
from iiot_gateway.device_api.intake import Counted
from iiot_gateway.errors import RegistryUnusable

if TYPE_CHECKING:
    from iiot_gateway.api.part import Handler
    from iiot_gateway.device_api.service import DeviceApi

OWN = ("/api/v1/devices", "/api/v1/influxdb/", "/api/v1/keys", "/api/v2/write", "/write", "/ping")


class _Whole(IntegerConvertor):
    """A number that a registry can have; Python refuses to make an int of a much longer one."""

    regex = "[0-9]{1,19}"


register_url_convertor("whole", _Whole())


def is_own(path: str) -> bool:
    """Return whether a path belongs to the device API, which has its own keys."""
    return path.startswith(OWN)


def http_part(api: DeviceApi) -> HttpPart:
    """Return the device API as a part of the HTTP interface."""
    table = calls(api)
    by_path: dict[str, dict[str, Handler]] = {}
    for call in table:
        by_path.setdefault(call.address(), {})[call.method] = call.handler
    answers = {path: _guarded(api, handlers) for path, handlers in by_path.items()}
    return HttpPart(
        routes=lambda: [Route(path, answer, methods=list(by_path[path])) for path, answer in answers.items()],
        guards=is_own,
        shortcuts={path: answer for path, answer in answers.items() if "{" not in path},
        describe=lambda: describe(table),
    )


def _guarded(api: DeviceApi, handlers: dict[str, Handler]) -> Handler:
    """Return the handler of one route, for all of its methods."""
    if "GET" in handlers:
        handlers = {**handlers, "HEAD": handlers["GET"]}
    allowed = ", ".join(sorted(handlers))

    async def answer(request: Request) -> Response:
        try:
            api.addresses.take(api.address(request))
            handler = handlers.get(request.method)
            if handler is None:
                raise method_not_allowed(allowed)
            if request.method not in ("GET", "HEAD"):
                api.must_be_private(request)
            return await handler(request)
        except Problem as problem:
            if not isinstance(problem, Counted):
                api.refused[problem.error] += 1
            raise
        except RegistryUnusable as error:
            api.refused["registry_unusable"] += 1
            raise Problem(503, "registry_unusable", str(error), "try again", {"retry-after": "5"}) from error

    return answer
