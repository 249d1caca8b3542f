"""A gate in front of a database: open (hands on), answering a status, or closed (refuses connections)."""

from __future__ import annotations

import http.client
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any


class HttpGate:
    """Listens on one port all the time but while it is closed."""

    def __init__(self, target_port: int) -> None:
        self.answer: tuple[int, dict[str, str], bytes] | None = None
        """Status, headers and body to answer with instead of handing on."""
        self.failed = threading.Event()
        """Set when a request was not handed on."""
        self.target_port = target_port
        self.is_closed = False
        self._server = _Listener(0, self)
        self.port: int = self._server.server_address[1]

    @property
    def url(self) -> str:
        """Its address."""
        return f"http://127.0.0.1:{self.port}"

    def close(self) -> None:
        """Refuse connections, and break those that are open at their next request."""
        self.is_closed = True
        self._server.shutdown()
        self._server.server_close()

    def reopen(self) -> None:
        """Listen again."""
        self.is_closed = False
        self._server = _Listener(self.port, self)


class _Listener(ThreadingHTTPServer):
    daemon_threads = True
    block_on_close = False

    def __init__(self, port: int, gate: HttpGate) -> None:
        self.gate = gate
        super().__init__(("127.0.0.1", port), _Handler)
        threading.Thread(target=self.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: _Listener

    def do_GET(self) -> None:
        self.do_POST()

    def do_POST(self) -> None:
        gate = self.server.gate
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        reply = None if gate.is_closed else gate.answer or self._hand_on(body)
        if reply is None:
            self.close_connection = True  # as if the database itself had gone
        else:
            self._reply(*reply)
        if reply is None or gate.answer is not None:
            gate.failed.set()

    def _hand_on(self, body: bytes) -> tuple[int, dict[str, str], bytes] | None:
        target = http.client.HTTPConnection("127.0.0.1", self.server.gate.target_port, timeout=30)
        try:
            target.request(self.command, self.path, body or None, {k: v for k, v in self.headers.items() if k.lower() != "host"})
            answer = target.getresponse()
            return answer.status, {}, answer.read()
        except OSError:
            return None
        finally:
            target.close()

    def _reply(self, status: int, headers: dict[str, str], content: bytes) -> None:
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        if status != 204:
            self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        if status != 204:
            self.wfile.write(content)

    def log_message(self, *_args: Any) -> None:
        pass
