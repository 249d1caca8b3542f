"""From a configuration to a gateway: the only module that knows concrete classes.

A new source or sink is one file, one section in the schema and one line here. Errors of the extension become errors of
`errors.py` on the way.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from iiot_gateway import _native
from iiot_gateway.config.component import SourceSection
from iiot_gateway.config.files import read_text
from iiot_gateway.config.schema import Config
from iiot_gateway.config.wiring import NO_SOURCE, Origin, origin, profile_files, profile_path
from iiot_gateway.downlink.section import DownlinkSection
from iiot_gateway.errors import GatewayError, HistoryUnusable, JournalUnusable, ProfileInvalid, SettingUnusable
from iiot_gateway.home_assistant.section import HomeAssistantSection
from iiot_gateway.log import CONFIG_NOTE, JOURNAL_NOTE, get_log
from iiot_gateway.mqtt.broker import EMBEDDED, BrokerSection
from iiot_gateway.mqtt.connection import broker_access, embedded_clients
from iiot_gateway.pipeline.live import LiveValues
from iiot_gateway.pipeline.supervisor import Gateway, Service
from iiot_gateway.pipeline.views import History, OpenHistory
from iiot_gateway.sinks.base import Sink
from iiot_gateway.sinks.delivery import DeliverySink
from iiot_gateway.sinks.history.section import HistorySection, histories
from iiot_gateway.sinks.influxdb.outlet import InfluxdbOutlet, headers, write_url
from iiot_gateway.sinks.influxdb.section import InfluxdbSection
from iiot_gateway.sinks.mqtt.section import MqttSection
from iiot_gateway.sinks.mqtt.sink import MqttSink
from iiot_gateway.sources.base import Intake, Source
from iiot_gateway.sources.mqtt_consumer.section import MqttConsumerSection
from iiot_gateway.sources.probe_rs.section import ProbeRsSection
from iiot_gateway.sources.serial.section import SerialSection
from iiot_gateway.sources.simulate.section import SimulateSection

if TYPE_CHECKING:
    from iiot_gateway.home_assistant.discovery import Discovery
    from iiot_gateway.home_assistant.entities import Announcer
    from iiot_gateway.mqtt.embedded import EmbeddedBroker


@dataclass(frozen=True, slots=True, kw_only=True)
class Replay:
    """What `replay` was asked to play."""

    path: str
    source_name: str = "replay"
    start_ns: int | None = None
    speed: float | None = 1.0
    """Times real time; None is as fast as possible."""
    from_start: bool = False


def read_profile(path: Path) -> _native.Profile:
    """Compile a profile file. Raises ProfileInvalid with every fault."""
    try:
        return _native.Profile.parse(read_text(path))
    except _native.ProfileError as error:
        raise ProfileInvalid(str(path), error.faults) from error
    except UnicodeDecodeError as error:
        raise ProfileInvalid(str(path), [(0, f"not UTF-8 text (byte {error.start})")]) from error
    except OSError as error:
        raise ProfileInvalid(str(path), [(0, f"cannot be read: {error.strerror}")]) from error


def open_journal(config: Config, *, keep_sinks: bool = False) -> _native.Journal:
    """Open the journal; with `keep_sinks` the sinks of the last run stay active. Raises JournalUnusable."""
    path, section = config.journal_path(), config.journal
    try:
        journal = _native.Journal.open(
            path,
            sync=section.sync,
            max_bytes=section.max_bytes,
            max_age_s=section.max_age_h * 3600.0,
            max_rejects=section.max_rejects,
            keep_sinks=keep_sinks,
        )
    except _native.JournalError as error:
        raise JournalUnusable(error.kind, path, str(error)) from error
    log = get_log()
    for note in journal.notes():
        log.warning(JOURNAL_NOTE, note=note)
    return journal


def _existing(config: Config) -> str:
    """Return the journal's file. Raises GatewayError if there is none yet."""
    path = config.journal_path()
    if not Path(path).exists():
        raise GatewayError(f"there is no journal yet at {path}; `run` makes it")
    return path


def inspect(config: Config) -> dict[str, Any]:
    """Return the ledger of a journal that no gateway has open. Raises JournalUnusable."""
    path = _existing(config)
    try:
        return _native.Journal.inspect(path)
    except _native.JournalError as error:
        raise JournalUnusable(error.kind, path, str(error)) from error


def inspect_rejects(config: Config, limit: int) -> list[dict[str, Any]]:
    """Return the rejects of a journal that no gateway has open. Raises JournalUnusable."""
    path = _existing(config)
    try:
        return _native.Journal.inspect_rejects(path, limit=limit)
    except _native.JournalError as error:
        raise JournalUnusable(error.kind, path, str(error)) from error


