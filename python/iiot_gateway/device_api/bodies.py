"""Bodies of requests: their size, type and shape. Values keep the text that was received."""

from __future__ import annotations

import asyncio
import zlib
from collections.abc import Awaitable, Callable
from typing import Annotated, Any, Literal, TypeVar

import msgspec
from msgspec import UNSET, Meta, Raw, Struct, UnsetType, field
from starlette.requests import Request

from iiot_gateway.api.parameters import header
from iiot_gateway.api.problem import Problem

T = TypeVar("T")

BODY_S = 30.0
"""How long a body may take to arrive, in seconds."""
GZIP = 16 + zlib.MAX_WBITS
JSON_TYPES = ("application/json",)

Scalar = str | int | float | bool | None
Name = Annotated[str, Meta(min_length=1, max_length=256)]
MessageId = Annotated[str, Meta(min_length=1, max_length=128)]
Text = Annotated[str, Meta(max_length=200)]


def _no_time() -> Raw:
    return Raw(b"null")


class Point(Struct, omit_defaults=True):
    """The body of `influxdb/telemetry`: one point."""

    measurement: Name
    fields: Annotated[dict[Name, Scalar], Meta(min_length=1)]
    device_id: str | int | None = None
    tags: dict[Name, Scalar] = {}
    timestamp: Raw = field(default_factory=_no_time)
    message_id: MessageId | None = None


class Batch(Struct):
    """Several points. Each point is read separately."""

    points: Annotated[list[Raw], Meta(min_length=1)]


class DeviceTelemetry(Struct):
    """The body of `devices/telemetry`."""

    data: Annotated[dict[Name, Any], Meta(min_length=1)]
    type: Name | UnsetType = UNSET
    device_id: str | int | None = None
    metadata: dict[Name, Any] = {}
    timestamp: Raw = field(default_factory=_no_time)
    message_id: MessageId | None = None


class Registration(Struct):
    """The body of `devices/register`."""

    name: Text
    device_type: Text
    id: str | None = None
    location: Text = ""
    firmware_version: Text = ""
    hardware_version: Text = ""
    tags: dict[str, str] = {}


class OwnChange(Struct, forbid_unknown_fields=True):
    """The body of `devices/config`: what a device may change of its own entry."""

    status: Literal["active", "maintenance"] | UnsetType = UNSET
    location: Text | UnsetType = UNSET
    firmware_version: Text | UnsetType = UNSET
    hardware_version: Text | UnsetType = UNSET
    configuration: dict[str, Any] | UnsetType = UNSET


class Heartbeat(Struct):
    """The body of `devices/heartbeat`. All keys are optional."""

    status: Annotated[str, Meta(pattern="^[a-z_]{1,32}$")] = "online"
    message_id: MessageId | None = None
    timestamp: Raw = field(default_factory=_no_time)


async def read_body(
    request: Request, most_bytes: int, *, types: tuple[str, ...] = JSON_TYPES, may_be_empty: bool = False, may_be_gzip: bool = False
) -> bytes:
    """Read a whole body.

    Raises Problem 413 if the body is too long by its declared, received or unpacked length; also 415, 408 and 400.
    """
    encoding = header(request.scope, b"content-encoding").lower() or "identity"
    if encoding not in (("identity", "gzip") if may_be_gzip else ("identity",)):
        raise Problem(415, "encoding_unsupported", f"the Content-Encoding {encoding[:40]!r} is not taken here", "send the body as it is")
    declared = header(request.scope, b"content-length")
    if declared and int(declared) > most_bytes:
        raise _too_long(most_bytes)
    unpack = _Gzip() if encoding == "gzip" else _AsItIs()
    body = bytearray()
    came = 0
    try:
        async with asyncio.timeout(BODY_S):
            is_whole = False
            while not is_whole:
                message = await request.receive()
                if message["type"] == "http.disconnect":
                    raise Problem(400, "body_cut", "the connection ended before the body did")
                chunk = message.get("body", b"")
                # One byte more than allowed shows that the body is too long.
                body += unpack.piece(chunk, most_bytes + 1 - len(body))
                came += len(chunk)
                if max(came, len(body)) > most_bytes:
                    raise _too_long(most_bytes)
                is_whole = not message.get("more_body", False)
    except TimeoutError as error:
        raise Problem(408, "body_late", f"the body did not come within {BODY_S:g} s", "send it at once", {"connection": "close"}) from error
    unpack.finish()
    if not (may_be_empty and not body):
        _must_be(request, types)
    return bytes(body)


