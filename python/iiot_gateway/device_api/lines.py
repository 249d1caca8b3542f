"""InfluxDB's line protocol, as its clients write it: `POST /api/v2/write` and `POST /write`. One frame per line; types and texts are kept.

A line that cannot be read costs itself. The answer is InfluxDB's: 204 if all lines were taken, 400 with those that were not; clients do
not send them again then.
"""

from __future__ import annotations

import base64
import binascii
import time
from typing import TYPE_CHECKING

from msgspec import Struct
from starlette.requests import Request
from starlette.responses import Response

from iiot_gateway._native import read_lines
from iiot_gateway.api.problem import Problem
from iiot_gateway.device_api.bodies import read_asked, read_json
from iiot_gateway.device_api.door import Caller, Sender, key_needed, presented_key
from iiot_gateway.device_api.intake import Counted, Message
from iiot_gateway.registry.keys import KeyKind

if TYPE_CHECKING:
    from typing import Literal

    from iiot_gateway.device_api.service import DeviceApi

TOPIC = "$api/line"
PROFILE = "line-protocol"
PRECISIONS: dict[str, Literal["ns", "us", "ms", "s"]] = {"ns": "ns", "n": "ns", "us": "us", "u": "us", "µ": "us", "ms": "ms", "s": "s"}
MOST_TOLD = 10
"""The most refused lines that an answer names."""


class _Tags(Struct):
    """The part of a document that names its device."""

    tags: dict[str, str] = {}


class Lines:
    """The calls of InfluxDB's clients."""

    def __init__(self, api: DeviceApi) -> None:
        self._api = api

    async def ping(self, _request: Request) -> Response:
        """GET ping: the server is there."""
        return Response(status_code=204)

    async def write(self, request: Request) -> Response:
        """POST api/v2/write, write: lines of one device, or of the devices that the tag `device_id` names."""
        api = self._api
        await _may_write(api, request)
        precision = PRECISIONS.get(request.query_params.get("precision") or "ns")
        if precision is None:
            raise Problem(400, "parameter_invalid", "precision: expected ns, us, ms or s", "let the client send one of these")
        caller, body = await read_asked(request, lambda: _may_write(api, request), api.section.max_body_bytes, types=(), may_be_gzip=True)
        try:
            read = read_lines(body, precision, api.section.max_points)
        except ValueError as error:
            raise Problem(413, "too_many_lines", str(error), "send several requests, or raise devices.max_points") from error
        api.count_sent(caller, len(read))
        now_ns = time.time_ns()
        faults: list[str] = []
        refused: list[str] = []
        messages: list[Message] = []
        senders: list[tuple[int, Sender]] = []
        for number, (document, fault) in enumerate(read):
            if fault:
                faults.append(fault)
                refused.append("invalid_line")
                continue
            try:
                sender = await self._sender(caller, document)
            except Problem as problem:
                faults.append(f"point {number + 1}: {problem.message}")
                refused.append(problem.error)
                continue
            senders.append((number, sender))
            messages.append((TOPIC, document, sender.device.id, sender.tags, None, now_ns))
        outcomes = await api.post(api.lines, messages, refused)
        for (number, sender), outcome in zip(senders, outcomes, strict=True):
            if outcome.is_taken:
                api.hears(sender.device.id, now_ns / 1e9)
            if not outcome.is_taken or outcome.detail:
                faults.append(f"point {number + 1}: {outcome.detail or outcome.word}")
        if faults:
            told = "; ".join(faults[:MOST_TOLD]) + (f"; and {len(faults) - MOST_TOLD} more" if len(faults) > MOST_TOLD else "")
            message = f"partial write: {len(faults)} of {len(read)} lines: {told}"
            raise Counted(400, "invalid_lines", message, "correct these lines; the others are taken")
        return Response(status_code=204)

    async def _sender(self, caller: Caller, document: bytes) -> Sender:
        device_id = caller.own_device
        if device_id is None:
            device_id = read_json(document, _Tags).tags.get("device_id")
            if device_id is None:
                raise Problem(422, "device_id_missing", "the tag device_id is needed: this key speaks for several devices")
        return await self._api.door.speaking_for(caller, device_id)


async def _may_write(api: DeviceApi, request: Request) -> Caller:
    caller = await api.door.holder(_key(request))
    caller.must_be(KeyKind.DEVICE, KeyKind.GATEWAY, KeyKind.ADMINISTRATOR)
    return caller


def _key(request: Request) -> str:
    """Return the key: the token of InfluxDB 2, or the password of version 1. Raises Problem 401."""
    scheme, _, sent = request.headers.get("authorization", "").partition(" ")
    if scheme.lower() != "basic":
        return presented_key(request)
    try:
        password = base64.b64decode(sent, validate=True).decode().partition(":")[2]
    except (binascii.Error, UnicodeDecodeError) as error:
        raise key_needed() from error
    if not password:
        raise key_needed()
    return password
