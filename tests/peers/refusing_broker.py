"""A broker (MQTT 5) that refuses every publish, and subscriptions where it is told so, and lets the connection stand.

Mosquitto 2.0.11 cuts the connection when it refuses, and its PUBACK may be lost by that.
"""

from __future__ import annotations

from contextlib import AbstractContextManager

from peers.scripted_broker import CONNECT, PUBLISH, SUBSCRIBE, Broker, scripted_broker, topic_end

NOT_AUTHORIZED = 0x87


def refusing_broker(*, grants: bool = True) -> AbstractContextManager[Broker]:
    """Run it."""

    def answer(kind: int, body: bytes) -> bytes:
        if kind == PUBLISH:
            end = topic_end(body)
            return bytes([0x40, 3, *body[end : end + 2], NOT_AUTHORIZED])
        if kind == SUBSCRIBE:  # to one filter
            return bytes([0x90, 4, *body[:2], 0, 0 if grants else NOT_AUTHORIZED])
        return bytes([0x20, 3, 0, 0, 0]) if kind == CONNECT else b""

    return scripted_broker(lambda: answer)
