"""`doctor`: tries everything that the configuration names, and suggests a remedy for each fault."""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import asdict
from functools import partial
from typing import Any

from iiot_gateway.config.load import load
from iiot_gateway.config.schema import Config
from iiot_gateway.errors import GatewayError
from iiot_gateway.findings import Finding, Running
from iiot_gateway.visible import visible


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the form of the output."""
    parser.add_argument("--json", action="store_true", help="print JSON")


def run(args: argparse.Namespace) -> int:
    """Print one line per finding. Return 1 if a finding is bad."""
    config = load(args.config)
    running = partial(_running, config)
    findings = []
    for finding in _findings(config, running):
        findings.append(finding)
        if not args.json:
            mark = {True: "ok  ", False: "BAD ", None: "?   "}[finding.ok]
            print(visible(f"{mark}{finding.subject}: {finding.detail}"), flush=True)
            if finding.remedy:
                print(visible(f"      -> {finding.remedy}"), flush=True)
    if args.json:
        print(json.dumps([asdict(finding) for finding in findings], indent=2))
    return 1 if any(finding.ok is False for finding in findings) else 0


def _findings(config: Config, running: Running) -> Iterator[Finding]:
    """Yield the findings about the parts of every gateway, and about each component."""
    from iiot_gateway.cli.doctor_journal import journal
    from iiot_gateway.cli.doctor_listen import page

    yield from journal(config)
    for component in config.components:
        yield from component.doctor(config, running)
    yield from page(config, running)


def _running(config: Config) -> dict[str, Any] | None:
    """Return the status document of the running gateway; None if no gateway runs."""
    from iiot_gateway.pipeline.control import ask

    with suppress(GatewayError):
        status: dict[str, Any] = ask(config.journal_path(), {"command": "status"})
        return status
    return None
