"""A broker (MQTT 5) that refuses every publish, and subscriptions where it is told so, and lets the connection stand.

Mosquitto 2.0.11 cuts the connection when it refuses, and its PUBACK may be lost by that.
"""

from __future__ import annotations

import contextlib
import socketserver
import threading
from collections.abc import Iterator
from typing import ClassVar

NOT_AUTHORIZED = 0x87


class _Connection(socketserver.StreamRequestHandler):
    server: _Server

    def handle(self) -> None:
        while first := self.rfile.read(1):
            body = self.rfile.read(self._length())
            match first[0] >> 4:
                case 1:  # CONNECT
                    self.wfile.write(bytes([0x20, 3, 0, 0, 0]))
                case 8:  # SUBSCRIBE, to one filter
                    self.wfile.write(bytes([0x90, 4, *body[:2], 0, 0 if self.server.grants else NOT_AUTHORIZED]))
                case 3:  # PUBLISH
                    topic_end = 2 + int.from_bytes(body[:2], "big")
                    self.wfile.write(bytes([0x40, 3, *body[topic_end : topic_end + 2], NOT_AUTHORIZED]))
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
    grants = True


@contextlib.contextmanager
def refusing_broker(*, grants: bool = True) -> Iterator[str]:
    """Give its URL."""
    with _Server(("127.0.0.1", 0), _Connection) as server:
        server.grants = grants
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"mqtt://127.0.0.1:{server.server_address[1]}"
        server.shutdown()
