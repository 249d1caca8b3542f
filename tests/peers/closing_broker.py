"""A broker (MQTT 3.1.1) that takes every publish but those to certain topics: at these it closes the connection without a word."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager

from peers.scripted_broker import CONNECT, PINGREQ, PUBLISH, SUBSCRIBE, UNSUBSCRIBE, Broker, scripted_broker, topic_end


def closing_broker(closes_at: Callable[[str], bool]) -> AbstractContextManager[Broker]:
    """Run it."""

    def answer(kind: int, body: bytes) -> bytes | None:
        if kind == PUBLISH:
            end = topic_end(body)
            return None if closes_at(body[2:end].decode()) else bytes([0x40, 2, *body[end : end + 2]])
        if kind == SUBSCRIBE:  # refused, so that everything retained is sent again
            filters = at = 0
            while 2 + at < len(body):
                at += 3 + int.from_bytes(body[2 + at : 4 + at], "big")
                filters += 1
            return bytes([0x90, 2 + filters, *body[:2], *[0x80] * filters])
        return {CONNECT: bytes([0x20, 2, 0, 0]), UNSUBSCRIBE: bytes([0xB0, 2, *body[:2]]), PINGREQ: bytes([0xD0, 0])}.get(kind)

    return scripted_broker(lambda: answer)
