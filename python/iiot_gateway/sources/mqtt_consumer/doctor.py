"""The trial of `doctor` for each consumer: connect as a separate client, which takes no messages away, and subscribe to its filters."""

from __future__ import annotations

import os
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from iiot_gateway import _native
from iiot_gateway.config.schema import Config
from iiot_gateway.findings import Finding
from iiot_gateway.mqtt.broker import EMBEDDED
from iiot_gateway.mqtt.connection import broker_settings
from iiot_gateway.mqtt.remedies import remedy
from iiot_gateway.sources.mqtt_consumer.section import SHARED, MqttConsumerSection
from iiot_gateway.sources.mqtt_consumer.share import shares


def consumers(config: Config) -> Iterator[Finding]:
    """Try each consumer of an external broker. The built-in broker is tried together with its sink."""
    for name, section in config.of(MqttConsumerSection).items():
        if section.broker_url != EMBEDDED:
            found = _tried(f"{name} {section.broker_url}", config, section)
            yield found
            if found.ok and section.is_shared():
                yield from shares(name, config, section)


def _tried(subject: str, config: Config, section: MqttConsumerSection) -> Finding:
    filters = [_own(topic.filter) for topic in section.topics]
    try:
        connection = _native.SideConnection(
            client_id=f"iiot-gateway-doctor-{os.getpid()}",
            subscriptions=filters,
            ack_timeout_s=section.ack_timeout_s,
            connect_timeout_s=section.connect_timeout_s,
            **broker_settings(config, section),
        )
    except _native.MqttError as error:
        return Finding(subject, ok=False, detail=str(error), remedy="correct the setting that the message names")
    with ThreadPoolExecutor(1) as thread:
        ended = thread.submit(connection.run_connection)
        # This is how `receive` returns if the connection ends by itself.
        ended.add_done_callback(lambda _: connection.stop())
        stands, _messages, _refused = connection.receive(0, section.connect_timeout_s + section.ack_timeout_s)
        connection.stop()
        end: dict[str, Any] = ended.result()
    if stands:
        return Finding(subject, ok=True, detail=f"connected, and subscribed to {', '.join(filters)}")
    step = "subscribe" if end["connected_s"] else "connect"
    return Finding(subject, ok=False, detail=f"{step}: {end['detail']}", remedy=remedy({**end, "step": step}, ", ".join(filters)))


def _own(topic_filter: str) -> str:
    """Return the filter without its group: as a member of the group, the trial would take messages from the others."""
    return topic_filter.removeprefix(SHARED).partition("/")[2] if topic_filter.startswith(SHARED) else topic_filter
