"""The control socket beside the journal: one JSON line asks, one JSON line answers.

{"command": "status"}               {"ok": true, "result": {...}}
{"command": "rejects", "limit": 20} {"ok": true, "result": [...]}
{"command": "retry", "id": 7}       {"ok": true, "result": {"accepted": 1, "duplicate": 0, ...}}
{"command": "live", "since": 12}    {"ok": true, "result": {"version": 13, "changed": [...], ...}}
anything else                       {"ok": false, "error": "..."}
"""

from __future__ import annotations

import json
import os
import socket
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Any

import anyio
import anyio.to_thread
from anyio.abc import SocketListener, SocketStream
from anyio.streams.buffered import BufferedByteReceiveStream

from iiot_gateway.errors import GatewayError, GatewayUnreachable
from iiot_gateway.log import CONTROL_UNAVAILABLE, get_log

MAX_REQUEST_BYTES = 65536
REQUEST_TIMEOUT_S = 30.0

Handler = Callable[[dict[str, Any]], Any]


def socket_path(journal_path: str) -> str:
    """Return the path of the control socket of the gateway with this journal."""
    return journal_path + ".sock"


@contextmanager
def _address(path: str) -> Iterator[str]:
    """Yield a short name for a socket: an address has room for 107 bytes, and a path may be longer. Linux only."""
    folder = os.open(os.path.dirname(path) or ".", os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        yield f"/proc/self/fd/{folder}/{os.path.basename(path)}"
    finally:
        os.close(folder)


def _listen(path: str) -> socket.socket:
    with suppress(FileNotFoundError):
        os.unlink(path)  # left by a gateway that was killed; this process holds the journal's lock, so no other gateway runs
    sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM | socket.SOCK_CLOEXEC)
    mask = os.umask(0o177)  # so that the socket has the mode 0600 from the beginning
    try:
        with _address(path) as address:
            sock.bind(address)
    except OSError:
        sock.close()
        raise
    finally:
        os.umask(mask)
    sock.listen(8)
    sock.setblocking(False)
    return sock


async def serve(path: str, commands: dict[str, Handler]) -> None:
    """Answer requests until cancelled. Handlers may block, so they run in worker threads."""
    try:
        listener = await SocketListener.from_socket(_listen(path))
    except OSError as error:
        get_log().warning(CONTROL_UNAVAILABLE, path=path, error=str(error), consequence="status reads the journal only")
        return

    async def answer(stream: SocketStream) -> None:
        with suppress(
            anyio.BrokenResourceError, anyio.ClosedResourceError, anyio.EndOfStream, anyio.IncompleteRead, anyio.DelimiterNotFound
        ):
            with anyio.move_on_after(REQUEST_TIMEOUT_S):
                async with stream:
                    line = await BufferedByteReceiveStream(stream).receive_until(b"\n", MAX_REQUEST_BYTES)
                    reply = await anyio.to_thread.run_sync(_reply, commands, line)
                    await stream.send(json.dumps(reply, separators=(",", ":")).encode() + b"\n")

    try:
        async with listener:
            await listener.serve(answer)
    finally:
        with suppress(OSError):
            os.unlink(path)


def _reply(commands: dict[str, Handler], line: bytes) -> dict[str, Any]:
    try:
        request = json.loads(line)
        handler = commands[request["command"]]
    except (ValueError, TypeError, KeyError, RecursionError):
        return {"ok": False, "error": f"expected a command of {', '.join(commands)}"}
    try:
        return {"ok": True, "result": handler(request)}
    except Exception as error:  # no request may end the gateway
        return {"ok": False, "error": str(error) or repr(error)}


def ask(journal_path: str, request: dict[str, Any], timeout_s: float = REQUEST_TIMEOUT_S) -> Any:
    """Send a request to the running gateway and return the result.

    Raises GatewayUnreachable if no gateway answers, and GatewayError with the gateway's words if it refuses the request.
    """
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as sock:
        sock.settimeout(timeout_s)
        try:
            with _address(socket_path(journal_path)) as address:
                sock.connect(address)
            sock.sendall(json.dumps(request).encode() + b"\n")
            with sock.makefile("rb") as file:
                line = file.readline()
        except OSError as error:
            raise GatewayUnreachable(f"no gateway answers at {socket_path(journal_path)}: {error.strerror or error}") from error
    if not line:
        raise GatewayUnreachable(f"the gateway at {socket_path(journal_path)} hung up")
    reply = json.loads(line)
    if not reply["ok"]:
        raise GatewayError(reply["error"])
    return reply["result"]
