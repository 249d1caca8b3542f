"""The trials of `doctor` for a registry in PostgreSQL. Nothing is made or written."""

from __future__ import annotations

from typing import TYPE_CHECKING

from iiot_gateway._native import PostgresConnection, PostgresError, postgres_literal, postgres_name
from iiot_gateway.findings import Finding
from iiot_gateway.registry.schema import VERSION
from iiot_gateway.registry.server_schema import ServerPlace, remedy, server_place

if TYPE_CHECKING:
    from iiot_gateway.config.schema import Config

LACKING = """
SELECT c.relname FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
WHERE n.nspname = {} AND c.relkind = 'r'
AND NOT (has_table_privilege(c.oid, 'SELECT') AND has_table_privilege(c.oid, 'INSERT')
    AND has_table_privilege(c.oid, 'UPDATE') AND has_table_privilege(c.oid, 'DELETE')) ORDER BY 1"""
"""Tables that the role may not read and change."""


def registry(config: Config) -> Finding:
    """Try the server, and look at the tables and the rights on them."""
    place = server_place(config)
    subject = f"devices {place.shown.rstrip(',')}"
    connection = PostgresConnection(place.settings)
    try:
        connection.connect()
        detail, fix = _looked_at(place, connection)
    except PostgresError as error:
        return Finding(subject, ok=False, detail=str(error), remedy=remedy(error, place.schema))
    finally:
        connection.close()
    return Finding(subject, ok=not fix, detail=detail, remedy=fix)


def _looked_at(place: ServerPlace, connection: PostgresConnection) -> tuple[str, str]:
    """Return the finding and its remedy; the remedy is empty if nothing is wrong. Raises PostgresError."""
    schema, quoted = postgres_literal(place.schema), postgres_name(place.schema)
    ((user, may_make),) = connection.query("SELECT current_user, has_database_privilege(current_database(), 'CREATE')")
    role = postgres_name(str(user))
    if not connection.query(f"SELECT 1 FROM pg_catalog.pg_namespace WHERE nspname = {schema}"):
        if may_make == "t":
            return f"there is no schema yet; {user} may make it at the first start", ""
        return f"there is no schema {place.schema}, and {user} may not make it", f"CREATE SCHEMA {quoted} AUTHORIZATION {role}"
    ((may_use, may_add),) = connection.query(f"SELECT has_schema_privilege({schema}, 'USAGE'), has_schema_privilege({schema}, 'CREATE')")
    if may_use != "t":
        return f"{user} may not use the schema", f"GRANT USAGE ON SCHEMA {quoted} TO {role}"
    lacking = ", ".join(str(name) for (name,) in connection.query(LACKING.format(schema)))
    if lacking:
        grant = f"GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA {quoted} TO {role}"
        return f"{user} may not read and change {lacking}", grant
    return _version_of(place, connection, may_add=may_add == "t")


def _version_of(place: ServerPlace, connection: PostgresConnection, *, may_add: bool) -> tuple[str, str]:
    version = place.version(connection)
    detail = f"the tables are of version {version}, and this program knows version {VERSION}"
    if version > VERSION:
        return detail, "use the program that wrote them, or a later one"
    if version < VERSION:
        if may_add:
            return f"{detail}: the next start makes what they lack", ""
        return f"{detail}; its role may not make what they lack", f"ALTER SCHEMA {postgres_name(place.schema)} OWNER TO the gateway's role"
    return f"the tables are of version {version}, and may be read and changed", ""
