"""An InfluxDB and a Grafana in one server, as far as scripts/test-grafana-influx.sh asks them; each part can be broken.

Written from Grafana's reference of its HTTP API (health, data source health, search, ds/query) and InfluxDB's (health, write).
"""

from __future__ import annotations

import base64
import json
import re
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Self

ADMINISTRATOR = 'se "cre\\t'
"""Of Grafana's administrator; it tries the escapes of whoever logs in."""


class ScriptedStack:
    """Answers while `broken` does not name the part."""

    def __init__(self, uids: list[str]) -> None:
        self.uids = uids
        self.broken: set[str] = set()
        self.lines: list[str] = []
        """What was written."""
        peer = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                status, document = peer.get(self.path, self.headers.get("Authorization", ""))
                self._send(status, document)

            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"])).decode()
                status, document = peer.post(self.path, self.headers.get("Authorization", ""), body)
                self._send(status, document)

            def _send(self, status: int, document: Any) -> None:
                body = b"" if document is None else json.dumps(document).encode()
                self.send_response(status)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_arguments: object) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_port}"

    def __enter__(self) -> Self:
        threading.Thread(target=self._server.serve_forever, daemon=True).start()
        return self

    def __exit__(self, *_exc: object) -> None:
        self._server.shutdown()
        self._server.server_close()

    def get(self, path: str, authorization: str) -> tuple[int, Any]:
        """Answer what is asked for."""
        if path == "/health":
            return 200, {"name": "influxdb", "status": "fail" if "influxdb" in self.broken else "pass"}
        if path == "/api/health":
            return 200, {"database": "failing" if "grafana" in self.broken else "ok", "version": "12.0.0"}
        if authorization != "Basic " + base64.b64encode(f"admin:{ADMINISTRATOR}".encode()).decode():
            return 401, {"message": "Invalid username or password"}
        if path == "/api/datasources/uid/influx/health":
            is_well = "source" not in self.broken
            return 200 if is_well else 400, {"status": "OK" if is_well else "ERROR", "message": "error reading buckets"}
        if path == "/api/search?tag=iiot&type=dash-db":
            return 200, [{"uid": uid, "title": uid} for uid in self.uids]
        return 404, {"message": "Not found"}

    def post(self, path: str, authorization: str, body: str) -> tuple[int, Any]:
        """Take a point, or show the newest one."""
        if path.startswith("/api/v2/write?"):
            if authorization != "Token writes":
                return 401, {"code": "unauthorized", "message": "unauthorized access"}
            self.lines.append(body)
            return 204, None
        if path == "/api/ds/query" and authorization.startswith("Basic "):
            (query,) = json.loads(body)["queries"]
            assert query["datasource"] == {"type": "influxdb", "uid": "influx"}
            assert re.search(r'r\._measurement == "iiot_gateway_check"', query["query"])
            values = [] if "view" in self.broken else [int(line.split("value=")[1].rstrip("i")) for line in self.lines[-1:]]
            return 200, {"results": {"A": {"status": 200, "frames": [{"data": {"values": [values]}}]}}}
        return 404, {"message": "Not found"}
