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
        self.requests = 0
        self.failed = threading.Event()
        """Set when a request was not handed on."""
        self._target_port = target_port
        self._closed = False
        self._server = self._listen(0)
        self.port: int = self._server.server_address[1]

    @property
    def url(self) -> str:
        """Its address."""
        return f"http://127.0.0.1:{self.port}"

    def close(self) -> None:
        """Refuse connections, and break those that are open at their next request."""
        self._closed = True
        self._server.shutdown()
        self._server.server_close()

    def reopen(self) -> None:
        """Listen again."""
        self._closed = False
        self._server = self._listen(self.port)

    def _listen(self, port: int) -> ThreadingHTTPServer:
        gate = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
                gate.requests += 1
                if gate._closed:
                    self.close_connection = True
                    gate.failed.set()
                    return
                if gate.answer is not None:
                    self._reply(*gate.answer)
                    gate.failed.set()
                    return
                target = http.client.HTTPConnection("127.0.0.1", gate._target_port, timeout=30)
                try:
                    target.request(self.command, self.path, body or None, {k: v for k, v in self.headers.items() if k.lower() != "host"})
                    answer = target.getresponse()
                    content = answer.read()
                except OSError:
                    self.close_connection = True  # as if the database itself had gone
                    gate.failed.set()
                    return
                finally:
                    target.close()
                self._reply(answer.status, {}, content)

            def do_GET(self) -> None:
                self.do_POST()

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

        class Listener(ThreadingHTTPServer):
            daemon_threads = True
            block_on_close = False

        server = Listener(("127.0.0.1", port), Handler)
        threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()
        return server
