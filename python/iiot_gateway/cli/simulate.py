"""`simulate`: prints the log of simulated LoRa nodes in the form of probe-rs, or runs simulated dosing machines or devices."""

from __future__ import annotations

import argparse
import json
import os
import signal
import sys
import time
from pathlib import Path

from iiot_gateway._native import Simulator
from iiot_gateway.cli.broker_arguments import add_broker_arguments, broker_url, ca_file_of
from iiot_gateway.cli.moments import moment_ns
from iiot_gateway.cli.rejects import count
from iiot_gateway.cli.simulate_devices import add_arguments as add_device_arguments
from iiot_gateway.cli.simulate_devices import run_devices
from iiot_gateway.errors import GatewayError

MAX_DEVICES = 200
MAX_PACE = 10_000.0
TICK_S = 0.02
CHUNK_READINGS = 5_000


def rate(text: str) -> float | None:
    """Read `max`, or readings per second."""
    if text == "max":
        return None
    try:
        value = float(text)
    except ValueError:
        value = 0.0
    if not 1e-5 <= value <= 1e6:
        raise argparse.ArgumentTypeError(f"expected max, or readings per second from 0.00001 to 1000000, found {text!r}")
    return value


def seed(text: str) -> int:
    """Read a whole number that the extension accepts as a seed."""
    if not (text.isascii() and text.isdigit()) or int(text[:20]) >= 2**63:
        raise argparse.ArgumentTypeError(f"expected a whole number from 0 to {2**63 - 1}, found {text!r}")
    return int(text)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the number of nodes or machines, and their speed."""
    parser.add_argument(
        "what",
        nargs="?",
        choices=("lora", "dosing", "devices"),
        default="lora",
        help="lora (default): the log of a LoRa receiver on standard output; dosing: machines of a dosing plant that publish to a broker; "
        "devices: ESP32s that register themselves and send, over HTTP or MQTT",
    )
    add_broker_arguments(
        parser, credentials="dosing: MQTT_USERNAME and MQTT_PASSWORD hold user and password; devices: each logs in with its key"
    )
    parser.add_argument("--devices", type=count, default=1, metavar="N", help="machines or devices, 1 to 200; 1 by default")
    parser.add_argument(
        "--clock", choices=("unix", "uptime"), default="unix", help="dosing: the format of the machines' times; unix by default"
    )
    parser.add_argument(
        "--ledger",
        metavar="FILE",
        help="dosing and devices: write the counts of sent messages to this file (JSON); without it, to standard output",
    )
    parser.add_argument("--nodes", type=count, default=3, metavar="N", help="sensor nodes: node1, node3, node4 and so on; 3 by default")
    parser.add_argument(
        "--rate",
        type=rate,
        default=1.0,
        metavar="R|max",
        help="lora: readings per second, of all nodes together; 1 by default; max does not wait, and each node measures every 10 s; "
        "dosing: how many times faster than real machines; devices: messages per second, of all together",
    )
    parser.add_argument("--seed", type=seed, default=1, metavar="N", help="same seed, same start: same bytes; 1 by default")
    parser.add_argument("--start", type=moment_ns, metavar="ISO-TIME", help="the start, by the nodes' clock; by default now")
    parser.add_argument("--count", type=count, metavar="N", help="end after this many readings or messages; without it, Ctrl-C ends it")
    add_device_arguments(parser)


def run(args: argparse.Namespace) -> int:
    """Simulate until the count is reached or the reader has gone. Then print the result."""
    if args.what == "dosing":
        return _dosing(args)
    if args.what == "devices":
        return run_devices(args)
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


def _dosing(args: argparse.Namespace) -> int:
    from iiot_gateway.plant.fleet import Fleet

    if not args.broker:
        raise GatewayError("simulate dosing needs --broker URL, such as mqtt://127.0.0.1:1883")
    if args.devices > MAX_DEVICES:
        raise GatewayError(f"--devices: expected 1 to {MAX_DEVICES}, found {args.devices}")
    broker = {
        "broker_url": broker_url(args),
        "ca_file": ca_file_of(args, args.broker),
        "username": os.environ.get("MQTT_USERNAME") or None,
        "password": os.environ.get("MQTT_PASSWORD") or None,
    }
    fleet = Fleet(broker, devices=args.devices, seed=args.seed, clock=args.clock, pace=args.rate or MAX_PACE)
    # A service manager's SIGTERM acts like Ctrl-C, so that the tally is printed too.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        fleet.run(count=args.count)
    except KeyboardInterrupt:
        pass
    finally:
        if fleet.left:
            print(f"iiot-gateway: {fleet.left} messages were not taken by the broker: {fleet.error}", file=sys.stderr)
        text = json.dumps(fleet.tally.document(), indent=2)
        if args.ledger:
            Path(args.ledger).write_text(text + "\n", encoding="utf-8")
        else:
            print(text)
    return 1 if fleet.left else 0


def _print(simulator: Simulator, start_ns: int, args: argparse.Namespace) -> None:
    output = sys.stdout.buffer
    left = args.count or sys.maxsize
    # Simulated time passes as fast as the machine's, but may begin at any time.
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
