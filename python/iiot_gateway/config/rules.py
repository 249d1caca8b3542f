"""What keys must be to each other: rules over a loaded configuration, each fault with its path."""

from __future__ import annotations

import ipaddress
import os
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from urllib.parse import urlsplit

from iiot_gateway.config.locate import nearest_name
from iiot_gateway.config.mqtt_text import filter_fault, overlaps, prefix_fault, text_faults
from iiot_gateway.config.schema import (
    EMBEDDED,
    BrokerSection,
    Config,
    HistorySection,
    HttpSection,
    InfluxdbSection,
    MqttConsumerSection,
    MqttSection,
    ProbeRsSection,
    SourceSection,
)
from iiot_gateway.config.wiring import BUILT_IN_PROFILES, is_loopback, listen_host, own_prefixes, profile_files, profile_name, profile_path

KeyPath = tuple[str, ...]

TOKEN = re.compile(r"[!-~]{8,200}")
KEY = re.compile(r"[0-9A-Fa-f]{32}")
CHANNEL = re.compile(r"[ -Z\\^-~]{1,32}")
USB = re.compile(r"[0-9A-Fa-f]{4}:[0-9A-Fa-f]{4}(:.+)?")
MIN_HISTORY_BYTES = 1048576


def faults(config: Config, given: set[KeyPath]) -> Iterator[tuple[KeyPath, str]]:
    """Give every broken rule; `given` are the key paths that somebody wrote."""
    yield from _probe(("gateway",), config.gateway, given, needs_chip=False)
    for name, probe in config.probe_rs.items():
        yield from _probe(tuple(name.split(".")), probe, given, needs_chip=True)
    for name, serial in config.serial.items():
        if not serial.port:
            yield (*name.split("."), "port"), "is needed: a device, or VID:PID[:SERIAL]"
    yield from _clients({**config.mqtt, **config.mqtt_consumer})
    for name, consumer in config.mqtt_consumer.items():
        yield from _consumer(tuple(name.split(".")), config, consumer)
    yield from _shared_filters(config)
    for name, mqtt in config.mqtt.items():
        yield from _mqtt(tuple(name.split(".")), mqtt)
    yield from text_faults(config)
    if EMBEDDED in [*(mqtt.broker_url for mqtt in config.mqtt.values()), *(mqtt.broker_url for mqtt in config.mqtt_consumer.values())]:
        yield from _broker(config.broker)
    for name, influxdb in config.influxdb.items():
        yield from _influxdb(tuple(name.split(".")), influxdb)
    yield from _histories(config)
    yield from _home_assistant(config)
    yield from _prefixes_and_profiles(config)
    yield from _wanted_profiles(config)
    if not config.journal.path:
        yield ("journal", "path"), "must not be empty"
    elif os.path.isdir(config.journal_path()):
        yield ("journal", "path"), f"{config.journal_path()} is a directory: name a file in it"
    yield from _downlink(config)
    yield from _http(config.http)


def _probe(path: KeyPath, probe: ProbeRsSection, given: set[KeyPath], *, needs_chip: bool) -> Iterator[tuple[KeyPath, str]]:
    if probe.rtt_channel and not CHANNEL.fullmatch(probe.rtt_channel):
        yield (
            (*path, "rtt_channel"),
            "expected a channel's name as the firmware gives it: 1 to 32 printable ASCII characters without brackets",
        )
    if not probe.chip:
        for key in ("probe_id", "firmware_path"):
            if (*path, key) in given and getattr(probe, key):
                yield (*path, "chip"), f"is needed beside {key}"
                return
        if needs_chip:
            yield (*path, "chip"), "is needed"
        return
    if probe.mode == "run" and not probe.firmware_path:
        yield (*path, "firmware_path"), 'is needed with mode = "run"'
    if probe.probe_id and not USB.fullmatch(probe.probe_id):
        yield (*path, "probe_id"), "expected VID:PID or VID:PID:SERIAL in hexadecimal, as `probe-rs list` prints it"


def _clients(sections: Mapping[str, MqttSection | MqttConsumerSection]) -> Iterator[tuple[KeyPath, str]]:
    seen: dict[tuple[str, str], str] = {}
    for name, mqtt in sections.items():
        if not mqtt.client_id:
            continue
        client = (mqtt.broker_url, mqtt.client_id)
        if client in seen:
            yield (
                (*name.split("."), "client_id"),
                f"the same as that of [{seen[client]}] on the same broker; they would throw each other out",
            )
        seen.setdefault(client, name)


def _mqtt(path: KeyPath, mqtt: MqttSection) -> Iterator[tuple[KeyPath, str]]:
    if not mqtt.client_id:
        yield (*path, "client_id"), "must not be empty"
    yield from _connection(path, mqtt)


