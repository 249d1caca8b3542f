"""The trials of `doctor` for each PostgreSQL: connect, check the rights that the sink needs, write and read a position."""

from __future__ import annotations

from collections.abc import Iterator

from iiot_gateway._native import (
    PostgresConnection,
    PostgresError,
    postgres_literal,
    postgres_name,
    postgres_position_table,
)
from iiot_gateway.config.schema import Config
from iiot_gateway.findings import Finding
from iiot_gateway.sinks.postgresql.building import shown
from iiot_gateway.sinks.postgresql.failures import remedy
from iiot_gateway.sinks.postgresql.section import PostgresqlSection, settings

AWAY = "check url, that the server runs and takes connections over the network (listen_addresses), and that no firewall stands between"
NOT_WRITABLE = """\
SELECT c.relname FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
JOIN pg_catalog.pg_attribute a ON a.attrelid = c.oid AND a.attname = 'time' AND NOT a.attisdropped
WHERE n.nspname = {} AND c.relkind IN ('r', 'p') AND NOT c.relispartition AND NOT has_table_privilege(c.oid, 'INSERT') ORDER BY 1"""
"""Tables that look like those of a measurement."""


def databases(config: Config) -> Iterator[Finding]:
    """Try each database."""
    for name, section in config.of(PostgresqlSection).items():
        subject = f"{name} {shown(section)}"
        connection = PostgresConnection(settings(section))
        try:
            yield from _database(subject, section, connection)
        except PostgresError as error:
            yield Finding(subject, ok=False, detail=str(error), remedy=AWAY if error.sqlstate is None else remedy(error, name))
        finally:
            connection.close()


def _database(subject: str, section: PostgresqlSection, connection: PostgresConnection) -> Iterator[Finding]:
    version, extension = connection.connect()
    ((zone,),) = connection.query("SHOW timezone")
    with_extension = f"TimescaleDB {extension}" if extension else "no TimescaleDB"
    detail = f"PostgreSQL {version // 10000}.{version % 10000}, {with_extension}, time zone {zone} for those who do not set theirs"
    yield Finding(subject, ok=True, detail=detail)
    if extension:
        yield _licence(subject, connection)
    yield from _rights(subject, section, connection)


def _licence(subject: str, connection: PostgresConnection) -> Finding:
    ((licence,),) = connection.query("SHOW timescaledb.license")
    if licence == "apache":
        detail = "apache: the server has no compression, no policies and no continuous aggregates"
        return Finding(f"{subject} licence", ok=None, detail=detail)
    return Finding(f"{subject} licence", ok=True, detail=str(licence))


def _rights(subject: str, section: PostgresqlSection, connection: PostgresConnection) -> Iterator[Finding]:
    schema, quoted = postgres_literal(section.schema), postgres_name(section.schema)
    if not connection.query(f"SELECT 1 FROM pg_catalog.pg_namespace WHERE nspname = {schema}"):
        fix = f"CREATE SCHEMA {quoted}, or correct schema"
        yield Finding(f"{subject} schema", ok=False, detail=f"there is no schema {section.schema}", remedy=fix)
        return
    ((user, may_use, may_create),) = connection.query(
        f"SELECT current_user, has_schema_privilege({schema}, 'USAGE'), has_schema_privilege({schema}, 'CREATE')"
    )
    to = f"TO {postgres_name(str(user))}"
    if may_use != "t":
        yield _missing(subject, f"{user} may not use the schema {section.schema}", f"GRANT USAGE ON SCHEMA {quoted} {to}")
        return
    if section.tables == "manage" and may_create != "t":
        grant = f'GRANT CREATE ON SCHEMA {quoted} {to}; or make the tables, and set tables = "fixed"'
        yield _missing(subject, f"{user} may not make tables in {section.schema}", grant)
        return
    refused = [str(row[0]) for row in connection.query(NOT_WRITABLE.format(schema))]
    if refused:
        tables = ", ".join(f"{quoted}.{postgres_name(table)}" for table in refused)
        yield _missing(subject, f"{user} may not write into {', '.join(refused)}", f"GRANT INSERT, SELECT ON {tables} {to}")
    else:
        may = "make tables and write rows" if section.tables == "manage" else "write rows"
        yield Finding(f"{subject} rights", ok=True, detail=f"{user} may {may}")
    yield _read_back(subject, section, connection)


def _missing(subject: str, detail: str, grant: str) -> Finding:
    return Finding(f"{subject} rights", ok=False, detail=detail, remedy=grant)


def _read_back(subject: str, section: PostgresqlSection, connection: PostgresConnection) -> Finding:
    """Write a position and read it back, in a transaction that is rolled back."""
    table = f"{postgres_name(section.schema)}.iiot_gateway_position"
    there = connection.query(f"SELECT to_regclass({postgres_literal(table)})") != [[None]]
    make = "" if there else f"{postgres_position_table(section.schema)};"
    row = "(journal, sink, run, position) VALUES ('doctor', 'doctor', 'doctor', 7)"
    read = f"SELECT position FROM {table} WHERE journal = 'doctor'"
    found = connection.query(f"BEGIN; {make} INSERT INTO {table} {row}; {read}; ROLLBACK")
    if found == [["7"]]:
        return Finding(f"{subject} position", ok=True, detail="was written, read back and rolled back")
    return Finding(f"{subject} position", ok=False, detail=f"read back {found}", remedy=f"look for triggers and rules on {table}")
