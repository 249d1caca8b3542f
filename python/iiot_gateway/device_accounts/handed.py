"""Keys on their way to a broker: in memory only, because the registry holds nothing that a broker could be told."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

from iiot_gateway.registry.keys import digest

KEPT_S = 60.0
"""How long a key is kept that the registry does not name: its sender is about to store it, or has failed to."""


class HandedKeys:
    """Keys that were made, by their digest. Methods may be called from any thread."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._keys: dict[bytes, tuple[str, float]] = {}
        self._lock = threading.Lock()
        self._changes = 0

    def hand(self, key: str) -> None:
        """Take a key, before the registry stores its digest."""
        with self._lock:
            self._keys[digest(key)] = (key, self._clock())
            self._changes += 1

    def changes(self) -> int:
        """Return how many were handed over."""
        return self._changes

    def find(self, key_digest: bytes) -> str | None:
        """Return the key of a digest."""
        with self._lock:
            return self._keys.get(key_digest, (None, 0.0))[0]

    def drop(self, key_digest: bytes) -> None:
        """Forget a key: the broker has it."""
        with self._lock:
            self._keys.pop(key_digest, None)

    def keep_only(self, wanted: set[bytes]) -> None:
        """Forget keys that the registry does not name, once they are old."""
        oldest = self._clock() - KEPT_S
        with self._lock:
            self._keys = {each: (key, at) for each, (key, at) in self._keys.items() if each in wanted or at > oldest}