def retry(config: Config, journal: _native.Journal, ids: Sequence[int] | None) -> dict[str, int]:
    """Offer rejects again under the profile files as they are now; a repeat of what was accepted is a duplicate."""
    sections: dict[str, SourceSection] = {**config.sources()}
    try:
        known = journal.rejects(limit=1_000_000)
        # A recording has no section; what it gave goes by the keys that `replay` would take.
        sections |= {reject["source"]: config.gateway for reject in known if reject["source"] not in sections}
        given = [origin(config, name, section) for name, section in sections.items()]
        sources = {source.name: (read_profile(source.profile), source.dedup_window_s) for source in given}
        wanted = known if ids is None else _named(known, ids)
        result = journal.retry_rejects(sources, ids=None if ids is None else [reject["id"] for reject in wanted])
    except _native.JournalError as error:
        raise JournalUnusable(error.kind, config.journal_path(), str(error)) from error
    values = sum(reject["kind"] == "value" for reject in wanted)
    documents = {_document(reject) for reject in wanted if reject["kind"] != "value"}
    without_document = max(0, len(documents) - sum(result.values()))
    if ids is not None and without_document:
        names = ", ".join(f"#{number}" for number in ids)
        raise GatewayError(f"{names} cannot be offered again: the document was too long to be kept with it")
    return {**result, "cannot_be_retried": values + without_document}


def _named(known: list[dict[str, Any]], ids: Sequence[int]) -> list[dict[str, Any]]:
    """Return the rejects of these documents. Raises GatewayError for one that is not there or has no document of its own."""
    by_id = {reject["id"]: reject for reject in known}
    for number in ids:
        if number not in by_id:
            raise GatewayError(f"there is no reject #{number}; `rejects` lists those that are kept")
        if by_id[number]["kind"] == "value":
            raise GatewayError(f"#{number} cannot be offered again: its document was accepted without this value")
    documents = {_document(by_id[number]) for number in ids}
    return [reject for reject in known if reject["kind"] != "value" and _document(reject) in documents]


def _document(reject: dict[str, Any]) -> tuple[Any, ...]:
    """Tell rejects of one document from others: a sink may have refused several lines of it, and they go again together."""
    return (reject["sink"], reject["position"]) if reject["position"] is not None else (reject["sink"], None, reject["id"])


def build(config: Config, *, replay: Replay | None = None, services: Sequence[Service] = ()) -> Gateway:
    """Open the journal, make its sinks known, then its sources. Raises GatewayError; the journal is closed then."""
    for note in config.notes:
        get_log().info(CONFIG_NOTE, note=note)
    if not replay and not profile_files(config):
        get_log().warning(CONFIG_NOTE, note=NO_SOURCE)
    journal = open_journal(config)
    try:
        broker = _embedded(config)
        sinks = _sinks(config, journal, broker, takes_commands=bool(config.one(DownlinkSection).key) and not replay)
        # Before any frame comes: it shows what the journal still holds first.
        live = _native.Live(journal) if config.http.enabled or config.one(HomeAssistantSection).discovery else None
        sources: list[Source] = [_replay(config, journal, replay)] if replay else _live(config, journal, broker)
        discoveries = _discoveries(config, sinks) if config.one(HomeAssistantSection).discovery else []
    except _native.JournalError as error:
        journal.close()
        raise JournalUnusable(error.kind, config.journal_path(), str(error)) from error
    except (_native.MqttError, _native.HttpError) as error:
        journal.close()
        raise SettingUnusable(str(error)) from error
    except BaseException:
        journal.close()
        raise
    watched = LiveValues(lambda: live or _native.Live(journal))
    commands = {
        "live": watched.answer,
        "rejects": lambda request: journal.rejects(limit=_whole(request, "limit", 100)),
        "retry": lambda request: retry(config, journal, None if request.get("id") is None else [_whole(request, "id", 0)]),
    }
    gateway = Gateway(
        journal,
        config.journal_path(),
        sources,
        sinks,
        commands=commands,
        services=[*services, *discoveries, *([] if replay else _downlink(config, sources))],
        live=live,
        open_history=history_for_pages(config),
    )
    for sink in sinks:
        if isinstance(sink, MqttSink):
            sink.health = gateway.view.health
    return gateway


def history_for_pages(config: Config) -> OpenHistory | None:
    """Return how to read the history that pages ask: the first one. None if none is configured."""
    return next((partial(reading_history, path) for _name, _section, path in histories(config)), None)


