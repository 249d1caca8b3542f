"""The findings of the trials of `doctor`, and code that several of them use."""

from __future__ import annotations

import os
import socket
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

Running = Callable[[], dict[str, Any] | None]
"""Returns the status document of the gateway that runs on this configuration's journal; None if no gateway runs."""


@dataclass(frozen=True, slots=True)
class Finding:
    """The result of one trial. `ok` is None if the trial could not decide."""

    subject: str
    ok: bool | None
    detail: str
    remedy: str = ""


def place_fault(subject: str, path: Path, key: str) -> Finding | None:
    """Return the reason why this user cannot write a file, or None. `key` is the setting that names its path."""
    folder = path.parent
    if not folder.is_dir():
        return Finding(subject, ok=False, detail="its folder does not exist", remedy=f"mkdir -p {folder}")
    if not os.access(folder, os.W_OK | os.X_OK) or (path.exists() and not os.access(path, os.R_OK | os.W_OK)):
        remedy = f"set {key} to a place of your own, or change its owner"
        return Finding(subject, ok=False, detail="may not be written by this user", remedy=remedy)
    return None


def refusal(listen: str) -> OSError | None:
    """Bind to ADDRESS:PORT and release it again. Return the reason if that is not possible."""
    host, port = listen.rpartition(":")[0].strip("[]"), int(listen.rpartition(":")[2])
    with socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET, socket.SOCK_STREAM) as trial:
        trial.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            trial.bind((host, port))
        except OSError as error:
            return error
    return None
