"""Loads anyio without OpenSSL, which anyio needs only to offer TLS. This saves three megabytes. The gateway's own TLS is in the extension.

asyncio, which structlog imports, already works without it. anyio refers to a class of `ssl` when it is imported, but it uses that
class only for TLS streams, which this process does not have. A later import of `ssl` gets the real module.
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
