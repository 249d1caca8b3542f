"""The trial of `doctor` for a share: sends a message through a share of its own.

Some brokers accept the subscription, but deliver nothing.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

from iiot_gateway import _native
from iiot_gateway.config.schema import Config
from iiot_gateway.findings import Finding
from iiot_gateway.mqtt.connection import broker_settings
from iiot_gateway.sources.mqtt_consumer.section import SHARED, MqttConsumerSection

PROBE_S = 5.0
VERSION_S = 1.0
VERSION_TOPIC = "$SYS/broker/version"
"""The topic on which Mosquitto publishes its version."""
QUEUES = "while a worker is away the broker keeps messages for it as far as its queue goes"
MOSQUITTO = "Mosquitto keeps 1,000 messages per session unless max_queued_messages says more, and loses the rest"


def shares(name: str, config: Config, section: MqttConsumerSection) -> Iterator[Finding]:
    """Send a message through a share that no other client uses."""
    subject = f"{name} share at {section.broker_url}"
    topic = f"{config.topic_prefix()}/gateway/doctor/{os.getpid()}"
    plain = _probed(config, section, topic, topic)
    if not plain["ok"]:
        yield Finding(subject, ok=True, detail=f"not tried, because this user may not publish to {topic} and read it ({plain['detail']})")
        return
    shared = _probed(config, section, topic, f"{SHARED}iiot-doctor-{os.getpid()}/{topic}")
    if not shared["ok"]:
        yield Finding(
            subject,
            ok=False,
            detail=f"a message that comes through a plain subscription does not come through a share: {shared['detail']}",
            remedy="take a broker that has shared subscriptions, or let one gateway take all messages: leave $share/GROUP/ out",
        )
        return
    limit = MOSQUITTO if _version(config, section).startswith("mosquitto") else QUEUES
    yield Finding(subject, ok=True, detail=f"a message came through a share; {limit}")


def _probed(config: Config, section: MqttConsumerSection, topic: str, topic_filter: str) -> dict[str, object]:
    client_id = f"iiot-gateway-doctor-{os.getpid()}"
    settings = broker_settings(config, section)
    return _native.MqttSink.probe(client_id=client_id, topic=topic, filter=topic_filter, timeout_s=PROBE_S, **settings)


def _version(config: Config, section: MqttConsumerSection) -> str:
    """Return the version text of the broker; empty if the broker does not publish one."""
    connection = _native.SideConnection(
        client_id=f"iiot-gateway-doctor-{os.getpid()}",
        subscriptions=[VERSION_TOPIC],
        ack_timeout_s=section.ack_timeout_s,
        connect_timeout_s=section.connect_timeout_s,
        **broker_settings(config, section),
    )
    with ThreadPoolExecutor(1) as thread:
        thread.submit(connection.run_connection)
        number, said = 0, ""
        while not said:
            stands, messages, _refused = connection.receive(number, VERSION_S)
            said = next((payload.decode(errors="replace") for _topic, payload, _retained in messages), "")
            if not stands or (stands == number and not messages):
                break
            number = stands
        connection.stop()
    return said
