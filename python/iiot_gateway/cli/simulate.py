"""`simulate`: the log of nodes that do not exist on standard output, as probe-rs would print it: a load generator for pipes and files."""

from __future__ import annotations

import argparse
import sys
import time

from iiot_gateway._native import Simulator
from iiot_gateway.cli.rejects import count
from iiot_gateway.cli.replay import moment_ns

TICK_S = 0.02
CHUNK_READINGS = 5_000


def rate(text: str) -> float | None:
    """Read `max`, or readings a second."""
    if text == "max":
        return None
    try:
        value = float(text)
    except ValueError:
        value = 0.0
    if not 1e-5 <= value <= 1e6:
        raise argparse.ArgumentTypeError(f"expected max, or readings a second from 0.00001 to 1000000, found {text!r}")
    return value


def seed(text: str) -> int:
    """Read a whole number that the extension takes."""
    if not (text.isascii() and text.isdigit()) or int(text[:20]) >= 2**63:
        raise argparse.ArgumentTypeError(f"expected a whole number from 0 to {2**63 - 1}, found {text!r}")
    return int(text)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare how many nodes, and how fast."""
    parser.add_argument("--nodes", type=count, default=3, metavar="N", help="sensor nodes: node1, node3, node4 and so on; 3 by default")
    parser.add_argument(
        "--rate",
        type=rate,
        default=1.0,
        metavar="R|max",
        help="readings a second, of all nodes together; 1 by default; max does not wait, and each node measures every 10 s",
    )
    parser.add_argument("--seed", type=seed, default=1, metavar="N", help="same seed, same start: same bytes; 1 by default")
    parser.add_argument("--start", type=moment_ns, metavar="ISO-TIME", help="when it begins, by the nodes' clock; now by default")
    parser.add_argument("--count", type=count, metavar="N", help="end after so many readings; without, Ctrl-C ends it")


def run(args: argparse.Namespace) -> int:
    """Print until the count is reached or nobody reads any more; then say what happened, on standard error."""
    start_ns = time.time_ns() if args.start is None else args.start
    try:
        simulator = Simulator(nodes=min(args.nodes, 2**32 - 1), rate_per_s=args.rate, seed=args.seed, start_ns=start_ns)
    except ValueError as error:
        print(f"iiot-gateway: {error}", file=sys.stderr)
        return 2
    try:
        _print(simulator, start_ns, args)
    finally:
        print(", ".join(f"{number} {name.replace('_', ' ')}" for name, number in simulator.counts().items()), file=sys.stderr)
    return 0


def _print(simulator: Simulator, start_ns: int, args: argparse.Namespace) -> None:
    output = sys.stdout.buffer
    left = args.count or sys.maxsize
    # Simulated time runs with that of the machine, wherever it begins.
    ahead_ns = start_ns - time.time_ns()
    while left > 0:
        until_ns = None if args.rate is None else time.time_ns() + ahead_ns
        before = simulator.counts()["readings"]
        output.write(simulator.advance(until_ns, max_readings=min(left, CHUNK_READINGS)))
        done = simulator.counts()["readings"] - before
        left -= done
        if args.rate is not None and done < CHUNK_READINGS:
            output.flush()
            if left > 0:
                time.sleep(max(TICK_S, (simulator.next_ns - ahead_ns - time.time_ns()) / 1e9))
    output.flush()
