"""`worker retire`: ends the sessions of a running gateway at its brokers, so that no queue is left behind there."""

from __future__ import annotations

import argparse
import time
from typing import Any

from iiot_gateway.config.load import load
from iiot_gateway.errors import GatewayError, GatewayUnreachable

POLL_S = 0.5
TIMEOUT_S = 600.0


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the only action."""
    actions = parser.add_subparsers(dest="action", metavar="ACTION", required=True)
    retire = actions.add_parser(
        "retire",
        help="unsubscribe the filters, take the messages that the brokers still hold, end the sessions, and wait until every sink "
        "has everything",
    )
    retire.add_argument("--config", metavar="FILE", default=argparse.SUPPRESS, help="the configuration")
    retire.add_argument("--timeout", type=float, default=TIMEOUT_S, metavar="S", help=f"give up after this time; {TIMEOUT_S:g} by default")


def run(args: argparse.Namespace) -> int:
    """Make the gateway retire, and wait until it has finished."""
    from iiot_gateway.pipeline.control import ask

    journal = load(args.config).journal_path()
    try:
        names = ask(journal, {"command": "retire"})
    except GatewayUnreachable as error:
        raise GatewayError(
            "no gateway runs with this journal: start it, so that it takes what the brokers still hold for it, and retire it then"
        ) from error
    until_s = time.monotonic() + args.timeout
    told = ""
    while True:
        status = ask(journal, {"command": "status"})
        left = _left(status, names)
        if not left:
            print(
                "retired: the brokers hold nothing for this worker, and every sink has everything. Stop it: another start subscribes again"
            )
            return 0
        if time.monotonic() >= until_s:
            raise GatewayError(f"not retired within {args.timeout:g} s; left are {left}")
        if left != told:
            print(f"left: {left}", flush=True)
            told = left
        time.sleep(POLL_S)


def _left(status: dict[str, Any], names: list[str]) -> str:
    """Return the work that is left, in words."""
    left = [f"{name} is {status['source'][name]['state']}" for name in names if status["source"][name]["state"] != "retired"]
    left += [
        f"{sink['queued']:,} frames for {name}" for name, sink in status["sinks"].items() if sink["queued"] and sink["state"] != "removed"
    ]
    return ", ".join(left)
