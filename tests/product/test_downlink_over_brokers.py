"""The downlink over a real broker, with paho as whoever commands: no answer is lost, and what the broker refuses is said."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import anyio
import pytest

from iiot_gateway._native import Journal, SideConnection
from iiot_gateway.config.wiring import profile_path
from iiot_gateway.downlink.service import Downlink
from iiot_gateway.pipeline.status import StatusView
from iiot_gateway.pipeline.views import Views
from iiot_gateway.profile import read_profile
from peers.refusing_broker import refusing_broker
from servers import Mosquitto, until
from subscribers import Subscriber

pytestmark = [pytest.mark.slow, pytest.mark.anyio]

ASKED = "iiot/node1/set/led"
ANSWERED = "iiot/node1/state/led"


@pytest.fixture
def views(tmp_path: Path) -> Iterator[Views]:
    """Of a gateway without sources and sinks."""
    journal = Journal.open(str(tmp_path / "journal.db"))
    yield Views(status=StatusView(journal, [], []), rejects=lambda _limit: [])
    journal.close()


class Nobody:
    """A serial line at whose other end no node has been heard yet."""

    def __init__(self) -> None:
        self.listener: Callable[[bytes], None] | None = None

    def write(self, data: bytes) -> None:
        """Never called: commands to nodes that were not heard are refused before."""
        raise AssertionError(data)


def downlink(url: str, protocol: Any = "3.1.1") -> Downlink:
    """Return one on this broker."""
    side = SideConnection(broker_url=url, client_id="downlink", subscriptions=["iiot/+/set/+"], protocol=protocol)
    profile = read_profile(profile_path(Path(), "lora-bridge"))
    return Downlink(side, Nobody(), profile, key=bytes(16), prefix="iiot", valid_s=60)


async def answer(subscriber: Subscriber, outcome: str) -> None:
    """Wait for it on the LED's topic."""
    await anyio.to_thread.run_sync(
        subscriber.wait, lambda s: ANSWERED in s.messages and json.loads(s.last(ANSWERED))["outcome"] == outcome, f"the answer {outcome}"
    )


async def test_an_answer_outlasts_the_broker(mosquitto: Mosquitto, subscribe: Callable[..., Subscriber], views: Views) -> None:
    """What is answered while it is away goes out over the next connection, and the end of the first is said."""
    subscriber = subscribe(mosquitto)
    link = downlink(mosquitto.url)
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(link.run, views)
        await anyio.to_thread.run_sync(until, lambda: "iiot/+/set/+" in mosquitto.log_path.read_text(), "the subscription")
        subscriber.publish(ASKED, "on")
        await answer(subscriber, "refused")

        mosquitto.kill9()
        link.ask(ASKED, b"green")
        mosquitto.start()

        await answer(subscriber, "out_of_range")
        tasks.cancel_scope.cancel()


async def test_an_answer_that_the_broker_refuses_is_said_with_its_topic(events: list[dict[str, Any]], views: Views) -> None:
    """Each one, and the connection stands."""
    with refusing_broker() as broker:
        link = downlink(broker.url, "5")
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(link.run, views)
            for _ in range(2):
                link.ask(ASKED, b"green")
            with anyio.fail_after(20):
                while len(events) < 2:
                    await anyio.sleep(0.01)
            tasks.cancel_scope.cancel()

    expected = {"event": "downlink_refused", "by": "broker", "topic": ANSWERED, "reason": "not authorised to publish"}
    assert [{key: entry.get(key) for key in expected} for entry in events] == [expected] * 2
