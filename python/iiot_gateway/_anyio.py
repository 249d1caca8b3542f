"""anyio without OpenSSL, which it loads only to offer TLS: three megabytes resident. The gateway's own TLS is the extension's.

asyncio, which structlog imports, has done without already. anyio names a class of it when it is imported, and uses it only for TLS
streams: in this process neither offers TLS. Whoever imports `ssl` later gets it.
"""

from __future__ import annotations

import sys
from types import ModuleType

import iiot_gateway._structlog  # noqa: F401  # first: it brings asyncio


def _stand_in(name: str) -> type:
    if name.startswith("__"):
        raise AttributeError(name)
    return type(name, (), {})


if "ssl" not in sys.modules:
    _names = ModuleType("ssl")
    _names.__getattr__ = _stand_in  # type: ignore[method-assign]
    sys.modules["ssl"] = _names
    try:
        import anyio._backends._asyncio
    finally:
        del sys.modules["ssl"]

import anyio  # noqa: E402

__all__ = ["anyio"]
