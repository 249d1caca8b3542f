"""A crowd of devices over MQTT 5: thousands of connections from one process, each with one message under way at a time.

A device that loses its connection goes to the next broker and publishes again what was not acknowledged: the same document, so that a
database which knows time and content stores it once.
"""

from __future__ import annotations

import asyncio
import itertools
import threading
import time
from collections.abc import Sequence

CONNECT, CONNACK, PUBLISH, PUBACK, PINGREQ, DISCONNECT = 1, 2, 3, 4, 12, 14
RETRY_S = 0.5
ANSWER_S = 60.0
"""A cluster of which a node is away may take long to answer."""


def packet(kind: int, flags: int, body: bytes) -> bytes:
    """Return a packet with its length before it."""
    length, out = len(body), bytearray([kind << 4 | flags])
    while True:
        length, byte = divmod(length, 128)
        out.append(byte | (128 if length else 0))
        if not length:
            return bytes(out) + body


def text(value: str) -> bytes:
    """Return a text with its length before it."""
    encoded = value.encode()
    return len(encoded).to_bytes(2, "big") + encoded


class Connection(asyncio.Protocol):
    """One connection; `answered` is set with each packet that comes, and `lost` when it breaks."""

    def __init__(self) -> None:
        self.transport: asyncio.Transport | None = None
        self.answers: asyncio.Queue[tuple[int, bytes] | None] = asyncio.Queue()
        self._buffer = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keep the way out."""
        assert isinstance(transport, asyncio.Transport)
        self.transport = transport

    def data_received(self, data: bytes) -> None:
        """Cut packets."""
        self._buffer += data
        while len(self._buffer) >= 2:
            length, shift, at = 0, 0, 1
            while True:
                if at >= len(self._buffer):
                    return
                byte = self._buffer[at]
                length |= (byte & 127) << shift
                at, shift = at + 1, shift + 7
                if byte < 128:
                    break
            if len(self._buffer) < at + length:
                return
            self.answers.put_nowait((self._buffer[0] >> 4, self._buffer[at : at + length]))
            self._buffer = self._buffer[at + length :]

    def connection_lost(self, _error: Exception | None) -> None:
        """Tell whoever waits."""
        self.answers.put_nowait(None)

    async def wait(self, kind: int) -> None:
        """Wait for a packet. Raises ConnectionError."""
        async with asyncio.timeout(ANSWER_S):
            while True:
                answer = await self.answers.get()
                if answer is None or answer[0] == DISCONNECT:
                    raise ConnectionError("the broker ended it")
                if answer[0] == kind:
                    if len(answer[1]) > 2 and answer[1][2 if kind == PUBACK else 1] >= 128:
                        raise ConnectionError(f"refused: {answer[1].hex()}")
                    return


class Crowd:
    """Devices that publish numbered documents, each its own share of them, in a thread of its own."""

    def __init__(self, ports: Sequence[int], devices: int, *, messages: int, interval_s: float = 0.0, first: int = 0) -> None:
        """Each device publishes `messages` documents, one per interval; without one, as fast as they are acknowledged.

        `first` is the number of the first device.
        """
        self._ports = ports
        self._devices = devices
        self._messages = messages
        self._first = first
        self._interval_s = interval_s
        self.acknowledged = 0
        self.connected = 0
        self.reconnects = 0
        self.failure: BaseException | None = None
        self._thread = threading.Thread(target=self._run, daemon=True)

    @property
    def total(self) -> int:
        """How many documents there will be."""
        return self._devices * self._messages

    @property
    def is_over(self) -> bool:
        """Whether every document is acknowledged, or nothing more will be."""
        return not self._thread.is_alive()

    def start(self) -> None:
        """Begin."""
        self._thread.start()

    def wait(self, timeout_s: float) -> None:
        """Wait until every document is acknowledged."""
        self._thread.join(timeout_s)
        if self.failure is not None:
            raise self.failure
        assert not self._thread.is_alive(), f"{self.acknowledged} of {self.total} documents are acknowledged"

    def _run(self) -> None:
        try:
            asyncio.run(self._live())
        except BaseException as error:  # told by `wait`
            self.failure = error

    async def _live(self) -> None:
        opening = asyncio.Semaphore(200)
        async with asyncio.TaskGroup() as tasks:
            for number in range(self._devices):
                tasks.create_task(self._device(number, self._first + number, opening))

    async def _device(self, place: int, number: int, opening: asyncio.Semaphore) -> None:
        ports = itertools.cycle([*self._ports[number % len(self._ports) :], *self._ports[: number % len(self._ports)]])
        connection: Connection | None = None
        # Spread over the interval, as devices are.
        await asyncio.sleep(self._interval_s * place / self._devices)
        last_ms = 0
        for count in range(self._messages):
            due_s = time.monotonic() + self._interval_s
            last_ms = max(last_ms + 1, time.time_ns() // 1_000_000)
            document = f'{{"t":{last_ms},"n":{count},"pad":"{"x" * 180}"}}'.encode()
            publish = packet(PUBLISH, 2, text(f"crowd/d{number}/data") + (count % 65535 + 1).to_bytes(2, "big") + b"\x00" + document)
            while True:
                try:
                    if connection is None:
                        async with opening:
                            connection = await self._connect(number, next(ports))
                    assert connection.transport is not None
                    connection.transport.write(publish)
                    await connection.wait(PUBACK)
                    break
                except (OSError, TimeoutError):
                    if connection is not None and connection.transport is not None:
                        connection.transport.abort()
                        self.connected -= 1
                    connection = None
                    self.reconnects += 1
                    await asyncio.sleep(RETRY_S)
            self.acknowledged += 1
            await asyncio.sleep(max(0.0, due_s - time.monotonic()))
        if connection is not None and connection.transport is not None:
            connection.transport.write(packet(DISCONNECT, 0, b""))
            connection.transport.close()

    async def _connect(self, number: int, port: int) -> Connection:
        loop = asyncio.get_running_loop()
        async with asyncio.timeout(ANSWER_S):
            _, connection = await loop.create_connection(Connection, "127.0.0.1", port)
        assert connection.transport is not None
        # MQTT 5, a clean start, and no keep-alive: who is silent for an hour is still there.
        connection.transport.write(packet(CONNECT, 0, text("MQTT") + b"\x05\x02\x00\x00\x00" + text(f"d{number}")))
        await connection.wait(CONNACK)
        self.connected += 1
        return connection
