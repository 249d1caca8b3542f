"""Queries of dashboards and rules, put to a database: expanded as Grafana does it, and their answers in one form for every database."""

from __future__ import annotations

import csv
import json
import os
import re
import secrets
import urllib.error
import urllib.request
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from grafana import Chosen, Moment, Query, as_flux, as_sql, with_variables
from panels import MONDAY, NOW, TABLES, ZONE, Cell, Point, at
from timescale import Database

MOMENT = Moment(MONDAY, NOW, zone=ZONE)
Rows = list[list[Cell]]

needs_flux = pytest.mark.skipif("INFLUXDB_V2_URL" not in os.environ, reason="INFLUXDB_V2_URL names no server that runs Flux")


class FluxServer:
    """A bucket of a test's own on the server that INFLUXDB_V2_URL names: InfluxDB 2, or InfluxDB 1 with `flux-enabled`."""

    def __init__(self) -> None:
        self._url = os.environ["INFLUXDB_V2_URL"]
        self._token = os.environ.get("INFLUXDB_V2_TOKEN", "")
        self._org = ""
        name = f"iiot_{secrets.token_hex(4)}"
        self.bucket = name
        try:
            self._org = json.loads(self._send("GET", "/api/v2/orgs"))["orgs"][0]["id"]
            self._send("POST", "/api/v2/buckets", json.dumps({"orgID": self._org, "name": name, "retentionRules": []}).encode())
        except urllib.error.HTTPError:
            # InfluxDB 1 has databases with retention policies instead, and writes them with a slash between.
            self._send("POST", f"/query?q=CREATE+DATABASE+{name}")
            self.bucket = f"{name}/autogen"

    def _send(self, method: str, path: str, body: bytes | None = None, **headers: str) -> bytes:
        headers = {name.replace("_", "-"): value for name, value in headers.items()}
        if self._token:
            headers["Authorization"] = f"Token {self._token}"
        request = urllib.request.Request(self._url + path, data=body, headers=headers, method=method)
        with urllib.request.urlopen(request, timeout=30) as answer:
            read: bytes = answer.read()
            return read

    def write(self, points: Iterable[Point]) -> None:
        """Write points."""
        lines = "\n".join(map(_line, points))
        self._send("POST", f"/api/v2/write?orgID={self._org}&bucket={self.bucket}&precision=s", lines.encode())

    def ask(self, query: str) -> list[dict[str, str]]:
        """Return the rows of every table that a query gives, by column. Raises RuntimeError."""
        try:
            answer = self._send(
                "POST", f"/api/v2/query?orgID={self._org}", query.encode(), Content_Type="application/vnd.flux", Accept="application/csv"
            )
        except urllib.error.HTTPError as error:
            raise RuntimeError(f"{query}: {error.read().decode()}") from error
        found: list[dict[str, str]] = []
        for part in answer.decode().replace("\r", "").split("\n\n"):
            rows = list(csv.DictReader(part.splitlines()))
            if any("error" in row for row in rows):
                raise RuntimeError(f"{query}: {rows}")
            found += [{name: value for name, value in row.items() if name not in ("", "result", "table")} for row in rows]
        return found


def _line(point: Point) -> str:
    measurement, when, tags, fields = point
    named = "".join(f",{key}={value.replace(' ', chr(92) + ' ')}" for key, value in sorted(tags.items()))
    values = ",".join(f"{key}={json.dumps(value)}{'i' if isinstance(value, int) else ''}" for key, value in fields.items())
    return f"{measurement}{named} {values} {int(at(when).timestamp())}"


def insert(database: Database, points: Sequence[Point]) -> None:
    """Write points into the tables of `postgresql init`."""

    def text(cell: Cell) -> str:
        return str(cell) if isinstance(cell, int | float) else f"'{cell}'"

    for measurement, when, tags, fields in points:
        row = {"time": at(when).isoformat(), **tags, **fields}
        database.rows(f"INSERT INTO {measurement} ({', '.join(row)}) VALUES ({', '.join(map(text, row.values()))})")


def partitions(database: Database) -> None:
    """Make the partitions of last week."""
    for table in TABLES:
        database.rows(f"SELECT iiot_gateway_add_partition('{table}', '{table}_last', '{MONDAY}', '{MONDAY + timedelta(days=7)}')")


def shown_by_sql(database: Database, query: Query, board: Mapping[str, Any], chosen: Chosen, *, is_timescale: bool) -> Rows:
    """Return what a panel shows to the role of the dashboards. A time becomes the hours since MONDAY."""
    sql = as_sql(with_variables(query.text, board, chosen, MOMENT), MOMENT, is_timescale=is_timescale)
    if query.form == "time_series":
        time = "extract(epoch FROM time)" if is_timescale or "__timeGroup" not in query.text else "time"
        sql = f"SELECT ({time} - {MONDAY.timestamp()}) / 3600, metric, value FROM ({sql}) AS shown"
    return [[_cell(cell) for cell in row] for row in database.rows(f"SET ROLE iiot_reader; {sql}")]


def shown_by_flux(server: FluxServer, query: Query, board: Mapping[str, Any], chosen: Chosen) -> Rows:
    """Return what a panel shows, in the order of its columns of texts and then of numbers; series by time and name."""
    found = server.ask(as_flux(with_variables(query.text, board, chosen, MOMENT), MOMENT, server.bucket))
    if not found or "_time" not in found[0]:
        return [[_cell(row[name]) for name in sorted(row, key=_order)] for row in found]
    rows: Rows = []
    for row in found:
        if not row["_value"]:
            continue  # an empty window, which is a hole in a line
        name = re.sub(r"\$\{__field\.labels\.(\w+)\}", lambda label, row=row: row.get(label[1], ""), query.name)
        hours = (datetime.fromisoformat(row["_time"]).astimezone(UTC) - MONDAY).total_seconds() / 3600
        rows.append([round(hours, 4), name, _cell(row["_value"])])
    return sorted(rows, key=lambda row: (row[0], row[1]))


def _order(column: str) -> int:
    """Return where a column stands; tables of Flux have no order, so panels name theirs."""
    return ("name", "label", "Device", "Status").index(column) if column in ("name", "label", "Device", "Status") else 9


def _cell(text: str) -> Cell:
    try:
        return round(float(text), 4)
    except ValueError:
        return text


def table(rows: Iterable[tuple[str, Rows, Rows]]) -> str:
    """Return panel, expected and seen as a table."""
    return "\n".join(["", "| panel | expected | seen |", "|---|---|---|", *(f"| {name} | {want} | {got} |" for name, want, got in rows)])
