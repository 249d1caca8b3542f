"""A device's MQTT client, of which a test sees what the broker answers."""

from __future__ import annotations

from typing import Any

import paho.mqtt.client as paho
from paho.mqtt.enums import MQTTProtocolVersion

from servers import until
from subscribers import let_go

VERSIONS = {"3.1.1": MQTTProtocolVersion.MQTTv311, "5": MQTTProtocolVersion.MQTTv5}


class Client:
    """A device's MQTT client."""

    def __init__(self, port: int, user: str, key: str, client_id: str, version: str, will: str = "") -> None:
        # A client that was refused does not try again, because brokers count each attempt.
        self.client = paho.Client(
            paho.CallbackAPIVersion.VERSION2, client_id=client_id, protocol=VERSIONS[version], reconnect_on_failure=False
        )
        self.client.username_pw_set(user, key)
        if will:
            self.client.will_set(will, '{"status":"offline"}', qos=1, retain=True)
        self.answers: list[Any] = []
        self.granted: list[Any] = []
        self.messages: list[tuple[str, bytes]] = []
        self.ends = 0
        self.client.on_connect = self._on_connect
        self.client.on_disconnect = self._on_disconnect
        self.client.on_subscribe = self._on_subscribe
        self.client.on_message = lambda _client, _data, message: self.messages.append((message.topic, message.payload))
        self.client.connect("127.0.0.1", port)
        self.client.loop_start()
        until(lambda: bool(self.answers) or self.ends > 0, "an answer to CONNECT")

    def _on_connect(self, _client: Any, _data: Any, _flags: Any, reason: Any, _properties: Any) -> None:
        self.answers.append(reason)

    def _on_disconnect(self, *_: Any) -> None:
        self.ends += 1

    def _on_subscribe(self, _client: Any, _data: Any, _mid: Any, reasons: Any, _properties: Any) -> None:
        self.granted.append(not reasons[0].is_failure)

    @property
    def is_in(self) -> bool:
        """Whether it was let in."""
        return bool(self.answers) and not self.answers[0].is_failure

    def publish(self, topic: str, payload: str = '{"value":1}', *, retain: bool = False) -> None:
        """Publish, and wait for the acknowledgement."""
        self.client.publish(topic, payload, qos=1, retain=retain).wait_for_publish(10)

    def may_subscribe(self, pattern: str) -> bool:
        """Subscribe; tell whether that was granted."""
        known = len(self.granted)
        self.client.subscribe(pattern, qos=1)
        until(lambda: len(self.granted) > known or self.ends > 0, "an answer to SUBSCRIBE")
        return len(self.granted) > known and bool(self.granted[-1])

    def stop(self) -> None:
        """Disconnect."""
        self.client.disconnect()
        let_go(self.client)
        # A loop that was stopped while it connected anew leaves its socket open.
        if (left := self.client.socket()) is not None:
            left.close()
