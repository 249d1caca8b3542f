"""Profile files, compiled."""

from __future__ import annotations

from pathlib import Path

from iiot_gateway import _native
from iiot_gateway.config.files import read_text
from iiot_gateway.errors import ProfileInvalid


def read_profile(path: Path) -> _native.Profile:
    """Compile a profile file. Raises ProfileInvalid with every fault."""
    try:
        return _native.Profile.parse(read_text(path))
    except _native.ProfileError as error:
        raise ProfileInvalid(str(path), error.faults) from error
    except UnicodeDecodeError as error:
        raise ProfileInvalid(str(path), [(0, f"not UTF-8 text (byte {error.start})")]) from error
    except OSError as error:
        raise ProfileInvalid(str(path), [(0, f"cannot be read: {error.strerror}")]) from error
