"""What devices sent, asked for again: of InfluxDB, of PostgreSQL, of the history. Each gives the same values."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from fleets import HOUR, Fleet
from iiot_gateway.api.problem import Problem
from iiot_gateway.config.load import examine
from iiot_gateway.device_api.archive import Question
from iiot_gateway.device_api.influxdb_archive import InfluxdbArchive, read_csv
from iiot_gateway.sinks.influxdb.section import InfluxdbSection
from servers import Influxd, Postgres, until

pytestmark = [pytest.mark.native, pytest.mark.servers, pytest.mark.slow]

POINTS = [
    {"measurement": "temperature", "fields": {"value": 20 + minute / 10}, "timestamp": f"{HOUR}:{minute:02}:00Z"} for minute in range(5)
]


@pytest.fixture(params=["history", "influxdb", "postgresql"])
def fleet(request: pytest.FixtureRequest, tmp_path: Path, launch: Callable[..., Any]) -> Iterator[Fleet]:
    """A gateway whose devices are asked about in one of three places."""
    match request.param:
        case "influxdb":
            database = launch(Influxd)
            database.create_database("telemetry")
            sections = f'[influxdb]\nurl = "{database.url}"\napi = "v1"\nread_token = "any"\nbatch_interval_ms = 10'
        case "postgresql":
            database = launch(Postgres)
            sections = f'[postgresql]\nurl = "{database.url}"\nbatch_interval_ms = 10'
        case _:
            sections = '[history]\npath = "history.db"'
    gateway = Fleet(tmp_path / "gateway", sections=sections)
    gateway.begin()
    yield gateway
    gateway.end()


def test_every_place_gives_the_values_of_one_device_and_span(fleet: Fleet, request: pytest.FixtureRequest) -> None:
    """The newest of each field, a span with its end left out, one measurement, and nothing of another device."""
    key, other = fleet.add("one"), fleet.add("two")
    place = request.node.callspec.params["fleet"]
    fleet.api("POST", "influxdb/telemetry/batch", key, {"points": POINTS})
    fleet.api("POST", "influxdb/telemetry", key, {"measurement": "state", "fields": {"on": True}, "timestamp": f"{HOUR}:02:00Z"})
    fleet.api("POST", "influxdb/telemetry", other, {"measurement": "temperature", "fields": {"value": -1}, "timestamp": f"{HOUR}:02:00Z"})

    def asked(path: str, key: str = key) -> Any:
        status, document = fleet.api("GET", f"influxdb/device/{path}", key)
        assert status == 200, document
        for part in ("data_points", "latest_data"):
            # The gateway itself makes points of the device's presence.
            document[part] = [value for value in document.get(part) or () if value["measurement"] != "status"]
        return document

    until(lambda: len(asked(f"one/data?start={HOUR}:00:00Z")["data_points"]) == 6, "six values")
    assert fleet.api("GET", "influxdb/health")[1]["served_by"] == place
    span = asked(f"one/data?start={HOUR}:01:00Z&stop={HOUR}:03:00Z&measurement=temperature")
    assert [(value["time"], value["value"], value["field"]) for value in span["data_points"]] == [
        (f"{HOUR}:01:00Z", 20.1, "value"),
        (f"{HOUR}:02:00Z", 20.2, "value"),
    ]
    assert span["data_points"][0]["device_name"] == "name of one"
    assert [value["value"] for value in asked("one/data?start=-30d&limit=2&measurement=temperature")["data_points"]] == [20.3, 20.4]
    newest = {(value["measurement"], value["field"]): (value["time"], value["value"]) for value in asked("one/latest")["latest_data"]}
    assert newest == {("temperature", "value"): (f"{HOUR}:04:00Z", 20.4), ("state", "on"): (f"{HOUR}:02:00Z", True)}
    nothing = fleet.api("GET", "influxdb/device/two/latest?measurement=nothing", other)
    assert (nothing[0], nothing[1]["latest_data"]) == (404, None)


def test_a_text_that_looks_like_a_number_stays_a_text(tmp_path: Path) -> None:
    """In the history, which keeps of each value what it is: as the newest one, and in a span."""
    gateway = Fleet(tmp_path / "gateway")
    gateway.begin()
    try:
        key = gateway.add("one")
        lines = b'm text="12",word="true",on=true,whole=7i,number=27.60 1793491200000000000'
        assert gateway.call("POST", "/api/v2/write?org=o&bucket=b", key, lines)[0] == 204
        expected = {"text": "12", "word": "true", "on": True, "whole": 7, "number": 27.6}
        for path, part in (("one/data?start=-3650d", "data_points"), ("one/latest", "latest_data")):

            def typed(path: str = path, part: str = part) -> dict[str, Any]:
                found = gateway.api("GET", f"influxdb/device/{path}", key)[1][part] or ()
                return {value["field"]: value["value"] for value in found if value["measurement"] == "m"}

            until(lambda typed=typed: len(typed()) == 5, "five values")  # type: ignore[misc]
            assert {name: (type(value), value) for name, value in typed().items()} == {
                name: (type(value), value) for name, value in expected.items()
            }
    finally:
        gateway.end()


def test_what_stands_in_a_question_is_never_a_part_of_a_query(fleet: Fleet) -> None:
    """Quotes and comments find nothing, and break nothing."""
    key, other = fleet.add("one"), fleet.add("two")
    fleet.api("POST", "influxdb/telemetry", key, POINTS[0])
    fleet.api("POST", "influxdb/telemetry", other, POINTS[0])
    fleet.measured("one", key, 1)

    for measurement in (
        "x'%20OR%20'1'='1",
        "x%22)%20%7C%3E%20yield()%20//",
        "x'%3B%20DROP%20TABLE%20temperature%3B--",
        "%00",
        "temperature%5C",
    ):
        status, document = fleet.api("GET", f"influxdb/device/one/data?start=-30d&measurement={measurement}", key)
        assert (status, document["count"]) == (200, 0), measurement
    for moment in ("-1h)%20%7C%3E%20drop()", "now()%3B", "'2026'", "%22", "1e9999", "-1x"):
        status, document = fleet.api("GET", f"influxdb/device/one/data?start={moment}", key)
        assert (status, document["error"]) == (400, "parameter_invalid"), moment
    assert len(fleet.measured("one", key, 1)) == 1


CSV = """\
#datatype,string,long,dateTime:RFC3339,dateTime:RFC3339,dateTime:RFC3339,double,string,string,string,string\r
,result,table,_start,_stop,_time,_value,_field,_measurement,device_id,location\r
,_result,0,2026-11-01T00:00:00Z,2026-11-02T00:00:00Z,2026-11-01T12:00:00.000000001Z,20.5,value,temperature,one,hall\r
\r
#datatype,string,long,dateTime:RFC3339,dateTime:RFC3339,dateTime:RFC3339,boolean,string,string,string\r
,result,table,_start,_stop,_time,_value,_field,_measurement,device_id\r
,_result,1,2026-11-01T00:00:00Z,2026-11-02T00:00:00Z,2026-11-01T11:00:00Z,true,on,state,one\r
"""


@contextmanager
def influxdb2(
    answers: dict[str, tuple[int, str]], go: threading.Event | None = None
) -> Iterator[tuple[str, list[tuple[str, dict[str, str], bytes]]]]:
    """Answer as InfluxDB 2 does, to GET only once `go` is set, and with 204 where no answer is given.

    Gives the URL, and path, headers and body of each request.
    """
    asked: list[tuple[str, dict[str, str], bytes]] = []

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self._answer(b"")

        def do_POST(self) -> None:
            self._answer(self.rfile.read(int(self.headers["content-length"])))

        def _answer(self, body: bytes) -> None:
            asked.append((self.path, {name.lower(): value for name, value in self.headers.items()}, body))
            if self.command == "GET" and go is not None:
                go.wait(30)
            status, text = answers.get(self.path.partition("?")[0], (204, ""))
            self.send_response(status)
            self.send_header("content-type", "text/csv")
            self.send_header("content-length", str(len(text.encode())))
            self.end_headers()
            self.wfile.write(text.encode())

        def log_message(self, *_args: Any) -> None:
            """Say nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever).start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}", asked
    finally:
        server.shutdown()
        server.server_close()


