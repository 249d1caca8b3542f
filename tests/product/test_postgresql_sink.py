"""The PostgreSQL sink against a real server: each message is one row, whatever is killed on either side."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from typing import Any

import paho.mqtt.client as paho
import pytest

from gateways import Gateway, assert_balanced
from servers import Mosquitto, Postgres

pytestmark = pytest.mark.slow

TOPIC = "factory/dosing/consumption"
DEVICES = 4
MESSAGES = 6_000
KILLS = 5
LONG_AGO = 1_700_000_000


@pytest.fixture
def database(launch: Callable[..., Postgres]) -> Postgres:
    """A server of its own."""
    return launch(Postgres)


@pytest.fixture
def plant(mosquitto: Mosquitto) -> Iterator[Plant]:
    """What publishes doses."""
    plant = Plant(mosquitto)
    yield plant
    plant.close()


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

    def doses(self, numbers: range) -> None:
        """Publish doses, and wait until the broker has them."""
        for info in [self.dose(number) for number in numbers]:
            info.wait_for_publish(60.0)

    def close(self) -> None:
        """Disconnect."""
        self.client.disconnect()
        self.client.loop_stop()


def configure(gateway: Gateway, broker: Mosquitto, url: str, keys: str = "") -> None:
    """Take doses from a broker to a database."""
    gateway.configure(
        f'[mqtt_consumer]\nbroker_url = "{broker.url}"\ntopics = ["factory/#"]\nprofile = "factory-dosing"\n'
        f'[postgresql]\nurl = "{url}"\nbatch_interval_ms = 10\n{keys}\n'
    )


def start(gateway: Gateway) -> None:
    """Start the gateway and wait until the broker has its subscription."""
    gateway.start("run")
    gateway.until(lambda status: status["source"]["mqtt_consumer"]["state"] == "subscribed", "the subscription")


def sink_of(status: dict[str, Any]) -> dict[str, Any]:
    """Return what the status says of the sink."""
    sink: dict[str, Any] = status["sinks"]["postgresql"]
    return sink


def delivered(gateway: Gateway, accepted: int) -> dict[str, Any]:
    """Wait until so many frames were accepted and none waits; return the status."""

    def is_in(status: dict[str, Any]) -> bool:
        return bool(status["intake"]["accepted"] >= accepted and sink_of(status)["queued"] == 0)

    status = gateway.until(is_in, f"{accepted} frames in the database")
    assert_balanced(status)
    return status


def numbers(database: Postgres) -> list[int]:
    """Return the grams of every dose in the table, in their order."""
    return [int(row[0]) for row in database.rows("SELECT actual_g::bigint FROM dosing_consumption ORDER BY 1")]


def test_each_message_is_one_row_over_kills_on_both_sides(gateway: Gateway, plant: Plant, database: Postgres) -> None:
    """The gateway is killed, the server ends connections and crashes, and each number is there once, in order per device."""
    configure(gateway, plant.broker, database.url)
    start(gateway)
    part = MESSAGES // (KILLS + 1)
    for kill in range(KILLS + 1):
        plant.doses(range(kill * part, (kill + 1) * part))
        if kill == KILLS:
            break
        database.rows("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'iiot-gateway'")
        gateway.kill9()
        if kill == KILLS // 2:
            database.crash()
            database.start()
        start(gateway)

    status = delivered(gateway, MESSAGES)

    assert numbers(database) == list(range(MESSAGES))
    assert sink_of(status)["delivered"] == MESSAGES
    by_device = database.rows("SELECT string_agg(actual_g::bigint::text, ',' ORDER BY time) FROM dosing_consumption GROUP BY device_id")
    for (in_order,) in by_device:
        assert [int(number) for number in in_order.split(",")] == sorted(int(number) for number in in_order.split(","))
    assert gateway.stop() == 0
