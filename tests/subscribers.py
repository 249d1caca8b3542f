"""A foreign MQTT client (paho) that notes everything it sees."""

from __future__ import annotations

import threading
import time
from collections import defaultdict
from typing import Any, Self

import paho.mqtt.client as paho


class Subscriber:
    """Subscribes, connects again by itself, and keeps every message in order."""

    def __init__(self, port: int, pattern: str) -> None:
        self.port = port
        self.pattern = pattern
        self.messages: dict[str, list[tuple[str, bool]]] = defaultdict(list)
        """Topic -> (payload, came as retained)."""
        self._subscribed = threading.Event()
        self._changed = threading.Condition()
        self._client = paho.Client(paho.CallbackAPIVersion.VERSION2)
        self._client.on_connect = self._on_connect
        self._client.on_subscribe = lambda *_: self._subscribed.set()
        self._client.on_message = self._on_message
        self._client.reconnect_delay_set(1, 1)

    def start(self) -> Self:
        """Connect and wait until the subscription stands."""
        self._client.connect("127.0.0.1", self.port)
        self._client.loop_start()
        assert self._subscribed.wait(10), "no subscription"
        return self

    def stop(self) -> None:
        """Disconnect."""
        self._client.disconnect()
        let_go(self._client)

    def publish(self, topic: str, payload: str, *, retain: bool = False) -> None:
        """Publish a message of somebody else, and wait for its acknowledgement."""
        self._client.publish(topic, payload, qos=1, retain=retain).wait_for_publish(10)

    def catch_up(self) -> None:
        """Wait until everything that the broker has by now was seen: a message of our own goes behind it."""
        self.catch_up_on("iiot/test/marker")

    def catch_up_on(self, topic: str) -> None:
        """Do so with a topic that the pattern takes."""
        marker = f"{id(self)}-{len(self.messages[topic])}"
        self._client.publish(topic, marker, qos=1)
        self.wait(lambda s: s.last(topic) == marker, "the marker")

    def values(self, topic: str) -> list[str]:
        """Return the live values of a topic in order."""
        return [payload for payload, retained in self.messages[topic] if not retained]

    def last(self, topic: str) -> str | None:
        """Return the last value of a topic."""
        seen = self.messages.get(topic)
        return seen[-1][0] if seen else None

    def wait(self, condition: Any, what: str, timeout_s: float = 30.0) -> None:
        """Wait until something holds."""
        with self._changed:
            assert self._changed.wait_for(lambda: condition(self), timeout_s), f"{what} did not come"

    def _on_connect(self, client: paho.Client, *_: Any) -> None:
        client.subscribe(self.pattern, qos=1)

    def _on_message(self, _client: Any, _data: Any, message: paho.MQTTMessage) -> None:
        with self._changed:
            self.messages[message.topic].append((message.payload.decode(), bool(message.retain)))
            self._changed.notify_all()


def let_go(client: paho.Client) -> None:
    """Stop a client's thread, and part the client from what it calls.

    The sockets of a cycle would be left to the garbage collector, which warns of them.
    """
    client.loop_stop()
    for name in ("on_connect", "on_disconnect", "on_message", "on_publish", "on_subscribe"):
        setattr(client, name, None)


def retained(port: int, pattern: str = "iiot/#", *, expect: set[str], timeout_s: float = 30.0) -> dict[str, str]:
    """Return what a new subscriber gets retained; asks again until every expected topic is there."""
    deadline_s = time.monotonic() + timeout_s
    while True:
        subscriber = Subscriber(port, pattern).start()
        try:
            # Retained values come before anything that is published after the subscription.
            subscriber.catch_up_on(pattern.replace("#", "test/marker"))
        finally:
            subscriber.stop()
        found = {topic: seen[0][0] for topic, seen in subscriber.messages.items() if seen and seen[0][1]}
        if expect <= set(found):
            return found
        assert time.monotonic() < deadline_s, f"not retained: {expect - set(found)}"
