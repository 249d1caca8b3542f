"""Serve the HTTP routes beside the gateway. A taken port is said loudly and tried again; it never ends the gateway."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from contextlib import contextmanager

import anyio
import uvicorn

from iiot_gateway.api.app import make_app
from iiot_gateway.log import HTTP_LISTENING, HTTP_UNAVAILABLE, Repeated, get_log
from iiot_gateway.pipeline.status import StatusView
from iiot_gateway.pipeline.supervisor import Service

RETRY_S = 10.0


class _Server(uvicorn.Server):
    """uvicorn without its own signal handlers: the gateway's order of stopping holds."""

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


def http_service(listen: str) -> Service:
    """Return the service that answers at ADDRESS:PORT."""
    host, _, port = listen.rpartition(":")

    async def serve(view: StatusView) -> None:
        repeated = Repeated()
        while True:
            try:
                listener = _listen(host.strip("[]"), int(port))
            except OSError as error:
                if (extra := repeated.allows(error.errno)) is not None:
                    get_log().error(
                        HTTP_UNAVAILABLE,
                        listen=listen,
                        error=error.strerror,
                        remedy="set http.listen to a free port",
                        **extra,
                    )
                await anyio.sleep(RETRY_S)
                continue
            get_log().info(HTTP_LISTENING, listen=listen)
            config = uvicorn.Config(make_app(view), log_config=None, access_log=False, lifespan="off", timeout_graceful_shutdown=1)
            await _Server(config).serve(sockets=[listener])
            return

    return serve


def _listen(host: str, port: int) -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind((host, port))
    except OSError:
        listener.close()
        raise
    listener.setblocking(False)
    return listener
