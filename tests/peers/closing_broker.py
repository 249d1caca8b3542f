"""A broker (MQTT 3.1.1) that takes every publish but those to certain topics: at these it closes the connection without a word."""

from __future__ import annotations

import contextlib
import socketserver
import threading
from collections.abc import Callable, Iterator
from typing import ClassVar

CONNECT, PUBLISH, SUBSCRIBE, UNSUBSCRIBE, PINGREQ = 1, 3, 8, 10, 12


class Broker(socketserver.ThreadingTCPServer):
    """Counts its connections."""

    daemon_threads: ClassVar[bool] = True
    allow_reuse_address = True

    def __init__(self, closes_at: Callable[[str], bool]) -> None:
        super().__init__(("127.0.0.1", 0), _Connection)
        self.closes_at = closes_at
        self.connections = 0

    @property
    def url(self) -> str:
        """Its address."""
        return f"mqtt://127.0.0.1:{self.server_address[1]}"


class _Connection(socketserver.StreamRequestHandler):
    server: Broker

    def handle(self) -> None:
        self.server.connections += 1
        with contextlib.suppress(OSError):
            while first := self.rfile.read(1):
                body = self.rfile.read(self._length())
                answer = self._answer(first[0], body)
                if answer is None:
                    return
                self.wfile.write(answer)

    def _answer(self, first: int, body: bytes) -> bytes | None:
        """Return the answer to a packet; None closes the connection."""
        kind = first >> 4
        if kind == PUBLISH:
            topic_end = 2 + int.from_bytes(body[:2], "big")
            if self.server.closes_at(body[2:topic_end].decode()):
                return None
            return bytes([0x40, 2, *body[topic_end : topic_end + 2]])
        if kind == SUBSCRIBE:  # refused, so that everything retained is sent again
            filters = at = 0
            while 2 + at < len(body):
                at += 3 + int.from_bytes(body[2 + at : 4 + at], "big")
                filters += 1
            return bytes([0x90, 2 + filters, *body[:2], *[0x80] * filters])
        return {CONNECT: bytes([0x20, 2, 0, 0]), UNSUBSCRIBE: bytes([0xB0, 2, *body[:2]]), PINGREQ: bytes([0xD0, 0])}.get(kind)

    def _length(self) -> int:
        length = shift = 0
        while True:
            byte = self.rfile.read(1)[0]
            length |= (byte & 0x7F) << shift
            shift += 7
            if byte < 0x80:
                return length


@contextlib.contextmanager
def closing_broker(closes_at: Callable[[str], bool]) -> Iterator[Broker]:
    """Run it."""
    with Broker(closes_at) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield server
        server.shutdown()
