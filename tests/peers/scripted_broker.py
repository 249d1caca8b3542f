"""What scripted brokers share: each packet of a connection comes whole, and a script says what is answered."""

from __future__ import annotations

import contextlib
import socketserver
import threading
from collections.abc import Callable, Iterator
from typing import ClassVar

CONNECT, PUBLISH, SUBSCRIBE, UNSUBSCRIBE, PINGREQ = 1, 3, 8, 10, 12

Script = Callable[[int, bytes], bytes | None]
"""Gets the kind of a packet and what stands behind its length. Returns the bytes that are answered; None closes the connection."""


class Broker(socketserver.ThreadingTCPServer):
    """Counts its connections; each follows a script of its own."""

    daemon_threads: ClassVar[bool] = True
    allow_reuse_address = True

    def __init__(self, script: Callable[[], Script]) -> None:
        super().__init__(("127.0.0.1", 0), _Connection)
        self.script = script
        self.connections = 0

    @property
    def url(self) -> str:
        """Its address."""
        return f"mqtt://127.0.0.1:{self.server_address[1]}"


class _Connection(socketserver.StreamRequestHandler):
    server: Broker

    def handle(self) -> None:
        self.server.connections += 1
        script = self.server.script()
        with contextlib.suppress(OSError):
            while first := self.rfile.read(1):
                answer = script(first[0] >> 4, self.rfile.read(self._length()))
                if answer is None:
                    return
                self.wfile.write(answer)

    def _length(self) -> int:
        length = shift = 0
        while True:
            byte = self.rfile.read(1)[0]
            length |= (byte & 0x7F) << shift
            shift += 7
            if byte < 0x80:
                return length


@contextlib.contextmanager
def scripted_broker(script: Callable[[], Script]) -> Iterator[Broker]:
    """Run one."""
    with Broker(script) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield server
        server.shutdown()


def topic_end(publish: bytes) -> int:
    """Return where the topic of a PUBLISH ends; with a QoS above 0 the packet id stands behind it."""
    return 2 + int.from_bytes(publish[:2], "big")
