"""Keys on their way to a broker. They are only in memory, because the registry stores only digests, which a broker cannot use."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

from iiot_gateway.registry.keys import digest

KEPT_S = 60.0
"""How long (s) a key is kept that is not in the registry: its maker is about to store it, or has failed to."""


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
        """Return how many keys were handed over."""
        return self._changes

    def find(self, key_digest: bytes) -> str | None:
        """Return the key with a digest."""
        with self._lock:
            return self._keys.get(key_digest, (None, 0.0))[0]

    def drop(self, key_digest: bytes) -> None:
        """Forget a key: the broker has it."""
        with self._lock:
            self._keys.pop(key_digest, None)

    def keep_only(self, wanted: set[bytes]) -> None:
        """Forget keys that are not in the registry, once they are old."""
        oldest = self._clock() - KEPT_S
        with self._lock:
            self._keys = {each: (key, at) for each, (key, at) in self._keys.items() if each in wanted or at > oldest}
