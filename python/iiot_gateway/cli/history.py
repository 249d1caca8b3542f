"""`history`: shows series, last values and ranges of a history, and exports it as CSV or Parquet. The gateway may run meanwhile."""

from __future__ import annotations

import argparse
import json
import sys
from typing import Any

from iiot_gateway._native import AGGREGATES, HistoryError, HistoryReader
from iiot_gateway.cli.durations import duration_ns
from iiot_gateway.cli.moments import moment, moment_ns
from iiot_gateway.cli.rejects import count
from iiot_gateway.cli.topics import topic_matches
from iiot_gateway.config.load import load
from iiot_gateway.errors import GatewayError, HistoryUnusable, command
from iiot_gateway.sinks.history.section import histories
from iiot_gateway.visible import visible

DAY_NS = 86_400 * 10**9
LAST_NS = 2**63 - 1


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the actions."""
    _which(parser)
    actions = parser.add_subparsers(dest="action", metavar="ACTION")
    listing = actions.add_parser("list", help="series with their number, topic, times and points (the default)")
    last = actions.add_parser("last", help="the last value of each series, with the text in which it arrived")
    for action in (listing, last):
        action.add_argument("--json", action="store_true", help="print JSON")
    ranging = actions.add_parser("range", help="points of one series, or buckets of them")
    ranging.add_argument(
        "--every", type=duration_ns, default=0, metavar="T", help="the width of buckets: 30s, 5m, 1h, 1d; points without it"
    )
    ranging.add_argument("--agg", choices=AGGREGATES, default="mean", help="how the points of a bucket are combined; mean by default")
    ranging.add_argument("--limit", type=count, default=100_000, metavar="N", help="the most lines; 100000 by default")
    exporting = actions.add_parser("export", help="points as a file: time, topic, measurement, tags, field, value")
    form = exporting.add_mutually_exclusive_group(required=True)
    form.add_argument("--csv", metavar="FILE", help="write CSV; - is standard output")
    form.add_argument("--parquet", metavar="FILE", help="write Parquet; needs pyarrow (pip install 'iiot-gateway[parquet]')")
    exporting.add_argument("--force", action="store_true", help="overwrite the file")
    for action in (ranging, exporting):
        action.add_argument("--start", type=moment_ns, metavar="ISO-TIME", help="from here on")
        action.add_argument("--end", type=moment_ns, metavar="ISO-TIME", help="the end of the range; by default behind the last point")
        action.add_argument(
            "--since", type=duration_ns, metavar="T", help="the length of the range before its end, instead of --start; range uses 1d"
        )
    wanted = "number or topic, as `history` lists them; + and # stand for levels of topics"
    ranging.add_argument("series", metavar="SERIES", help=wanted)
    for action in (last, exporting):
        action.add_argument("series", nargs="*", metavar="SERIES", help=f"{wanted}; all by default")
    for action in (listing, last, ranging, exporting):
        # The same options are accepted after the action, where they override those before it.
        action.add_argument("--config", metavar="FILE", default=argparse.SUPPRESS, help="the configuration")
        _which(action, default=argparse.SUPPRESS)
    parser.set_defaults(json=False)


def _which(parser: argparse.ArgumentParser, **default: Any) -> None:
    parser.add_argument("--file", metavar="FILE", help="a history by its path, instead of that of the configuration", **default)
    parser.add_argument("--section", metavar="NAME", help="which section of the configuration, if it has several", **default)


def run(args: argparse.Namespace) -> int:
    """Open the history and perform the action."""
    try:
        reader = HistoryReader(path_of(args))
        known = reader.series()
        match args.action:
            case "last":
                _last(reader, chosen(known, args.series), as_json=args.json)
            case "range":
                _range(reader, known, args)
            case "export":
                from iiot_gateway.cli.export import export

                start_ns, end_ns = span(chosen(known, args.series), args, None)
                export(reader, chosen(known, args.series), start_ns, end_ns, args)
            case _:
                _list(known, as_json=args.json)
    except HistoryError as error:
        raise HistoryUnusable(error.kind, str(error)) from error
    return 0


def path_of(args: argparse.Namespace) -> str:
    """Return the path of the history's file. Raises GatewayError."""
    if args.file:
        return str(args.file)
    config = load(args.config)
    paths = {name: path for name, _section, path in histories(config)}
    if not paths:
        raise GatewayError("the configuration has no [history]; add the section, or name a file with --file")
    section = args.section or (next(iter(paths)) if len(paths) == 1 else "history")
    if section not in paths:
        raise GatewayError(f"--section must be one of {', '.join(paths)}")
    return paths[section]