def _consumer(path: KeyPath, config: Config, consumer: MqttConsumerSection) -> Iterator[tuple[KeyPath, str]]:
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
    yield from _connection(path, consumer)


def _shared_filters(config: Config) -> Iterator[tuple[KeyPath, str]]:
    """Find filters of which a message comes twice: once for each of them."""
    known: list[tuple[str, str, str]] = []
    for name, consumer in config.mqtt_consumer.items():
        for subscription in consumer.topics:
            for broker, other, held in known:
                if broker == consumer.broker_url and not filter_fault(subscription.filter) and overlaps(subscription.filter, held):
                    where = "this section" if other == name else f"[{other}]"
                    yield (
                        (*name.split("."), "topics"),
                        f"{subscription.filter!r} and {held!r} of {where} match the same topics: their messages would be taken twice",
                    )
            if not filter_fault(subscription.filter):
                known.append((consumer.broker_url, name, subscription.filter))


def _connection(path: KeyPath, mqtt: MqttSection | MqttConsumerSection) -> Iterator[tuple[KeyPath, str]]:
    if mqtt.broker_url == EMBEDDED:
        for key in ("username", "password"):
            if getattr(mqtt, key):
                yield (*path, key), f"stands in [broker] when broker_url is {EMBEDDED!r}"
    else:
        yield from _url((*path, "broker_url"), mqtt.broker_url, ("mqtt", "mqtts"))
    if bool(mqtt.client_cert_file) != bool(mqtt.client_key_file):
        yield (*path, "client_cert_file"), "client_cert_file and client_key_file go together"
    if mqtt.password and not mqtt.username:
        yield (*path, "username"), "is needed beside a password"
    for key in ("ca_file", "client_cert_file", "client_key_file"):
        file = getattr(mqtt, key)
        if file and not mqtt.broker_url.startswith("mqtts:"):
            yield (*path, key), "has no meaning without mqtts://"
        elif file and not Path(file).is_file():
            yield (*path, key), f"there is no file {file}"


def _broker(broker: BrokerSection) -> Iterator[tuple[KeyPath, str]]:
    host, _, port = broker.listen.rpartition(":")
    try:
        address = ipaddress.ip_address(host.removeprefix("[").removesuffix("]"))
    except ValueError:
        address = None
    if address is None or not port.isdigit() or not 0 < int(port) < 65536:
        yield ("broker", "listen"), "expected ADDRESS:PORT in numbers, like 127.0.0.1:1883"
    elif not (address.is_loopback or broker.username or broker.allow_anonymous):
        yield ("broker", "listen"), "other machines reach it there: set username and password, or allow_anonymous = true"
    if bool(broker.username) != bool(broker.password):
        yield ("broker", "username"), "username and password go together"


def _influxdb(path: KeyPath, influxdb: InfluxdbSection) -> Iterator[tuple[KeyPath, str]]:
    yield from _url((*path, "url"), influxdb.url, ("http", "https"))
    if not influxdb.bucket:
        yield (*path, "bucket"), "must not be empty"
    if influxdb.ca_file and not Path(influxdb.ca_file).is_file():
        yield (*path, "ca_file"), f"there is no file {influxdb.ca_file}"


def _histories(config: Config) -> Iterator[tuple[KeyPath, str]]:
    seen = {config.journal_path(): "journal"}
    for name, history, file in config.histories():
        if not history.path:
            yield (*name.split("."), "path"), "must not be empty"
        elif os.path.isdir(file):
            yield (*name.split("."), "path"), f"{file} is a directory: name a file in it"
        elif file in seen:
            yield (*name.split("."), "path"), f"the same file as that of [{seen[file]}]; each needs its own"
        seen.setdefault(file, name)
        if 0 < history.max_bytes < MIN_HISTORY_BYTES:
            yield (*name.split("."), "max_bytes"), f"expected 0, or at least {MIN_HISTORY_BYTES}"


def _home_assistant(config: Config) -> Iterator[tuple[KeyPath, str]]:
    section = config.home_assistant
    if section.discovery and not config.mqtt:
        yield ("home_assistant", "discovery"), "needs an [mqtt] section: the broker that Home Assistant listens to"
    for name in section.mqtt:
        if name not in config.mqtt:
            yield ("home_assistant", "mqtt"), f"there is no section [{name}]{nearest_name(name, list(config.mqtt))}"
    for key in ("discovery_prefix", "status_topic"):
        if fault := prefix_fault(getattr(section, key)):
            yield ("home_assistant", key), fault


