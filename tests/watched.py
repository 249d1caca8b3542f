"""A gateway that is looked at: fed line by line through standard input, asked over HTTP."""

from __future__ import annotations

import json
import socket
import subprocess
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from gateways import Gateway
from servers import free_port, until


def line(seq: int, *, temperature: str = "20.5", node: str = "n1", rssi: int = -80) -> bytes:
    """Return a log line with one packet."""
    document = {"ts": seq * 1000, "id": "N2", node: {"t": "T", "h": 40 + seq % 20, "seq": seq}, "sig": {"rssi": rssi, "snr": 7.5}}
    text = json.dumps(document, separators=(",", ":")).replace('"T"', temperature)
    return f"[INFO ] JSON sent via VCP: {text}\\n\n".encode()


class Watched(Gateway):
    """A gateway with its HTTP face on."""

    def __init__(self, folder: Path, sections: str = "", *, http: str = "", host: str = "127.0.0.1") -> None:
        super().__init__(folder)
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self.config.write_text(f'{sections}\n[journal]\npath = "{self.journal}"\n[http]\nlisten = "{host}:{self.port}"\n{http}\n')

    def begin(self, *arguments: str) -> None:
        """Start it and wait until it answers."""
        self.start("replay", "-", "--speed", "max", *arguments, stdin=subprocess.PIPE)
        # It looks at the first bytes before it starts, for they may be packed.
        self.feed(b"[INFO ] Node 2 begins\n")
        until(self.answers, "an answer of the gateway")

    def answers(self) -> bool:
        """Tell whether it answers."""
        assert self.process is not None
        assert self.process.poll() is None, self.log()
        try:
            return self.get("/healthz")[0] == 200
        except OSError:
            return False

    def feed(self, *lines: bytes) -> None:
        """Let telemetry come in."""
        assert self.process is not None
        assert self.process.stdin is not None
        self.process.stdin.write(b"".join(lines))
        self.process.stdin.flush()

    def get(self, path: str, **headers: str) -> tuple[int, dict[str, str], bytes]:
        """GET; return status, headers and body."""
        request = urllib.request.Request(self.url + path, headers=headers)
        try:
            with urllib.request.urlopen(request, timeout=10) as answer:
                return answer.status, {k.lower(): v for k, v in answer.headers.items()}, answer.read()
        except urllib.error.HTTPError as error:
            with error:
                return error.code, {k.lower(): v for k, v in error.headers.items()}, error.read()

    def document(self, name: str, **headers: str) -> Any:
        """Return a document of the API."""
        status, _, body = self.get(f"/api/v1/{name}", **headers)
        assert status == 200, body
        return json.loads(body)

    def refusal(self, path: str, **headers: str) -> tuple[int, str]:
        """Return status and name of a refusal, which says what is wrong and what to do."""
        status, answered, body = self.get(path, **headers)
        assert answered["content-type"] == "application/problem+json"
        problem = json.loads(body)
        assert set(problem) == {"type", "title", "status", "detail", "error", "message", "remedy"}
        assert problem["status"] == status
        assert problem["message"]
        return status, problem["error"]

    def series(self, topic: str) -> dict[str, Any] | None:
        """Return the newest value of a topic."""
        found: list[dict[str, Any]] = self.document("latest")["series"]
        return next((series for series in found if series["topic"] == topic), None)

    @contextmanager
    def events(self, **headers: str) -> Iterator[Iterator[tuple[str, Any]]]:
        """Open the live stream and give its events."""
        request = urllib.request.Request(self.url + "/api/v1/live", headers=headers)
        with urllib.request.urlopen(request, timeout=10) as answer:

            def read() -> Iterator[tuple[str, Any]]:
                name = ""
                for raw in answer:
                    key, _, value = raw.decode().strip().partition(": ")
                    if key == "event":
                        name = value
                    elif key == "data":
                        yield name, json.loads(value)

            yield read()

    def connect(self, request: bytes = b"") -> socket.socket:
        """Open a connection by hand."""
        connection = socket.create_connection(("127.0.0.1", self.port), timeout=10)
        connection.sendall(request)
        return connection

    def end(self) -> None:
        """Whatever it is doing."""
        if self.process is not None and self.process.stdin is not None:
            self.process.stdin.close()
        super().end()
