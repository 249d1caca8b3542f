"""What becomes of the sink when the built-in broker ends under it."""

from __future__ import annotations

import threading
from collections import Counter
from pathlib import Path
from typing import Any

import anyio
import pytest

from device_clients import Client
from iiot_gateway._native import Journal
from iiot_gateway._native import MqttSink as NativeSink
from iiot_gateway.backoff import Backoff
from iiot_gateway.config.secret import Secret
from iiot_gateway.mqtt.broker import BrokerSection
from iiot_gateway.mqtt.embedded import EmbeddedBroker
from iiot_gateway.sinks.mqtt.section import MqttSection
from iiot_gateway.sinks.mqtt.sink import MqttSink
from servers import free_port

pytestmark = [pytest.mark.native, pytest.mark.anyio]


async def test_a_broker_that_ended_is_said_and_started_again(tmp_path: Path, events: list[dict[str, Any]]) -> None:
    """Its end is no end of the gateway's: the sink connects to the next one."""
    port = free_port()
    journal = Journal.open(str(tmp_path / "journal.db"))
    journal.add_sink("mqtt")
    native = NativeSink(
        journal,
        "mqtt",
        broker_url=f"mqtt://127.0.0.1:{port}",
        client_id="gateway",
        availability_topic="iiot/gateway/status",
        health_topic="iiot/gateway/health",
    )
    broker = EmbeddedBroker(BrokerSection(listen=f"127.0.0.1:{port}"), str(tmp_path / "retained.db"), ["gateway"])
    sink = MqttSink("mqtt", MqttSection(client_id="gateway"), native, embedded=broker, backoff=Backoff(first_s=0.01))

    async def until_said(event: str, times: int) -> list[dict[str, Any]]:
        with anyio.fail_after(20):
            while len(said := [entry for entry in events if entry["event"] == event]) < times:
                await anyio.sleep(0.01)
        return said

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(sink.run)
        await until_said("sink_available", 1)

        assert broker._running is not None
        assert broker._running.stop(10.0)

        (ended,) = await until_said("broker_ended", 1)
        await until_said("sink_available", 2)
        await sink.stop(3.0)
    journal.close()

    assert (ended["log_level"], ended["error"]) == ("error", "it was stopped")
    assert "started again" in ended["remedy"]
    assert [entry["event"] for entry in events if entry["event"].startswith("broker_")] == [
        "broker_started",
        "broker_ended",
        "broker_started",
        "broker_stopped",
    ]


def test_what_a_broker_refused_is_counted_once_while_it_ends(tmp_path: Path) -> None:
    """A number that rises and falls again would be a restart to Prometheus."""
    port = free_port()
    section = BrokerSection(listen=f"127.0.0.1:{port}", username="gateway", password=Secret("a-password"))
    broker = EmbeddedBroker(section, str(tmp_path / "retained.db"), ["gateway"])
    seen: list[dict[str, int]] = []

    class Told(Counter[str]):
        """Lets somebody ask at the moment when the counts of a broker have come to those of its forerunners."""

        def update(self, *counts: Any, **more: Any) -> None:
            super().update(*counts, **more)
            asking = threading.Thread(target=lambda: seen.append(broker.refused()))
            asking.start()
            asking.join(0.5)
            asked.append(asking)

    asked: list[threading.Thread] = []
    broker.ensure()
    client = Client(port, "nobody", "anything", "anything", "3.1.1", "")
    assert not client.is_in
    client.stop()
    before = broker.refused()
    broker._refused = Told()

    broker.release("gateway", 10.0)
    for thread in asked:
        thread.join(20.0)

    assert before["unknown_user"] >= 1
    # Once while it ran, and once while it became a forerunner.
    assert seen == [before, before]
    assert broker.refused() == before