def section(tmp_path: Path, url: str) -> InfluxdbSection:
    """An InfluxDB 2 that may be read."""
    file = tmp_path / "config.toml"
    file.write_text(f'[influxdb]\nurl = "{url}"\norg = "plant"\nbucket = "raw"\nread_token = "may-read"\n')
    config, faults = examine(str(file))
    assert not faults
    return config.of(InfluxdbSection)["influxdb"]


def test_whoever_asks_how_the_archive_is_keeps_no_reader_waiting(tmp_path: Path) -> None:
    """That call needs no key. Those who ask while it is being asked get the same answer."""
    go = threading.Event()
    answers = {"/health": (200, '{"version":"2.7.0"}'), "/api/v2/query": (200, CSV)}
    with influxdb2(answers, go) as (url, asked):
        gateway = Fleet(tmp_path / "gateway", sections=f'[influxdb]\nurl = "{url}"\norg = "o"\nbucket = "b"\nread_token = "may-read"')
        gateway.begin()

        def times() -> int:
            return [path for path, _, _ in asked].count("/health")

        try:
            key = gateway.add("one")
            with ThreadPoolExecutor(20) as threads:
                health = [threads.submit(gateway.api, "GET", "influxdb/health") for _ in range(20)]
                until(lambda: times() > 0, "the question how it is")
                status, document = gateway.api("GET", "influxdb/device/one/data", key)
                assert (status, document["count"]) == (200, 2)
                assert not any(each.done() for each in health)
                go.set()
                assert {(each.result()[0], each.result()[1]["connected"]) for each in health} == {(200, True)}
            assert times() < 5
        finally:
            go.set()
            gateway.end()


