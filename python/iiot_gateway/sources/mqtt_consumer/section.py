"""The section `[mqtt_consumer]`: the broker, the subscriptions, and the rules that prevent double messages."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from iiot_gateway.config.component import Faults, KeyPath, SourceSection, place
from iiot_gateway.config.keys import HOUR_S, YEAR_S, Subscription, choice, integer, number, path, secret, subscriptions, tags, text
from iiot_gateway.config.mqtt_text import filter_fault, overlaps
from iiot_gateway.config.secret import Secret
from iiot_gateway.config.wiring import source_rules, time_formats
from iiot_gateway.mqtt.broker import EMBEDDED
from iiot_gateway.mqtt.connection import connection_faults, own_prefixes

if TYPE_CHECKING:
    from iiot_gateway.config.schema import Config

SHARED = "$share/"
UPTIMES = {"uptime_ms", "unix_s_or_uptime_ms"}
"""Formats of times that may be uptimes."""
AT_LEAST_ONCE = "messages that have neither a date nor the mark of a gateway that published them are stored at least once, not exactly once"


@dataclass(frozen=True, slots=True, kw_only=True)
class MqttConsumerSection(SourceSection):
    """`[mqtt_consumer]`, `[mqtt_consumer.NAME]`: messages of a broker, each taken exactly once."""

    broker_url: str = text(
        "mqtt://localhost:1883", 'mqtt:// (port 1883), mqtts:// (port 8883, TLS or nothing), or "embedded" for the broker of [broker].'
    )
    topics: tuple[Subscription, ...] = subscriptions("Topic filters to subscribe to; $share/GROUP/FILTER shares them with other gateways.")
    qos: int = choice(1, "For filters that name none. 0 can lose messages on their way; 1 and 2 lose none and double none.", 0, 1, 2)
    protocol: Literal["3.1.1", "5"] = text("3.1.1", "The version of MQTT.", "3.1.1", "5")
    client_id: str = text("", "The broker keeps the session under this id. Empty makes one from the journal's id and this section's name.")
    session_expiry_s: float = number(
        86400.0,
        "How long the broker keeps the session while the gateway is away (with 3.1.1 the broker decides). 0 keeps none.",
        low=0,
        high=4294967295,
    )
    retained: Literal["ignore", "take"] = text(
        "ignore", "Messages that the broker had retained: ignore counts them as skipped; take accepts each value once.", "ignore", "take"
    )
    redelivery: Literal["marked", "unmarked"] = text(
        "marked",
        "How the broker sends a message again: marked has MQTT's DUP flag and the same packet id; unmarked has neither, as with Artemis, "
        "which is then not told receive_maximum either.",
        "marked",
        "unmarked",
    )
    own: Literal["refuse", "take"] = text(
        "refuse",
        "Filters through which the gateway's own values would come back: refuse reports a fault, take accepts them.",
        "refuse",
        "take",
    )
    when_full: Literal["pause", "drop_oldest"] = text(
        "pause",
        "pause leaves messages with the broker while the journal is full; drop_oldest drops frames of dead sinks.",
        "pause",
        "drop_oldest",
    )
    silence_s: float = number(900.0, "Without any message for this long, status says silent. 0 turns this off.", low=0, high=YEAR_S)
    receive_maximum: int = integer(
        0,
        "The most messages that are taken without an acknowledgement; another gateway may store the same number again. "
        "0 means 250 for shared filters, and no limit for others.",
        low=0,
        high=65535,
    )
    keep_alive_s: float = number(30.0, "Seconds between pings.", low=1, high=65535)
    ack_timeout_s: float = number(20.0, "A ping that is not answered for this long ends the connection.", low=1, high=HOUR_S)
    connect_timeout_s: float = number(10.0, "A connection that takes longer is given up.", low=0.1, high=HOUR_S)
    username: str = text("", "Empty connects without one.")
    password: Secret = secret("Preferably set by IIOT_MQTT_CONSUMER__PASSWORD or password_file.")
    password_file: str = path("", "A file that holds the password and nothing else.")
    ca_file: str = path("", "Certificates (PEM) that the broker's is checked against; empty takes the system's.")
    client_cert_file: str = path("", "The gateway's own certificate (PEM).")
    client_key_file: str = path("", "The key of that certificate (PEM).")
    profile: str = text("", "Built-in profile by name, or a path to a .toml file; empty takes that of [gateway].")
    topic_prefix: str = text("", "Prefix of this source's topics; empty takes that of [gateway].")
    tags: Mapping[str, str] = tags("Tags on every point; they override those of [gateway].")
    dedup_window_s: float = number(
        3600.0, "A message with a time that comes again within this window is a duplicate. 0 keeps all.", low=0, high=YEAR_S
    )
    max_document_bytes: int = integer(65536, "A longer message is rejected.", low=64, high=16777216)

    def is_shared(self) -> bool:
        """Return whether other gateways get a part of the consumer's messages."""
        return any(topic.filter.startswith(SHARED) for topic in self.topics)


