"""`postgresql query`: prints the newest time of each table, or the newest row of each series of one table."""

from __future__ import annotations

import argparse
import json

from iiot_gateway.cli.columns import lined_up
from iiot_gateway.cli.durations import duration_ns
from iiot_gateway.cli.postgresql_access import Database
from iiot_gateway.cli.rejects import count
from iiot_gateway.errors import GatewayError
from iiot_gateway.sinks.postgresql.contents import HIDDEN, READABLE, TIME, columns, measurements, newest_rows, newest_times


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the table and the filters."""
    parser.add_argument(
        "table", nargs="?", metavar="TABLE", help="the newest row of each of its series; without it, the newest time of each table"
    )
    parser.add_argument(
        "--since", type=duration_ns, default=duration_ns("30d"), metavar="T", help="how far back to look: 5m, 1h, 7d; 30d by default"
    )
    parser.add_argument(
        "--by",
        type=lambda text: text.split(","),
        metavar="COLUMN,...",
        help="the columns that identify a series; by default those that are NOT NULL, or else those of text",
    )
    parser.add_argument(
        "--where",
        type=_condition,
        action="append",
        default=[],
        metavar="COLUMN=VALUE",
        help="only rows with this value; may be given several times",
    )
    parser.add_argument("--limit", type=count, default=1000, metavar="N", help="the most rows; 1000 by default")
    parser.add_argument("--json", action="store_true", help="print JSON")


def _condition(text: str) -> tuple[str, str]:
    """Read COLUMN=VALUE."""
    column, is_given, value = text.partition("=")
    if not column or not is_given:
        raise argparse.ArgumentTypeError(f"expected COLUMN=VALUE, found {text!r}")
    return column, value


def query(database: Database, args: argparse.Namespace) -> int:
    """Print the times or rows."""
    schema = database.section.schema
    database.query(READABLE)
    tables = [name for name, _is_partitioned in database.texts(measurements(schema))]
    if args.table is None:
        for option, value in (("--by", args.by), ("--where", args.where)):
            if value:
                raise GatewayError(f"{option} goes with a table")
        return _tables(database, tables, args)
    if args.table not in tables:
        there = f"there are {', '.join(tables)}" if tables else "there is none"
        raise GatewayError(f"{schema} has no table {args.table} with a column {TIME}; {there}")
    known = {name: (needed == "t", is_text == "t") for name, needed, is_text in database.texts(columns(schema, args.table)) if name != TIME}
    by = args.by or [name for name, (needed, _) in known.items() if needed] or [name for name, (_, is_text) in known.items() if is_text]
    where = dict(args.where)
    for name in [*by, *where]:
        if name not in known:
            raise GatewayError(f"{args.table} has no column {name}; there are {', '.join(known)}")
    shown = [name for name in known if name != HIDDEN]
    sql = newest_rows(schema, args.table, by, shown, where, args.since / 1e9, args.limit, as_json=args.json)
    rows = database.texts(sql)
    if args.json:
        print("[" + ",\n ".join(row for (row,) in rows) + "]")
    elif rows:
        print(lined_up([TIME, "age (s)", *shown], rows))
    else:
        print("no rows; --since looks further back")
    return 0


def _tables(database: Database, tables: list[str], args: argparse.Namespace) -> int:
    rows = database.texts(newest_times(database.section.schema, tables, args.since / 1e9)) if tables else []
    names = ["table", "newest", "age_s", "rows"]
    if args.json:
        print(json.dumps([dict(zip(names, row, strict=True)) for row in rows], indent=2))
    else:
        print(
            lined_up(["table", "newest", "age (s)", "rows since"], rows) if rows else f"{database.section.schema} has no table with a time"
        )
    return 0
