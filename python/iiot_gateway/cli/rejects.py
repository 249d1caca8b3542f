"""`rejects`: lists data that could not be used or delivered, newest first; `rejects retry` offers it again with the present profiles."""

from __future__ import annotations

import argparse
import datetime as dt
import json
import sys
from typing import Any

from iiot_gateway.config.load import load
from iiot_gateway.config.schema import Config
from iiot_gateway.errors import GatewayError, GatewayUnreachable
from iiot_gateway.visible import visible

MOST_SEARCHED = 100_000
"""More rejects than these are not searched for those of a source or sink, so that an answer stays below some 50 MB."""
INTAKE = "intake"
"""What stands for the sink in rejects of documents and values that were not accepted."""


def count(text: str) -> int:
    """Read a whole number above 0."""
    if not (text.isascii() and text.isdigit()) or not 0 < int(text[:20]) < 2**63:
        raise argparse.ArgumentTypeError(f"expected a whole number above 0, found {text!r}")
    return int(text)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the list and the retry."""
    parser.add_argument("action", nargs="?", choices=["list", "retry"], default="list")
    parser.add_argument("--limit", type=count, default=100, metavar="N", help="how many to list; 100 by default")
    parser.add_argument("--source", metavar="NAME", help="list only those of this source")
    parser.add_argument("--sink", metavar="NAME", help=f"list only those of this sink; {INTAKE} for data that was not accepted")
    parser.add_argument("--id", type=count, metavar="N", help="with retry: only this one")
    parser.add_argument("--json", action="store_true", help="print JSON")


def run(args: argparse.Namespace) -> int:
    """List or retry rejects."""
    config = load(args.config)
    if args.action == "retry":
        if args.source is not None or args.sink is not None:
            raise GatewayError("--source and --sink go with the list")
        result = _retry(config, args.id)
        print(json.dumps(result) if args.json else ", ".join(f"{number} {key.replace('_', ' ')}" for key, number in result.items()))
        return 0
    if args.id is not None:
        raise GatewayError("--id goes with retry")
    is_choice = args.source is not None or args.sink is not None
    asked = max(args.limit, MOST_SEARCHED) if is_choice else args.limit
    known = _list(config, asked)
    is_cut = len(known) == asked
    wanted = [reject for reject in known if args.source in (None, reject["source"]) and args.sink in (None, _sink(reject))]
    shown = wanted[: args.limit]
    if args.json:
        print(json.dumps(shown, indent=2))
    elif shown:
        print("\n".join(visible(_line(reject)) for reject in shown))
    elif not known:
        print("no rejects")
    else:
        print(visible(_others(known)))
    total = _count(config) if is_cut and not is_choice else len(wanted)
    if len(shown) < total:
        at_least = "at least " if is_cut and is_choice else ""
        # JSON stays a list.
        print(f"{len(shown)} of {at_least}{total} rejects; `--limit N` shows more", file=sys.stderr if args.json else sys.stdout)
    return 0


def _sink(reject: dict[str, Any]) -> str:
    return reject["sink"] or INTAKE


def _others(rejects: list[dict[str, Any]]) -> str:
    """Return a line about rejects of which none has the wanted source and sink."""
    sources = ", ".join(sorted({reject["source"] for reject in rejects}))
    sinks = ", ".join(sorted({_sink(reject) for reject in rejects}))
    return f"no such rejects; there are rejects of the sources {sources} and the sinks {sinks}"


def _list(config: Config, limit: int) -> list[dict[str, Any]]:
    from iiot_gateway.pipeline.control import ask

    try:
        rejects: list[dict[str, Any]] = ask(config.journal_path(), {"command": "rejects", "limit": limit})
    except GatewayUnreachable:
        from iiot_gateway.journal import inspect_rejects

        return inspect_rejects(config, limit)
    return rejects


def _count(config: Config) -> int:
    from iiot_gateway.pipeline.control import ask

    try:
        status: dict[str, Any] = ask(config.journal_path(), {"command": "status"})
    except GatewayUnreachable:
        from iiot_gateway.journal import inspect

        status = inspect(config)
    return int(status["journal"]["rejects"])


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
    place, topic = reject.get("place") or "", reject.get("topic") or ""
    origin = reject["source"]
    # The place of a message is its topic already.
    if topic and topic not in place:
        origin += f" under {topic}"
    if place:
        origin += f" at {place}"
    return f"#{reject['id']}  {at}  {_sink(reject)}  {origin}: {reject['reason']}: {reject['excerpt']}"
