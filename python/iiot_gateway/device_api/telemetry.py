"""The calls that send points, batches and heartbeats. The answer comes when the data is in the journal, safe from a loss of power."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

import msgspec
from msgspec import UNSET
from starlette.requests import Request
from starlette.responses import Response

from iiot_gateway.api.problem import Problem
from iiot_gateway.device_api.answer import Answer
from iiot_gateway.device_api.bodies import Batch, DeviceTelemetry, Heartbeat, Point, read_asked, read_json
from iiot_gateway.device_api.door import Caller, Sender
from iiot_gateway.device_api.intake import Message, Outcome
from iiot_gateway.device_api.times import own_time_ns, written
from iiot_gateway.registry.keys import KeyKind
from iiot_gateway.registry.section import POINT_TOPIC, STATUS_TOPIC, TELEMETRY_TOPIC

if TYPE_CHECKING:
    from iiot_gateway.device_api.service import DeviceApi

UNTYPED = "telemetry"
"""The type of telemetry that a device sent without a type."""


class Telemetry:
    """The calls that send."""

    def __init__(self, api: DeviceApi) -> None:
        self._api = api

    async def point(self, request: Request) -> Response:
        """POST influxdb/telemetry: one point."""
        caller, body = await self._begin(request)
        self._api.count_sent(caller, 1)
        point = read_json(body, Point)
        sender = await self._sender(caller, point.device_id)
        now_ns = time.time_ns()
        message, own_ns = self._message(point, body, sender, now_ns)
        (outcome,) = await self._api.queue.post([message])
        self._took(sender, outcome, now_ns)
        outcome.raise_fault()
        return Answer(
            {
                "message": "Telemetry data written successfully",
                "device_id": sender.device.id,
                "measurement": point.measurement,
                "timestamp": None if own_ns is None else written(own_ns),
                **_warning(outcome),
            },
            201,
        )

    async def batch(self, request: Request) -> Response:
        """POST influxdb/telemetry/batch: several points, each accepted or refused on its own."""
        caller, body = await self._begin(request)
        points = read_json(body, Batch).points
        most = self._api.section.max_points
        if len(points) > most:
            raise Problem(
                413, "too_many_points", f"{len(points)} points stand in the batch; at most {most} are taken", "send several batches"
            )
        self._api.count_sent(caller, len(points))
        now_ns = time.time_ns()
        results: list[dict[str, Any]] = []
        messages: list[Message] = []
        senders: list[tuple[int, Sender]] = []
        # Most batches are from one device: a look-up per point would cost as much as everything else that is done here.
        known: dict[str | int | None, Sender] = {}
        for number, raw in enumerate(points):
            try:
                document = bytes(raw)
                point = read_json(document, Point)
                sender = known.get(point.device_id) or await self._sender(caller, point.device_id)
                known[point.device_id] = sender
                message, _ = self._message(point, document, sender, now_ns)
            except Problem as problem:
                results.append(_refused(number, problem))
                continue
            senders.append((number, sender))
            messages.append(message)
            results.append({})
        outcomes = await self._api.post(self._api.queue, messages, [result["error"] for result in results if result])
        for (number, sender), outcome in zip(senders, outcomes, strict=True):
            self._took(sender, outcome, now_ns)
            results[number] = _result(number, outcome)
        taken = sum(1 for result in results if result["status"] in ("accepted", "duplicate"))
        count = {"message": f"Successfully written {taken} of {len(points)} telemetry points", "count": taken, "results": results}
        return Answer(count, 201 if taken else 422)

    async def device_telemetry(self, request: Request) -> Response:
        """POST devices/telemetry: values that the device of the key measured."""
        caller, body = await self._begin(request)
        self._api.count_sent(caller, 1)
        telemetry = read_json(body, DeviceTelemetry)
        sender = await self._sender(caller, telemetry.device_id)
        now_ns = time.time_ns()
        own_ns = own_time_ns(telemetry.timestamp, now_ns)
        self._bounded(len(telemetry.data) + len(telemetry.metadata), body)
        # The profile needs a type. If there is none, it is put in front, and the other text stays as it was received.
        document = body if telemetry.type is not UNSET else b'{"type":"' + UNTYPED.encode() + b'",' + body.lstrip()[1:]
        message = (TELEMETRY_TOPIC, document, sender.device.id, sender.tags, _id(telemetry.message_id), now_ns)
        (outcome,) = await self._api.queue.post([message])
        self._took(sender, outcome, now_ns)
        outcome.raise_fault()
        return Answer(
            {
                "message": "Telemetry data received successfully",
                "device_id": sender.device.id,
                "device_name": sender.device.name,
                "type": UNTYPED if telemetry.type is UNSET else telemetry.type,
                "timestamp": None if own_ns is None else written(own_ns),
                **_warning(outcome),
            },
            201,
        )

    async def heartbeat(self, request: Request) -> Response:
        """POST devices/heartbeat: a sign that the device is alive."""
        self._api.requests.take(str((await self._api.door.caller(request)).key.id))
        most_bytes = self._api.section.max_document_bytes
        (_, sender), body = await read_asked(request, lambda: self._api.door.own_device(request), most_bytes, may_be_empty=True)
        heartbeat = read_json(body or b"{}", Heartbeat)
        now_ns = time.time_ns()
        own_time_ns(heartbeat.timestamp, now_ns)
        document = msgspec.json.encode({"status": heartbeat.status, "timestamp": heartbeat.timestamp})
        message = (STATUS_TOPIC, document, sender.device.id, sender.tags, _id(heartbeat.message_id), now_ns)
        (outcome,) = await self._api.queue.post([message])
        self._took(sender, outcome, now_ns)
        outcome.raise_fault()
        answer = {"message": "Heartbeat received", "device_id": sender.device.id, "timestamp": written(now_ns), "status": "online"}
        return Answer(answer)

    async def _begin(self, request: Request) -> tuple[Caller, bytes]:
        """Check the sender, and read the body."""

        async def ask() -> Caller:
            caller = await self._api.door.caller(request)
            caller.must_be(KeyKind.DEVICE, KeyKind.GATEWAY, KeyKind.ADMINISTRATOR)
            return caller

        return await read_asked(request, ask, self._api.section.max_body_bytes)

    async def _sender(self, caller: Caller, named: str | int | None) -> Sender:
        """Return the device of a point: the device that the point names, else that of the key. Raises Problem."""
        device_id = caller.own_device if named is None else named
        if device_id is None:
            raise Problem(
                422, "device_id_missing", "device_id is needed: this key speaks for several devices", "name the device in each point"
            )
        return await self._api.door.speaking_for(caller, str(device_id))

    def _message(self, point: Point, document: bytes, sender: Sender, now_ns: int) -> tuple[Message, int | None]:
        own_ns = own_time_ns(point.timestamp, now_ns)
        self._bounded(len(point.fields) + len(point.tags), document)
        return (POINT_TOPIC, document, sender.device.id, sender.tags, _id(point.message_id), now_ns), own_ns

    def _bounded(self, values: int, document: bytes) -> None:
        section = self._api.section
        if values > section.max_fields:
            raise Problem(
                422,
                "too_many_fields",
                f"{values} fields and tags stand in a point; at most {section.max_fields} are taken",
                "send several points",
            )
        if len(document) > section.max_document_bytes:
            raise Problem(
                413,
                "point_too_long",
                f"a point has {len(document)} bytes; at most {section.max_document_bytes} are taken",
                "send several points",
            )

    def _took(self, sender: Sender, outcome: Outcome, now_ns: int) -> None:
        if outcome.is_taken:
            self._api.hears(sender.device.id, now_ns / 1e9)


def _id(message_id: str | None) -> bytes | None:
    return None if message_id is None else message_id.encode()


def _warning(outcome: Outcome) -> dict[str, str]:
    """Return a warning that names the values left out of an accepted document."""
    return {"warning": outcome.detail} if outcome.word == "accepted" and outcome.detail else {}


def _result(number: int, outcome: Outcome) -> dict[str, Any]:
    if outcome.is_taken and not outcome.detail:
        return {"index": number, "status": outcome.word}
    try:
        outcome.raise_fault()
    except Problem as problem:
        return _refused(number, problem, outcome.word)
    return {"index": number, "status": outcome.word, **_warning(outcome)}


def _refused(number: int, problem: Problem, word: str = "refused") -> dict[str, Any]:
    return {
        "index": number,
        "status": word,
        "code": problem.status,
        "error": problem.error,
        "message": problem.message,
        "remedy": problem.remedy,
    }
