"""A simulated device that uses HTTP: it registers itself, posts, repeats messages that were not answered, and acknowledges commands."""

from __future__ import annotations

import http.client
import json
import ssl
import time
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from iiot_gateway.errors import SettingUnusable
from iiot_gateway.plant.device import HEARTBEAT, Reading

if TYPE_CHECKING:
    from iiot_gateway.plant.device_fleet import Member

TIMEOUT_S = 20.0
IDLE_S = 2.0
"""If a connection was idle for longer (s), the other side may just be closing it, so the device makes a new one."""
RETRY_S = 1.0
MOST_RETRY_S = 60.0
REFUSED_S = 5.0
"""The interval (s) at which a device with a refused key tries again."""


class Door:
    """The address of a gateway, and how to connect to it over HTTP."""

    def __init__(self, url: str, ca_file: str | None = None) -> None:
        """Read http://HOST:PORT or https://HOST:PORT; without a file, the system's certificates are trusted. Raises SettingUnusable."""
        parts = urlsplit(url)
        try:
            self._host, self._port = parts.hostname or "", parts.port
        except ValueError:
            self._host = ""
        if parts.scheme not in ("http", "https") or not self._host or parts.query or parts.username:
            raise SettingUnusable(f"--http: expected http://HOST:PORT or https://HOST:PORT, found {url[:200]!r}")
        self._path = parts.path.rstrip("/")
        try:
            self._tls = ssl.create_default_context(cafile=ca_file) if parts.scheme == "https" else None
        except OSError as error:
            raise SettingUnusable(f"--ca-file: {ca_file} holds no certificates (PEM): {error}") from error

    def connect(self) -> http.client.HTTPConnection:
        """Return a connection, which is made at the first call."""
        if self._tls is not None:
            return http.client.HTTPSConnection(self._host, self._port, timeout=TIMEOUT_S, context=self._tls)
        return http.client.HTTPConnection(self._host, self._port, timeout=TIMEOUT_S)

    def path(self, call: str) -> str:
        """Return the whole path of a call."""
        return f"{self._path}/api/v1/{call}"


class Caller:
    """One device's connection."""

    def __init__(self, door: Door, member: Member) -> None:
        self._door = door
        self._member = member
        self._connection = door.connect()
        self._used_s = 0.0

    def call(self, method: str, call: str, key: str, document: dict[str, Any] | None = None) -> tuple[int, dict[str, Any], float]:
        """Make a call. Return the status, the document and how long to wait (s). Raises OSError or HTTPException if there is no answer."""
        if time.monotonic() - self._used_s > IDLE_S:
            self._connection.close()
        body = None if document is None else json.dumps(document, separators=(",", ":")).encode()
        headers = {"Content-Type": "application/json"} if body is not None else {}
        if key:
            headers["X-API-Key"] = key
        try:
            self._connection.request(method, self._door.path(call), body, headers)
            answer = self._connection.getresponse()
            content = answer.read()
        except (OSError, http.client.HTTPException):
            self._connection.close()
            raise
        self._used_s = time.monotonic()
        try:
            read = json.loads(content)
        except ValueError:
            read = {}
        return answer.status, read if isinstance(read, dict) else {}, _retry_after_s(answer.getheader("Retry-After"))

    def until_answered(
        self, method: str, call: str, key: str, document: dict[str, Any] | None = None, *, counts: bool = False
    ) -> tuple[int, dict[str, Any]] | None:
        """Repeat a call until it has a final answer. Return None if the device is to end first."""
        member, wait_s = self._member, RETRY_S
        while True:
            try:
                status, answer, asked_s = self.call(method, call, key, document)
            except (OSError, http.client.HTTPException) as error:
                member.trouble = f"{type(error).__name__}: {error}"
                asked_s = 0.0
            else:
                if status not in (408, 429) and status < 500:
                    return status, answer
                member.trouble = f"{status}: {answer.get('message', '')}"
            if member.is_over():
                return None
            member.pause(asked_s or wait_s)
            wait_s = min(2 * wait_s, MOST_RETRY_S)
            # The gateway may or may not have stored the message; because of its id, it stores it only once.
            if counts and not member.is_over():
                member.tally.count("sent_again")

    def close(self) -> None:
        """Close the connection."""
        self._connection.close()


def register(door: Door, member: Member, registration_key: str) -> bool:
    """Let a device register itself and get its key. Return False if it may not, or is to end first."""
    caller = Caller(door, member)
    document = {
        "id": member.id,
        "name": f"Simulated {member.id}",
        "device_type": "esp32",
        "location": f"Room {member.number}",
        "firmware_version": "1.4.0",
        "hardware_version": "ESP32-WROOM-32",
    }
    try:
        answered = caller.until_answered("POST", "devices/register", registration_key, document)
    finally:
        caller.close()
    if answered is None:
        return False
    status, answer = answered
    if status != 201:
        member.trouble = f"{member.id} cannot register: {_words(status, answer)}"
        return False
    member.key = answer["device"]["api_key"]
    member.tally.count("registered")
    return True


def post_all(door: Door, member: Member) -> None:
    """Post the messages of a device, one after another, until it is to end."""
    caller = Caller(door, member)
    try:
        for reading in member.due():
            call, document = _post_of(reading, member)
            member.tally.count("sent")
            answered = caller.until_answered("POST", call, member.key, document, counts=True)
            if answered is None:
                return
            status, answer = answered
            if status in (200, 201):
                member.tally.answered(reading.kind)
            else:
                member.tally.refused(_words(status, answer))
                if status in (401, 403, 404):
                    member.pause(REFUSED_S)
            if reading.kind == HEARTBEAT:
                _obey(caller, member)
    finally:
        caller.close()


def _post_of(reading: Reading, member: Member) -> tuple[str, dict[str, Any]]:
    own = {"timestamp": member.now_ms(), "message_id": member.message_id()}
    if reading.kind == HEARTBEAT:
        return "devices/heartbeat", {"status": "online", **own}
    return "devices/telemetry", {"type": reading.kind, "data": {reading.kind: reading.value}, **own}


def _obey(caller: Caller, member: Member) -> None:
    """Ask for commands, and acknowledge them. If this fails, the device tries again at the next heartbeat."""
    try:
        status, answer, _ = caller.call("GET", "devices/commands", member.key)
        for command in answer.get("commands", []) if status == 200 else []:
            if caller.call("POST", f"devices/commands/{command['id']}/acknowledge", member.key)[0] == 200:
                member.tally.count("commands")
    except (OSError, http.client.HTTPException) as error:
        member.trouble = f"{type(error).__name__}: {error}"


def _words(status: int, answer: dict[str, Any]) -> str:
    message, remedy = answer.get("message", ""), answer.get("remedy", "")
    return f"{status}: {message}" + (f"; {remedy}" if remedy else "")


def _retry_after_s(text: str | None) -> float:
    return min(float(text), MOST_RETRY_S) if text is not None and text.isascii() and text.isdigit() else 0.0
