"""What becomes of the sink when the built-in broker ends under it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import anyio
import pytest

from iiot_gateway._native import Journal
from iiot_gateway._native import MqttSink as NativeSink
from iiot_gateway.backoff import Backoff
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
