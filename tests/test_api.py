"""The JSON API of a running gateway: what it shows, whom it refuses, and that a crowd of readers stops nothing."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

import iiot_gateway
from gateways import assert_balanced
from iiot_gateway.api.app import _api, _site
from servers import Mosquitto, free_port, until
from watched import Watched, line

OPENAPI = json.loads((Path(iiot_gateway.__file__).parent / "api" / "openapi.json").read_text())
LIVE = b"GET /api/v1/live HTTP/1.1\r\nHost: localhost\r\n\r\n"
TOPIC = "iiot/node1/temperature"
TOKEN = "a-token-of-the-tests"  # noqa: S105


@pytest.fixture
def gateway(tmp_path: Path) -> Iterator[Callable[..., Watched]]:
    """A function that starts a gateway; all are ended after the test."""
    running: list[Watched] = []

    def begin(*arguments: Any, **settings: Any) -> Watched:
        running.append(Watched(tmp_path / str(len(running)), *arguments, **settings))
        running[-1].begin()
        return running[-1]

    yield begin
    for started in running:
        started.end()


def test_the_newest_value_is_shown_as_the_text_that_came(gateway: Callable[..., Watched]) -> None:
    """27.60 stays 27.60, with its name, unit and sample."""
    watched = gateway()
    watched.feed(line(1, temperature="27.60"))

    until(lambda: watched.series(TOPIC) is not None, "the value")

    series = watched.series(TOPIC)
    assert series is not None
    assert (series["value"], series["kind"], series["unit"], series["count"]) == ("27.60", "number", "celsius", 1)
    assert series["tags"] == {"node": "node1", "unit": "celsius"}
    assert series["samples"] == [[series["received_at_ms"], 27.6]]


def test_the_live_stream_begins_with_everything_and_goes_on_with_changes(gateway: Callable[..., Watched]) -> None:
    """A reader needs nothing else: first `latest`, then `status`, then a `changes` a value."""
    watched = gateway()
    watched.feed(line(1, temperature="1.5"))
    until(lambda: watched.series(TOPIC) is not None, "the first value")

    with watched.events() as events:
        name, latest = next(events)
        assert name == "latest"
        known = {series["topic"]: series["id"] for series in latest["series"]}
        watched.feed(line(2, temperature="2.5"))
        changes = next(data for name, data in events if name == "changes")
        status = next(data for name, data in events if name == "status")

    values = {value["id"]: value["value"] for value in changes["changed"]}
    assert values[known[TOPIC]] == "2.5"
    assert status["verdict"]["state"] == "flowing"
    assert_balanced(status)


def test_links_tell_losses_and_repeats_of_each_node(gateway: Callable[..., Watched]) -> None:
    """Packets 3 and 4 never came, 2 came twice."""
    watched = gateway()
    watched.feed(line(1), line(2), line(2), line(5, rssi=-101))

    until(lambda: watched.document("status")["intake"]["received"] == 4, "four frames")

    (link,) = watched.document("latest")["links"]
    found = {key: link[key] for key in ("node", "rssi_dbm", "snr_db", "received", "duplicate", "lost_on_air")}
    assert found == {"node": "node1", "rssi_dbm": "-101", "snr_db": "7.5", "received": 3, "duplicate": 1, "lost_on_air": 2}


def test_rejects_are_listed_with_reason_and_place(gateway: Callable[..., Watched]) -> None:
    """The newest first, within a limit."""
    watched = gateway()
    watched.feed(b'{"ts":1,"n1":{"t":}}\n', b'{"other":1}\n')

    until(lambda: len(watched.document("rejects")["rejects"]) == 2, "two rejects")

    newest = watched.document("rejects?limit=1")["rejects"]
    assert [reject["reason"] for reject in newest] == ["nothing_usable"]
    assert newest[0]["excerpt"] == '{"other":1}'


def test_ranges_come_out_of_the_history(gateway: Callable[..., Watched]) -> None:
    """The points as they are, and one value a step."""
    watched = gateway('[history]\npath = "history.db"\n')
    watched.feed(*(line(seq, temperature=f"{seq}.5") for seq in range(1, 11)))
    until(lambda: watched.document("status")["sinks"]["history"]["delivered"] == 10, "ten frames in the history")

    (series,) = (s for s in watched.document("series")["series"] if s["topic"] == TOPIC)
    span = f"id={series['id']}&start_ms={series['first_ms']}&end_ms={series['last_ms'] + 1}"
    points = watched.document(f"range?{span}&every_ms=0")
    total = watched.document(f"range?{span}&every_ms=86400000&agg=sum")

    assert series["points"] == 10
    assert points["values"] == [seq + 0.5 for seq in range(1, 11)]
    assert points["times_ms"] == sorted(set(points["times_ms"]))
    assert sum(total["values"]) == sum(points["values"])


def test_a_sum_that_no_float_holds_is_null(gateway: Callable[..., Watched]) -> None:
    """JSON has no infinity; the other answers are there."""
    watched = gateway('[history]\npath = "history.db"\n')
    watched.feed(line(1, temperature="1e308"), line(2, temperature="1e308"))
    until(lambda: watched.document("status")["sinks"]["history"]["delivered"] == 2, "two frames in the history")
    (series,) = (s for s in watched.document("series")["series"] if s["topic"] == TOPIC)
    ask = f"range?id={series['id']}&start_ms={series['first_ms']}&end_ms={series['last_ms'] + 1}&every_ms=86400000"

    assert watched.document(f"{ask}&agg=mean")["values"] == [None]
    assert watched.document(f"{ask}&agg=max")["values"] == [1e308]


def test_wrong_questions_are_refused_with_a_remedy(gateway: Callable[..., Watched]) -> None:
    """Each names the parameter; none ends as a fault of the gateway."""
    watched = gateway('[history]\npath = "history.db"\n')
    watched.feed(line(1))
    until(lambda: watched.document("status")["sinks"]["history"]["delivered"] == 1, "a frame in the history")
    ask = "/api/v1/range?id=1&start_ms=0&end_ms=1000"

    assert watched.refusal("/api/v1/range?id=1") == (400, "parameter_missing")
    assert watched.refusal("/api/v1/range?id=x&start_ms=0&end_ms=1") == (400, "parameter_invalid")
    assert watched.refusal("/api/v1/range?id=1&start_ms=5&end_ms=5") == (400, "parameter_invalid")
    assert watched.refusal(ask + "&agg=median") == (400, "parameter_invalid")
    assert watched.refusal(ask + "&evry_ms=1") == (400, "unknown_parameter")
    assert watched.refusal("/api/v1/range?id=1&start_ms=0&end_ms=9223372036854&every_ms=1000") == (400, "too_many_points")
    assert watched.refusal("/api/v1/range?id=4711&start_ms=0&end_ms=1000") == (404, "unknown_series")
    assert watched.refusal("/api/v1/rejects?limit=0") == (400, "parameter_invalid")
    assert watched.refusal("/api/v1/nothing") == (404, "not_found")


def test_without_a_history_the_answer_says_how_to_get_one(gateway: Callable[..., Watched]) -> None:
    """Series and ranges need a section."""
    watched = gateway()

    status, _, body = watched.get("/api/v1/range?id=1&start_ms=0&end_ms=1")

    assert watched.refusal("/api/v1/series") == (404, "no_history")
    assert (status, json.loads(body)["error"]) == (404, "no_history")
    assert "[history]" in json.loads(body)["remedy"]


def test_a_history_that_cannot_be_read_is_named_and_the_rest_goes_on(tmp_path: Path) -> None:
    """The file is left as it is; live values and the ledger are there."""
    watched = Watched(tmp_path, '[history]\npath = "history.db"\n')
    (tmp_path / "history.db").write_bytes(b"no history, " * 1000)
    watched.begin()
    try:
        watched.feed(line(1))
        until(lambda: watched.series(TOPIC) is not None, "the value")

        assert watched.refusal("/api/v1/series") == (500, "history_damaged")
        assert watched.refusal("/api/v1/range?id=1&start_ms=0&end_ms=1") == (500, "history_damaged")
        until(lambda: watched.document("status")["verdict"]["state"] == "held", "the word about the history")
    finally:
        watched.end()
    assert (tmp_path / "history.db").read_bytes() == b"no history, " * 1000


def test_the_description_names_every_route_and_no_other() -> None:
    """A route that is added must be described."""
    routes = {route.path for route in [*_api(None, None), _site(None, None)]}  # type: ignore[arg-type]

    assert routes == set(OPENAPI["paths"])


@pytest.mark.slow
def test_every_answer_is_as_the_description_says(gateway: Callable[..., Watched]) -> None:
    """Schemathesis asks everything it can think of; the stream without an end has tests of its own."""
    watched = gateway('[history]\npath = "history.db"\n')
    watched.feed(*(line(seq) for seq in range(1, 30)), b'{"ts":1,"n1":{"t":}}\n')
    until(lambda: watched.document("status")["sinks"]["history"]["queued"] == 0, "the history")

    done = subprocess.run(
        [
            *(sys.executable, "-m", "schemathesis.cli", "run", f"{watched.url}/api/v1/openapi.json"),
            # That the end of a range lies behind its start is nothing that a schema can say.
            *(
                "--exclude-checks",
                "positive_data_acceptance",
                "--exclude-path",
                "/api/v1/live",
                "--max-examples",
                "60",
                "--seed",
                "1",
                "--workers",
                "1",
                "--no-color",
            ),
        ],
        cwd=watched.folder,
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )

    assert done.returncode == 0, done.stdout[-6000:]
    assert "passed" in done.stdout


def test_a_token_is_asked_of_everybody_who_wants_data(gateway: Callable[..., Watched]) -> None:
    """Missing and wrong ones are refused; the page, which asks for it, and health checks are not."""
    watched = gateway(http=f'token = "{TOKEN}"')

    for path in ("/api/v1/latest", "/api/v1/live", "/api/v1/nothing", "/metrics"):
        assert watched.refusal(path) == (401, "token_needed"), path
        assert watched.refusal(path, Authorization=f"Bearer {TOKEN}x") == (401, "token_needed"), path
        assert watched.refusal(path, Authorization=TOKEN) == (401, "token_needed"), path
    assert watched.get("/api/v1/latest")[1]["www-authenticate"] == "Bearer"
    assert watched.get("/api/v1/latest", Authorization=f"Bearer {TOKEN}")[0] == 200
    assert [watched.get(path)[0] for path in ("/healthz", "/readyz", "/", "/api/v1/openapi.json")] == [200] * 4
    assert TOKEN not in watched.log()


def test_an_address_that_others_reach_needs_a_token_before_anything_starts(tmp_path: Path) -> None:
    """The gateway refuses to start without one; with one from the environment it answers there."""
    watched = Watched(tmp_path, host="0.0.0.0")  # noqa: S104 - that is the point

    refused = watched.run("run")

    assert refused.returncode in (1, 2)
    assert "http.token: is needed" in refused.stderr
    assert "IIOT_HTTP__TOKEN" in refused.stderr
    assert not watched.journal.exists()

    watched.start("run", env={**os.environ, "IIOT_HTTP__TOKEN": TOKEN})
    try:
        until(watched.answers, "an answer")
        assert watched.get("/api/v1/status", Host="gateway.example", Authorization=f"Bearer {TOKEN}")[0] == 200
        assert watched.refusal("/api/v1/status") == (401, "token_needed")
    finally:
        watched.end()


def test_a_page_of_another_site_cannot_ask_by_a_rebound_name(gateway: Callable[..., Watched]) -> None:
    """The Host that a browser sends must be one of this machine, or a configured one."""
    watched = gateway(http='allowed_hosts = ["Plant.example"]')

    answers = {
        name: watched.get("/api/v1/status", Host=name)[0]
        for name in ("evil.example", "localhost", "127.0.0.1:5000", "[::1]", "plant.example")
    }

    assert answers == {"evil.example": 421, "localhost": 200, "127.0.0.1:5000": 200, "[::1]": 200, "plant.example": 200}
    assert watched.refusal("/", Host="evil.example:80") == (421, "unknown_host")


def test_everything_can_only_be_read_and_keeps_to_itself(gateway: Callable[..., Watched]) -> None:
    """Other methods are refused; every answer carries the headers that keep other sites out."""
    watched = gateway()

    for method in ("POST", "PUT", "DELETE", "PATCH"):
        with watched.connect(f"{method} /api/v1/status HTTP/1.1\r\nHost: localhost\r\nContent-Length: 0\r\n\r\n".encode()) as connection:
            assert connection.recv(100).startswith(b"HTTP/1.1 405 ")
    for path in ("/", "/api/v1/status", "/api/v1/nothing", "/metrics"):
        headers = watched.get(path)[1]
        assert "default-src 'none'" in headers["content-security-policy"], path
        assert headers["x-content-type-options"] == "nosniff"
        assert "access-control-allow-origin" not in headers
        assert "server" not in headers


@pytest.mark.slow
def test_a_thousand_pages_do_not_stop_the_way_to_the_broker(gateway: Callable[..., Watched], mosquitto: Mosquitto) -> None:
    """Those beyond the limit are told to come later, every frame is delivered, and the next page finds room."""
    watched = gateway(f'[mqtt]\nbroker_url = "{mosquitto.url}"\n', http="max_pages = 20")
    watched.feed(line(1))
    until(lambda: watched.ask()["sinks"]["mqtt"]["delivered"] == 1, "the first frame")

    with ExitStack() as open_pages:
        pages: list[socket.socket] = []
        for _ in range(1000):
            try:
                pages.append(open_pages.enter_context(watched.connect(LIVE)))
            except OSError:  # refused before it was accepted
                continue
        heads = [_head(page) for page in pages]
        watched.feed(*(line(seq) for seq in range(2, 502)))
        until(lambda: watched.ask()["sinks"]["mqtt"]["delivered"] == 501, "501 frames")

    assert heads.count("HTTP/1.1 200 OK") == 20
    assert set(heads) <= {"HTTP/1.1 200 OK", "HTTP/1.1 503 Service Unavailable", ""}
    assert heads.count("HTTP/1.1 503 Service Unavailable") > 0
    assert_balanced(watched.ask())

    def a_page_opens() -> bool:
        try:
            with watched.events() as events:
                return next(events)[0] == "latest"
        except OSError:
            return False

    until(a_page_opens, "room for a page")


def _head(connection: socket.socket) -> str:
    """Return the first line of the answer, nothing if the connection was cut."""
    try:
        return connection.recv(200).partition(b"\r\n")[0].decode()
    except OSError:
        return ""


def test_the_page_limit_may_forbid_pages_and_nothing_else(gateway: Callable[..., Watched]) -> None:
    """max_pages = 0 leaves the documents."""
    watched = gateway(http="max_pages = 0")

    assert watched.refusal("/api/v1/live") == (503, "too_many_pages")
    assert watched.get("/api/v1/live")[1]["retry-after"] == "10"
    assert watched.get("/api/v1/latest")[0] == 200


def test_asking_for_the_heads_of_the_stream_opens_no_page(gateway: Callable[..., Watched]) -> None:
    """HEAD ends at once."""
    watched = gateway(http="max_pages = 1")

    with watched.connect(LIVE.replace(b"GET", b"HEAD")) as head:
        assert b"text/event-stream" in head.recv(1000)
        with watched.events() as events:
            assert next(events)[0] == "latest"


def test_after_a_restart_the_last_values_are_there_before_any_frame_comes(gateway: Callable[..., Watched], mosquitto: Mosquitto) -> None:
    """They are what the broker confirmed."""
    watched = gateway(f'[mqtt]\nbroker_url = "{mosquitto.url}"\n')
    watched.feed(line(1, temperature="3.25"))
    until(lambda: watched.ask()["sinks"]["mqtt"]["delivered"] == 1, "the frame")

    watched.end()
    watched.begin()

    series = watched.series(TOPIC)
    assert series is not None
    assert (series["value"], series["count"]) == ("3.25", 0)


def test_a_taken_port_leaves_the_gateway_running(gateway: Callable[..., Watched], tmp_path: Path) -> None:
    """The page is beside the point of a gateway; status answers on the control socket."""
    port = free_port()
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", port))
        taken.listen()
        watched = Watched(tmp_path / "taken")
        watched.config.write_text(watched.config.read_text().replace(str(watched.port), str(port)))
        watched.start("replay", "-", "--speed", "max", stdin=subprocess.PIPE)
        try:
            watched.feed(line(1))
            watched.until(lambda status: status["intake"]["accepted"] == 1, "the frame")
            assert "http_unavailable" in watched.log()
        finally:
            watched.end()
