"""A broker (MQTT 5) without shared subscriptions: it says so in its CONNACK, or grants them and delivers nothing, as NATS does."""

from __future__ import annotations

from contextlib import AbstractContextManager

from peers.scripted_broker import CONNECT, PUBLISH, SUBSCRIBE, Broker, Script, scripted_broker, topic_end

SHARED_SUBSCRIPTION_AVAILABLE = 0x2A


def unsharing_broker(*, says_so: bool) -> AbstractContextManager[Broker]:
    """Run it."""

    def script() -> Script:
        topics = set()

        def answer(kind: int, body: bytes) -> bytes:
            if kind == CONNECT:
                said = [2, SHARED_SUBSCRIPTION_AVAILABLE, 0] if says_so else [0]
                return bytes([0x20, 2 + len(said), 0, 0, *said])
            if kind == SUBSCRIBE:  # to one filter, without properties
                topics.add(body[5 : 5 + int.from_bytes(body[3:5], "big")])
                return bytes([0x90, 4, *body[:2], 0, 1])
            if kind == PUBLISH:  # of QoS 1
                end = topic_end(body)
                taken = bytes([0x40, 2, *body[end : end + 2]])
                message = body[:end] + body[end + 2 :]
                return taken + (bytes([0x30, len(message)]) + message if body[2:end] in topics else b"")
            return b""

        return answer

    return scripted_broker(script)
