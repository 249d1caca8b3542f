"""The section `[mqtt]`: a broker, and the gateway's own topics there."""

from __future__ import annotations

from collections.abc import Iterator
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from iiot_gateway.config.component import MAY_DROP, Faults, KeyPath, PublishingSection, place
from iiot_gateway.config.keys import DAY_S, HOUR_S, OnStart, choice, flag, integer, number, path, secret, text, texts
from iiot_gateway.config.mqtt_text import prefix_fault
from iiot_gateway.config.secret import Secret
from iiot_gateway.mqtt.connection import client_faults, connection_faults, connection_notes, text_faults, value_prefixes

if TYPE_CHECKING:
    from iiot_gateway.config.schema import Config


@dataclass(frozen=True, slots=True, kw_only=True)
class MqttSection(PublishingSection):
    """`[mqtt]`, `[mqtt.NAME]`: a broker; one topic per metric."""

    broker_url: str = text(
        "mqtt://localhost:1883", 'mqtt:// (port 1883), mqtts:// (port 8883, TLS or nothing), or "embedded" for the broker of [broker].'
    )
    client_id: str = text("iiot-gateway", "Must differ between gateways on one broker.")
    topic_prefix: str = text(
        "iiot",
        "The prefix of PREFIX/gateway/status and PREFIX/gateway/health. "
        "That of the first [mqtt] is also used for values whose source has none.",
    )
    qos: int = choice(1, "0: at most once, 1: at least once, 2: exactly once.", 0, 1, 2)
    protocol: Literal["3.1.1", "5"] = text("3.1.1", "The version of MQTT.", "3.1.1", "5")
    backlog: Literal["replay", "latest"] = text(
        "replay",
        "After an outage: replay sends every value, latest sends the newest value per topic of each 2,048 frames read.",
        "replay",
        "latest",
    )
    keep_alive_s: float = number(30.0, "Seconds between pings.", low=1, high=65535)
    ack_timeout_s: float = number(20.0, "An acknowledgement that takes longer ends the connection.", low=1, high=HOUR_S)
    connect_timeout_s: float = number(10.0, "A connection that takes longer is given up.", low=0.1, high=HOUR_S)
    inflight: int = integer(1000, "The most publishes without an acknowledgement at a time.", low=1, high=65535)
    max_topics: int = integer(
        100_000, "The most topics that are remembered; values of further ones are sent without retain.", low=1, high=10_000_000
    )
    username: str = text("", "Empty connects without one.")
    password: Secret = secret("Preferably set by IIOT_MQTT__PASSWORD or password_file.")
    password_file: str = path("", "A file that holds the password and nothing else.")
    ca_file: str = path("", "Certificates (PEM) that the broker's is checked against; empty takes the system's.")
    client_cert_file: str = path("", "The gateway's own certificate (PEM).")
    client_key_file: str = path("", "The key of that certificate (PEM).")
    health_interval_s: float = number(60.0, "Seconds between health documents.", low=1, high=DAY_S)
    on_start: OnStart = text("wait", "If the broker is not available at the start: wait for it, or fail.", "wait", "fail")
    profiles: tuple[str, ...] = texts("Only frames of these profiles; empty takes all.")
    may_drop: bool = flag(False, MAY_DROP)


def faults(config: Config, _given: AbstractSet[KeyPath]) -> Faults:
    """Yield every broken rule. Those of all MQTT clients are among them, because sinks and consumers must not share a client id."""
    yield from client_faults(config)
    sections = config.of(MqttSection)
    for name, mqtt in sections.items():
        if not mqtt.client_id:
            yield (*place(name), "client_id"), "must not be empty"
        yield from connection_faults(place(name), mqtt)
    yield from text_faults(config)
    for name, mqtt in sections.items():
        if mqtt.topic_prefix and (fault := prefix_fault(mqtt.topic_prefix)):
            yield (*place(name), "topic_prefix"), fault
    for name, source in {"gateway": config.gateway, **config.sources()}.items():
        for own in (f"{mqtt.topic_prefix}/gateway" for mqtt in sections.values()):
            if name != "probe_rs" and f"{source.topic_prefix}/".startswith(f"{own}/"):
                yield (*place(name), "topic_prefix"), f"no value could be published: {own}/# belongs to the gateway itself"


def notes(config: Config) -> Iterator[str]:
    """Yield sentences on MQTT clients without a password, and on prefixes that apply only to the gateway's own topics."""
    yield from connection_notes(config)
    for name, section in config.of(MqttSection).items():
        prefixes = value_prefixes(config, section)
        if section.topic_prefix not in prefixes:
            own = section.topic_prefix
            quoted = ", ".join(f'"{prefix}"' for prefix in prefixes)
            yield (
                f"{name}.topic_prefix begins {own}/gateway/status and {own}/gateway/health only: values that go there keep the prefix of "
                f"their source, {quoted}; topic_prefix of [gateway] or of the source changes it"
            )


def publishes_below(config: Config, broker_url: str) -> Iterator[tuple[str, str]]:
    """Yield the prefixes below which a section publishes to a broker, each with the name of the section."""
    for name, section in config.of(MqttSection).items():
        if section.broker_url == broker_url:
            for prefix in (section.topic_prefix, *value_prefixes(config, section)):
                yield name, prefix
