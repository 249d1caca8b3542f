"""A database that answers by a function of the lines it was sent, and remembers what it took."""

from __future__ import annotations

import gzip
import json
import threading
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

Reply = tuple[int, dict[str, str], dict[str, str] | str | None]
"""Status, headers, and a JSON document or a text."""
TAKEN: Reply = (204, {}, None)


class ScriptedDatabase:
    """Speaks the write and health paths of InfluxDB 2."""

    def __init__(self, judge: Callable[[list[str]], Reply]) -> None:
        self.judge = judge
        """Decides on the lines of one request."""
        self.look: Reply = (204, {}, None)
        """What a GET is answered with."""
        self.taken: dict[str, str] = {}
        """Series and time -> fields: the same point overwrites, as in a real one."""
        self.requests: list[list[str]] = []
        self.answers: list[int] = []
        self.paths: list[str] = []
        self.tokens: set[str] = set()
        self._lock = threading.Lock()
        database = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"
            disable_nagle_algorithm = True  # head and body of an answer are two writes

            def do_GET(self) -> None:
                self._reply(database.look)

            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                if self.headers.get("Content-Encoding") == "gzip":
                    body = gzip.decompress(body)
                lines = body.decode().splitlines()
                with database._lock:
                    reply = database.judge(lines)
                    database.requests.append(lines)
                    database.answers.append(reply[0])
                    database.paths.append(self.path)
                    database.tokens.add(self.headers.get("Authorization", ""))
                    if reply[0] == 204:
                        database.take(lines)
                self._reply(reply)

            def _reply(self, reply: Reply) -> None:
                status, headers, document = reply
                self.send_response(status)
                content = (document if isinstance(document, str) else json.dumps(document)).encode() if document is not None else b""
                for name, value in headers.items():
                    self.send_header(name, value)
                if status != 204:
                    self.send_header("Content-Length", str(len(content)))
                self.end_headers()
                self.wfile.write(content)

            def log_message(self, *_args: Any) -> None:
                pass

        class Listener(ThreadingHTTPServer):
            daemon_threads = True
            block_on_close = False

        self._server = Listener(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}"
        threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()

    def take(self, lines: list[str]) -> None:
        """Store lines as points."""
        for line in lines:
            series, fields, time = line.rsplit(" ", 2)
            self.taken[f"{series} {time}"] = fields

    def close(self) -> None:
        """Stop listening."""
        self._server.shutdown()
        self._server.server_close()
