"""`postgresql maintain`: regular maintenance of a database. Each step can be repeated, and the gateway may run meanwhile.

Hourly sums   with TimescaleDB, continuous aggregates are refreshed for the times whose raw rows all still exist
Partitions    those of this week and the next are made, and those past their retention are dropped; hypertables have none
VACUUM        with ANALYZE, of every table that the user owns
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Iterator

from iiot_gateway._native import PostgresError, postgres_add_partitions, postgres_has_partition_function, postgres_partitions
from iiot_gateway.cli.durations import seconds
from iiot_gateway.cli.postgresql_access import Database
from iiot_gateway.sinks.postgresql import contents, hypertables
from iiot_gateway.sinks.postgresql.retention import drop_old, old
from iiot_gateway.sinks.postgresql.schema import RETAIN, may_retain, qualified

NO_LIMIT = "SET statement_timeout = 0"
"""The maintenance of a large table may take longer than a transaction of the sink is allowed to."""
PATIENCE_S = 30 * 86_400.0
RETRY_S = 2.0
BUSY = ("55P03", "40001", "40P01", "55006")
"""The policy refreshes the same aggregate, or another session holds a lock."""
TOO_SMALL = "22023"
"""The window does not contain a whole bucket."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare how long to wait."""
    parser.add_argument("--dry-run", action="store_true", help="only print what would be done")
    parser.add_argument(
        "--wait",
        type=seconds,
        default=600.0,
        metavar="S",
        help="how many seconds to try again while a policy does the same; 600 by default",
    )


def maintain(database: Database, args: argparse.Namespace) -> int:
    """Do the maintenance. Return 1 if something was not done."""
    database.query(f"{NO_LIMIT}; {contents.READABLE}")
    is_done = not database.extension or _refresh(database, args)
    for step in _partitions(database, dry_run=args.dry_run):
        print(step)
    return 0 if _vacuum(database, dry_run=args.dry_run) and is_done else 1


def _refresh(database: Database, args: argparse.Namespace) -> bool:
    """Refresh each aggregate within its window. Return False if one stayed busy."""
    schema, is_done = database.section.schema, True
    for view, begin, end, is_span in database.texts(hypertables.windows(schema)):
        if not begin or is_span != "t":
            print(f"refresh {view}: nothing to do, because no raw rows lie inside of their retention")
        elif args.dry_run:
            print(f"would refresh {view} from {begin} to {end}")
        else:
            is_done &= _refreshed(database, view, begin, end, args.wait)
    return is_done


def _refreshed(database: Database, view: str, begin: str, end: str, wait_s: float) -> bool:
    until_s = time.monotonic() + wait_s
    while True:
        try:
            database.query(NO_LIMIT)
            database.query(hypertables.refresh(database.section.schema, view, begin, end))
        except PostgresError as error:
            if error.sqlstate == TOO_SMALL:
                print(f"refresh {view}: nothing to do, because no bucket lies between {begin} and {end} as a whole")
                return True
            if error.sqlstate not in BUSY:
                raise
            if time.monotonic() >= until_s:
                print(f"iiot-gateway: refresh {view}: left undone after {wait_s:g} s: {error}", file=sys.stderr)
                return False
            time.sleep(min(RETRY_S, max(0.0, until_s - time.monotonic())))
        else:
            print(f"refreshed {view} from {begin} to {end}")
            return True


def _partitions(database: Database, *, dry_run: bool) -> Iterator[str]:
    """Make missing partitions and drop old ones, and print each."""
    section, schema = database.section, database.section.schema
    by_function = bool(database.query(postgres_has_partition_function(schema)))
    for table, is_partitioned in database.texts(contents.measurements(schema)):
        known = database.query(postgres_partitions(schema, table)) if is_partitioned == "t" else []
        if is_partitioned != "t" or any(first is None or end is None for _name, first, end in known):
            continue  # the table is not partitioned by time, or a default partition takes all rows
        spans = [(int(first or 0), int(end or 0)) for _name, first, end in known]
        for name, statement in postgres_add_partitions(schema, table, spans, time.time_ns() // 1000, by_function=by_function):
            if dry_run:
                yield f"would make partition {name}"
                continue
            database.query(statement)
            yield f"made partition {name}"
    if not dry_run:
        yield from (f"dropped partition {name}" for name in drop_old(section, database.query))
        return
    if database.query(may_retain(schema)):
        yield f"would call {qualified(schema, RETAIN)}(), which drops what is past its retention"
    if section.tables == "manage":
        yield from (f"would drop partition {name}" for name in old(section, database.query))


def _vacuum(database: Database, *, dry_run: bool) -> bool:
    """VACUUM the tables that the user owns. Return False if there are others."""
    schema, is_done = database.section.schema, True
    for table, may in database.texts(contents.owned(schema)):
        name = qualified(schema, table)
        if may != "t":
            print(f"iiot-gateway: {table} belongs to another role, who must VACUUM it (--url postgresql://OWNER@...)", file=sys.stderr)
            is_done = False
        elif dry_run:
            print(f"would vacuum {table}")
        else:
            database.query(f"VACUUM (ANALYZE) {name}")
            print(f"vacuumed {table}")
    return is_done
