"""A broker (MQTT 5) without shared subscriptions: it says so in its CONNACK, or grants them and delivers nothing, as NATS does."""

from __future__ import annotations

import contextlib
import socketserver
import threading
from collections.abc import Iterator
from typing import ClassVar

SHARED_SUBSCRIPTION_AVAILABLE = 0x2A


class _Connection(socketserver.StreamRequestHandler):
    server: _Server

    def handle(self) -> None:
        topics = set()
        while first := self.rfile.read(1):
            body = self.rfile.read(self._length())
            match first[0] >> 4:
                case 1:  # CONNECT
                    said = [2, SHARED_SUBSCRIPTION_AVAILABLE, 0] if self.server.says_so else [0]
                    self.wfile.write(bytes([0x20, 2 + len(said), 0, 0, *said]))
                case 8:  # SUBSCRIBE, to one filter, without properties
                    end = 5 + int.from_bytes(body[3:5], "big")
                    topics.add(body[5:end])
                    self.wfile.write(bytes([0x90, 4, *body[:2], 0, 1]))
                case 3:  # PUBLISH, of QoS 1
                    end = 2 + int.from_bytes(body[:2], "big")
                    self.wfile.write(bytes([0x40, 2, *body[end : end + 2]]))
                    if body[2:end] in topics:
                        message = body[:end] + body[end + 2 :]
                        self.wfile.write(bytes([0x30, len(message)]) + message)
                case _:
                    pass

    def _length(self) -> int:
        length = shift = 0
        while True:
            byte = self.rfile.read(1)[0]
            length |= (byte & 0x7F) << shift
            shift += 7
            if byte < 0x80:
                return length


class _Server(socketserver.ThreadingTCPServer):
    daemon_threads: ClassVar[bool] = True
    says_so = False


@contextlib.contextmanager
def unsharing_broker(*, says_so: bool) -> Iterator[str]:
    """Give its URL."""
    with _Server(("127.0.0.1", 0), _Connection) as server:
        server.says_so = says_so
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"mqtt://127.0.0.1:{server.server_address[1]}"
        server.shutdown()
