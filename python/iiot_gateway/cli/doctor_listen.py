"""What `doctor` tries with the addresses that the gateway itself listens at: the web page's, and the built-in broker's."""

from __future__ import annotations

import errno
import socket
from collections.abc import Iterator
from contextlib import suppress

from iiot_gateway.cli.doctor import Finding
from iiot_gateway.config.schema import Config
from iiot_gateway.config.urls import listen_host
from iiot_gateway.errors import GatewayError


def refusal(listen: str) -> OSError | None:
    """Bind to ADDRESS:PORT and let go again; return why that is not possible."""
    host, port = listen_host(listen), int(listen.rpartition(":")[2])
    with socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET, socket.SOCK_STREAM) as trial:
        trial.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            trial.bind((host, port))
        except OSError as error:
            return error
    return None


def page(config: Config) -> Iterator[Finding]:
    """See whether the web page and the API can listen where they are told to."""
    if not config.http.enabled:
        return
    listen = config.http.listen
    subject, error = f"http {listen}", refusal(listen)
    if error is None:
        yield Finding(subject, ok=True, detail="is free")
    elif error.errno != errno.EADDRINUSE:
        yield Finding(
            subject,
            ok=False,
            detail=error.strerror or str(error),
            remedy="set http.listen to an address of this machine and a port above 1023",
        )
    elif _runs(config):
        yield Finding(subject, ok=None, detail="in use, and a gateway runs on this journal: unless it listens elsewhere, it is that")
    else:
        yield Finding(
            subject, ok=False, detail="is taken by another program", remedy="stop that program, or set http.listen to a free port"
        )


def _runs(config: Config) -> bool:
    from iiot_gateway.pipeline.control import ask

    with suppress(GatewayError):
        ask(config.journal_path(), {"command": "status"})
        return True
    return False