def _url(path: KeyPath, url: str, schemes: tuple[str, ...]) -> Iterator[tuple[KeyPath, str]]:
    expected = " or ".join(f"{scheme}://" for scheme in schemes)
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        yield path, "expected a URL with a port from 1 to 65535"
        return
    if parts.scheme not in schemes:
        yield path, f"expected a URL that begins with {expected}, found {parts.scheme or url[:40]!r}"
    elif not parts.hostname:
        yield path, "the URL names no host"
    elif port == 0:
        yield path, "expected a port from 1 to 65535"
    behind = url.partition(parts.netloc)[2] if parts.netloc else ""
    if parts.scheme.startswith("mqtt") and behind not in ("", "/"):
        yield path, f"expected nothing behind host and port, found {behind[:40]!r}: MQTT has no paths; topic_prefix begins topics"
    elif parts.query or parts.fragment:
        yield (
            path,
            f"expected nothing behind the path, found {behind[len(parts.path) :][:40]!r}: the gateway adds the API's own path and query",
        )
    if parts.username or parts.password:
        yield path, "a user or password in a URL ends up in logs; use the keys made for them"


def _prefixes_and_profiles(config: Config) -> Iterator[tuple[KeyPath, str]]:
    sections: dict[str, SourceSection] = {
        "gateway": config.gateway,
        **config.probe_rs,
        **config.serial,
        **config.simulate,
        **config.mqtt_consumer,
    }
    prefixes = [(name, section.topic_prefix) for name, section in sections.items()]
    prefixes += [(name, section.topic_prefix) for name, section in config.mqtt.items()]
    for name, prefix in prefixes:
        if prefix and (fault := prefix_fault(prefix)):
            yield (*name.split("."), "topic_prefix"), fault
    for name, section in sections.items():
        for own in (f"{mqtt.topic_prefix}/gateway" for mqtt in config.mqtt.values()):
            if f"{section.topic_prefix}/".startswith(f"{own}/"):
                yield (*name.split("."), "topic_prefix"), f"no value could be published: {own}/# belongs to the gateway itself"
        if section.profile and not profile_path(config.base, section.profile).is_file():
            known = ", ".join(BUILT_IN_PROFILES)
            yield (
                (*name.split("."), "profile"),
                f"there is no profile {section.profile!r}; built in are {known}; a path ends in .toml",
            )
        for tag, value in section.tags.items():
            if not tag or not value:
                yield (*name.split("."), "tags", tag or '""'), f"a tag without a {'value' if tag else 'name'} cannot be written"


def _wanted_profiles(config: Config) -> Iterator[tuple[KeyPath, str]]:
    """Find sinks that wait for a profile that nobody has: they would get nothing, for ever and in silence."""
    sinks: dict[str, MqttSection | InfluxdbSection | HistorySection] = {**config.mqtt, **config.influxdb, **config.history}
    if not any(sink.profiles for sink in sinks.values()):
        return
    files = {profile_path(config.base, config.gateway.profile), *profile_files(config).values()}
    known = sorted({*BUILT_IN_PROFILES, *(name for file in files if (name := profile_name(file)))})
    for name, sink in sinks.items():
        for wanted in sink.profiles:
            if wanted not in known:
                yield (*name.split("."), "profiles"), f"there is no profile {wanted!r}{nearest_name(wanted, known)}"


def _downlink(config: Config) -> Iterator[tuple[KeyPath, str]]:
    downlink = config.downlink
    if not downlink.key:
        return
    if not KEY.fullmatch(downlink.key.reveal()):
        yield ("downlink", "key"), "expected 32 hexadecimal digits"
    if downlink.source not in config.serial:
        yield ("downlink", "source"), f"there is no serial source {downlink.source!r}{nearest_name(downlink.source, sorted(config.serial))}"
    if downlink.sink not in config.mqtt:
        yield ("downlink", "sink"), f"there is no broker {downlink.sink!r}{nearest_name(downlink.sink, sorted(config.mqtt))}"


def _http(http: HttpSection) -> Iterator[tuple[KeyPath, str]]:
    if not _listen(http.listen):
        yield ("http", "listen"), "expected ADDRESS:PORT"
    elif http.enabled and not http.token and not is_loopback(listen_host(http.listen)):
        yield (
            ("http", "token"),
            f"is needed, because others can reach {http.listen}: set IIOT_HTTP__TOKEN or token_file, or listen on 127.0.0.1",
        )
    if http.token and not TOKEN.fullmatch(http.token.reveal()):
        yield ("http", "token"), "expected 8 to 200 printable ASCII characters without spaces: it travels in a header"


def _listen(text: str) -> bool:
    host, _, port = text.rpartition(":")
    return bool(host) and port.isdigit() and 0 <= int(port) < 65536
