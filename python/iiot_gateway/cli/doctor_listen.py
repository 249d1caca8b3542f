"""The trial of `doctor` for the address at which the web page and the API listen."""

from __future__ import annotations

import errno
from collections.abc import Iterator

from iiot_gateway.config.schema import Config
from iiot_gateway.findings import Finding, Running, refusal


def page(config: Config, running: Running) -> Iterator[Finding]:
    """Check that the web page and the API can listen at the configured address."""
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
    elif running() is not None:
        yield Finding(subject, ok=None, detail="in use, and a gateway runs on this journal: unless it listens elsewhere, it is that")
    else:
        yield Finding(
            subject, ok=False, detail="is taken by another program", remedy="stop that program, or set http.listen to a free port"
        )
