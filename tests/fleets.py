"""A gateway to which devices post, with its registry and keys."""

from __future__ import annotations

import datetime as dt
import http.client
import json
import ssl
from contextlib import suppress
from pathlib import Path
from typing import Any

from gateways import Gateway
from servers import free_port, until

HOUR = (dt.datetime.now(dt.UTC) - dt.timedelta(days=2)).strftime("%Y-%m-%dT%H")
"""An hour that devices may speak of, up to its minutes."""
NOON = f"{HOUR}:00:00Z"
POINT = {"measurement": "temperature", "fields": {"value": 21.5}}
"""What a device sends."""


class Fleet(Gateway):
    """A gateway with [devices] and a history."""

    def __init__(self, folder: Path, *, devices: str = "", sections: str = '[history]\npath = "history.db"', http: str = "") -> None:
        super().__init__(folder)
        self.port = free_port()
        self.context: ssl.SSLContext | None = None
        listen = "" if "listen" in http else f'listen = "127.0.0.1:{self.port}"\n'
        self.config.write_text(
            f'[devices]\n{devices}\n{sections}\n[journal]\npath = "{self.journal}"\n[http]\n{listen}{http.format(port=self.port)}\n'
        )

    def begin(self) -> None:
        """Start it and wait until it answers."""
        self.start("run")
        until(self.answers, "an answer of the gateway")

    def answers(self) -> bool:
        """Tell whether it answers."""
        assert self.process is not None
        assert self.process.poll() is None, self.log()
        with suppress(OSError, http.client.HTTPException):
            return self.call("GET", "/healthz")[0] == 200
        return False

    def command_key(self, *arguments: str) -> str:
        """Run a command that makes a key, and return the key."""
        done = self.run("devices", *arguments)
        assert done.returncode == 0, done.stderr
        return done.stdout.strip()

    def add(self, device_id: str, *arguments: str) -> str:
        """Add a device, and return its key."""
        return self.command_key("add", f"name of {device_id}", "--id", device_id, "--type", "sensor", *arguments)

    def connect(self) -> http.client.HTTPConnection:
        """Return a connection."""
        if self.context is not None:
            return http.client.HTTPSConnection("localhost", self.port, timeout=20, context=self.context)
        return http.client.HTTPConnection("127.0.0.1", self.port, timeout=20)

    def call(
        self, method: str, path: str, key: str = "", body: Any = None, connection: http.client.HTTPConnection | None = None, **headers: str
    ) -> tuple[int, Any]:
        """Make a call; return the status and the document, or the bytes of what is none."""
        used = connection or self.connect()
        sent = dict(headers)
        if key:
            sent["X-API-Key"] = key
        if body is not None and not isinstance(body, bytes):
            body = json.dumps(body).encode()
        if body is not None:
            sent.setdefault("Content-Type", "application/json")
        try:
            used.request(method, path, body, sent)
            answer = used.getresponse()
            content = answer.read()
        finally:
            if connection is None:
                used.close()
        if content and "json" in answer.headers.get("content-type", ""):
            return answer.status, json.loads(content)
        return answer.status, content

    def api(self, method: str, path: str, key: str = "", body: Any = None, **headers: str) -> tuple[int, Any]:
        """Make a call of the API."""
        return self.call(method, f"/api/v1/{path}", key, body, **headers)

    def metrics(self) -> str:
        """Return what Prometheus would read."""
        status, text = self.call("GET", "/metrics")
        assert status == 200
        return str(text.decode())

    def until_online(self, device_id: str) -> None:
        """Wait until the gateway has told that a device sends: that is a frame too, which the ledger counts."""

        def is_told() -> bool:
            return any(f'"device": "{device_id}"' in line and '"presence": "online"' in line for line in self.log().splitlines())

        until(is_told, f"the presence of {device_id}")

    def values(self, device_id: str, key: str, count: int) -> list[dict[str, Any]]:
        """Return the values of a device, once there are so many."""
        found: list[dict[str, Any]] = []

        def there() -> bool:
            nonlocal found
            status, document = self.api("GET", f"influxdb/device/{device_id}/data?start=-30d", key)
            assert status == 200, document
            found = document["data_points"]
            return len(found) >= count

        until(there, f"{count} values of {device_id}")
        return found

    def measured(self, device_id: str, key: str, count: int) -> list[dict[str, Any]]:
        """Return the values that a device sent itself, once there are so many; the gateway makes points of its presence."""
        found: list[dict[str, Any]] = []

        def there() -> bool:
            nonlocal found
            found = [value for value in self.values(device_id, key, 0) if value["measurement"] != "status"]
            return len(found) >= count

        until(there, f"{count} values that {device_id} sent")
        return found
