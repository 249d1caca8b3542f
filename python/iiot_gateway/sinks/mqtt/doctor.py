"""The trial of `doctor` for each broker: publish a message and read it back.

An acknowledgement alone is no proof, because a broker for MQTT 3.1.1 also acknowledges messages that its ACL discards.
"""

from __future__ import annotations

import errno
from collections.abc import Iterator

from iiot_gateway import _native
from iiot_gateway.config.schema import Config
from iiot_gateway.findings import Finding, refusal
from iiot_gateway.mqtt.broker import EMBEDDED, BrokerSection
from iiot_gateway.mqtt.connection import broker_settings, value_prefixes
from iiot_gateway.mqtt.remedies import remedy
from iiot_gateway.sinks.mqtt.section import MqttSection


def brokers(config: Config) -> Iterator[Finding]:
    """Try each broker: the section's own prefix, the prefixes of the values, and topics that other components use there."""
    for name, section in config.of(MqttSection).items():
        subject = f"{name} {section.broker_url}"
        if section.broker_url == EMBEDDED and (finding := _embedded(subject, config)) is not None:
            yield finding
            continue
        found, is_reached = _tried_prefix(subject, config, section, section.topic_prefix)
        yield found
        if not is_reached:
            continue
        # A right to one prefix says nothing about another prefix.
        for prefix in value_prefixes(config, section):
            if prefix != section.topic_prefix:
                yield _tried_prefix(f"{name} values under {prefix}", config, section, prefix)[0]
        if found.ok:
            for component in config.components:
                for what, topic, rights in component.trials(config, name):
                    yield _tried(f"{name} {what}", config, section, topic, rights)[0]


def _tried_prefix(subject: str, config: Config, section: MqttSection, prefix: str) -> tuple[Finding, bool]:
    return _tried(subject, config, section, f"{prefix}/gateway/doctor", f"{prefix}/#")


def _tried(subject: str, config: Config, section: MqttSection, topic: str, rights: str) -> tuple[Finding, bool]:
    """Publish to a topic and read the message back. Also return whether the broker accepted the connection at all."""
    try:
        result = _native.MqttSink.probe(client_id=f"{section.client_id}-doctor", topic=topic, **broker_settings(config, section))
    except _native.MqttError as error:
        return Finding(subject, ok=False, detail=str(error), remedy="correct the setting that the message names"), False
    if result["ok"]:
        return Finding(subject, ok=True, detail="published and read back"), True
    finding = Finding(subject, ok=False, detail=f"{result['step']}: {result['detail']}", remedy=remedy(result, topic, rights))
    return finding, result["step"] != "connect"


def _embedded(subject: str, config: Config) -> Finding | None:
    """Judge the built-in broker of a stopped gateway. Return None if something listens at its address and can be tried."""
    error = refusal(config.one(BrokerSection).listen)
    if error is not None:
        if error.errno == errno.EADDRINUSE:
            return None
        return Finding(subject, ok=False, detail=f"{config.one(BrokerSection).listen}: {error.strerror}", remedy="correct broker.listen")
    return Finding(subject, ok=True, detail=f"{config.one(BrokerSection).listen} is free; the broker starts there with the gateway")
