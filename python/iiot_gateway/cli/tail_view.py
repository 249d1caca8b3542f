"""The live view of `tail` on a terminal: sinks above, values below. rich draws it, and only this file imports rich."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Any

from rich.console import Console, Group
from rich.live import Live
from rich.table import Table
from rich.text import Text

from iiot_gateway.cli.tail_feed import LOOK_S, Ask, Feed, Topic, nothing
from iiot_gateway.errors import GatewayUnreachable
from iiot_gateway.visible import visible

STATUS_S = 1.0
STALE_MS = 60_000
FRAME_LINES = 5
"""The gateway's line, two headings, the line between, and the last line."""
GOOD_STATES = ("connected", "stopped")


def show(feed: Feed, ask: Ask, patterns: Sequence[str]) -> None:
    """Draw until Ctrl-C. If the gateway stops, wait until it runs again."""
    console = Console()
    status: dict[str, Any] | None = None
    status_s = float("-inf")
    gone = False
    with Live(console=console, screen=True, auto_refresh=False) as live:
        try:
            while True:
                try:
                    if time.monotonic() - status_s >= STATUS_S:
                        status, status_s = ask({"command": "status"}), time.monotonic()
                    feed.look()
                    gone = False
                except GatewayUnreachable:
                    gone = True
                live.update(picture(feed, status, patterns, height=console.height, gone=gone), refresh=True)
                time.sleep(LOOK_S)
        except KeyboardInterrupt:
            return


def picture(feed: Feed, status: dict[str, Any] | None, patterns: Sequence[str], *, height: int, gone: bool) -> Group:
    """Return the present content of the screen."""
    parts: list[Any] = [_gateway(status, gone=gone)]
    sinks = status["sinks"] if status else {}
    if sinks:
        parts += [_sinks(sinks), Text()]
    topics = sorted(feed.topics.values(), key=lambda topic: topic.name)
    room = max(1, height - FRAME_LINES - len(sinks))
    if not topics:
        parts.append(Text(nothing(feed, list(patterns)), style="yellow"))
    else:
        parts.append(_values(topics[:room]))
    if len(topics) > room:
        parts.append(Text(f"... and {len(topics) - room} more; a pattern or a larger window shows them", style="dim"))
    return Group(*parts)


def _gateway(status: dict[str, Any] | None, *, gone: bool) -> Text:
    if gone or not status:
        return Text("the gateway has gone; waiting for it", style="bold red")
    gateway, intake = status["gateway"], status["intake"]
    return Text(
        f"iiot-gateway {gateway['version']}, up {_age(int(gateway['uptime_s'] * 1000))}, {gateway['frames_per_s']:g} frames/s: "
        f"{intake['received']} received, {intake['accepted']} accepted, {intake['duplicate']} duplicate, {intake['rejected']} rejected",
        style="bold",
        no_wrap=True,
        overflow="ellipsis",
    )


def _sinks(sinks: dict[str, Any]) -> Table:
    table = Table("sink", "state", box=None, pad_edge=False)
    for heading in ("delivered", "queued", "rejected", "dropped"):
        table.add_column(heading, justify="right")
    for name, sink in sinks.items():
        state = str(sink["state"]) + (f": {visible(str(sink['last_error']))}" if sink.get("last_error") else "")
        style = "green" if sink["state"] in GOOD_STATES else "red"
        counts = (str(sink.get(key, 0)) for key in ("delivered", "queued", "rejected", "dropped"))
        table.add_row(Text(name), Text(state, style=style, no_wrap=True, overflow="ellipsis"), *counts)
    return table


def _values(topics: Sequence[Topic]) -> Table:
    table = Table("topic", box=None, pad_edge=False)
    table.add_column("value", justify="right")
    table.add_column("unit")
    table.add_column("age", justify="right")
    table.add_column("per second", justify="right")
    now_ms, now_s = time.time_ns() // 1_000_000, time.monotonic()
    for topic in topics:
        age_ms = now_ms - topic.received_at_ms
        cells = (visible(topic.name), visible(topic.value), visible(topic.unit or ""), _age(age_ms), f"{topic.rate(now_s):.1f}")
        table.add_row(*(Text(cell, no_wrap=True, overflow="ellipsis") for cell in cells), style="dim" if age_ms > STALE_MS else "")
    return table


def _age(age_ms: int) -> str:
    seconds = max(0, age_ms) / 1000
    if seconds < 10:
        return f"{seconds:.1f} s"
    if seconds < 120:
        return f"{seconds:.0f} s"
    if seconds < 7200:
        return f"{seconds / 60:.0f} min"
    return f"{seconds / 3600:.0f} h" if seconds < 172_800 else f"{seconds / 86400:.0f} d"
