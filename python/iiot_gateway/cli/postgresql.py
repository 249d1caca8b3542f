"""`postgresql init|adopt|query|size|maintain`: the commands for a PostgreSQL database.

init      make a plant's tables, views and roles
adopt     let a copied journal continue with a database that a run of another copy has written to
query     the newest row of each series
size      the sizes of tables and indexes
maintain  VACUUM, partitions, hourly sums
"""

from __future__ import annotations

import argparse
from dataclasses import replace
from typing import TYPE_CHECKING

from iiot_gateway.cli import postgresql_maintain, postgresql_query, postgresql_size
from iiot_gateway.cli.confirm import confirm
from iiot_gateway.cli.postgresql_access import opened, reached
from iiot_gateway.config.load import load
from iiot_gateway.errors import GatewayError
from iiot_gateway.sinks.postgresql.plant import PLANS
from iiot_gateway.sinks.postgresql.section import PostgresqlSection, settings

if TYPE_CHECKING:
    from iiot_gateway._native import Journal
    from iiot_gateway.config.schema import Config

ADOPT = """\
Rows go on behind those that this journal has delivered. That is right if this journal is the one to go on with: after a copy of it, or an
old state, was put in its place. What it still has and another gateway has written already would be written again.
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the actions."""
    parser.add_argument("--section", default="postgresql", metavar="NAME", help="which section of the configuration; postgresql by default")
    actions = parser.add_subparsers(dest="action", metavar="ACTION", required=True)
    adopt = actions.add_parser("adopt", help="let a copied journal continue with a database (unknown_run); the gateway must be stopped")
    init = actions.add_parser("init", help="make the tables, views and roles of a plant; a second call changes nothing")
    init.add_argument("--profile", choices=tuple(PLANS), required=True, help="the profile whose points go into the tables")
    init.add_argument("--url", metavar="URL", help="the database as its owner, whose password PGPASSWORD holds; by default the section's")
    init.add_argument(
        "--retention",
        type=_retention,
        action="append",
        default=[],
        metavar="MEASUREMENT=DAYS",
        help="how long rows are kept; 90 days by default, hourly sums two years",
    )
    init.add_argument("--writer", default="iiot_writer", metavar="ROLE", help="the role that only writes; iiot_writer by default")
    init.add_argument("--reader", default="iiot_reader", metavar="ROLE", help="the role that only reads; iiot_reader by default")
    init.add_argument("--unique", action="store_true", help="for several gateways: each row is stored only once")
    init.add_argument("--dry-run", action="store_true", help="print the statements")
    query = actions.add_parser("query", help="newest values")
    postgresql_query.add_arguments(query)
    size = actions.add_parser("size", help="the room that tables and indexes take, and the room that compression saves")
    postgresql_size.add_arguments(size)
    maintain = actions.add_parser(
        "maintain",
        help="VACUUM (ANALYZE); with TimescaleDB refresh hourly sums, without it make partitions and drop those past their retention",
    )
    postgresql_maintain.add_arguments(maintain)
    for action in (query, size, maintain):
        action.add_argument(
            "--url", metavar="URL", help="the database as another role, whose password PGPASSWORD holds; by default the section's"
        )
    for action in (adopt, init, query, size, maintain):
        # The option is also accepted after the action. Its default is suppressed, so that it does not overwrite one before the action.
        action.add_argument("--config", metavar="FILE", default=argparse.SUPPRESS, help="the configuration")
        action.add_argument("--section", metavar="NAME", default=argparse.SUPPRESS, help="which section of it")
    adopt.add_argument("--yes", action="store_true", help="do not ask")


def _retention(text: str) -> tuple[str, float]:
    """Read MEASUREMENT=DAYS."""
    name, _, days = text.partition("=")
    if not name or not 0 < (found := float(days)) <= 36600:  # argparse reports a ValueError as a wrong value
        raise argparse.ArgumentTypeError("expected MEASUREMENT=DAYS with days above 0")
    return name, found


def run(args: argparse.Namespace) -> int:
    """Perform the action."""
    config = load(args.config)
    section = config.of(PostgresqlSection).get(args.section)
    if section is None and args.action != "adopt" and args.url:
        section = PostgresqlSection()  # the tables may be made before the configuration exists
    if section is None:
        raise GatewayError(f"the configuration has no section [{args.section}]")
    if args.action == "init":
        from iiot_gateway.cli.postgresql_init import init

        return init(section, args)
    if args.action == "adopt":
        return _adopt(config, args.section, section, yes=args.yes)
    section = reached(section, args)
    if args.action == "maintain":
        section = replace(section, timeout_s=postgresql_maintain.PATIENCE_S)
    with opened(section) as database:
        match args.action:
            case "query":
                return postgresql_query.query(database, args)
            case "size":
                return postgresql_size.size(database, args)
            case _:
                return postgresql_maintain.maintain(database, args)


def _adopt(config: Config, name: str, section: PostgresqlSection, *, yes: bool) -> int:
    from iiot_gateway._native import JournalError, PostgresError
    from iiot_gateway.journal import open_journal
    from iiot_gateway.sinks.postgresql.building import native_sink, shown

    journal = open_journal(config, keep_sinks=True)
    try:
        journal.add_sink(name, profiles=section.profiles or None)
        found = _found(journal, name, section)
        if found is None:
            print(f"{shown(section)} has nothing of this journal's [{name}]: there is nothing to adopt")
            return 0
        position, run_of_it, moved_at = found
        print(f"{shown(section)}: position {position} of run {run_of_it}, moved at {moved_at}\n\n{ADOPT}")
        confirm("Go on with this journal?", yes=yes)
        adopted = native_sink(journal, name, section).adopt()
    except (PostgresError, JournalError) as error:
        raise GatewayError(f"[{name}] {shown(section)}: {error}") from error
    finally:
        journal.close()
    print(f"adopted: [{name}] goes on at position {adopted}")
    return 0


def _found(journal: Journal, name: str, section: PostgresqlSection) -> tuple[str, str, str] | None:
    """Return position, run and time of the database's row for this journal's sink."""
    from iiot_gateway._native import PostgresConnection, postgres_literal, postgres_name

    connection = PostgresConnection(settings(section))
    connection.connect()
    table = f"{postgres_name(section.schema)}.iiot_gateway_position"
    try:
        there = connection.query(f"SELECT to_regclass({postgres_literal(table)})")
        if there == [[None]]:
            return None
        condition = f"journal = {postgres_literal(journal.id)} AND sink = {postgres_literal(name)}"
        rows = connection.query(f"SELECT position, run, moved_at FROM {table} WHERE {condition}")  # noqa: S608 - names and texts are quoted
    finally:
        connection.close()
    return (str(rows[0][0]), str(rows[0][1]), str(rows[0][2])) if rows else None
