"""Every section and key of the configuration, with defaults that work on one machine.

The templates, the documentation and the loader read these declarations; there is no second list.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from iiot_gateway.config.keys import Subscription, choice, flag, integer, nothing, number, path, secret, subscriptions, tags, text, texts
from iiot_gateway.config.secret import Secret

HOUR_S = 3600
DAY_S = 24 * HOUR_S
YEAR_S = 366 * DAY_S

EMBEDDED = "embedded"
"""As broker_url: the broker of [broker]."""

OnStart = Literal["wait", "fail"]


@dataclass(frozen=True, slots=True, kw_only=True)
class ProbeRsSection:
    """`[probe_rs.NAME]`: a further debug probe; the same keys as `[gateway]`."""

    probe_id: str = text("", "The probe, VID:PID or VID:PID:SERIAL as `probe-rs list` prints it; needed when several are plugged in.")
    chip: str = text("", "The chip of the node. Set, it makes this probe a source.")
    firmware_path: str = path("", "The firmware (ELF) that runs on the node; run mode flashes it, both modes decode its log with it.")
    mode: Literal["run", "attach"] = text("run", "run: flash if needed, reset and listen. attach: listen only.", "run", "attach")
    probe_rs_path: str = text("probe-rs", "The probe-rs program: a name on the search path, or a path.")
    log_format: str = text("", "A defmt log format for --log-format; empty leaves it to probe-rs.")
    rtt_channel: str = text(
        "Terminal",
        "With several RTT channels: the one that is taken. With one, which has no name in the log, all is taken; empty always takes all.",
    )
    rtt_silence_s: float = number(60.0, "Without any byte for so long, status says rtt_silent. 0 never does.", low=0, high=YEAR_S)
    telemetry_silence_s: float = number(
        900.0, "With log lines but no telemetry for so long, status says telemetry_silent. 0 never does.", low=0, high=YEAR_S
    )
    stop_grace_s: float = number(2.0, "How long probe-rs may take to end before it is killed.", low=0, high=3)
    profile: str = text("", "Built-in profile by name, or a path to a .toml file; empty takes that of [gateway], there `lora-bridge`.")
    topic_prefix: str = text("", "Prefix of this source's topics; empty takes that of [gateway], there that of the first [mqtt].")
    tags: Mapping[str, str] = tags("Tags on every point; a source's own come over those of [gateway].")
    dedup_window_s: float = number(
        3600.0, "A repeat of node, boot, seq and text within this window is a duplicate. 0 keeps all.", low=0, high=YEAR_S
    )
    max_document_bytes: int = integer(65536, "A longer document is rejected.", low=64, high=16777216)


@dataclass(frozen=True, slots=True, kw_only=True)
class GatewaySection(ProbeRsSection):
    """`[gateway]`: what holds for all sources, and the first debug probe."""

    channel_capacity: int = integer(
        100, "Of the original gateway. Without meaning here: the journal is the only queue.", low=0, high=2**31 - 1
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class SerialSection:
    """`[serial]`, `[serial.NAME]`: a serial port."""

    port: str = text("", "A device (/dev/ttyACM0), or VID:PID[:SERIAL] of a USB adapter wherever it turns up.")
    baud: int = integer(115200, "Bits a second.", low=50, high=12000000)
    bytesize: int = choice(8, "Data bits.", 5, 6, 7, 8)
    parity: Literal["N", "E", "O"] = text("N", "N none, E even, O odd.", "N", "E", "O")
    stopbits: int = choice(1, "Stop bits.", 1, 2)
    silence_s: float = number(900.0, "Without telemetry for so long, status says telemetry_silent. 0 never does.", low=0, high=YEAR_S)
    profile: str = text("", "Built-in profile by name, or a path to a .toml file; empty takes that of [gateway].")
    topic_prefix: str = text("", "Prefix of this source's topics; empty takes that of [gateway].")
    tags: Mapping[str, str] = tags("Tags on every point; they come over those of [gateway].")
    dedup_window_s: float = number(
        3600.0, "A repeat of node, boot, seq and text within this window is a duplicate. 0 keeps all.", low=0, high=YEAR_S
    )
    max_document_bytes: int = integer(65536, "A longer document is rejected.", low=64, high=16777216)


@dataclass(frozen=True, slots=True, kw_only=True)
class SimulateSection:
    """`[simulate]`, `[simulate.NAME]`: sensor nodes that do not exist, printed as probe-rs would print them."""

    nodes: int = integer(3, "Sensor nodes beside the receiver, which is node2: node1, node3, node4 and so on.", low=1, high=100000)
    rate_per_s: float = number(
        0.5,
        "Readings a second, of all nodes together. 0 is as fast as the journal takes them; each node measures every 10 s then.",
        low=0,
        high=1e6,
    )
    seed: int = integer(1, "Another seed is another place, with other weather.", low=0, high=2**63 - 1)
    profile: str = text("", "Built-in profile by name, or a path to a .toml file; empty takes that of [gateway].")
    topic_prefix: str = text("", "Prefix of this source's topics; empty takes that of [gateway].")
    tags: Mapping[str, str] = tags("Tags on every point; they come over those of [gateway].")
    dedup_window_s: float = number(
        3600.0, "A repeat of node, boot, seq and text within this window is a duplicate. 0 keeps all.", low=0, high=YEAR_S
    )
    max_document_bytes: int = integer(65536, "A longer document is rejected.", low=64, high=16777216)


@dataclass(frozen=True, slots=True, kw_only=True)
class MqttConsumerSection:
    """`[mqtt_consumer]`, `[mqtt_consumer.NAME]`: messages of a broker, each taken exactly once."""

    broker_url: str = text(
        "mqtt://localhost:1883", 'mqtt:// (port 1883), mqtts:// (port 8883, TLS or nothing), or "embedded" for the broker of [broker].'
    )
    topics: tuple[Subscription, ...] = subscriptions("Topic filters to subscribe to; $share/GROUP/FILTER shares them with other gateways.")
    qos: int = choice(1, "Of filters that name none. 0 can lose messages on their way; 1 and 2 lose none and double none.", 0, 1, 2)
    protocol: Literal["3.1.1", "5"] = text("3.1.1", "The version of MQTT that is spoken.", "3.1.1", "5")
    client_id: str = text(
        "", "Under this name the broker keeps the session. Empty makes one from the journal's id and this section's name."
    )
    session_expiry_s: float = number(
        86400.0,
        "How long the broker is to keep the session while the gateway is away (3.1.1: it decides). 0 keeps none.",
        low=0,
        high=4294967295,
    )
    retained: Literal["ignore", "take"] = text(
        "ignore", "Messages that the broker had kept: ignore counts them as skipped; take accepts each value once.", "ignore", "take"
    )
    redelivery: Literal["marked", "unmarked"] = text(
        "marked",
        "How the broker sends a message again: marked has MQTT's DUP flag and the same packet id; unmarked has neither, as with Artemis.",
        "marked",
        "unmarked",
    )
    own: Literal["refuse", "take"] = text(
        "refuse", "Filters under which the gateway's own values would come back: refuse is a fault, take accepts them.", "refuse", "take"
    )
    when_full: Literal["pause", "drop_oldest"] = text(
        "pause",
        "pause leaves messages with the broker while the journal is full; drop_oldest drops frames of dead sinks.",
        "pause",
        "drop_oldest",
    )
    silence_s: float = number(900.0, "Without any message for so long, status says silent. 0 never does.", low=0, high=YEAR_S)
    keep_alive_s: float = number(30.0, "Seconds between pings.", low=1, high=65535)
    ack_timeout_s: float = number(20.0, "A ping that is not answered for so long ends the connection.", low=1, high=HOUR_S)
    connect_timeout_s: float = number(10.0, "A connection that takes longer is given up.", low=0.1, high=HOUR_S)
    username: str = text("", "Empty connects without one.")
    password: Secret = secret("Better by IIOT_MQTT_CONSUMER__PASSWORD or password_file.")
    password_file: str = path("", "A file that holds the password and nothing else.")
    ca_file: str = path("", "Certificates (PEM) that the broker's is checked against; empty takes the system's.")
    client_cert_file: str = path("", "The gateway's own certificate (PEM).")
    client_key_file: str = path("", "The key of that certificate (PEM).")
    profile: str = text("", "Built-in profile by name, or a path to a .toml file; empty takes that of [gateway].")
    topic_prefix: str = text("", "Prefix of this source's topics; empty takes that of [gateway].")
    tags: Mapping[str, str] = tags("Tags on every point; they come over those of [gateway].")
    dedup_window_s: float = number(
        3600.0, "A message with a time that comes again within this window is a duplicate. 0 keeps all.", low=0, high=YEAR_S
    )
    max_document_bytes: int = integer(65536, "A longer message is rejected.", low=64, high=16777216)


SourceSection = ProbeRsSection | SerialSection | SimulateSection | MqttConsumerSection


@dataclass(frozen=True, slots=True, kw_only=True)
class MqttSection:
    """`[mqtt]`, `[mqtt.NAME]`: a broker; one topic a metric."""

    broker_url: str = text(
        "mqtt://localhost:1883", 'mqtt:// (port 1883), mqtts:// (port 8883, TLS or nothing), or "embedded" for the broker of [broker].'
    )
    client_id: str = text("iiot-gateway", "Must differ between gateways on one broker.")
    topic_prefix: str = text(
        "iiot",
        "Of PREFIX/gateway/status and PREFIX/gateway/health; that of the first [mqtt] is also that of values whose source names none.",
    )
    qos: int = choice(1, "0: at most once, 1: at least once, 2: exactly once.", 0, 1, 2)
    protocol: Literal["3.1.1", "5"] = text("3.1.1", "The version of MQTT that is spoken.", "3.1.1", "5")
    backlog: Literal["replay", "latest"] = text(
        "replay", "After an outage: replay sends every value, latest the newest a topic of each 2,048 frames read.", "replay", "latest"
    )
    keep_alive_s: float = number(30.0, "Seconds between pings.", low=1, high=65535)
    ack_timeout_s: float = number(20.0, "An acknowledgement that takes longer ends the connection.", low=1, high=HOUR_S)
    connect_timeout_s: float = number(10.0, "A connection that takes longer is given up.", low=0.1, high=HOUR_S)
    inflight: int = integer(1000, "Publishes under way at once.", low=1, high=65535)
    max_topics: int = integer(
        100_000, "Topics that are remembered; values of further ones are sent with retain off.", low=1, high=10_000_000
    )
    username: str = text("", "Empty connects without one.")
    password: Secret = secret("Better by IIOT_MQTT__PASSWORD or password_file.")
    password_file: str = path("", "A file that holds the password and nothing else.")
    ca_file: str = path("", "Certificates (PEM) that the broker's is checked against; empty takes the system's.")
    client_cert_file: str = path("", "The gateway's own certificate (PEM).")
    client_key_file: str = path("", "The key of that certificate (PEM).")
    health_interval_s: float = number(60.0, "Seconds between health documents.", low=1, high=DAY_S)
    on_start: OnStart = text("wait", "If the broker is absent at start: wait for it, or fail.", "wait", "fail")
    profiles: tuple[str, ...] = texts("Only frames of these profiles; empty takes all.")


@dataclass(frozen=True, slots=True, kw_only=True)
class BrokerSection:
    """`[broker]`: the built-in MQTT broker, which runs if an [mqtt] or [mqtt_consumer] section has broker_url = "embedded"."""

    listen: str = text("127.0.0.1:1883", "ADDRESS:PORT in numbers; 0.0.0.0 lets other machines in, with a username or allow_anonymous.")
    username: str = text("", "What every client must give; empty asks for nothing.")
    password: Secret = secret("Better by IIOT_BROKER__PASSWORD or password_file.")
    password_file: str = path("", "A file that holds the password and nothing else.")
    allow_anonymous: bool = flag(False, "true lets everybody in also from other machines.")
    path: str = path("iiot-broker.db", "Where retained values of other clients are kept.")


@dataclass(frozen=True, slots=True, kw_only=True)
class InfluxdbSection:
    """`[influxdb]`, `[influxdb.NAME]`: InfluxDB 2 or 3, VictoriaMetrics, or InfluxDB 1 with api = "v1"."""

    url: str = text("http://localhost:8086", "http:// or https:// of the server.")
    org: str = text("iiot", "Organisation (api v2).")
    bucket: str = text("telemetry", "Bucket; the database with api v1.")
    token: Secret = secret("Better by INFLUXDB_TOKEN or token_file.")
    token_file: str = path("", "A file that holds the token and nothing else; `influxdb init` writes one.")
    api: Literal["v2", "v1"] = text("v2", "v2 posts to /api/v2/write, v1 to /write?db=BUCKET.", "v2", "v1")
    batch_lines: int = integer(5000, "Lines a request at most.", low=1, high=100000)
    batch_interval_ms: int = integer(1000, "How long the first line of a request waits for more.", low=0, high=60000)
    timeout_s: float = number(30.0, "A request that takes longer is repeated.", low=0.1, high=HOUR_S)
    suspect_after_s: float = number(
        600.0,
        "A 5xx that lasts so long may be the fault of a line; it is rejected if the database takes another of its measurement.",
        low=0,
        high=YEAR_S,
    )
    integers: Literal["typed", "float"] = text(
        "typed", "float writes integers as floats, for a bucket in which Telegraf has written them so.", "typed", "float"
    )
    gzip: bool = flag(True, "Compress requests.")
    ca_file: str = path("", "Certificates (PEM) that the server's is checked against; empty takes the system's.")
    on_start: OnStart = text("wait", "If the server is absent at start: wait for it, or fail.", "wait", "fail")
    profiles: tuple[str, ...] = texts("Only frames of these profiles; empty takes all.")


@dataclass(frozen=True, slots=True, kw_only=True)
class HistorySection:
    """`[history]`, `[history.NAME]`: every point in a file on this machine, for the web page, the API and `history`."""

    path: str = path("history.db", "The history's file.")
    max_age_d: float = number(0.0, "Points older than this go. 0 keeps them.", low=0, high=36600)
    max_bytes: int = integer(1073741824, "With more bytes in use the oldest points go; about 3 a point. 0 is no limit.", low=0, high=2**44)
    commit_interval_ms: int = integer(
        1000, "How long the first frame of a commit waits for more; longer spares SD cards.", low=0, high=60000
    )
    profiles: tuple[str, ...] = texts("Only frames of these profiles; empty takes all.")


@dataclass(frozen=True, slots=True, kw_only=True)
class HomeAssistantSection:
    """`[home_assistant]`: tells Home Assistant of every metric that goes to its broker (MQTT discovery)."""

    discovery: bool = flag(False, "true announces a device a node, and a sensor a metric.")
    mqtt: tuple[str, ...] = texts('Which brokers, by the names of their sections: ["mqtt", "mqtt.site"]; empty takes all.')
    discovery_prefix: str = text("homeassistant", "Home Assistant's discovery prefix.")
    status_topic: str = text("homeassistant/status", "Where Home Assistant says online; everything is announced again then.")
    expire_after_s: int = integer(
        0, "Without a new value for so long, Home Assistant shows a sensor as unavailable. 0 never does.", low=0, high=YEAR_S
    )
    retired: tuple[str, ...] = texts("Nodes that are gone, by name: their sensors are removed from Home Assistant.")


@dataclass(frozen=True, slots=True, kw_only=True)
class JournalSection:
    """`[journal]`: the durable log between sources and sinks."""

    path: str = path("iiot-gateway.db", "The journal's file.")
    sync: Literal["full", "normal"] = text("full", "full: to the disk after each group; normal: once a second.", "full", "normal")
    max_bytes: int = integer(268435456, "At this size the oldest frames go, counted as dropped.", low=1048576, high=2**44)
    max_age_h: float = number(0.0, "Frames older than this go, counted as dropped. 0 keeps them.", low=0, high=876000)
    max_rejects: int = integer(10000, "How many rejects are kept with their text; all are counted.", low=0, high=10_000_000)


@dataclass(frozen=True, slots=True, kw_only=True)
class HttpSection:
    """`[http]`: the web page, /api/v1/, /healthz, /readyz and /metrics."""

    enabled: bool = flag(True, "false saves ten megabytes of memory.")
    listen: str = text("127.0.0.1:5000", "ADDRESS:PORT. Other than loopback needs a token.")
    token: Secret = secret("Asked of everybody, if set. Better by IIOT_HTTP__TOKEN or token_file.")
    token_file: str = path("", "A file that holds the token and nothing else.")
    allowed_hosts: tuple[str, ...] = texts("Further names that browsers may call a loopback address by, for a proxy in front.")
    max_pages: int = integer(64, "Pages that may watch at once; further ones are told to come later.", low=0, high=1000)


@dataclass(frozen=True, slots=True, kw_only=True)
class LogSection:
    """`[log]`: to standard error."""

    level: Literal["debug", "info", "warning", "error"] = text("info", "The least that is logged.", "debug", "info", "warning", "error")
    format: Literal["auto", "json", "console"] = text("auto", "auto: console on a terminal, JSON otherwise.", "auto", "json", "console")


@dataclass(frozen=True, slots=True, kw_only=True)
class DownlinkSection:
    """`[downlink]`: commands from PREFIX/NODE/set/NAME to sensor nodes. A key turns it on."""

    key: Secret = secret("The nodes' key, 32 hexadecimal digits (IIOT_NODE_KEY of their build). Better by IIOT_DOWNLINK__KEY or key_file.")
    key_file: str = path("", "A file that holds the key and nothing else.")
    source: str = text("serial", "The serial source at whose other end the gateway node is.")
    sink: str = text("mqtt", "The section of the broker on which commands are asked for.")
    valid_s: int = integer(120, "A command that could not be sent within so many seconds expires.", low=1, high=3600)


@dataclass(frozen=True, slots=True, kw_only=True)
class Config:
    """The whole configuration. The tables of sources and sinks are by name: `mqtt`, `mqtt.backup`."""

    gateway: GatewaySection = field(default_factory=GatewaySection)
    probe_rs: Mapping[str, ProbeRsSection] = field(default_factory=nothing)
    serial: Mapping[str, SerialSection] = field(default_factory=nothing)
    simulate: Mapping[str, SimulateSection] = field(default_factory=nothing)
    mqtt_consumer: Mapping[str, MqttConsumerSection] = field(default_factory=nothing)
    mqtt: Mapping[str, MqttSection] = field(default_factory=nothing)
    influxdb: Mapping[str, InfluxdbSection] = field(default_factory=nothing)
    history: Mapping[str, HistorySection] = field(default_factory=nothing)
    broker: BrokerSection = field(default_factory=BrokerSection)
    home_assistant: HomeAssistantSection = field(default_factory=HomeAssistantSection)
    journal: JournalSection = field(default_factory=JournalSection)
    downlink: DownlinkSection = field(default_factory=DownlinkSection)
    http: HttpSection = field(default_factory=HttpSection)
    log: LogSection = field(default_factory=LogSection)
    base: Path = Path()
    """The folder that relative paths begin at."""
    notes: tuple[str, ...] = ()
    """What is no fault, and may not do what its author expects."""

    def journal_path(self) -> str:
        """Return the journal's file."""
        return str(self.base / self.journal.path)

    def histories(self) -> list[tuple[str, HistorySection, str]]:
        """Return name, section and file of every history."""
        return [(name, section, str(self.base / section.path)) for name, section in self.history.items()]

    def topic_prefix(self) -> str:
        """Return the prefix of sources that name none."""
        if self.gateway.topic_prefix:
            return self.gateway.topic_prefix
        for section in self.mqtt.values():
            return section.topic_prefix
        return MqttSection().topic_prefix


SINGLE: dict[str, type] = {
    "gateway": GatewaySection,
    "broker": BrokerSection,
    "home_assistant": HomeAssistantSection,
    "journal": JournalSection,
    "downlink": DownlinkSection,
    "http": HttpSection,
    "log": LogSection,
}
"""Sections that stand once."""
MANY: dict[str, type] = {
    "probe_rs": ProbeRsSection,
    "serial": SerialSection,
    "simulate": SimulateSection,
    "mqtt_consumer": MqttConsumerSection,
    "mqtt": MqttSection,
    "influxdb": InfluxdbSection,
    "history": HistorySection,
}
"""Sections that may stand several times, each further one with a name."""