@contextmanager
def reading_history(path: str) -> Iterator[History]:
    """Open a history for reading. Raises HistoryUnusable, also for what goes wrong within."""
    try:
        with closing(_native.HistoryReader(path)) as reader:
            yield reader
    except _native.HistoryError as error:
        raise HistoryUnusable(error.kind, str(error)) from error


def _whole(request: dict[str, Any], key: str, default: int) -> int:
    """Read a whole number above 0 out of a request. Raises ValueError."""
    value = request.get(key, default)
    if not isinstance(value, int) or isinstance(value, bool) or not 0 < value < 2**63:
        raise ValueError(f"{key}: expected a whole number above 0, found {value!r}")
    return value


def live_sources(config: Config, intake: Intake, names: Sequence[str]) -> list[Source]:
    """Return live sources that push into something else than the journal, for `record`."""
    return [_source(name, section, intake) for name, section in config.sources().items() if name in names]


def recorder(
    config: Config, section: MqttConsumerSection, listener: Callable[[list[tuple[bytes, bytes, int]]], object]
) -> _native.MqttRecorder:
    """Return a consumer whose messages go to a function. Raises SettingUnusable."""
    if section.broker_url == EMBEDDED:
        raise GatewayError(
            "the built-in broker runs only within the gateway, so `record` cannot listen to it: name the URL of another broker"
        )
    try:
        return _native.MqttRecorder(
            listener,
            client_id=f"iiot-gateway-record-{os.getpid()}",
            subscriptions=_subscriptions(section),
            max_document_bytes=section.max_document_bytes,
            **broker_settings(config, section),
        )
    except _native.MqttError as error:
        raise SettingUnusable(str(error)) from error


def _subscriptions(section: MqttConsumerSection) -> list[tuple[str, int]]:
    return [(topic.filter, section.qos if topic.qos is None else topic.qos) for topic in section.topics]


def broker_settings(config: Config, section: MqttSection | MqttConsumerSection) -> dict[str, Any]:
    """Return the keywords that every connection to this broker takes."""
    url, username, password = broker_access(config, section)
    return {
        "broker_url": url,
        "protocol": section.protocol,
        "username": username or None,
        "password": password or None,
        "ca_file": section.ca_file or None,
        "client_cert_file": section.client_cert_file or None,
        "client_key_file": section.client_key_file or None,
    }


def poster(section: InfluxdbSection) -> _native.Poster:
    """Return an HTTP connection for a database section. Raises SettingUnusable."""
    try:
        return _native.Poster(
            write_url(section),
            headers=headers(section),
            timeout_s=section.timeout_s,
            gzip=section.gzip,
            ca_file=section.ca_file or None,
        )
    except _native.HttpError as error:
        raise SettingUnusable(str(error)) from error


def _sinks(config: Config, journal: _native.Journal, embedded: EmbeddedBroker | None, *, takes_commands: bool) -> list[Sink]:
    wanted = {name: section.profiles for name, section in config.of(MqttSection).items()}
    wanted |= {name: section.profiles for name, section in config.of(InfluxdbSection).items()}
    wanted |= {name: section.profiles for name, section in config.of(HistorySection).items()}
    for name, profiles in wanted.items():
        journal.add_sink(name, profiles=profiles or None)
    sinks: list[Sink] = []
    for name, section in config.of(MqttSection).items():
        broker = embedded if section.broker_url == EMBEDDED else None
        own = _own_topics(config, name, takes_commands=takes_commands)
        sinks.append(MqttSink(name, section, _broker(config, journal, name, own), embedded=broker))
    sinks += [
        DeliverySink(
            name,
            "influxdb",
            InfluxdbOutlet(section, _native.LineSink(journal, name, integers=section.integers), poster(section)),
            on_start=section.on_start,
            suspect_after_s=section.suspect_after_s,
        )
        for name, section in config.of(InfluxdbSection).items()
    ]
    return sinks + _histories(config, journal)


# What most gateways do without is imported where it is wanted: each module stays in memory for months.


def _histories(config: Config, journal: _native.Journal) -> list[Sink]:
    if not config.of(HistorySection):
        return []
    from iiot_gateway.sinks.history.sink import HistorySink

    return [HistorySink(name, section, path, _native.HistorySink(journal, name)) for name, section, path in histories(config)]


def _embedded(config: Config) -> EmbeddedBroker | None:
    clients = embedded_clients(config)
    if not clients and all(section.broker_url != EMBEDDED for section in config.of(MqttConsumerSection).values()):
        return None
    from iiot_gateway.mqtt.embedded import EmbeddedBroker

    return EmbeddedBroker(config.one(BrokerSection), str(config.base / config.one(BrokerSection).path), clients)


