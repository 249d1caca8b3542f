"""The calls that delete data of devices."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

from starlette.requests import Request
from starlette.responses import Response

from iiot_gateway._native import JournalError
from iiot_gateway.api.parameters import refuse_unknown
from iiot_gateway.api.problem import Problem
from iiot_gateway.device_api.answer import Answer
from iiot_gateway.device_api.reading import NO_ARCHIVE
from iiot_gateway.device_api.spans import read_span
from iiot_gateway.device_api.times import written
from iiot_gateway.registry.deletions import Deletion, TooManyWaiting
from iiot_gateway.registry.keys import KeyKind

if TYPE_CHECKING:
    from iiot_gateway.device_api.service import DeviceApi


class Deleting:
    """The calls about deletions."""

    def __init__(self, api: DeviceApi) -> None:
        self._api = api

    async def delete(self, request: Request) -> Response:
        """DELETE influxdb/device/{id}/data: the values of a span, in every place that keeps them. The beginning is required."""
        caller = await self._api.door.caller(request)
        caller.must_be(KeyKind.DEVICE, KeyKind.GATEWAY, KeyKind.ADMINISTRATOR)
        device_id = (await self._api.door.speaking_for(caller, request.path_params["id"])).device.id
        refuse_unknown(request.query_params, ("start", "stop"))
        start_ns, stop_ns = read_span(request.query_params, time.time_ns(), needs_start=True)
        self._must_have_keepers()
        try:
            deletion = await self._api.deletions.ask(device_id, start_ns, stop_ns)
        except TooManyWaiting as error:
            raise Problem(409, "too_many_deletions", str(error), "wait until they are done") from error
        is_done = deletion.done_at is not None
        document = {
            "message": "Data deleted" if is_done else "Data will be deleted once every sink has passed what the journal holds",
            "id": deletion.id,
            "device_id": device_id,
            "start_time": written(start_ns),
            "stop_time": written(stop_ns),
        }
        return Answer(document, 200 if is_done else 202)

    async def deletion(self, request: Request) -> Response:
        """GET influxdb/deletions/{number}: the progress of a deletion."""
        caller = await self._api.door.caller(request)
        caller.must_be(KeyKind.DEVICE, KeyKind.GATEWAY, KeyKind.READER, KeyKind.ADMINISTRATOR)
        if caller.own_device is not None:
            await self._api.door.enabled(caller.own_device)
        refuse_unknown(request.query_params, ())
        number = request.path_params["number"]
        deletion = await self._found(number)
        # A caller who may not see the deletion does not learn that it exists.
        if not caller.may_read(deletion.device):
            raise unknown_deletion(number)
        return Answer({"deletion": await self._shown(deletion)})

    async def take(self, request: Request) -> Response:
        """POST influxdb/deletions/{number}/take: this gateway carries out a deletion that another gateway accepted."""
        caller = await self._api.door.caller(request)
        caller.must_be(KeyKind.ADMINISTRATOR)
        refuse_unknown(request.query_params, ())
        deletion = await self._found(request.path_params["number"])
        self._must_have_keepers()
        return Answer({"deletion": await self._shown(await self._api.deletions.take(deletion))})

    async def _found(self, number: int) -> Deletion:
        deletion = await self._api.deletions.find(number) if number < 2**63 else None
        if deletion is None:
            raise unknown_deletion(number)
        return deletion

    def _must_have_keepers(self) -> None:
        if not self._api.deletions.keepers:
            raise Problem(503, "no_archive", NO_ARCHIVE, "there is nothing that could be deleted")

    async def _shown(self, deletion: Deletion) -> dict[str, Any]:
        try:
            waits_for = await self._api.deletions.waits_for(deletion)
        except JournalError as error:
            raise Problem(503, "journal_unavailable", str(error), "ask again later", {"retry-after": "5"}) from error
        return {
            "id": deletion.id,
            "device_id": deletion.device,
            "start_time": written(deletion.start_ns),
            "stop_time": written(deletion.stop_ns),
            "state": "waiting" if deletion.done_at is None else "done",
            "asked_at": deletion.asked_at,
            "done_at": deletion.done_at,
            "waits_for": waits_for,
            "failure": self._api.deletions.failure(deletion),
        }


def unknown_deletion(number: int) -> Problem:
    """Return the problem that there is no such deletion."""
    return Problem(404, "unknown_deletion", f"there is no deletion {number}", "the answer of DELETE has its id")
