"""A simulated device that uses MQTT: it logs in with its id and key, publishes, acknowledges commands, and leaves a last will."""

from __future__ import annotations

import json
import threading
import time
from collections import Counter
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from iiot_gateway import _native
from iiot_gateway.errors import SettingUnusable
from iiot_gateway.plant.device import HEARTBEAT

if TYPE_CHECKING:
    from iiot_gateway.plant.device_fleet import Member

TOPICS = "iotflow/devices"
RETRY_S = 1.0
LOOK_S = 0.01
LAST_WORDS_S = 10.0
WINDOW = 16
"""The most publishes in flight; they are sent again if the connection breaks."""


def publish_all(broker: Mapping[str, Any], member: Member) -> None:
    """Publish the messages of a device until it is to end, and wait until the broker has them. Raises SettingUnusable."""
    try:
        side = _native.SideConnection(
            client_id=member.id,
            subscriptions=[f"{TOPICS}/{member.id}/commands/#"],
            username=member.id,
            password=member.key,
            will_topic=f"{TOPICS}/{member.id}/status/offline",
            **broker,
        )
    except _native.MqttError as error:
        raise SettingUnusable(f"--broker: {error}") from error
    sender = _Sender(side, member)
    connecting = threading.Thread(target=sender.connect, daemon=True)
    connecting.start()
    try:
        sender.publish()
    finally:
        # After a disconnect the broker publishes no will, because the device ended normally.
        sender.is_over.set()
        side.stop(LAST_WORDS_S)
        connecting.join(LAST_WORDS_S + 1)
        sender.settle()


class _Sender:
    def __init__(self, side: _native.SideConnection, member: Member) -> None:
        self._side = side
        self._member = member
        self.is_over = threading.Event()
        self._out: Counter[str] = Counter()
        """Publishes that the broker has not acknowledged, as far as is known."""
        self._known = 0

    def connect(self) -> None:
        while True:
            ended = self._side.run_connection()
            if ended["kind"] == "stopped" or self.is_over.is_set():
                return
            self._member.trouble = f"{ended['kind']}: {ended['detail']}"
            if ended["connected_s"]:
                self._member.tally.count("sent_again", min(self._side.waiting(), WINDOW))
            self.is_over.wait(RETRY_S)

    def publish(self) -> None:
        for reading in self._member.due():
            own = {"timestamp": self._member.now_ms(), "message_id": self._member.message_id()}
            if reading.kind == HEARTBEAT:
                self._hand_over("status/heartbeat", {"status": "online", **own}, reading.kind)
            else:
                self._hand_over(f"telemetry/{reading.kind}", {"data": {reading.kind: reading.value}, **own}, reading.kind)
            self._obey()
            # An ESP32 holds one message: it waits for the answer to this one before the next.
            while self._side.waiting() and not self._member.is_over():
                self._obey(LOOK_S)
            self.settle()
        self._obey()

    def settle(self) -> None:
        """Count the publishes that the broker has acknowledged. All others stay unanswered."""
        if not self._side.waiting():
            for kind, number in self._out.items():
                self._member.tally.answered(kind, number)
            self._out.clear()

    def _hand_over(self, below: str, document: dict[str, object], kind: str, *, counts: bool = True) -> None:
        payload = json.dumps(document, separators=(",", ":")).encode()
        while not self._side.publish(f"{TOPICS}/{self._member.id}/{below}", payload, retain=False):
            if self._member.is_over():
                return
            time.sleep(LOOK_S)
        if counts:
            self._member.tally.count("sent")
            self._out[kind] += 1

    def _obey(self, within_s: float = 0.0) -> None:
        """Acknowledge the commands that have come."""
        self._known, messages, refused = self._side.receive(self._known, within_s)
        for topic, reason, _number in refused:
            self._member.tally.refused(f"{topic}: {reason}")
            self._out.clear()
        for topic, payload, _was_retained in messages:
            if topic.endswith("/commands/config"):
                continue
            try:
                number = json.loads(payload)["command_id"]
            except (ValueError, KeyError, TypeError):
                continue
            self._hand_over("status/command", {"command_id": number}, "command", counts=False)
            self._member.tally.count("commands")
