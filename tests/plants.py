"""A dosing plant for tests: machines that publish numbered doses to a broker."""

from __future__ import annotations

import json
import threading
from typing import Any

import paho.mqtt.client as paho

from servers import Mosquitto
from subscribers import let_go

TOPIC = "factory/dosing/consumption"
DEVICES = 4


class Plant:
    """Publishes numbered doses at QoS 2."""

    def __init__(self, broker: Mosquitto) -> None:
        self.broker = broker
        self.client = paho.Client(paho.CallbackAPIVersion.VERSION2, client_id="plant", clean_session=False)
        self.client.max_inflight_messages_set(200)
        self.client.max_queued_messages_set(0)
        self.client.connect("127.0.0.1", broker.port)
        self.client.loop_start()

    def dose(self, number: int, **more: Any) -> paho.MQTTMessageInfo:
        """Publish a dose of so many grams."""
        document = {"device_id": f"d{number % DEVICES}", "pump": 1, "chemical": "acid", "actual_g": number, **more}
        return self.client.publish(TOPIC, json.dumps(document), qos=2)

    def doses(self, numbers: range, timeout_s: float = 60.0, hurry: threading.Event | None = None) -> None:
        """Publish doses, and wait until the broker has them. Until `hurry` is set, there is a pause after each."""
        infos = []
        for number in numbers:
            infos.append(self.dose(number))
            if hurry is not None:
                hurry.wait(0.01)
        for info in infos:
            info.wait_for_publish(timeout_s)

    def close(self) -> None:
        """Disconnect."""
        self.client.disconnect()
        let_go(self.client)
