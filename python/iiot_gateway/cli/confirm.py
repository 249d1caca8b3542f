"""Asks the user before a command changes anything."""

from __future__ import annotations

import sys

from iiot_gateway.errors import GatewayError


def confirm(question: str, *, yes: bool) -> None:
    """Ask the user on a terminal. Raises GatewayError unless the answer is yes."""
    if yes:
        return
    if not sys.stdin.isatty():
        raise GatewayError("not on a terminal: --yes does it without asking, --dry-run says what would be done")
    if input(f"{question} [y/N] ").strip().lower() not in ("y", "yes"):
        raise GatewayError("nothing was done")
