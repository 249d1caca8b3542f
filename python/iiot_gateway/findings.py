"""What the trials of `doctor` give, and what several of them use."""

from __future__ import annotations

import socket
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

Running = Callable[[], dict[str, Any] | None]
"""Gives the status document of the gateway that runs on this configuration's journal; None if none does."""


@dataclass(frozen=True, slots=True)
class Finding:
    """What one trial gave. `ok` None means that it could not be told."""

    subject: str
    ok: bool | None
    detail: str
    remedy: str = ""


def refusal(listen: str) -> OSError | None:
    """Bind to ADDRESS:PORT and let go again; return why that is not possible."""
    host, port = listen.rpartition(":")[0].strip("[]"), int(listen.rpartition(":")[2])
    with socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET, socket.SOCK_STREAM) as trial:
        trial.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            trial.bind((host, port))
        except OSError as error:
            return error
    return None