def _own_topics(config: Config, name: str, *, takes_commands: bool) -> list[str]:
    """Return the filters of the topics that are the gateway's own at a sink's broker; no value goes there."""
    broker, home = config.of(MqttSection)[name].broker_url, config.one(HomeAssistantSection)
    # Another section may be about the same broker.
    there = {other: section for other, section in config.of(MqttSection).items() if section.broker_url == broker}
    own = [f"{section.topic_prefix}/gateway/#" for section in there.values()]
    if takes_commands and config.one(DownlinkSection).sink in there:
        prefix = _downlink_prefix(config)
        own += [f"{prefix}/+/set/#", f"{prefix}/+/state/#"]
    if home.discovery:
        announced = (section for other, section in there.items() if not home.mqtt or other in home.mqtt)
        own += [_announcer(config, section).own_documents() for section in announced]
    return list(dict.fromkeys(own))


def _broker(config: Config, journal: _native.Journal, name: str, own_topics: Sequence[str]) -> _native.MqttSink:
    section = config.of(MqttSection)[name]
    return _native.MqttSink(
        journal,
        name,
        client_id=section.client_id,
        availability_topic=f"{section.topic_prefix}/gateway/status",
        health_topic=f"{section.topic_prefix}/gateway/health",
        own_topics=own_topics,
        qos=section.qos,
        backlog=section.backlog,
        keep_alive_s=section.keep_alive_s,
        ack_timeout_s=section.ack_timeout_s,
        connect_timeout_s=section.connect_timeout_s,
        inflight=section.inflight,
        max_topics=section.max_topics,
        **broker_settings(config, section),
    )


def _downlink_prefix(config: Config) -> str:
    """Return the prefix of the topics on which commands are asked for and answered."""
    source = config.one(DownlinkSection).source
    return origin(config, source, config.of(SerialSection)[source]).topic_prefix


def _downlink(config: Config, sources: Sequence[Source]) -> list[Service]:
    """Return the service that takes commands for sensor nodes; none without a key. Raises SettingUnusable."""
    section = config.one(DownlinkSection)
    if not section.key:
        return []
    from iiot_gateway.downlink.service import Downlink
    from iiot_gateway.sources.serial.source import SerialSource

    broker = config.of(MqttSection)[section.sink]
    gate = next(source for source in sources if source.name == section.source and isinstance(source, SerialSource))
    prefix = _downlink_prefix(config)
    try:
        side = _native.SideConnection(
            client_id=f"{broker.client_id}-downlink",
            subscriptions=[f"{prefix}/+/set/+"],
            keep_alive_s=broker.keep_alive_s,
            ack_timeout_s=broker.ack_timeout_s,
            connect_timeout_s=broker.connect_timeout_s,
            **broker_settings(config, broker),
        )
    except _native.MqttError as error:
        raise SettingUnusable(str(error)) from error
    key = bytes.fromhex(section.key.reveal())
    return [Downlink(side, gate, key=key, prefix=prefix, valid_s=section.valid_s).run]


def _discoveries(config: Config, sinks: Sequence[Sink]) -> list[Discovery]:
    from iiot_gateway.home_assistant.discovery import Discovery, Plan

    section = config.one(HomeAssistantSection)
    profiles = {source: read_profile(path).name for source, path in profile_files(config).items()}
    # A recording has no section; it goes by the profile of [gateway].
    other = read_profile(profile_path(config.base, config.gateway.profile)).name
    by_name = {sink.name: sink for sink in sinks if isinstance(sink, MqttSink)}

    def discovery(name: str, mqtt: MqttSection) -> Discovery:
        client_id = f"{mqtt.client_id}-discovery"
        sink = by_name[name]
        plan = Plan(
            sink=name,
            announcer=_announcer(config, mqtt),
            home_status_topic=section.status_topic,
            retired=section.retired,
            takes=lambda source: not mqtt.profiles or profiles.get(source, other) in mqtt.profiles,
            publishes_to=sink.publishes_to,
            is_connected=lambda: sink.status.state == "connected",
        )
        side = _native.SideConnection(
            client_id=client_id,
            subscriptions=plan.subscriptions(),
            keep_alive_s=mqtt.keep_alive_s,
            ack_timeout_s=mqtt.ack_timeout_s,
            connect_timeout_s=mqtt.connect_timeout_s,
            **broker_settings(config, mqtt),
        )
        return Discovery(plan, side)

    return [discovery(name, mqtt) for name, mqtt in config.of(MqttSection).items() if not section.mqtt or name in section.mqtt]


