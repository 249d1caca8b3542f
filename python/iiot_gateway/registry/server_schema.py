"""The registry's schema in PostgreSQL: how a connection begins, and how the tables are made or migrated.

`registry_version` holds the version. All missing steps are one transaction. A second process that migrates waits for it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from iiot_gateway._native import PostgresConnection, PostgresError, PostgresSettings, postgres_literal, postgres_name
from iiot_gateway.errors import RegistryUnusable
from iiot_gateway.registry.dialect import tables, triggers
from iiot_gateway.registry.schema import STEPS, VERSION, too_late
from iiot_gateway.registry.section import DevicesSection, server_section

if TYPE_CHECKING:
    from iiot_gateway.config.schema import Config

TIMEOUT_S = 5.0
"""How long a statement, and the wait for other writers, may take: callers wait for it."""
SESSION = f"""
SET search_path = {{schema}}, pg_temp;
SET lock_timeout = '{TIMEOUT_S}s';
SET statement_timeout = '{TIMEOUT_S}s';
SET idle_in_transaction_session_timeout = '{2 * TIMEOUT_S}s';
"""
"""The last setting ends a transaction whose client has vanished, so that it blocks nobody."""
CONNECT_S = 5.0
BEGIN = "BEGIN ISOLATION LEVEL READ COMMITTED"


@dataclass(frozen=True, slots=True)
class ServerPlace:
    """The place of the tables."""

    settings: PostgresSettings
    schema: str
    shown: str
    """Host, database and schema, in readable form."""

    def connect(self, connection: PostgresConnection) -> None:
        """Open a connection, and make or migrate the tables. Raises RegistryUnusable for a later version, and PostgresError."""
        connection.connect()
        connection.query(SESSION.format(schema=postgres_name(self.schema)))
        version = self.version(connection)
        if version > VERSION:
            connection.close()
            raise too_late(self.shown, version)
        if version < VERSION:
            self._migrate(connection)

    def version(self, connection: PostgresConnection) -> int:
        """Return the version of the tables, 0 if there are none. Raises PostgresError."""
        table = f"{postgres_name(self.schema)}.registry_version"
        if connection.query(f"SELECT to_regclass({postgres_literal(table)})") == [[None]]:
            return 0
        ((number,),) = connection.query(f"SELECT number FROM {table}")
        return int(number or 0)

    def _migrate(self, connection: PostgresConnection) -> None:
        ((encoding,),) = connection.query("SHOW server_encoding")
        if encoding != "UTF8":
            connection.close()
            raise RegistryUnusable(self.shown, f"the database has the encoding {encoding}", "make one with ENCODING 'UTF8'")
        schema = postgres_literal(self.schema)
        lock = f"SELECT pg_advisory_xact_lock(hashtextextended('iiot-gateway registry ' || {schema}, 0))"
        connection.query(f"{BEGIN}; {lock}")
        # Another process may have done the same meanwhile.
        if not connection.query(f"SELECT 1 FROM pg_catalog.pg_namespace WHERE nspname = {schema}"):
            connection.query(f"CREATE SCHEMA {postgres_name(self.schema)}")
        version = self.version(connection)
        if version == 0:
            connection.query("CREATE TABLE registry_version (number bigint NOT NULL); INSERT INTO registry_version VALUES (0)")
        for number, step in enumerate(STEPS[version:], version + 1):
            connection.query(tables(step) + (triggers() if number == 1 else ""))
        connection.query(f"UPDATE registry_version SET number = {max(version, VERSION)}; COMMIT")


def server_place(config: Config) -> ServerPlace:
    """Return where the registry of a configuration is. Raises LookupError if it is in a file."""
    found = server_section(config)
    if found is None:
        raise LookupError("the registry is in a file")
    section, schema = found[1], config.one(DevicesSection).database_schema
    settings = PostgresSettings(
        section.url,
        password=section.password.reveal() or None,
        schema=schema,
        application_name="iiot-gateway registry",
        connect_timeout_s=min(CONNECT_S, section.connect_timeout_s),
        timeout_s=TIMEOUT_S,
        lock_timeout_s=TIMEOUT_S,
    )
    parts = urlsplit(section.url)
    return ServerPlace(settings, schema, f"{parts.netloc.rpartition('@')[2]}{parts.path}, schema {schema},")


def schema_fault(config: Config) -> str | None:
    """Report faults of the schema's name; faults of the server's section are reported there."""
    try:
        PostgresConnection(server_place(config).settings)
    except PostgresError as error:
        # The remedy of the extension is for names of a profile.
        fault = str(error).partition(";")[0]
        return fault if fault.startswith("the schema") else None
    return None


def remedy(error: PostgresError, schema: str) -> str:
    """Return what to do about an error of the server."""
    code = error.sqlstate or ""
    if code == "42501":
        return (
            f"CREATE SCHEMA {postgres_name(schema)} AUTHORIZATION the gateway's role, or grant it USAGE on the schema and SELECT, INSERT, "
            "UPDATE and DELETE on its tables; `iiot-gateway doctor` says what is missing"
        )
    if code[:2] == "28":
        return "check user, password and the server's pg_hba.conf"
    if code[:2] in ("53", "58"):
        return "make room on the server"
    if code == "55P03":
        return "another gateway or command has been writing for a long time; try again"
    if code == "3D000":
        return "create the database, or correct the url of its section"
    return "check the server, and the section that names it"
