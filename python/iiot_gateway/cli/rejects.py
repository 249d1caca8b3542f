"""`rejects`: lists data that could not be used or delivered, newest first; `rejects retry` offers it again with the present profiles."""

from __future__ import annotations

import argparse
import datetime as dt
import json
from typing import Any

from iiot_gateway.config.load import load
from iiot_gateway.config.schema import Config
from iiot_gateway.errors import GatewayError, GatewayUnreachable
from iiot_gateway.visible import visible


def count(text: str) -> int:
    """Read a whole number above 0."""
    if not (text.isascii() and text.isdigit()) or not 0 < int(text[:20]) < 2**63:
        raise argparse.ArgumentTypeError(f"expected a whole number above 0, found {text!r}")
    return int(text)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the list and the retry."""
    parser.add_argument("action", nargs="?", choices=["list", "retry"], default="list")
    parser.add_argument("--limit", type=count, default=100, metavar="N", help="how many to list; 100 by default")
    parser.add_argument("--id", type=count, metavar="N", help="with retry: only this one")
    parser.add_argument("--json", action="store_true", help="print JSON")


def run(args: argparse.Namespace) -> int:
    """List or retry rejects."""
    config = load(args.config)
    if args.action == "retry":
        result = _retry(config, args.id)
        print(json.dumps(result) if args.json else ", ".join(f"{number} {key.replace('_', ' ')}" for key, number in result.items()))
        return 0
    if args.id is not None:
        raise GatewayError("--id goes with retry")
    rejects = _list(config, args.limit)
    if args.json:
        print(json.dumps(rejects, indent=2))
    elif not rejects:
        print("no rejects")
    else:
        print("\n".join(visible(_line(reject)) for reject in rejects))
    return 0


def _list(config: Config, limit: int) -> list[dict[str, Any]]:
    from iiot_gateway.pipeline.control import ask

    try:
        rejects: list[dict[str, Any]] = ask(config.journal_path(), {"command": "rejects", "limit": limit})
    except GatewayUnreachable:
        from iiot_gateway.journal import inspect_rejects

        return inspect_rejects(config, limit)
    return rejects


def _retry(config: Config, reject_id: int | None) -> dict[str, int]:
    from iiot_gateway.pipeline.control import ask

    try:
        result: dict[str, int] = ask(config.journal_path(), {"command": "retry", "id": reject_id})
    except GatewayUnreachable:
        from iiot_gateway.journal import open_journal, retry
        from iiot_gateway.registry.directory import registered

        journal = open_journal(config, keep_sinks=True)
        try:
            return retry(config, journal, None if reject_id is None else [reject_id], registered(config))
        finally:
            journal.close()
    return result


def _line(reject: dict[str, Any]) -> str:
    at = dt.datetime.fromtimestamp(reject["at_ns"] / 1e9, tz=dt.UTC).isoformat(timespec="seconds")
    where = reject["sink"] or "intake"
    place, topic = reject.get("place") or "", reject.get("topic") or ""
    origin = reject["source"]
    # The place of a message is its topic already.
    if topic and topic not in place:
        origin += f" under {topic}"
    if place:
        origin += f" at {place}"
    return f"#{reject['id']}  {at}  {where}  {origin}: {reject['reason']}: {reject['excerpt']}"
