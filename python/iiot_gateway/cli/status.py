"""`status`: prints the ledger of the running gateway, or from the journal of a stopped one."""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterator
from typing import Any

from iiot_gateway.config.load import load
from iiot_gateway.errors import GatewayUnreachable
from iiot_gateway.visible import visible

INTAKE = ("received", "accepted", "duplicate", "rejected", "lost_on_air")
LEDGER = ("delivered", "queued", "rejected", "dropped", "superseded")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the form of the output."""
    parser.add_argument("--json", action="store_true", help="print the document as JSON")


def run(args: argparse.Namespace) -> int:
    """Print the status document."""
    document = fetch(args.config)
    print(json.dumps(document, indent=2) if args.json else table(document))
    return 0


def fetch(config_path: str | None) -> dict[str, Any]:
    """Ask the running gateway, or read the journal of a stopped one. Raises JournalUnusable if there is no journal."""
    from iiot_gateway.pipeline.control import ask

    config = load(config_path)
    try:
        document: dict[str, Any] = ask(config.journal_path(), {"command": "status"})
    except GatewayUnreachable:
        from iiot_gateway.journal import inspect
        from iiot_gateway.pipeline.status import of_stopped

        return of_stopped(inspect(config))
    return document


def table(document: dict[str, Any]) -> str:
    """Return the document as text for people."""
    gateway, intake, journal = document["gateway"], document["intake"], document["journal"]
    lines = [
        f"gateway   {gateway['version']}, up {_duration(gateway['uptime_s'])}, {gateway['frames_per_s']:g} frames/s"
        if gateway
        else "gateway   not running",
        "intake    " + ", ".join(f"{_count(intake.get(key, 0))} {key.replace('_', ' ')}" for key in INTAKE),
        "journal   " + _journal(journal),
    ]
    if ignored := intake.get("ignored_kinds"):
        lines.insert(2, "ignored   " + ", ".join(f"{_count(count)} {name}" for name, count in ignored.items()))
    if skipped := intake.get("skipped_kinds"):
        lines.insert(2, "skipped   " + ", ".join(f"{_count(count)} {name}" for name, count in skipped.items()))
    lines += _troubles(document)
    if document["sinks"]:
        lines += ["", f"{'sink':<20}" + "".join(f"{key:>13}" for key in LEDGER) + "  state"]
    for name, sink in document["sinks"].items():
        counts = "".join(f"{_count(sink.get(key, 0)):>13}" for key in LEDGER)
        error = visible(f" ({sink['last_error']})") if sink.get("last_error") else ""
        lines.append(f"{name:<20}{counts}  {sink['state']}{error}")
    if document["source"]:
        lines += ["", f"{'source':<20}{'bytes':>13}{'documents':>13}{'restarts':>13}  state"]
    for name, source in document["source"].items():
        detail = visible(f" ({source['detail']})") if source["detail"] else ""
        counts = "".join(f"{_count(source[key]):>13}" for key in ("bytes", "documents", "restarts"))
        lines.append(f"{name:<20}{counts}  {source['state']}{detail}")
    if sites := document.get("sites"):
        lines += ["", f"{'site':<40}{'values':>13}{'doubles':>13}"]
        lines += [f"{origin:<40}{_count(site['received']):>13}{_count(site['doubles']):>13}" for origin, site in sites.items()]
    return "\n".join(lines)


def _troubles(document: dict[str, Any]) -> Iterator[str]:
    """Yield one line per kind of trouble, and per note on the configuration."""
    if lost := document["intake"].get("sessions_lost"):
        yield "sessions  " + ", ".join(f"{name} lost {_count(count)}" for name, count in lost.items()) + ": messages may be missing"
    for by, reasons in document.get("refused", {}).items():
        if reasons:
            yield f"refused   by {by}: " + ", ".join(f"{_count(count)} {reason}" for reason, count in reasons.items())
    gateway = document["gateway"] or {}
    if gateway.get("log_lines_lost"):
        yield f"log       {_count(gateway['log_lines_lost'])} lines could not be written to standard error"
    for note in gateway.get("notes", ()):
        yield visible(f"note      {note}")


def _journal(journal: dict[str, Any]) -> str:
    text = f"{_count(journal.get('frames', 0))} frames in {journal.get('bytes', 0) / 1e6:.1f} MB"
    hours = journal.get("hours_left")
    if hours is None:
        return text
    room = f"{hours:.1f} hours" if hours >= 1 else f"{hours * 60:.0f} minutes" if hours >= 1 / 60 else "less than a minute"
    return f"{text}; at the present rate there is room for {room}"


def _count(value: float) -> str:
    return f"{value:,}".replace(",", " ")


def _duration(seconds: float) -> str:
    minutes, rest = divmod(int(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes} min" if hours else f"{minutes} min {rest} s"
