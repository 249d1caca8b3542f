"""`postgresql init`: prints or runs the statements that make a plant's tables, views and roles. A second run changes nothing."""

from __future__ import annotations

import argparse
from collections.abc import Iterator, Mapping
from dataclasses import replace

from iiot_gateway._native import PostgresConnection, PostgresError, postgres_name
from iiot_gateway.cli.postgresql_access import reached
from iiot_gateway.errors import GatewayError
from iiot_gateway.sinks.postgresql.building import shown
from iiot_gateway.sinks.postgresql.hypertables import hypertables
from iiot_gateway.sinks.postgresql.plant import PLANS, Plan
from iiot_gateway.sinks.postgresql.schema import Roles, latest, plain, rights, roles, schema_statement
from iiot_gateway.sinks.postgresql.section import PostgresqlSection, settings

SHOWN = 100
"""How many characters of a statement an error shows."""


def init(section: PostgresqlSection, args: argparse.Namespace) -> int:
    """Print or run the statements, and print what is left to do."""
    plan = replace(PLANS[args.profile], is_unique=args.unique)
    keep_days = _keep_days(plan, args.retention)
    section = reached(section, args)
    count, licence = applied(section, plan, keep_days, Roles(args.writer, args.reader), dry_run=args.dry_run)
    if not args.dry_run:
        print(f"{shown(section)}: {count} statements; {_next(args, licence, keep_days, plan)}")
    return 0


def applied(
    section: PostgresqlSection, plan: Plan, keep_days: Mapping[str, float], names: Roles | None, *, dry_run: bool = False
) -> tuple[int, str | None]:
    """Run or print the statements. Return their number, and the licence of TimescaleDB if it is there. Without names no roles are made.

    Raises GatewayError.
    """
    statement, count = "connecting", 0
    try:
        connection = PostgresConnection(settings(section))
        version, extension = connection.connect()
        licence = connection.query("SHOW timescaledb.license")[0][0] if extension else None
        for statement in statements(plan, section.schema, version, licence, keep_days, names):
            count += 1
            if dry_run:
                print(f"{statement};")
            else:
                connection.query(statement)
        connection.close()
    except PostgresError as error:
        at = shown(section)
        if names is not None and statement in roles(names) and error.sqlstate == "42501":
            made = "; ".join(f"CREATE ROLE {postgres_name(name)} LOGIN" for name in (names.writer, names.reader))
            raise GatewayError(
                f"{at}: {error}; this command makes two roles. As a superuser, give its user the right (ALTER ROLE ... CREATEROLE), "
                f"or make the missing roles ({made}); then run the command again"
            ) from error
        raise GatewayError(f"{at}: {_short(statement)}: {error}") from error
    return count, licence


def _short(statement: str) -> str:
    return statement if len(statement) <= SHOWN else f"{statement[:SHOWN]} ..."


def statements(
    plan: Plan, schema: str, version: int, licence: str | None, keep_days: Mapping[str, float], names: Roles | None
) -> Iterator[str]:
    """Yield the statements for a server with this licence of TimescaleDB, None without it. Without names no roles are made."""
    if names is not None:
        # The roles come first, because only they need a right on the whole server. If it is missing, nothing is made.
        yield from roles(names)
    yield schema_statement(schema)
    if licence is None:
        yield from plain(plan, schema, version, keep_days)
    else:
        yield from hypertables(plan, schema, keep_days, is_apache=licence == "apache")
    yield latest(plan, schema)
    if names is not None:
        yield from rights(plan, schema, names, has_extension=licence is not None)


def _keep_days(plan: Plan, given: list[tuple[str, float]]) -> dict[str, float]:
    """Return how many days each table is kept. Raises GatewayError for a table that the plan does not have."""
    known = plan.retention()
    for name, days in given:
        if name not in known:
            raise GatewayError(f"--retention {name}: there is no such table; there are {', '.join(known)}")
        known[name] = days
    return known


def _next(args: argparse.Namespace, licence: str | None, keep_days: Mapping[str, float], plan: Plan) -> str:
    """Print what is left to do."""
    days = ", ".join(f"{table.name} = {keep_days[table.name]:g}" for table in plan.tables)
    policies = {None: "the gateway drops, once a day,", "apache": "an Apache-licensed TimescaleDB has no policies, so nobody drops"}
    dropped = policies.get(licence, "the server's policies drop")
    unique = ", unique = true" if plan.is_unique else ""
    return (
        f"{dropped} what is past its retention.\nGive {args.writer} and {args.reader} their passwords (\\password in psql). "
        f'In the section set the user {args.writer}, tables = "fixed"{unique} and\nretention_days = {{ {days} }}'
    )