def chosen(known: list[dict[str, Any]], wanted: list[str]) -> list[dict[str, Any]]:
    """Return the series that numbers, topics and patterns name, each once. Raises GatewayError for a name without a series."""
    if not wanted:
        return known
    found: dict[int, dict[str, Any]] = {}
    for name in wanted:
        matching = [series for series in known if name == str(series["id"]) or topic_matches(name, series["topic"] or "")]
        if not matching:
            raise GatewayError(
                f"no series is called {name!r}; `{command('history')}` lists numbers and topics of the {len(known)} that are there"
            )
        found |= {series["id"]: series for series in matching}
    return list(found.values())


def span(series: list[dict[str, Any]], args: argparse.Namespace, since_ns: int | None) -> tuple[int, int]:
    """Return start and end (exclusive) in nanoseconds.

    Without --start and --since, the range begins `since_ns` before its end, or with the first point.
    """
    if args.start is not None and args.since is not None:
        raise GatewayError("--start and --since say the same thing; keep one of them")
    end_ns: int = args.end if args.end is not None else min(max((s["last_ns"] for s in series), default=0) + 1, LAST_NS)
    since_ns = args.since or since_ns
    if args.start is not None:
        start_ns: int = args.start
    elif since_ns is not None:
        start_ns = max(end_ns - since_ns, -LAST_NS)
    else:
        start_ns = min((s["first_ns"] for s in series), default=0)
    if args.start is not None and start_ns > end_ns:
        raise GatewayError(f"the range begins at {moment(start_ns)}, behind its end at {moment(end_ns)}")
    return min(start_ns, end_ns), end_ns


def called(series: dict[str, Any]) -> str:
    """Return the name of a series for people, safe for a terminal."""
    if series["topic"]:
        return visible(series["topic"])
    tags = ",".join(f"{key}={value}" for key, value in series["tags"].items())
    return visible(f"{series['measurement']}{{{tags}}} {series['field']}")


def _list(known: list[dict[str, Any]], *, as_json: bool) -> None:
    if as_json:
        print(json.dumps(known, indent=2))
        return
    if not known:
        print("no points yet")
        return
    width = max(len(called(series)) for series in known)
    print(f"{'number':>6}  {'series':<{width}}  {'points':>12}  {'first':<20}  last")
    for series in known:
        first, last = (moment(series[key] // 10**9 * 10**9) for key in ("first_ns", "last_ns"))
        print(f"{series['id']:>6}  {called(series):<{width}}  {series['points']:>12}  {first:<20}  {last}")


def _last(reader: HistoryReader, series: list[dict[str, Any]], *, as_json: bool) -> None:
    by_id = {one["id"]: one for one in series}
    values = reader.last(list(by_id))
    if as_json:
        print(
            json.dumps(
                [{"topic": by_id[each["id"]]["topic"], **{key: each[key] for key in ("id", "time_ns", "value")}} for each in values],
                indent=2,
            )
        )
        return
    width = max((len(called(one)) for one in series), default=0)
    for value in values:
        print(f"{called(by_id[value['id']]):<{width}}  {visible(value['value']):>12}  {moment(value['time_ns'])}")


def _range(reader: HistoryReader, known: list[dict[str, Any]], args: argparse.Namespace) -> None:
    series = chosen(known, [args.series])
    if len(series) > 1:
        names = ", ".join(called(one) for one in series[:5])
        raise GatewayError(f"{args.series!r} means {len(series)} series ({names}{', ...' if len(series) > 5 else ''}); name one")
    number = series[0]["id"]
    start_ns, end_ns = span(series, args, DAY_NS)
    if args.start is None and args.since is None and series[0]["first_ns"] < start_ns:
        print("iiot-gateway: the last day of it; --since 30d or --start shows more", file=sys.stderr)
    if args.every:
        try:
            times, values = reader.range(number, start_ns, end_ns, every_ns=args.every, agg=args.agg, limit=args.limit)
        except ValueError as error:
            raise GatewayError(f"{error} (--every, --since, --limit)") from error
        sys.stdout.writelines(
            f"{moment(time)}\t{'' if value is None else shown(value)}\n" for time, value in zip(times, values, strict=True)
        )
        return
    times, texts = reader.texts(number, start_ns, end_ns, limit=args.limit + 1)
    if len(times) > args.limit:
        raise GatewayError(
            f"there are more than {args.limit} points: ask for buckets (--every 5m), for less (--since 1h), or raise --limit"
        )
    sys.stdout.writelines(f"{moment(time)}\t{visible(text)}\n" for time, text in zip(times, texts, strict=True))


def shown(value: float) -> str:
    """Return a computed number as text: a whole number without a point, another one with at most six decimals."""
    return str(int(value)) if value == int(value) and abs(value) < 2**53 else repr(round(value, 6))
