"""Tell systemd that the gateway is ready, alive and stopping; nothing happens where systemd did not start it."""

from __future__ import annotations

import os
import socket

import anyio

READY = "READY=1"
STOPPING = "STOPPING=1"
WATCHDOG = "WATCHDOG=1"


def notify(message: str) -> bool:
    """Send a message to the socket in NOTIFY_SOCKET; see sd_notify(3). False if there is none."""
    address = os.environ.get("NOTIFY_SOCKET", "")
    if not address.startswith(("/", "@")):
        return False
    if address.startswith("@"):  # the abstract namespace
        address = "\0" + address[1:]
    try:
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as sock:
            sock.sendto(message.encode(), address)
    except OSError:
        return False  # systemd is gone or restarts; the gateway must not mind
    return True


def watchdog_interval_s() -> float | None:
    """Return half of what the unit's WatchdogSec allows, None without a watchdog for this process."""
    if os.environ.get("WATCHDOG_PID", str(os.getpid())) != str(os.getpid()):
        return None
    try:
        limit_us = int(os.environ.get("WATCHDOG_USEC", "0"))
    except ValueError:
        return None
    return limit_us / 2e6 if limit_us > 0 else None


async def feed_watchdog() -> None:
    """Show that the event loop turns; for ever."""
    interval_s = watchdog_interval_s()
    while interval_s is not None:
        notify(WATCHDOG)
        await anyio.sleep(interval_s)
