"""Finds the program probe-rs, or the reason why it cannot be run, which may be another one than that it is missing."""

from __future__ import annotations

import errno
import os
import shutil

from iiot_gateway.sources.probe_rs.conditions import Ending


def find(wanted: str) -> str | Ending:
    """Return the path of a program that this user may run, or the reason why there is none."""
    if program := shutil.which(wanted):
        return program
    if there := shutil.which(wanted, mode=os.F_OK):
        return Ending("tool_cannot_run", f"{there} is there, and may not be run by this user")
    if os.path.isdir(wanted) and os.path.dirname(wanted):
        return Ending("tool_cannot_run", f"{wanted} is a folder")
    return Ending("tool_not_installed", f"there is no program {wanted}")


def not_started(program: str, error: OSError) -> Ending:
    """Return the reason why an existing program does not start."""
    if error.errno == errno.ENOENT:
        return Ending("tool_cannot_run", f"{program} is there, but not the loader or interpreter that it needs")
    return Ending("tool_cannot_run", f"{program} cannot be run: {error.strerror}")
