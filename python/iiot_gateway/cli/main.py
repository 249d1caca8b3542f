"""`iiot-gateway COMMAND`: finds the command, imports only its file, and prints an error as one line.

Exit codes: 0 done; 1 an error with a message; 2 wrong arguments. With `--once` also: 3 a sink rejected or dropped frames; 4 not done in
time; 5 the recording is torn or holds no document, and its readable part is delivered.
"""

from __future__ import annotations

import argparse
import importlib
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from iiot_gateway import __version__
from iiot_gateway.cli import streams
from iiot_gateway.errors import GatewayError
from iiot_gateway.visible import visible

COMMANDS = {
    "run": "run the gateway",
    "demo": "simulated nodes, a broker, a history and a web page, on this machine alone",
    "replay": "play a recorded log through the gateway",
    "twin": "run the nodes' firmware in QEMU, with radios and air, and the gateway behind it",
    "record": "write a source's raw bytes with arrival times to a file",
    "simulate": "print the log of simulated nodes, or publish as dosing machines do",
    "decode": "print the topics and lines of a log without sending anything",
    "check": "check the configuration and its profiles",
    "doctor": "try broker, database, probe, serial port, journal and addresses, and say what to do",
    "status": "print what happened to every frame",
    "tail": "watch values as they arrive; in a pipe, one line for each",
    "devices": "the registry of devices: add, list, change, disable and remove them; keys",
    "rejects": "list data that could not be used or delivered; `rejects retry` offers it again",
    "alerts": "list rules, present alerts and waiting notifications; `alerts test` sends a test",
    "history": "list, print and export the points of the local history",
    "worker": "`worker retire` ends the sessions of a running gateway at its brokers",
    "fleet": "`fleet status` compares the ledgers of sites and workers",
    "influxdb": "set up, query and delete in InfluxDB 2",
    "postgresql": "make, query and maintain a plant's tables in PostgreSQL; let a copied journal continue with a database",
    "backup": "copy journal, histories, registry and configuration into a new folder, also beside the running gateway; `backup verify`",
    "restore": "restore a backup to its old place, or into another folder",
    "import": "`import telegraf` imports telegraf.conf files, and reports the result for each key",
    "profile": "`profile test` shows what documents yield; `profile template` prints a commented profile",
    "config": "`config template` prints a commented configuration with all defaults",
    "version": "print the version",
}

if not (Path(__file__).parent / "twin.py").is_file():
    del COMMANDS["twin"]  # the wheel does not contain the emulation, because that needs the firmware, which a checkout builds
MODULES = {"import": "import_telegraf"}
"""Commands whose file has a different name."""

EXIT_ERROR = 1
EXIT_INTERRUPTED = 130


def main(argv: Sequence[str] | None = None) -> int:
    """Run a command and return its exit code."""
    streams.prepare()
    try:
        try:
            return _run(list(sys.argv[1:] if argv is None else argv))
        finally:
            streams.close_output()
    except (GatewayError, BaseExceptionGroup) as error:
        known, other = _parted(error)
        if other is not None:
            raise other from None
        for line in "\n".join(str(leaf) for leaf in known).split("\n"):
            print(f"iiot-gateway: {visible(line)}", file=sys.stderr)
        return EXIT_ERROR
    except KeyboardInterrupt:
        return EXIT_INTERRUPTED
    except BrokenPipeError:
        # The reader of standard output has gone (`| head`).
        return EXIT_ERROR


def _run(arguments: list[str]) -> int:
    parser = argparse.ArgumentParser(prog="iiot-gateway", description="Telemetry to MQTT and time-series databases.")
    parser.add_argument("--version", action="version", version=__version__)
    commands = parser.add_subparsers(dest="command", metavar="COMMAND", required=True)
    named = next((word for word in arguments if not word.startswith("-")), None)
    module = None
    # Make only the parser that is needed, because `run` keeps it in memory for months. For a wrong command, make all, to list them.
    wanted = {named: COMMANDS[named]} if named in COMMANDS else COMMANDS
    for name, sentence in wanted.items():
        command = commands.add_parser(name, help=sentence, description=f"{sentence[0].upper()}{sentence[1:]}.")
        command.add_argument("--config", metavar="FILE", help="the configuration; config.toml by default, if it is there")
        if name == named:
            module = importlib.import_module(f"iiot_gateway.cli.{MODULES.get(name, name)}")
            module.add_arguments(command)
    chosen, behind = parser.parse_known_args(arguments)
    # argparse accepts the words of one argument only in one place, but in `backup verify --restore DIR` they are in two.
    if behind and hasattr(chosen, "words") and not any(word.startswith("-") for word in behind):
        chosen.words += behind
    elif behind:
        parser.error(f"unrecognized arguments: {' '.join(behind)}")
    if module is None:
        parser.error("a command is needed")
    return int(module.run(chosen))


def _parted(error: BaseException) -> tuple[list[BaseException], BaseException | None]:
    """Separate errors for the operator from faults in the program. A task group wraps both."""
    if isinstance(error, GatewayError):
        return [error], None
    if not isinstance(error, BaseExceptionGroup):
        return [], error
    known, other = error.split(GatewayError)
    return ([] if known is None else _leaves(known)), other


def _leaves(group: BaseExceptionGroup[Any]) -> list[BaseException]:
    leaves: list[BaseException] = []
    for error in group.exceptions:
        leaves += _leaves(error) if isinstance(error, BaseExceptionGroup) else [error]
    return leaves
