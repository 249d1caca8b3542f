"""The calls that read values which devices sent."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

import anyio
import anyio.to_thread
from starlette.requests import Request
from starlette.responses import Response

from iiot_gateway.api.parameters import refuse_unknown, whole
from iiot_gateway.api.problem import Problem
from iiot_gateway.device_api.answer import Answer
from iiot_gateway.device_api.archive import Archive, Question, Value
from iiot_gateway.device_api.spans import read_moment, read_span
from iiot_gateway.device_api.times import written

if TYPE_CHECKING:
    from iiot_gateway.device_api.service import DeviceApi

MOST_VALUES = 10_000
MOST_MEASUREMENT = 256
HEALTH_S = 1.0
"""How long (s) an answer of `influxdb/health` is also given to other callers: the call needs no key, so anybody may make it."""
READERS = 4
"""How many queries are answered at the same time; others wait."""


class Reading:
    """The calls that ask."""

    def __init__(self, api: DeviceApi) -> None:
        self._api = api
        self._threads = anyio.CapacityLimiter(READERS)
        # A separate limiter: while the archive does not answer, health checks must not delay readers, nor the reverse.
        self._health_thread = anyio.CapacityLimiter(1)
        self._asking = anyio.Lock()
        self._health: tuple[float, str | Problem] | None = None

    async def health(self, request: Request) -> Response:
        """GET influxdb/health: whether values of devices can be read."""
        refuse_unknown(request.query_params, ())
        archive = self._api.archive
        if archive is None:
            return Answer({"influxdb": {"status": "fail", "message": NO_ARCHIVE, "version": ""}, "connected": False}, 503)
        version = await self._version(archive)
        if isinstance(version, Problem):
            return Answer({"influxdb": {"status": "fail", "message": version.message, "version": ""}, "connected": False}, 503)
        return Answer({"influxdb": {"status": "pass", "message": "OK", "version": version}, "connected": True, "served_by": archive.name})

    async def _version(self, archive: Archive) -> str | Problem:
        """Return the version of an archive that answers, else why it does not. Callers that ask meanwhile get the same answer."""
        async with self._asking:
            if self._health is None or time.monotonic() - self._health[0] >= HEALTH_S:
                found: str | Problem
                try:
                    found = await anyio.to_thread.run_sync(archive.version, limiter=self._health_thread)
                except Problem as problem:
                    found = problem
                self._health = (time.monotonic(), found)
            return self._health[1]

    async def data(self, request: Request) -> Response:
        """GET influxdb/device/{id}/data: the values of a span."""
        caller = await self._api.door.caller(request)
        sender = await self._api.door.read_by(caller, request.path_params["id"])
        return await self._answer(request, sender.device.id)

    async def own(self, request: Request) -> Response:
        """GET devices/telemetry: the newest values of the device whose key is sent."""
        _, sender = await self._api.door.own_device(request)
        query = request.query_params
        refuse_unknown(query, ("start_time", "limit", "type"))
        now_ns = time.time_ns()
        start = query.get("start_time", "-24h")
        limit = whole(query, "limit", low=1, high=1000, default=100)
        question = Question(
            device_id=sender.device.id,
            start_ns=read_moment("start_time", start, now_ns),
            stop_ns=now_ns,
            measurement=_measurement(request, "type"),
            limit=limit,
        )
        values = [_shown(sender.device.id, value) for value in await self._ask(question)]
        return Answer({"status": "success", "telemetry": values, "count": len(values), "limit": limit, "start_time": start})

    async def latest(self, request: Request) -> Response:
        """GET influxdb/device/{id}/latest: the newest value per field, by the time of measurement."""
        caller = await self._api.door.caller(request)
        device_id = (await self._api.door.read_by(caller, request.path_params["id"])).device.id
        refuse_unknown(request.query_params, ("measurement",))
        measurement = _measurement(request)
        archive = self._archive()
        found = await anyio.to_thread.run_sync(lambda: archive.latest(device_id, measurement), limiter=self._threads)
        shown = [_shown(device_id, value) for value in found]
        document = {"device_id": device_id, "measurement": measurement, "latest_data": shown or None}
        return Answer(document if found else {**document, "message": "No data found"}, 200 if found else 404)

    async def _answer(self, request: Request, device_id: str) -> Response:
        refuse_unknown(request.query_params, ("start", "stop", "measurement", "limit"))
        start_ns, stop_ns = read_span(request.query_params, time.time_ns())
        measurement = _measurement(request)
        limit = whole(request.query_params, "limit", low=1, high=MOST_VALUES, default=MOST_VALUES)
        question = Question(device_id=device_id, start_ns=start_ns, stop_ns=stop_ns, measurement=measurement, limit=limit)
        found = await self._ask(question)
        return Answer(
            {
                "device_id": device_id,
                "measurement": measurement,
                "start_time": written(start_ns),
                "stop_time": written(stop_ns),
                "data_points": [_shown(device_id, value) for value in found],
                "count": len(found),
            }
        )

    async def _ask(self, question: Question) -> list[Value]:
        archive = self._archive()
        return await anyio.to_thread.run_sync(lambda: archive.values(question), limiter=self._threads)

    def _archive(self) -> Archive:
        if self._api.archive is None:
            raise Problem(503, "no_archive", NO_ARCHIVE, "add one of these sections to the configuration and start the gateway again")
        return self._api.archive


NO_ARCHIVE = "nothing that can be asked keeps the values: neither [influxdb] with read_token_file, nor [postgresql], nor [history]"


def _measurement(request: Request, name: str = "measurement") -> str | None:
    measurement = request.query_params.get(name)
    if measurement is not None and not 0 < len(measurement) <= MOST_MEASUREMENT:
        raise Problem(400, "parameter_invalid", f"{name}: expected 1 to 256 characters")
    return measurement


def _shown(device_id: str, value: Value) -> dict[str, Any]:
    own = {
        "time": written(value.time_ns),
        "measurement": value.measurement,
        "device_id": device_id,
        "field": value.field,
        "value": value.value,
    }
    return {**value.tags, **own}
