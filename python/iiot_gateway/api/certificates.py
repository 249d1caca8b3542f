"""Loads a renewed certificate while the server runs. If certificate and key do not fit each other, the old pair stays in use."""

from __future__ import annotations

import os
import ssl

import anyio
import anyio.to_thread

from iiot_gateway.log import CERTIFICATE_RENEWED, CERTIFICATE_UNUSABLE, get_log

LOOK_S = 10.0


async def renew(live: ssl.SSLContext, cert_file: str, key_file: str) -> None:
    """Load the files into the context in use whenever they change, until cancelled."""
    seen = _stamp(cert_file, key_file)
    while True:
        await anyio.sleep(LOOK_S)
        stamp = _stamp(cert_file, key_file)
        if stamp == seen:
            continue
        seen = stamp
        try:
            await anyio.to_thread.run_sync(_take, live, cert_file, key_file)
        except (OSError, ValueError) as error:
            # One of the two files may be renewed before the other; the next change causes another attempt.
            get_log().warning(CERTIFICATE_UNUSABLE, file=cert_file, error=str(error), consequence="the certificate before stays in use")
        else:
            get_log().info(CERTIFICATE_RENEWED, file=cert_file)


def _take(live: ssl.SSLContext, cert_file: str, key_file: str) -> None:
    # The context in use must never hold a certificate without its key.
    ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER).load_cert_chain(cert_file, key_file)
    live.load_cert_chain(cert_file, key_file)


def _stamp(*files: str) -> list[tuple[int, int, int]]:
    """Return a value that changes when a file changes or is replaced."""
    found = []
    for file in files:
        try:
            status = os.stat(file)
        except OSError:
            found.append((0, 0, 0))
        else:
            found.append((status.st_ino, status.st_mtime_ns, status.st_size))
    return found
