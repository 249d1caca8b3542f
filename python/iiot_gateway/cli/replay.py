"""`replay FILE`: plays a recorded log, which may be plain, gzip or made by `record`; `-` is standard input."""

from __future__ import annotations

import argparse
import sys
from typing import TYPE_CHECKING, Any

import anyio

from iiot_gateway.cli.durations import seconds
from iiot_gateway.cli.moments import moment_ns
from iiot_gateway.cli.run import start
from iiot_gateway.config.load import load
from iiot_gateway.errors import GatewayError

if TYPE_CHECKING:
    from iiot_gateway.pipeline.views import Views


def speed(text: str) -> float | None:
    """Read `max` or a number above 0."""
    if text == "max":
        return None
    try:
        value = float(text)
    except ValueError:
        value = 0.0
    if not 0.0 < value < float("inf"):
        raise argparse.ArgumentTypeError(f"expected max or a number above 0, found {text!r}")
    return value


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the file and the way to play it."""
    parser.add_argument("file", metavar="FILE", help="the log; - reads standard input")
    parser.add_argument("--speed", type=speed, default=1.0, metavar="N|max", help="times real time; 1 by default")
    parser.add_argument(
        "--start",
        type=moment_ns,
        metavar="ISO-TIME",
        help="the time of the first document; later ones follow the node's clock",
    )
    parser.add_argument(
        "--once",
        action="store_true",
        help="end when everything is delivered: 0 all, 3 a sink rejected or dropped, 4 not in time, 5 torn or without documents",
    )
    parser.add_argument("--from-start", action="store_true", help="begin again; duplicates and clock are forgotten")
    parser.add_argument("--timeout", type=seconds, metavar="S", help="with --once: give up after this many seconds")
    parser.add_argument("--source-name", default="replay", metavar="NAME", help="the source's name in journal and status")


def run(args: argparse.Namespace) -> int:
    """Play until everything is delivered (--once), or until a signal."""
    from iiot_gateway.sources.played import Replay

    config = load(args.config)
    replay = Replay(path=args.file, source_name=args.source_name, start_ns=args.start, speed=args.speed, from_start=args.from_start)
    services = (_progress,) if sys.stderr.isatty() else ()
    try:
        return start(config, replay=replay, once=args.once, timeout_s=args.timeout, services=services)
    except OSError as error:
        raise GatewayError(f"{args.file} cannot be read: {error.strerror}") from error


async def _progress(views: Views) -> None:
    """Draw a progress bar on standard error, four times per second. The last state stays visible."""
    from iiot_gateway.log import draw

    source: Any = views.status.sources[0]
    total = 0
    try:
        while (progress := source.progress()) is not None:
            done, total = progress
            draw(_bar(done, total, source.status.documents))
            await anyio.sleep(0.25)
    finally:
        done, total = source.progress() or (total, total)
        draw(_bar(done, total, source.status.documents))
        draw("\n")


def _bar(done: int, total: int, documents: int) -> str:
    """Return a line that ends with a carriage return, so that log lines overwrite it. The total of a stream is unknown."""
    filled = min(30, 30 * done // total) if total else 0
    bar = f"[{'#' * filled}{'.' * (30 - filled)}] {100 * done // total:3d} %  " if total else ""
    return f"{bar}{documents} documents\r"
