"""Keeps a gateway from starting while its files are copied or restored, by holding the lock that it would take."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from iiot_gateway.errors import GatewayError


class GatewayRuns(GatewayError):
    """Another process has the file open."""


@contextmanager
def locked(path: Path, owner: tuple[int, int]) -> Iterator[None]:
    """Hold the lock of a journal or a history of this user and group. Raises GatewayRuns."""
    name = f"{path}.lock"
    try:
        descriptor = os.open(name, os.O_CREAT | os.O_RDWR | os.O_CLOEXEC, 0o600)
    except OSError as error:
        raise GatewayError(f"{name} cannot be opened: {error.strerror}") from error
    try:
        if os.geteuid() == 0:
            # The gateway takes the lock next, and need not be root.
            os.fchown(descriptor, *owner)
        try:
            # The same lock as in the extension: it belongs to the system, and ends with the process.
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise GatewayRuns(f"a running iiot-gateway has {path} open; stop it first, or try again once it has started") from error
        yield
    finally:
        os.close(descriptor)
