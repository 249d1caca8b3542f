"""`doctor`: try everything that the configuration names, and say what to do about what does not work."""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass

from iiot_gateway.config.load import load
from iiot_gateway.config.schema import Config
from iiot_gateway.visible import visible


@dataclass(frozen=True, slots=True)
class Finding:
    """What one trial gave. `ok` None means that it could not be told."""

    subject: str
    ok: bool | None
    detail: str
    remedy: str = ""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the form of the output."""
    parser.add_argument("--json", action="store_true", help="print JSON")


def run(args: argparse.Namespace) -> int:
    """Print a line a finding; 1 if one is bad."""
    from iiot_gateway.cli import doctor_database, doctor_history, doctor_listen, doctor_local, doctor_mqtt

    trials: list[Callable[[Config], Iterator[Finding]]] = [
        doctor_local.journal,
        doctor_history.histories,
        doctor_local.probes,
        doctor_local.serial_ports,
        doctor_mqtt.brokers,
        doctor_database.databases,
        doctor_listen.page,
    ]
    config = load(args.config)
    findings = []
    for trial in trials:
        for finding in trial(config):
            findings.append(finding)
            if not args.json:
                mark = {True: "ok  ", False: "BAD ", None: "?   "}[finding.ok]
                print(visible(f"{mark}{finding.subject}: {finding.detail}"), flush=True)
                if finding.remedy:
                    print(visible(f"      -> {finding.remedy}"), flush=True)
    if args.json:
        print(json.dumps([asdict(finding) for finding in findings], indent=2))
    return 1 if any(finding.ok is False for finding in findings) else 0
