"""What `doctor` says about peers that answer in an odd way."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from scripted_influxdb2 import ScriptedInfluxdb2

from iiot_gateway.cli.doctor_listen import page
from iiot_gateway.config.load import load_text
from iiot_gateway.errors import command
from iiot_gateway.mqtt.remedies import remedy
from iiot_gateway.sinks.influxdb.doctor import databases


class Redirecting(BaseHTTPRequestHandler):
    """Sends everybody elsewhere, and remembers who came."""

    seen: list[tuple[int, str | None]]
    elsewhere: str

    def do_GET(self) -> None:
        """Redirect."""
        self.seen.append((self.server.server_address[1], self.headers["Authorization"]))  # type: ignore[index]
        self.send_response(302)
        self.send_header("Location", self.elsewhere + self.path)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def do_POST(self) -> None:
        """Redirect."""
        self.do_GET()

    def log_message(self, *_args: Any) -> None:
        """Be silent."""


@pytest.fixture
def servers() -> Iterator[tuple[ThreadingHTTPServer, ThreadingHTTPServer]]:
    """Two servers."""
    pair = (ThreadingHTTPServer(("127.0.0.1", 0), Redirecting), ThreadingHTTPServer(("127.0.0.1", 0), Redirecting))
    for server in pair:
        threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()
    yield pair
    for server in pair:
        server.shutdown()
        server.server_close()


def test_the_token_is_not_carried_to_another_host(servers: tuple[ThreadingHTTPServer, ThreadingHTTPServer]) -> None:
    """A redirect is reported with its target and not followed."""
    first, second = (server.server_address[1] for server in servers)
    Redirecting.seen, Redirecting.elsewhere = [], f"http://127.0.0.1:{second}"
    config = load_text(f'[influxdb]\nurl = "http://127.0.0.1:{first}"\ntoken = "secret"\n')

    findings = list(databases(config))

    assert {port for port, _token in Redirecting.seen} == {first}
    assert findings[-1].ok is False
    assert f"redirect to http://127.0.0.1:{second}" in findings[-1].detail
    assert "url" in findings[-1].remedy


def test_a_token_that_may_only_write_is_not_called_bad() -> None:
    """InfluxDB 2 tells such a token that there is no bucket; the line was taken all the same, and nobody waits for it."""
    peer = ScriptedInfluxdb2()
    peer.rights["gateway"] = [{"action": "write", "resource": {"type": "buckets"}}]

    findings = list(databases(load_text(f'[influxdb]\nurl = "{peer.url}"\ntoken = "gateway"\n')))
    peer.close()

    assert [finding.ok for finding in findings] == [True, None]
    assert findings[1].detail == "could not be read back: the token may only write, which is right for a gateway"
    assert [line.split(",")[0] for line in peer.lines] == ["iiot_doctor"]


@pytest.mark.parametrize(
    ("step", "kind", "words"),
    [
        ("connect", "not_authorized", "check username and password_file"),
        ("connect", "tls", "check ca_file"),
        ("connect", "unreachable", "firewall"),
        ("connect", "refused", "client_id"),
        ("connect", None, "firewall"),
        ("authenticate", None, "check username and password_file"),
        ("subscribe", "not_authorized", "allow this user to read"),
        ("publish", "not_authorized", "allow this user to write"),
        ("publish", "unreachable", "firewall"),
        ("read_back", "", "threw it away"),
        ("something_new", "something_new", "firewall"),
    ],
)
def test_the_remedy_is_for_what_went_wrong(step: str, kind: str | None, words: str) -> None:
    """A wrong password is no firewall."""
    report = {"ok": False, "step": step, "detail": "", **({} if kind is None else {"kind": kind})}

    assert words in remedy(report)


def test_an_address_of_the_page_is_tried(tmp_path: Path) -> None:
    """Free, taken by somebody else, not of this machine, and not wanted at all are told apart."""
    journal = f'[journal]\npath = "{tmp_path / "journal.db"}"\n'

    def findings(http: str) -> list[tuple[bool | None, str]]:
        return [(finding.ok, finding.detail) for finding in page(load_text(f"{journal}[http]\n{http}"), lambda: None)]

    with socket.create_server(("127.0.0.1", 0)) as other:
        listen = f'listen = "127.0.0.1:{other.getsockname()[1]}"\n'
        assert findings(listen) == [(False, "is taken by another program")]
        assert findings(listen + "enabled = false\n") == []
    assert findings(listen) == [(True, "is free")]
    # TEST-NET-1 of RFC 5737, which no machine has.
    [(ok, detail)] = findings('listen = "192.0.2.1:5000"\ntoken = "12345678"\n')
    assert (ok, detail) == (False, "Cannot assign requested address")


def test_commands_are_named_as_they_can_be_typed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """By name where the program is on the path, by its place in a checkout where it is not."""
    program = tmp_path / ".venv" / "bin" / "iiot-gateway"
    program.parent.mkdir(parents=True)
    program.write_text("#!/bin/sh\n")
    program.chmod(0o755)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("sys.argv", [str(program)])
    monkeypatch.setenv("PATH", str(tmp_path))

    assert command("status") == f"{program} status", "a log is read elsewhere"
    monkeypatch.setattr("sys.stderr.isatty", lambda: True)
    assert command("status") == ".venv/bin/iiot-gateway status"
    monkeypatch.chdir(tmp_path / ".venv")
    assert command("status") == "bin/iiot-gateway status"
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    assert command("status") == f"{program} status"
    monkeypatch.setenv("PATH", str(program.parent))
    assert command("status") == "iiot-gateway status"


def test_a_question_says_once_what_it_is() -> None:
    """Lines are plain text; the question beside them is JSON, and a server that finds two types refuses it."""
    seen: list[tuple[str, list[str] | None, str | None]] = []

    class Asked(BaseHTTPRequestHandler):
        """Takes lines, and shows the last one to everybody who asks."""

        value = b""

        def do_GET(self) -> None:
            """Be alive."""
            self.send_response(204)
            self.end_headers()

        def do_POST(self) -> None:
            """Take a line, or show it."""
            body = self.rfile.read(int(self.headers["Content-Length"]))
            path = self.path.partition("?")[0]
            seen.append((path, self.headers.get_all("Content-Type"), self.headers["Accept"]))
            if path == "/api/v2/write":
                Asked.value = body.split(b"value=")[1].split()[0]
                self.do_GET()
                return
            self.send_response(200)
            self.send_header("Content-Length", str(len(Asked.value)))
            self.end_headers()
            self.wfile.write(Asked.value)

        def log_message(self, *_args: Any) -> None:
            """Be silent."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Asked)
    threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()
    try:
        findings = list(databases(load_text(f'[influxdb]\nurl = "http://127.0.0.1:{server.server_address[1]}"\ngzip = false\n')))
    finally:
        server.shutdown()
        server.server_close()

    assert [finding.detail for finding in findings] == ["204", "the line is there"]
    assert seen == [
        ("/api/v2/write", ["text/plain; charset=utf-8"], None),
        ("/api/v2/query", ["application/json"], "application/csv"),
    ]