def _announcer(config: Config, mqtt: MqttSection) -> Announcer:
    from iiot_gateway.home_assistant.entities import Announcer

    return Announcer(
        prefix=config.one(HomeAssistantSection).discovery_prefix,
        client_id=mqtt.client_id,
        status_topic=f"{mqtt.topic_prefix}/gateway/status",
        expire_after_s=config.one(HomeAssistantSection).expire_after_s,
    )


def _live(config: Config, journal: _native.Journal, broker: EmbeddedBroker | None) -> list[Source]:
    sources: list[Source] = []
    for name, section in config.sources().items():
        given = origin(config, name, section)
        if isinstance(section, MqttConsumerSection):
            sources.append(_consumer(config, journal, broker, (name, section), given))
            continue
        intake = journal.add_source(name, **_origin_settings(given))
        sources.append(_source(name, section, intake))
    return sources


def _consumer(
    config: Config, journal: _native.Journal, broker: EmbeddedBroker | None, named: tuple[str, MqttConsumerSection], given: Origin
) -> Source:
    name, section = named
    settings = _origin_settings(given)
    del settings["rtt_channel"]
    settings["waits"] = section.when_full == "pause"
    if section.broker_url == EMBEDDED and broker is not None:
        from iiot_gateway.sources.mqtt_consumer.embedded import EmbeddedConsumerSource

        taken = _native.BrokerConsumer(journal, name, filters=[topic.filter for topic in section.topics], **settings)
        broker.consume(name, taken)
        return EmbeddedConsumerSource(name, section, taken, broker)
    from iiot_gateway.sources.mqtt_consumer.source import MqttConsumerSource

    native = _native.MqttConsumer(
        journal,
        name,
        client_id=section.client_id or f"iiot-gateway-{journal.id[:12]}-{name.replace('.', '-')}",
        subscriptions=_subscriptions(section),
        retained=section.retained,
        session_expiry_s=section.session_expiry_s,
        keep_alive_s=section.keep_alive_s,
        ack_timeout_s=section.ack_timeout_s,
        connect_timeout_s=section.connect_timeout_s,
        **settings,
        **broker_settings(config, section),
    )
    return MqttConsumerSource(name, section, native)


def _source(name: str, section: SourceSection, intake: Intake) -> Source:
    if isinstance(section, SerialSection):
        from iiot_gateway.sources.serial.source import SerialSource

        return SerialSource(name, section, intake)
    if isinstance(section, SimulateSection):
        from iiot_gateway.sources.simulate.source import SimulateSource

        return SimulateSource(name, section, intake, _native.Simulator)
    if isinstance(section, ProbeRsSection):
        from iiot_gateway.sources.probe_rs.source import ProbeRsSource

        return ProbeRsSource(name, section, intake)
    raise GatewayError(f"[{name}] gives messages, not bytes: `record` cannot take it")


def _replay(config: Config, journal: _native.Journal, replay: Replay) -> Source:
    from iiot_gateway.sources.recorded_file import fingerprint, is_stream
    from iiot_gateway.sources.replay import ReplaySource

    given = origin(config, replay.source_name, config.gateway)
    settings = _origin_settings(given)
    try:
        intake = journal.add_recording(
            replay.source_name,
            fingerprint=fingerprint(replay.path),
            arguments=_arguments(replay, given),
            from_start=replay.from_start or is_stream(replay.path),
            start_ns=replay.start_ns,
            **settings,
        )
    except ValueError as error:
        raise GatewayError(f"{replay.path}: {error}") from error
    pacer = None
    if replay.speed is not None:
        pacer = _native.Pacer(settings["profile"], max_document_bytes=given.max_document_bytes, rtt_channel=given.rtt_channel)
    return ReplaySource(replay.source_name, replay.path, intake, speed=replay.speed, pacer=pacer)


def _arguments(replay: Replay, given: Origin) -> str:
    """Say what must be the same when a recording goes on. A channel of its own is named; the usual one was never."""
    start = "no --start" if replay.start_ns is None else f"--start at {replay.start_ns} ns"
    return start if given.rtt_channel == ProbeRsSection().rtt_channel else f"{start}, rtt_channel {given.rtt_channel or 'none'}"


def _origin_settings(given: Origin) -> dict[str, Any]:
    return {
        "profile": read_profile(given.profile),
        "topic_prefix": given.topic_prefix,
        "tags": given.tags,
        "dedup_window_s": given.dedup_window_s,
        "max_document_bytes": given.max_document_bytes,
        "rtt_channel": given.rtt_channel,
    }
