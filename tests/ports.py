"""A serial line: a pseudo-terminal, of which the gateway has one end."""

from __future__ import annotations

import os
import tty
from typing import Self


class Port:
    """Both ends of a line that passes every byte as it is."""

    def __init__(self) -> None:
        self._ours, self._theirs = os.openpty()
        tty.setraw(self._theirs)
        self.device = os.ttyname(self._theirs)

    def write(self, data: bytes) -> None:
        """Send as the node does; the reader's side sets the pace."""
        view = memoryview(data)
        while view:
            view = view[os.write(self._ours, view) :]

    def close(self) -> None:
        """Take both ends away."""
        os.close(self._ours)
        os.close(self._theirs)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_exc: object) -> None:
        self.close()
