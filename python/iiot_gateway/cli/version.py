"""`version`: the package, the extension and the interpreter."""

from __future__ import annotations

import argparse
import platform

from iiot_gateway import __version__


def add_arguments(_parser: argparse.ArgumentParser) -> None:
    """Take no arguments."""


def run(_args: argparse.Namespace) -> int:
    """Print one line."""
    from iiot_gateway import _native

    build = ", debug build" if _native.debug_build else ""
    print(f"iiot-gateway {__version__} (extension {_native.__version__}{build}; Python {platform.python_version()})")
    return 0