def faults(config: Config, _given: AbstractSet[KeyPath]) -> Faults:
    """Yield every broken rule."""
    for name, consumer in config.of(MqttConsumerSection).items():
        yield from _consumer(place(name), config, consumer)
    yield from _shared_filters(config)


def _consumer(path: KeyPath, config: Config, consumer: MqttConsumerSection) -> Faults:
    if not consumer.topics:
        yield (*path, "topics"), 'is needed: topic filters, like ["factory/#"]'
    for subscription in consumer.topics:
        if fault := filter_fault(subscription.filter):
            yield (*path, "topics"), fault
            continue
        own = own_prefixes(config, consumer.broker_url) if consumer.own == "refuse" else []
        for name, prefix in own:
            if overlaps(subscription.filter, f"{prefix}/#"):
                where = f"topics below {prefix}/, to which [{name}] publishes on the same broker"
                remedy = 'the gateway would take its own values; name a narrower filter, or set own = "take"'
                yield (*path, "topics"), f"{subscription.filter!r} matches {where}: {remedy}"
    yield from connection_faults(path, consumer)
    if consumer.is_shared() and consumer.broker_url == EMBEDDED:
        yield (*path, "topics"), "the built-in broker gives its messages to this gateway alone: leave $share/GROUP/ out"
    elif consumer.is_shared() and not consumer.session_expiry_s:
        yield (
            (*path, "session_expiry_s"),
            "a worker that is killed would lose what the broker has sent and it has not acknowledged: expected hours, such as 86400",
        )


def _shared_filters(config: Config) -> Faults:
    """Find filters that overlap, so that a message would come once for each of them."""
    known: list[tuple[str, str, str]] = []
    for name, consumer in config.of(MqttConsumerSection).items():
        for subscription in consumer.topics:
            for broker, other, held in known:
                if broker == consumer.broker_url and not filter_fault(subscription.filter) and overlaps(subscription.filter, held):
                    where = "this section" if other == name else f"[{other}]"
                    yield (
                        (*place(name), "topics"),
                        f"{subscription.filter!r} and {held!r} of {where} match the same topics: their messages would be taken twice",
                    )
            if not filter_fault(subscription.filter):
                known.append((consumer.broker_url, name, subscription.filter))


def notes(config: Config) -> Iterator[str]:
    """Yield what a share cannot guarantee with these settings."""
    for name, consumer in config.of(MqttConsumerSection).items():
        if not consumer.is_shared():
            continue
        if consumer.protocol == "3.1.1":
            yield f'{name}.protocol is 3.1.1, so marks of other gateways are not seen: set protocol = "5"'
        formats = time_formats(source_rules(config, name, consumer).profile)
        if UPTIMES & formats:
            yield f"{name}: an uptime counts as no time in a share, because each worker sees a part of a device's messages; {AT_LEAST_ONCE}"
        elif not formats:
            yield f"{name}: its profile reads no time from documents; {AT_LEAST_ONCE}"