async def read_asked(request: Request, ask: Callable[[], Awaitable[T]], most_bytes: int, **how: Any) -> tuple[T, bytes]:
    """Call `ask` for the sender, read the body, and call `ask` again, because a key may end while the body is on its way.

    Raises Problem as `ask` and `read_body` do.
    """
    await ask()
    body = await read_body(request, most_bytes, **how)
    return await ask(), body


def _must_be(request: Request, types: tuple[str, ...]) -> None:
    given = header(request.scope, b"content-type").partition(";")[0].strip().lower()
    if types and given not in types:
        remedy = f"send {types[0]} and say so in the header Content-Type"
        raise Problem(415, "type_unsupported", f"the Content-Type is {given[:60]!r}", remedy)


class _AsItIs:
    """A body that is not packed."""

    def piece(self, chunk: bytes, _room: int) -> bytes:
        return chunk

    def finish(self) -> None:
        """Nothing is missing."""


class _Gzip(_AsItIs):
    """A packed body of one or more members (RFC 1952).

    If a small body unpacks to a huge one, only as much is unpacked as there is room for.
    """

    def __init__(self) -> None:
        self._unpacking = zlib.decompressobj(GZIP)

    def piece(self, chunk: bytes, room: int) -> bytes:
        unpacked = bytearray()
        try:
            while chunk and len(unpacked) < room:
                if self._unpacking.eof:
                    self._unpacking = zlib.decompressobj(GZIP)
                unpacked += self._unpacking.decompress(chunk, room - len(unpacked))
                chunk = self._unpacking.unused_data
        except zlib.error as error:
            raise Problem(400, "gzip_damaged", f"the body cannot be unpacked: {error}", "send gzip, or the body as it is") from error
        return bytes(unpacked)

    def finish(self) -> None:
        if not self._unpacking.eof:
            raise Problem(400, "gzip_damaged", "the packed body ends too early", "send it again")


def _too_long(most_bytes: int) -> Problem:
    # The rest of the body is not read, so the connection can carry no other request.
    return Problem(
        413,
        "body_too_long",
        f"at most {most_bytes} bytes are taken",
        "send less at once, or raise devices.max_body_bytes",
        {"connection": "close"},
    )


_decoders: dict[Any, msgspec.json.Decoder[Any]] = {}


def _decoder(kind: Any) -> msgspec.json.Decoder[Any]:
    if kind not in _decoders:
        _decoders[kind] = msgspec.json.Decoder(kind)
    return _decoders[kind]


def read_json(body: bytes | Raw, kind: type[T]) -> T:
    """Read a document. Raises Problem 400 if it is not JSON, and 422 if it has another shape; the message names the place."""
    try:
        read: T = _decoder(kind).decode(body)
        return read  # noqa: TRY300 - the lines above can fail, this one cannot
    except msgspec.ValidationError as error:
        raise Problem(422, "wrong_shape", _plain(str(error)), "/api/v1/openapi.json describes what is expected") from error
    except msgspec.DecodeError as error:
        raise Problem(
            400, "no_json", f"this is no JSON: {str(error)[:200]}", "check quotes, commas and braces; NaN is no number of JSON"
        ) from error
    except UnicodeDecodeError as error:
        raise Problem(400, "no_json", f"byte {error.start} of a text is no UTF-8", "send JSON in UTF-8") from error
    except RecursionError as error:
        raise too_deep("objects and lists are nested too deeply") from error


def too_deep(fault: str) -> Problem:
    """Return the problem that a document is nested too deeply."""
    return Problem(422, "too_deep", fault, "nest them less deeply")


def _plain(message: str) -> str:
    """Call the beginning of a document `document` instead of `$`."""
    return message.replace("`$", "`document")[:300]
