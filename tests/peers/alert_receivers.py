"""Receivers of alerts: a web service that takes, refuses or hangs as a test wants it, and a mail server."""

from __future__ import annotations

import json
import threading
from email import message_from_bytes, policy
from email.message import EmailMessage
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from ssl import SSLContext
from typing import Any, Self

from aiosmtpd.controller import Controller
from aiosmtpd.smtp import SMTP, AuthResult, Envelope, LoginPassword, Session

from servers import free_port


class WebService:
    """Keeps what is posted to it."""

    def __init__(self) -> None:
        self.status = 200
        self.headers: dict[str, str] = {}
        self.said = b"said"
        """The body of every answer."""
        self.hangs = False
        self.posts: list[dict[str, Any]] = []
        """Every body, also of posts that were refused or never answered."""
        self.authorizations: list[str] = []
        self.paths: list[str] = []
        self.changed = threading.Condition()
        self._release = threading.Event()
        self._server = _Listener(0, self)
        self.port: int = self._server.server_address[1]

    @property
    def url(self) -> str:
        """Its address."""
        return f"http://127.0.0.1:{self.port}/alerts"

    def wait(self, count: int, timeout_s: float = 30.0) -> list[dict[str, Any]]:
        """Wait for so many posts, and return all."""
        with self.changed:
            assert self.changed.wait_for(lambda: len(self.posts) >= count, timeout_s), f"{count} posts, came {self.posts}"
            return list(self.posts)

    def stop(self) -> None:
        """Let go of whoever hangs, and end."""
        self._release.set()
        self._server.shutdown()
        self._server.server_close()

    def take(self, path: str, body: bytes, authorization: str) -> tuple[int, dict[str, str]]:
        """Take a post; answer it when the test says so."""
        with self.changed:
            self.posts.append(json.loads(body))
            self.authorizations.append(authorization)
            self.paths.append(path)
            self.changed.notify_all()
            answer = self.status, self.headers
            hangs = self.hangs
        if hangs:
            self._release.wait()
        return answer


class _Listener(ThreadingHTTPServer):
    daemon_threads = True
    block_on_close = False

    def __init__(self, port: int, service: WebService) -> None:
        self.service = service
        super().__init__(("127.0.0.1", port), _Handler)
        threading.Thread(target=self.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()

    def handle_error(self, *_: Any) -> None:
        """Keep quiet about gateways that were killed."""


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: _Listener

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        status, headers = self.server.service.take(self.path, body, self.headers.get("Authorization", ""))
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        said = self.server.service.said
        self.send_header("Content-Length", str(len(said)))
        self.end_headers()
        self.wfile.write(said)

    def log_message(self, *_: Any) -> None:
        """Keep quiet."""


class MailServer:
    """Keeps the mails that it takes; with a context it speaks STARTTLS and asks for a password."""

    def __init__(self, context: SSLContext | None = None, login: tuple[str, str] | None = None) -> None:
        self.mails: list[EmailMessage] = []
        self.refused: set[str] = set()
        """Addresses that are not taken."""
        self.changed = threading.Condition()
        self._login = login
        self.port = free_port()
        self._controller = Controller(
            self,
            hostname="127.0.0.1",
            port=self.port,
            tls_context=context,
            require_starttls=context is not None,
            authenticator=self._authenticate if login else None,
            auth_required=login is not None,
        )

    def start(self) -> Self:
        """Listen."""
        self._controller.start()
        return self

    def stop(self) -> None:
        """End."""
        self._controller.stop()

    def wait(self, count: int, timeout_s: float = 30.0) -> list[EmailMessage]:
        """Wait for so many mails, and return all."""
        with self.changed:
            assert self.changed.wait_for(lambda: len(self.mails) >= count, timeout_s), f"{count} mails, came {len(self.mails)}"
            return list(self.mails)

    async def handle_RCPT(self, _server: SMTP, _session: Session, envelope: Envelope, address: str, _options: list[str]) -> str:  # noqa: N802
        """Take or refuse an address."""
        if address in self.refused:
            return "550 nobody of this name"
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(self, _server: SMTP, _session: Session, envelope: Envelope) -> str:  # noqa: N802
        """Take a mail."""
        assert isinstance(envelope.content, bytes)
        mail = message_from_bytes(envelope.content, policy=policy.default)
        assert isinstance(mail, EmailMessage)
        with self.changed:
            self.mails.append(mail)
            self.changed.notify_all()
        return "250 taken"

    def _authenticate(self, _server: SMTP, _session: Session, _envelope: Envelope, _mechanism: str, data: Any) -> AuthResult:
        right = isinstance(data, LoginPassword) and (data.login.decode(), data.password.decode()) == self._login
        return AuthResult(success=right, handled=False)
