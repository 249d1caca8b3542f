"""Tells systemd when the gateway is ready, alive or stopping. Nothing happens if systemd did not start the gateway."""

from __future__ import annotations

import os
import socket

import anyio

READY = "READY=1"
STOPPING = "STOPPING=1"
WATCHDOG = "WATCHDOG=1"


def notify(message: str) -> bool:
    """Send a message to the socket in NOTIFY_SOCKET; see sd_notify(3). Return False if the message could not be sent."""
    address = os.environ.get("NOTIFY_SOCKET", "")
    if not address.startswith(("/", "@")):
        return False
    if address.startswith("@"):  # a socket in the abstract namespace
        address = "\0" + address[1:]
    try:
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as sock:
            sock.sendto(message.encode(), address)
    except OSError:
        return False  # systemd is gone or restarts, which must not disturb the gateway
    return True


def watchdog_interval_s() -> float | None:
    """Return half of the unit's WatchdogSec in seconds, or None without a watchdog for this process."""
    if os.environ.get("WATCHDOG_PID", str(os.getpid())) != str(os.getpid()):
        return None
    try:
        limit_us = int(os.environ.get("WATCHDOG_USEC", "0"))
    except ValueError:
        return None
    return limit_us / 2e6 if limit_us > 0 else None


async def feed_watchdog() -> None:
    """Show systemd, until cancelled, that the event loop runs."""
    interval_s = watchdog_interval_s()
    while interval_s is not None:
        notify(WATCHDOG)
        await anyio.sleep(interval_s)
