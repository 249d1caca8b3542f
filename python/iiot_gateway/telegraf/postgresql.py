"""Translates `outputs.postgresql` into a sink for PostgreSQL, and takes the tags from tables that some guides put into it."""

from __future__ import annotations

import shlex
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import parse_qsl, quote, unquote, urlencode, urlsplit

from iiot_gateway.config.secret import Secret
from iiot_gateway.telegraf import environment, values
from iiot_gateway.telegraf.made import Made, Part
from iiot_gateway.telegraf.outputs import COMMON_REASONS, TIMEOUT_BOUNDS_S
from iiot_gateway.telegraf.section import Section

COLUMNS = 'each tag and each field is a column; with tables = "fixed" what has no column goes into `extra`, if the table has one'
MAKES = 'the gateway makes what is missing: a hypertable where TimescaleDB is, else weekly partitions; tables = "fixed" makes nothing'
REASONS = {
    **COMMON_REASONS,
    "metric_batch_size": "batch_rows is 10,000 unless it is set",
    "flush_interval": "points are delivered within batch_interval_ms, a tenth of a second unless it is set",
    "tags_as_foreign_keys": "tags are columns of the table itself",
    "foreign_tag_constraint": "tags are columns of the table itself",
    "tag_table_suffix": "tags are columns of the table itself",
    "tag_cache_size": "tags are columns of the table itself",
    "tags_as_jsonb": COLUMNS,
    "fields_as_jsonb": COLUMNS,
    "create_templates": MAKES,
    "add_column_templates": MAKES,
    "tag_table_create_templates": MAKES,
    "tag_table_add_column_templates": MAKES,
    "uint64_type": "whole numbers are bigint; a column numeric of your own takes larger ones",
    "retry_max_backoff": "the gateway waits a minute at most between two attempts",
    "log_level": "level of [log] is for everything",
    "timestamp_column_name": "the column is called time",
    "timestamp_column": "the column is called time; Telegraf itself knows no such key",
}
KEPT = {"sslmode", "connect_timeout", "application_name", "target_session_attrs"}
FILES = {"sslrootcert", "sslcert", "sslkey"}
TIME = "time"


@dataclass(frozen=True, slots=True)
class Connection:
    """A connection in the form of libpq."""

    url: str
    password: str
    dropped: tuple[str, ...]
    """Parameters that are not taken over."""


def take(section: Section, made: Made) -> None:
    """Add a section for PostgreSQL."""
    connection = _connection(section.text("connection") or "")
    if connection is None:
        take_tables(section, made)
        section.notes.append("left out: `connection` names no user and host that the gateway can reach")
        section.refuse({}, "the plugin is left out")
        return
    part = made.sink("postgresql")
    part.keys["url"] = connection.url
    _report_connection(section, made, part, connection)
    if schema := section.text("schema"):
        part.keys["schema"] = schema
        section.taken("schema", "the same")
    for key in ("timestamp_column_name", "timestamp_column"):
        if section.text(key) == TIME:
            section.taken(key, "the same")
    seconds = values.duration_s(section.raw("timeout"))
    if seconds is not None and TIMEOUT_BOUNDS_S[0] <= seconds <= TIMEOUT_BOUNDS_S[1]:
        part.keys["timeout_s"] = seconds
        section.differs("timeout", f"timeout_s of [{part.name}], for each transaction; Telegraf itself knows no such key")
    take_tables(section, made)
    if made.tags:
        part.keys["configuration_tags"] = True
        section.notes.append(
            "tags of all points are columns, as in Telegraf: configuration_tags = true; without it the tables do not have them"
        )
    section.refuse(REASONS)


def _report_connection(section: Section, made: Made, part: Part, connection: Connection) -> None:
    words, raw = f"url of [{part.name}]", str(section.raw("connection"))
    try:
        variables = environment.names(_given(raw).get("password", ""))
    except ValueError:
        variables = environment.names(raw)  # the whole connection is a secret
    if connection.password and variables:
        variable = "IIOT_" + "__".join([*part.name.split("."), "password"]).upper()
        words += f"; {variable} of the environment must hold the password that ${', $'.join(variables)} holds for Telegraf"
        part.remark(f"password: {variable} in the environment")
    elif connection.password:
        file = f"{part.name}.password"
        made.secrets[file] = Secret(connection.password)
        part.keys["password_file"] = file
        words += f"; the password stands in the file {file}, which only its owner can read"
    if connection.dropped:
        words += f"; without {', '.join(connection.dropped)}"
    report = section.differs if connection.dropped or variables else section.taken
    report("connection", words)


def _connection(text: str) -> Connection | None:
    """Read a URL, or names and values; None if it cannot be used."""
    try:
        given = _given(text)
    except ValueError:
        return None
    host, user = given.pop("host", ""), given.pop("user", "")
    port, database, password = given.pop("port", ""), given.pop("dbname", ""), given.pop("password", "")
    if not host or not user or host.startswith("/") or (port and not port.isdigit()):
        return None
    kept = {key: value for key, value in given.items() if key in KEPT or (key in FILES and Path(value).is_file())}
    address = f"[{host}]" if ":" in host else host
    url = f"postgresql://{quote(user, safe='')}@{address}{f':{port}' if port else ''}/{quote(database, safe='')}"
    return Connection(url + (f"?{urlencode(kept)}" if kept else ""), password, tuple(sorted(set(given) - set(kept))))


def _given(text: str) -> dict[str, str]:
    """Return parameters by libpq's names for them. Raises ValueError."""
    return _of_url(text) if text.startswith(("postgres://", "postgresql://")) else _of_words(text)


def _of_url(text: str) -> dict[str, str]:
    parts = urlsplit(text)
    found = {
        "host": parts.hostname or "",
        "user": unquote(parts.username or ""),
        "password": unquote(parts.password or ""),
        "port": str(parts.port or ""),
        "dbname": unquote(parts.path.lstrip("/")),
    }
    return {**{key: value for key, value in found.items() if value}, **dict(parse_qsl(parts.query))}


def _of_words(text: str) -> dict[str, str]:
    pairs = [word.partition("=") for word in shlex.split(text)]
    if not all(equals for _key, equals, _value in pairs):
        raise ValueError(text)
    return {key: value for key, _equals, value in pairs}


def take_tables(section: Section, made: Made) -> None:
    """Read from `outputs.postgresql` which values are tags: some guides put tables with tags there, although Telegraf ignores them."""
    points = [point for consumer in made.consumers.values() for point in consumer.points if point.others is not None]
    for number, table in enumerate(section.tables("tables")):
        measurement, tags = table.get("measurement"), table.get("tags")
        found = [point for point in points if point.measurement == measurement]
        names = [name for name in tags if isinstance(name, str)] if isinstance(tags, list) else []
        patterns = values.patterns(names)
        if not found or not patterns or len(names) != len(tags or []):
            continue
        for point in found:
            others = point.others or {}
            point.others = {**others, "tags": list(dict.fromkeys([*others.get("tags", []), *patterns]))}
        section.differs(("tables", number, "measurement"), "points of this measurement get the tags that stand beside it")
        section.differs(("tables", number, "tags"), "tags of these points; Telegraf itself knows no such key")
