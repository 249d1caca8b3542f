"""`tail`: shows the newest values of the running gateway, as a live view on a terminal or as `topic value` lines in a pipe."""

from __future__ import annotations

import argparse
import select
import sys
from typing import Any

from iiot_gateway.cli.tail_feed import LOOK_S, Feed, nothing
from iiot_gateway.cli.topics import pattern_fault
from iiot_gateway.config.load import load
from iiot_gateway.errors import GatewayError, GatewayUnreachable, command
from iiot_gateway.visible import visible

WITHOUT_VIEW = f"iiot-gateway: lines only; the live view needs rich ({sys.executable} -m pip install rich)"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the topic patterns."""
    parser.add_argument(
        "patterns",
        nargs="*",
        metavar="PATTERN",
        type=_pattern,
        help="topics: + stands for one level, # for all that follow; all by default",
    )
    parser.add_argument("--lines", action="store_true", help="print lines on a terminal, too")


def run(args: argparse.Namespace) -> int:
    """Show values until Ctrl-C, or until the reader has gone."""
    from iiot_gateway.pipeline.control import ask

    path = load(args.config).journal_path()

    def ask_gateway(request: dict[str, Any]) -> Any:
        return ask(path, request)

    feed = Feed(ask_gateway, args.patterns)
    try:
        first = feed.look()
    except GatewayUnreachable as error:
        raise GatewayError(f"{error}; start it with `{command('run')}`, or name its configuration with --config") from error
    if sys.stdout.isatty() and not args.lines:
        try:
            from iiot_gateway.cli.tail_view import show
        except ModuleNotFoundError as error:
            if error.name != "rich":
                raise
            print(WITHOUT_VIEW, file=sys.stderr)
        else:
            show(feed, ask_gateway, args.patterns)
            return 0
    if not feed.topics:
        print(f"iiot-gateway: {nothing(feed, args.patterns)}", file=sys.stderr)
    print_lines(feed, first)
    return 0


def _pattern(text: str) -> str:
    if fault := pattern_fault(text):
        raise argparse.ArgumentTypeError(f"{text!r} is no topic pattern: {fault}; like iiot/+/temperature or iiot/node1/#")
    return text


def print_lines(feed: Feed, topics: list[Any]) -> None:
    """Print new values, without an end. Raises BrokenPipeError when the reader has gone."""
    output = select.poll()
    output.register(sys.stdout.fileno(), 0)  # poll always reports errors, such as the closed other end of a pipe
    gone = False
    while True:
        sys.stdout.writelines(f"{visible(topic.name)} {visible(topic.value)}\n" for topic in topics)
        sys.stdout.flush()
        topics = []
        if output.poll(LOOK_S * 1000):
            raise BrokenPipeError
        try:
            topics = feed.look()
        except GatewayUnreachable:
            if not gone:
                print("iiot-gateway: the gateway has gone; waiting for it", file=sys.stderr)
            gone = True
            continue
        if gone:
            print("iiot-gateway: the gateway is back", file=sys.stderr)
        gone = False
