"""What `doctor` tries with each broker: publish and read it back, because a 3.1.1 broker acknowledges what its ACL throws away."""

from __future__ import annotations

import errno
from collections.abc import Iterator
from typing import Any

from iiot_gateway import _native
from iiot_gateway.config.schema import Config
from iiot_gateway.findings import Finding, refusal
from iiot_gateway.mqtt.broker import EMBEDDED, BrokerSection
from iiot_gateway.mqtt.connection import broker_settings, value_prefixes
from iiot_gateway.sinks.mqtt.section import MqttSection

REMEDY = {
    "connect": "check broker_url, that the broker runs, and that no firewall stands between",
    "tls": "check ca_file, that the broker's certificate carries the host's name, and client_cert_file if the broker asks for one",
    "authenticate": "check username and password_file",
    "subscribe": "let the broker's ACL allow this user to read {topic}",
    "publish": "let the broker's ACL allow this user to write {rights}",
    "read_back": "let the broker's ACL allow this user to write {rights}; the broker took the message and threw it away",
}

REMEDY_OF_KIND = {
    "not_authorized": REMEDY["authenticate"],
    "tls": REMEDY["tls"],
    "unreachable": REMEDY["connect"],
    "refused": "read the broker's words: it does not take this client_id or this protocol, or has no room",
    "protocol": "check protocol, and that an MQTT broker and nothing else listens at broker_url",
}
"""Why the connection did not come about says more than the step at which that was seen."""


def remedy(report: dict[str, Any], topic: str = "PREFIX/gateway/doctor", rights: str = "PREFIX/#") -> str:
    """Say what to do about a trial that failed on a topic; `rights` is the filter that the gateway must be able to write to."""
    step, kind = str(report["step"]), report.get("kind")
    # Where a right is missing the password was right.
    found = REMEDY_OF_KIND.get(str(kind)) if kind != "not_authorized" or step == "connect" else None
    return (found or REMEDY.get(step, REMEDY["connect"])).format(topic=topic, rights=rights)


def brokers(config: Config) -> Iterator[Finding]:
    """Try each broker: the prefix of its section, those of the values that it gets, and topics that others use there."""
    for name, section in config.of(MqttSection).items():
        subject = f"{name} {section.broker_url}"
        if section.broker_url == EMBEDDED and (finding := _embedded(subject, config)) is not None:
            yield finding
            continue
        found, is_reached = _tried_prefix(subject, config, section, section.topic_prefix)
        yield found
        if not is_reached:
            continue
        # A right to one prefix is none to another.
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
    """Publish to a topic and read it back; also tell whether the broker let the gateway in at all."""
    try:
        result = _native.MqttSink.probe(client_id=f"{section.client_id}-doctor", topic=topic, **broker_settings(config, section))
    except _native.MqttError as error:
        return Finding(subject, ok=False, detail=str(error), remedy="correct the setting that the message names"), False
    if result["ok"]:
        return Finding(subject, ok=True, detail="published and read back"), True
    finding = Finding(subject, ok=False, detail=f"{result['step']}: {result['detail']}", remedy=remedy(result, topic, rights))
    return finding, result["step"] != "connect"


def _embedded(subject: str, config: Config) -> Finding | None:
    """Judge the built-in broker of a gateway that does not run; None if something listens there and can be tried."""
    error = refusal(config.one(BrokerSection).listen)
    if error is not None:
        if error.errno == errno.EADDRINUSE:
            return None
        return Finding(subject, ok=False, detail=f"{config.one(BrokerSection).listen}: {error.strerror}", remedy="correct broker.listen")
    return Finding(subject, ok=True, detail=f"{config.one(BrokerSection).listen} is free; the broker starts there with the gateway")
