"""probe-rs without a probe: `fake-probe-rs run ... FIRMWARE` runs the firmware in QEMU and prints its RTT channel as probe-rs does.

It takes probe-rs's arguments. The node's folder, with its settings and the sockets of its chips and its radio, is named by
IIOT_EMULATED_NODE; without it the node has neither. Text channels are printed with the prefix that probe-rs puts before each polled
piece when there are several; a channel named `defmt` is read and thrown away, because only probe-rs can read it.
"""

from __future__ import annotations

import argparse
import os
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from types import FrameType
from typing import NoReturn

from iiot_gateway.devices.board import QMP, START_S, qemu_command
from iiot_gateway.devices.rtt import Memory, Rtt, control_block, ram_of
from iiot_gateway.errors import GatewayError

VERSION = "probe-rs 0.32.0 (git commit: fake)"
POLL_S = 0.02
FLAGS = ("--non-interactive", "--no-catch-reset", "--no-location", "--no-timestamps", "--preverify", "--disable-progressbars")
VALUES = ("--chip", "--rtt-channel-mode", "--probe", "--log-format", "--attach-timeout")


def arguments(words: list[str]) -> argparse.Namespace:
    """Read probe-rs's command line; an unknown option ends with exit code 2, as in probe-rs."""
    parser = argparse.ArgumentParser(prog="fake-probe-rs", description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--version", action="version", version=VERSION)
    commands = parser.add_subparsers(dest="command", required=True)
    commands.add_parser("list")
    for name in ("run", "attach"):
        command = commands.add_parser(name)
        for flag in FLAGS:
            command.add_argument(flag, action="store_true")
        for value in VALUES:
            command.add_argument(value)
        command.add_argument("firmware", type=Path)
    return parser.parse_args(words)


def main(words: list[str] | None = None) -> int:
    """Run until a signal (exit code 0) or until the machine ends (1)."""
    args = arguments(sys.argv[1:] if words is None else words)
    if args.command == "list":
        print("The following debug probes were found:\n[0]: QEMU -- 0000:0000:EMULATED (none)")
        return 0
    try:
        with tempfile.TemporaryDirectory(prefix="fake-probe-rs-") as spare:
            return run(args.firmware, os.environ.get("IIOT_EMULATED_NODE") or spare)
    except (GatewayError, OSError) as error:
        print(f"Error: {error}", file=sys.stderr)
        return 1


def run(firmware: Path, folder: str) -> int:
    """Run the machine and print its channels. Raises GatewayError."""
    block = control_block(firmware)
    command = qemu_command(firmware, Path(folder))
    command = without_sockets(command, Path(folder))
    with subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE) as machine:
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, end)
        try:
            print(f"    Finished in {time.monotonic() % 1:.2f}s", file=sys.stderr, flush=True)
            with Memory(machine.pid, memory_of(machine, Path(folder) / QMP)) as memory:
                follow(machine, Rtt(memory, block))
        finally:
            machine.kill()
    return 1


def without_sockets(command: list[str], folder: Path) -> list[str]:
    """Leave out missing files: a node without settings uses the defaults, and a UART without a socket is not connected."""
    kept: list[str] = []
    for word in command:
        path = word.removeprefix("unix:").removeprefix("loader,file=").partition(",")[0]
        if path.startswith(str(folder)) and not path.endswith(QMP) and not os.path.exists(path):
            if word.startswith("loader"):
                kept.pop()
            else:
                kept.append("null")
        else:
            kept.append(word)
    return kept


def end(_number: int, _frame: FrameType | None) -> NoReturn:
    """End in order, as probe-rs does."""
    print("Exited by user request", flush=True)
    raise SystemExit(0)


def memory_of(machine: subprocess.Popen[bytes], qmp: Path) -> int:
    """Wait for the monitor, and return the place of the RAM. Raises GatewayError if the machine ends instead."""
    deadline_s = time.monotonic() + START_S
    while True:
        try:
            return ram_of(qmp)
        except OSError as error:
            if machine.poll() is not None:
                said = machine.stderr.read().decode(errors="replace") if machine.stderr else ""
                raise GatewayError(f"QEMU ended with {machine.returncode}: {said.strip()[-400:]}") from error
            if time.monotonic() > deadline_s:
                raise GatewayError(f"QEMU's monitor did not answer within {START_S:g} s") from error
            time.sleep(POLL_S)


def follow(machine: subprocess.Popen[bytes], rtt: Rtt) -> None:
    """Print the channels until the machine ends."""
    out = sys.stdout.buffer
    while machine.poll() is None:
        channels = rtt.channels()
        for number, channel in enumerate(channels):
            data = rtt.read(channel)
            # The firmware of these nodes keeps its logs on the last channel.
            if not data or channel.name == "defmt" or (not channel.name and number):
                continue
            if len(channels) > 1:
                out.write(f"[{channel.name or 'Terminal'}] ".encode())
            out.write(data)
            out.flush()
        time.sleep(POLL_S)


if __name__ == "__main__":
    sys.exit(main())
