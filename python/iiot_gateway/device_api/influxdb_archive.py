"""InfluxDB as an archive of the values of devices: Flux for version 2, InfluxQL for `api = "v1"`.

What a request says becomes a parameter of a query, and never a part of its text: Flux takes parameters as a syntax tree beside the query
(`extern`), InfluxQL by `$name`.
"""

from __future__ import annotations

import csv
import datetime as dt
import io
import json
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode

from iiot_gateway._native import Answer, HttpError, Poster
from iiot_gateway.api.problem import Problem
from iiot_gateway.device_api.archive import Question, Value
from iiot_gateway.device_api.times import written
from iiot_gateway.errors import SettingUnusable

if TYPE_CHECKING:
    from iiot_gateway.sinks.influxdb.section import InfluxdbSection

TIMEOUT_S = 15.0
MOST_BYTES = 64 * 1024 * 1024
OLDEST_NS = 0
FLUX = """\
from(bucket: params.bucket)
    |> range(start: params.start, stop: params.stop)
    |> filter(fn: (r) => r.device_id == params.device)
"""
OF_MEASUREMENT = "    |> filter(fn: (r) => r._measurement == params.measurement)\n"
NEWEST = '    |> group()\n    |> sort(columns: ["_time"], desc: true)\n    |> limit(n: params.limit)\n'
LAST = "    |> last()\n"
OWN_COLUMNS = frozenset({"", "result", "table", "_start", "_stop", "_time", "_value", "_field", "_measurement", "device_id"})


class InfluxdbArchive:
    """Queries InfluxDB with a token that may read."""

    name = "influxdb"

    def __init__(self, section: InfluxdbSection) -> None:
        """Take the settings. Raises SettingUnusable."""
        self._section = section
        self._base = section.url.rstrip("/")
        self._headers = {
            "accept": "application/csv" if section.api == "v2" else "application/json",
            "content-type": "application/json",
            "authorization": f"Token {section.read_token.reveal()}",
        }
        self._poster = self._connection(f"{self._base}/api/v2/query?{urlencode({'org': section.org})}")
        # A connection carries one request at a time, and checks of the server's health must not delay readers.
        self._health = self._connection(self._base)
        self._deletion: Poster | None = None
        # Deleting counts as writing, for which the other token is needed.
        self._deleting = {**self._headers, "authorization": f"Token {(section.token or section.read_token).reveal()}"}

    def _connection(self, url: str, headers: Mapping[str, str] | None = None) -> Poster:
        try:
            return Poster(
                url,
                headers=dict(headers or self._headers),
                timeout_s=TIMEOUT_S,
                gzip=False,
                ca_file=self._section.ca_file or None,
                max_body_bytes=MOST_BYTES,
            )
        except HttpError as error:
            raise SettingUnusable(str(error)) from error

    def values(self, question: Question) -> list[Value]:
        """Return values by time, the newest `limit` of them. Raises Problem."""
        if self._section.api == "v1":
            span = "SELECT * FROM /.*/ WHERE device_id = $device AND time >= $start AND time < $stop GROUP BY *"
            # The limit is a number from this program. It applies to each series, so that no answer has more than all series together need.
            found = list(self._v1(f"{span} ORDER BY time DESC LIMIT {int(question.limit)}", question))
        else:
            found = list(self._v2(NEWEST, question))
        found.sort(key=lambda value: value.time_ns)
        return found[-question.limit :]

    def latest(self, device_id: str, measurement: str | None) -> list[Value]:
        """Return the newest value of each field. Raises Problem."""
        question = Question(device_id=device_id, start_ns=OLDEST_NS, stop_ns=2**63 - 1, measurement=measurement)
        if self._section.api == "v2":
            return _newest(self._v2(LAST, question))
        # The newest rows of each series: `last` of all fields at once would give none of them its own time.
        return _newest(self._v1("SELECT * FROM /.*/ WHERE device_id = $device GROUP BY * ORDER BY time DESC LIMIT 100", question))

    def delete(self, device_id: str, start_ns: int, stop_ns: int) -> None:
        """Delete the values of a device. Raises Problem."""
        question = Question(device_id=device_id, start_ns=start_ns, stop_ns=stop_ns)
        if self._section.api == "v1":
            list(self._v1("DELETE WHERE device_id = $device AND time >= $start AND time < $stop", question))
            return
        # An id has only letters, digits, - and _, so it cannot end the text that contains it.
        body = {"start": written(start_ns), "stop": written(stop_ns), "predicate": f'device_id="{device_id}"'}
        address = f"{self._base}/api/v2/delete?{urlencode({'org': self._section.org, 'bucket': self._section.bucket})}"
        self._right(self._delete(address, json.dumps(body).encode()), (204,))

    def cancel(self) -> None:
        """End the deletion under way."""
        if self._deletion is not None:
            self._deletion.cancel()

    def _delete(self, address: str, body: bytes = b"") -> Answer:
        self._deletion = self._connection(address, self._deleting)
        return self._deletion.post_bytes(body)

    def version(self) -> str:
        """Return the server's version. Raises Problem."""
        path = "/health" if self._section.api == "v2" else "/ping?verbose=true"
        answer = self._right(self._health.get(self._base + path), (200, 204))
        try:
            return str(json.loads(answer.body).get("version", ""))
        except (ValueError, AttributeError):
            return ""

    def _v2(self, rest: str, question: Question) -> Iterator[Value]:
        flux = FLUX + (OF_MEASUREMENT if question.measurement is not None else "") + rest
        given: dict[str, Any] = {
            "bucket": self._section.bucket,
            "start": Moment(written(question.start_ns)),
            "stop": Moment(written(min(question.stop_ns, LAST_NS))),
            "device": question.device_id,
            "limit": question.limit,
        }
        if question.measurement is not None:
            given["measurement"] = question.measurement
        document = {"query": flux, "extern": extern(given), "dialect": {"header": True, "annotations": ["datatype"]}}
        answer = self._right(self._poster.post_bytes(json.dumps(document).encode()), (200,))
        return read_csv(answer.body.decode("utf-8", "replace"))

    def _v1(self, query: str, question: Question) -> Iterator[Value]:
        params = {"device": question.device_id, "start": question.start_ns, "stop": min(question.stop_ns, LAST_NS)}
        asked = {"db": self._section.bucket, "epoch": "ns", "q": query, "params": json.dumps(params)}
        address = f"{self._base}/query?{urlencode(asked)}"
        # Statements that change data must be posted.
        deletes = query.startswith("DELETE")
        answer = self._right(self._delete(address) if deletes else self._poster.get(address), (200,))
        try:
            document = json.loads(answer.body)
        except ValueError as error:
            raise _broken("its answer is no JSON") from error
        for result in document.get("results", []):
            if "error" in result:
                raise _broken(str(result["error"])[:200])
            for series in result.get("series", []):
                if question.measurement is None or series["name"] == question.measurement:
                    yield from _of_series(series)

    def _right(self, answer: Answer, statuses: tuple[int, ...]) -> Answer:
        if answer.status in statuses:
            return answer
        if answer.status in (401, 403, 404):
            remedy = "influxdb.read_token_file names a token that may read the bucket"
            raise Problem(503, "archive_refused", f"InfluxDB answers {answer.status}: {_words(answer)}", remedy)
        raise _broken(f"{answer.status}: {_words(answer)}" if answer.status else f"{answer.error}: {answer.detail}")