def test_flux_gets_what_was_asked_beside_its_text(tmp_path: Path) -> None:
    """As values of a syntax tree, so that nothing of it can be run."""
    hostile = '") |> drop() //'
    with influxdb2({"/api/v2/query": (200, CSV)}) as (url, asked):
        archive = InfluxdbArchive(section(tmp_path, url))
        values = archive.values(
            Question(device_id="one", start_ns=1_793_491_200_000_000_001, stop_ns=2**63 - 1, measurement=hostile, limit=7)
        )

    path, headers, body = asked[0]
    document = json.loads(body)
    assert path == "/api/v2/query?org=plant"
    assert headers["authorization"] == "Token may-read"
    assert hostile not in document["query"]
    properties = document["extern"]["body"][0]["assignment"]["init"]["properties"]
    given = {entry["key"]["name"]: (entry["value"]["type"], entry["value"]["value"]) for entry in properties}
    assert given == {
        "bucket": ("StringLiteral", "raw"),
        "start": ("DateTimeLiteral", "2026-11-01T00:00:00.000000001Z"),
        "stop": ("DateTimeLiteral", "2262-04-11T23:47:16.854775806Z"),
        "device": ("StringLiteral", "one"),
        "limit": ("IntegerLiteral", "7"),
        "measurement": ("StringLiteral", hostile),
    }
    assert [(value.time_ns % 1000, value.measurement, value.field, value.value, value.tags) for value in values] == [
        (0, "state", "on", True, {}),
        (1, "temperature", "value", 20.5, {"location": "hall"}),
    ]


def test_a_database_that_does_not_answer_is_told_apart_from_one_that_refuses(tmp_path: Path) -> None:
    """The remedies differ."""
    with influxdb2({"/api/v2/query": (401, '{"code":"unauthorized"}')}) as (url, _asked):
        refused = InfluxdbArchive(section(tmp_path, url))
        with pytest.raises(Problem) as refusal:
            refused.latest("one", None)
    with pytest.raises(Problem) as silence:
        refused.latest("one", None)

    assert (refusal.value.status, refusal.value.error) == (503, "archive_refused")
    assert "read_token_file" in refusal.value.remedy
    assert (silence.value.status, silence.value.error) == (503, "archive_unavailable")


def test_a_deletion_has_the_token_that_may_write(tmp_path: Path) -> None:
    """The one that may only read may not delete; times keep their nanoseconds."""
    with influxdb2({"/api/v2/delete": (204, "")}) as (url, asked):
        file = tmp_path / "config.toml"
        file.write_text(f'[influxdb]\nurl = "{url}"\norg = "plant"\nbucket = "raw"\nread_token = "may-read"\ntoken = "may-write"\n')
        config, _faults = examine(str(file))
        InfluxdbArchive(config.of(InfluxdbSection)["influxdb"]).delete("one", 1_793_491_200_000_000_001, 1_793_491_201_000_000_000)

    path, headers, body = asked[0]
    document = json.loads(body)
    assert path == "/api/v2/delete?org=plant&bucket=raw"
    assert headers["authorization"] == "Token may-write"
    assert document == {
        "start": "2026-11-01T00:00:00.000000001Z",
        "stop": "2026-11-01T00:00:01Z",
        "predicate": 'device_id="one"',
    }


def test_annotated_csv_is_read_table_by_table() -> None:
    """Each has a header and types of its own; an empty answer has none."""
    assert list(read_csv("\r\n")) == []
    assert len(list(read_csv(CSV))) == 2
