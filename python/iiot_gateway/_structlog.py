"""structlog without what it takes along where it is: coloured tracebacks, other threads, TLS for asyncio. Nine megabytes resident."""

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
