"""The set-up, write, query and delete paths of InfluxDB 2's API, with the rights that its tokens have.

Written from the API's reference (docs.influxdata.com, "InfluxDB OSS v2 API"); compared with a real 2.7 where INFLUXDB_V2_URL names one.
"""

from __future__ import annotations

import gzip
import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit

CSV = "#datatype,string,long,double\r\n,result,table,_value\r\n,,0,27.6\r\n"
UNAUTHORIZED = {"code": "unauthorized", "message": "unauthorized access"}


class ScriptedInfluxdb2:
    """Keeps organisations, buckets and tokens; `is_new` until somebody sets it up."""

    def __init__(self) -> None:
        self.is_new = True
        self.user = ""
        self.orgs: dict[str, str] = {}
        """Name -> id."""
        self.buckets: dict[str, dict[str, Any]] = {}
        """Name -> as it was asked for, with its id."""
        self.rights: dict[str, list[dict[str, Any]] | None] = {}
        """Token -> permissions; None for the administrator's."""
        self.tasks: dict[str, dict[str, Any]] = {}
        """Name -> id and Flux, as it was asked for."""
        self.deletions: list[dict[str, Any]] = []
        self.lines: list[str] = []
        """What was written."""
        peer = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self) -> None:
                self._answer("GET", {})

            def do_PATCH(self) -> None:
                body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
                self._answer("PATCH", json.loads(body))

            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
                if self.headers.get("Content-Encoding") == "gzip":
                    body = gzip.decompress(body)
                if self.path.startswith("/api/v2/write?"):
                    self._answer("POST", {"lines": body.decode()})
                else:
                    self._answer("POST", json.loads(body) if body else {})

            def _answer(self, method: str, body: dict[str, Any]) -> None:
                parts = urlsplit(self.path)
                query = {key: values[0] for key, values in parse_qs(parts.query).items()}
                token = self.headers.get("Authorization", "").removeprefix("Token ")
                status, document = peer.answer(method, parts.path, query, body, token)
                content = document.encode() if isinstance(document, str) else json.dumps(document).encode() if document is not None else b""
                self.send_response(status)
                self.send_header("Content-Type", "text/csv" if isinstance(document, str) else "application/json")
                if status != 204:
                    self.send_header("Content-Length", str(len(content)))
                self.end_headers()
                self.wfile.write(content)

            def log_message(self, *_args: Any) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}"
        threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()

    def answer(self, method: str, path: str, query: dict[str, str], body: dict[str, Any], token: str) -> tuple[int, Any]:
        """Return status and document."""
        if path == "/ping":
            return 204, None
        if path == "/api/v2/setup":
            return self._setup(method, body)
        if token not in self.rights:
            return 401, UNAUTHORIZED
        if path in ("/api/v2/query", "/api/v2/write", "/api/v2/delete"):
            return self._use(path, query, body, token)
        return self._administer(method, path, query, body) if self.rights[token] is None else (401, UNAUTHORIZED)

    def _use(self, path: str, query: dict[str, str], body: dict[str, Any], token: str) -> tuple[int, Any]:
        if path == "/api/v2/query":
            return (200, CSV) if self._may(token, "read") else (404, {"code": "not found", "message": "could not find bucket"})
        if path == "/api/v2/delete":
            self.deletions.append({**query, **body})
        elif self._may(token, "write"):
            self.lines.append(body["lines"])
        else:
            return 403, {"code": "forbidden", "message": "insufficient permissions for write"}
        return 204, None

    def _setup(self, method: str, body: dict[str, Any]) -> tuple[int, Any]:
        if method == "GET":
            return 200, {"allowed": self.is_new}
        if not self.is_new:
            return 422, {"code": "conflict", "message": "onboarding has already been completed"}
        self.is_new, self.user = False, body["username"]
        self.rights["admin"] = None
        self._org(body["org"])
        self._bucket(body["bucket"], body["retentionPeriodSeconds"])
        return 201, {"auth": {"token": "admin", "status": "active", "permissions": []}}

    def _administer(  # noqa: PLR0911 - the API, a line a call
        self, method: str, path: str, query: dict[str, str], body: dict[str, Any]
    ) -> tuple[int, Any]:
        match method, path:
            case "GET", "/api/v2/orgs":
                found = [{"id": number, "name": name} for name, number in self.orgs.items() if query.get("org") in (None, name)]
                return (200, {"orgs": found}) if found else (404, {"code": "not found", "message": "organization name not found"})
            case "POST", "/api/v2/orgs":
                return 201, {"id": self._org(body["name"]), "name": body["name"]}
            case "GET", "/api/v2/buckets":
                found = [bucket for name, bucket in self.buckets.items() if query.get("name") in (None, name)]
                return (200, {"buckets": found}) if found else (404, {"code": "not found", "message": "bucket not found"})
            case "POST", "/api/v2/buckets":
                rules = body["retentionRules"]
                return 201, self._bucket(body["name"], rules[0]["everySeconds"] if rules else 0)
            case "GET", "/api/v2/tasks":
                return 200, {"tasks": [task for name, task in self.tasks.items() if query.get("name") in (None, name)]}
            case "POST", "/api/v2/tasks":
                name = body["flux"].partition('name: "')[2].partition('"')[0]
                self.tasks[name] = {**body, "id": f"{len(self.tasks) + 1:016x}", "name": name}
                return 201, self.tasks[name]
        if method == "PATCH" and path.startswith("/api/v2/tasks/"):
            task = next(task for task in self.tasks.values() if path.endswith(task["id"]))
            task.update({key: value for key, value in body.items() if value is not None})
            return 200, task
        if (method, path) != ("POST", "/api/v2/authorizations"):
            return 404, {"code": "not found", "message": f"{method} {path}"}
        new = f"token-{len(self.rights)}"
        self.rights[new] = body["permissions"]
        return 201, {**body, "token": new}

    def _org(self, name: str) -> str:
        return self.orgs.setdefault(name, f"{len(self.orgs) + 1:016x}")

    def _bucket(self, name: str, seconds: int) -> dict[str, Any]:
        rules = [{"type": "expire", "everySeconds": seconds}] if seconds else []
        number = f"{len(self.buckets) + 0xB:016x}"
        return self.buckets.setdefault(name, {"id": number, "name": name, "retentionRules": rules})

    def _may(self, token: str, action: str) -> bool:
        rights = self.rights[token]
        return rights is None or any(right["action"] == action for right in rights)

    def close(self) -> None:
        """End it."""
        self._server.shutdown()
        self._server.server_close()
