"""What the MQTT sink says of itself, over an extension that plays a script."""

from __future__ import annotations

import threading
from typing import Any

import anyio
import pytest

from iiot_gateway.backoff import Backoff
from iiot_gateway.sinks.mqtt import sink as mqtt
from iiot_gateway.sinks.mqtt.section import MqttSection
from iiot_gateway.sinks.mqtt.sink import MqttSink

pytestmark = pytest.mark.anyio

DENIED = "not authorised to publish availability, health or a retained value"


class Native:
    """One connection is lost at once, the next one holds."""

    def __init__(self) -> None:
        self.connections = 0
        self.stopped = threading.Event()
        self.told: dict[str, Any] = {
            "state": "disconnected",
            "in_flight": 3,
            "late": 1,
            "refreshed": 2,
            "publishes": 40,
            "unlisted": 0,
            "suspects": 0,
            "rejects": 0,
            "last_reject": "",
            "limits": "",
            "last_error": "",
        }

    def state(self) -> dict[str, Any]:
        """Return what a test set."""
        return dict(self.told)

    def run_connection(self) -> dict[str, Any]:
        """Play the script."""
        self.connections += 1
        if self.connections == 1:
            self.told |= {"state": "disconnected", "last_error": "lost: reset"}
            return {"kind": "lost", "detail": "reset", "connected_s": 0.5, "again": False, "answered": True}
        self.told["state"] = "connected"
        self.stopped.wait()
        return {"kind": "stopped", "detail": "", "connected_s": 1.0, "again": False, "answered": True}

    def is_answering(self, _timeout_s: float) -> bool:
        """Be away."""
        return False

    def stop(self, _timeout_s: float) -> None:
        """Let the connection end."""
        self.stopped.set()


async def test_each_connection_is_said_and_what_the_broker_denies(monkeypatch: pytest.MonkeyPatch, events: list[dict[str, Any]]) -> None:
    """The status has the extension's numbers and its error; an error of the connection before is over."""
    monkeypatch.setattr(mqtt, "WATCH_S", 0.01)
    native = Native()
    sink = MqttSink("mqtt", MqttSection(), native, backoff=Backoff(first_s=0.01))  # type: ignore[arg-type]

    def said(event: str) -> list[dict[str, Any]]:
        return [entry for entry in events if entry["event"] == event]

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(sink.run)
        while len(said("sink_available")) < 2:
            await anyio.sleep(0.01)
        document = sink.status.document()
        native.told["last_error"] = DENIED
        while not said("sink_not_authorized"):
            await anyio.sleep(0.01)
        denied = sink.status.document()
        await sink.stop(1.0)

    assert (document["state"], document["last_error"]) == ("connected", None)
    assert [document[key] for key in ("in_flight", "late", "refreshed", "publishes")] == [3, 1, 2, 40]
    assert denied["last_error"] == DENIED
    assert len(said("sink_available")) == 2
    assert len(said("sink_not_authorized")) == 1


async def test_what_the_broker_does_not_take_and_does_not_offer_is_said(
    monkeypatch: pytest.MonkeyPatch, events: list[dict[str, Any]]
) -> None:
    """Rejected points with the last one of them, and what is not as it was configured, once each."""
    monkeypatch.setattr(mqtt, "WATCH_S", 0.01)
    native = Native()
    native.told |= {"rejects": 3, "last_reject": '"a/b": packet_too_large', "limits": "QoS 1 instead of 2", "suspects": 1}
    sink = MqttSink("mqtt", MqttSection(), native, backoff=Backoff(first_s=0.01))  # type: ignore[arg-type]

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(sink.run)
        while native.connections < 2 or sink.status.state != "connected":
            await anyio.sleep(0.01)
        document = sink.status.document()
        await sink.stop(1.0)

    said = {entry["event"]: entry for entry in events}
    assert (document["suspects"], document["limits"]) == (1, "QoS 1 instead of 2")
    assert said["sink_publishes_rejected"]["points"] == 3
    assert "packet_too_large" in said["sink_publishes_rejected"]["last"]
    assert said["sink_limited"]["limits"] == "QoS 1 instead of 2"
    assert [entry["event"] for entry in events].count("sink_limited") == 1