LAST_NS = 9_223_372_036_854_775_806
"""The last time that InfluxDB can store, minus one nanosecond."""


class Moment(str):
    """A time, RFC 3339."""

    __slots__ = ()


def extern(given: dict[str, Any]) -> dict[str, Any]:
    """Return parameters as the syntax tree of `option params = {...}`, which InfluxDB 2 takes beside a query."""
    properties = [
        {"type": "Property", "key": {"type": "Identifier", "name": name}, "value": _literal(value)} for name, value in given.items()
    ]
    assignment = {
        "type": "VariableAssignment",
        "id": {"type": "Identifier", "name": "params"},
        "init": {"type": "ObjectExpression", "properties": properties},
    }
    return {"type": "File", "package": None, "imports": None, "body": [{"type": "OptionStatement", "assignment": assignment}]}


def _literal(value: Any) -> dict[str, Any]:
    if isinstance(value, Moment):
        return {"type": "DateTimeLiteral", "value": str(value)}
    if isinstance(value, int):
        return {"type": "IntegerLiteral", "value": str(value)}
    return {"type": "StringLiteral", "value": str(value)}


def read_csv(text: str) -> Iterator[Value]:
    """Read annotated CSV (datatype and header before each table). Raises Problem for other text."""
    types: list[str] = []
    header: list[str] | None = None
    for row in csv.reader(io.StringIO(text)):
        if not row:
            types, header = [], None
        elif row[0] == "#datatype":
            types, header = row, None
        elif header is None:
            header = row
            if "error" in header:
                raise _broken("the query failed")
        else:
            named = dict(zip(header, row, strict=False))
            kinds = dict(zip(header, types, strict=False))
            tags = {name: value for name, value in named.items() if name not in OWN_COLUMNS and value}
            yield Value(
                time_ns=_unix_ns(named["_time"]),
                measurement=named["_measurement"],
                field=named["_field"],
                value=_typed(named["_value"], kinds.get("_value", "string")),
                tags=tags,
            )


def _typed(text: str, kind: str) -> Any:
    match kind:
        case "double":
            return float(text)
        case "long" | "unsignedLong":
            return int(text)
        case "boolean":
            return text == "true"
    return text


def _of_series(series: dict[str, Any]) -> Iterator[Value]:
    tags = {name: value for name, value in series.get("tags", {}).items() if value and name != "device_id"}
    columns = series["columns"]
    for row in series.get("values", []):
        named = dict(zip(columns, row, strict=True))
        time_ns = named.pop("time")
        for name, value in named.items():
            if value is not None:
                yield Value(time_ns=time_ns, measurement=series["name"], field=name, value=value, tags=tags)


def _newest(values: Iterator[Value]) -> list[Value]:
    newest: dict[tuple[str, str], Value] = {}
    for value in values:
        key = (value.measurement, value.field)
        if key not in newest or value.time_ns > newest[key].time_ns:
            newest[key] = value
    return list(newest.values())


def _unix_ns(text: str) -> int:
    """Read RFC 3339 in the form of InfluxDB, with up to nine decimals of a second."""
    whole, _, rest = text.removesuffix("Z").partition(".")
    seconds = int(dt.datetime.fromisoformat(f"{whole}+00:00").timestamp())
    return seconds * 1_000_000_000 + int(f"{rest:0<9}"[:9] or 0)


def _broken(what: str) -> Problem:
    return Problem(503, "archive_unavailable", f"InfluxDB cannot be asked: {what}", "ask again later", {"retry-after": "5"})


def _words(answer: Answer) -> str:
    return answer.body[:200].decode("utf-8", "replace")
