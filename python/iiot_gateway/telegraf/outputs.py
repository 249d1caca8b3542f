"""Translates `outputs.influxdb_v2`, `outputs.influxdb` and `outputs.mqtt` into sinks."""

from __future__ import annotations

from pathlib import Path
from urllib.parse import urlsplit, urlunsplit

from iiot_gateway.telegraf import connection, topics, values
from iiot_gateway.telegraf.made import Made, Part
from iiot_gateway.telegraf.section import Section

BUFFER = "the journal holds what the other side has not taken yet; max_bytes of [journal] bounds it"
ALL_SOURCES = "an output takes the points of all sources; `profiles` chooses among them"
COMMON_REASONS = {
    "alias": "a name in Telegraf's own log; sections have names here",
    "log_level": "level of [log] is for everything",
    "startup_error_behavior": 'on_start = "wait" is the default',
    "metric_batch_size": "batch_lines is 5,000 unless it is set; larger requests cost less",
    "metric_buffer_limit": BUFFER,
    "flush_interval": "points are delivered within batch_interval_ms, one second unless it is set",
    "flush_jitter": "points are delivered as they come",
    "namepass": ALL_SOURCES,
    "namedrop": ALL_SOURCES,
    "tagpass": ALL_SOURCES,
    "tagdrop": ALL_SOURCES,
    "fieldpass": ALL_SOURCES,
    "fielddrop": ALL_SOURCES,
}
INFLUXDB_REASONS = {
    **COMMON_REASONS,
    "insecure_skip_verify": "certificates are always checked; name the server's own in ca_file",
    "tls_cert": "the gateway shows databases no certificate of its own",
    "tls_key": "the gateway shows databases no certificate of its own",
    "bucket_tag": "all points go to one bucket; a further [influxdb.NAME] with `profiles` takes some of them elsewhere",
    "exclude_bucket_tag": "all points go to one bucket",
    "database_tag": "all points go to one database",
    "exclude_database_tag": "all points go to one database",
    "retention_policy": "points go to the default one",
    "retention_policy_tag": "points go to the default one",
    "skip_database_creation": "the gateway makes no database; `iiot-gateway doctor` says if it is missing",
    "write_consistency": "the server's default holds",
    "user_agent": "the gateway says who it is",
    "http_proxy": "the gateway connects directly",
    "http_headers": "the gateway sends no further headers",
    "influx_uint_support": "numbers keep the text that they came as",
    "username": "user and password of InfluxDB 1 go together",
}
MQTT_REASONS = {
    **COMMON_REASONS,
    **connection.REASONS,
    "data_format": "each value is a message of its own, with its text as payload",
    "timeout": "ack_timeout_s bounds how long an acknowledgement may take",
    "layout": "each value is a message of its own",
    "batch": "each value is a message of its own",
}
TIMEOUT_BOUNDS_S = (0.1, 3600.0)
DEFAULT_DATABASE = "telegraf"
DEFAULT_PREFIX = "telegraf"


def take_influxdb(section: Section, made: Made) -> None:
    """Add a section for InfluxDB 1 or 2."""
    is_v1 = section.name.endswith("influxdb")
    urls = section.texts("urls") or section.texts("url") or []
    base = _without_user(urls[0]) if urls else ""
    if not base:
        section.notes.append("left out: it names no server that the gateway can reach: http:// and https:// are known")
        section.refuse({}, "the plugin is left out")
        return
    part = made.sink("influxdb")
    part.keys["url"] = base
    for key in ("urls", "url"):
        if section.texts(key) and len(urls) > 1:
            section.differs(key, f"url of [{part.name}] is the first; Telegraf writes to one of them at a time")
        elif section.texts(key):
            section.taken(key, f"url of [{part.name}]")
    if urls[0].partition("://")[2].rstrip("/") != base.partition("://")[2]:
        section.notes.append(f"what stands around the address in the URL is not taken over; a token goes into token_file of [{part.name}]")
    if is_v1:
        part.keys |= {"api": "v1", "bucket": section.text("database") or DEFAULT_DATABASE}
        _v1_access(section, made, part)
    elif isinstance(section.raw("token"), str):
        made.secret(section, "token", part, "token")
    for key, to in (("database", "bucket"),) if is_v1 else (("organization", "org"), ("bucket", "bucket")):
        if text := section.text(key):
            part.keys[to] = text
            section.taken(key, f"{to} of [{part.name}]")
    _requests(section, part)
    section.refuse(INFLUXDB_REASONS)


def _v1_access(section: Section, made: Made, part: Part) -> None:
    """Write user name and password as a token: InfluxDB 1.8 accepts `USER:PASSWORD`."""
    user, password = section.text("username"), section.raw("password")
    if user and isinstance(password, str):
        made.secret(section, "password", part, "token", f"{user}:{password}")
        section.differs("username", "it stands before the password in the token, USER:PASSWORD, which InfluxDB 1.8 and later take")


def _requests(section: Section, part: Part) -> None:
    seconds = values.duration_s(section.raw("timeout"))
    if seconds is not None and TIMEOUT_BOUNDS_S[0] <= seconds <= TIMEOUT_BOUNDS_S[1]:
        part.keys["timeout_s"] = seconds
        section.taken("timeout", f"timeout_s of [{part.name}]")
    encoding = section.text("content_encoding")
    if encoding in ("gzip", "identity"):
        part.keys["gzip"] = encoding == "gzip"
        section.taken("content_encoding", f"gzip of [{part.name}]")
    for key in ("tls_ca", "ssl_ca"):
        file = section.text(key)
        if file and Path(file).is_file():
            part.keys["ca_file"] = file
            section.taken(key, f"ca_file of [{part.name}]")
        elif file is not None:
            section.left_out(key, f"there is no such file on this machine: set ca_file of [{part.name}]")


def _without_user(url: str) -> str:
    """Return the address of a server without user, password and query; empty if the text is no address."""
    try:
        parts = urlsplit(url)
        good = parts.scheme in ("http", "https") and parts.hostname and parts.port != 0
    except ValueError:
        return ""
    return urlunsplit((parts.scheme, parts.netloc.rpartition("@")[2], parts.path.rstrip("/"), "", "")) if good else ""


def take_mqtt(section: Section, made: Made) -> None:
    """Add a broker to which values are published."""
    broker = connection.read(section)
    prefix = _prefix(section)
    reason = (
        "it names no broker that the gateway can reach" if broker is None else _own_values(made, str(broker.keys["broker_url"]), prefix)
    )
    if broker is None or reason:
        section.notes.append(f"left out: {reason}")
        section.refuse({}, "the plugin is left out")
        return
    part = made.sink("mqtt")
    part.keys |= {**broker.keys, "topic_prefix": prefix, "client_id": f"iiot-gateway-{part.name.replace('.', '-')}"}
    made.topic_prefix = prefix
    connection.report(section, made, part, broker)
    section.notes.append(
        f"Telegraf publishes metrics as lines or JSON, the gateway each value by itself, to {prefix}/MEASUREMENT/FIELD, as its text"
    )
    for key in ("topic_prefix", "topic"):
        if section.text(key) is not None:
            section.differs(key, f"what stands before its first value is topic_prefix of [{part.name}]; measurement and field follow")
    qos = section.integer("qos")
    if qos in (0, 1, 2):
        part.keys["qos"] = qos
        section.taken("qos", "the same")
    seconds = section.integer("keep_alive")
    if seconds is not None and 1 <= seconds <= 65535:
        part.keys["keep_alive_s"] = seconds
        section.taken("keep_alive", f"keep_alive_s of [{part.name}]")
    if (retain := section.flag("retain")) is not None:
        made.retain |= retain
        section.taken("retain", "retain of the values")
    if (protocol := section.text("protocol")) in ("3.1.1", "5"):
        part.keys["protocol"] = protocol
        section.taken("protocol", "the same")
    section.refuse(MQTT_REASONS)


def _prefix(section: Section) -> str:
    """Return the common prefix of all topics: the levels before the first one with a value."""
    levels = (section.text("topic_prefix") or section.text("topic") or DEFAULT_PREFIX).split("/")
    fixed = [level for level in levels[: next((at for at, level in enumerate(levels) if "{" in level), None)] if level]
    return "/".join(fixed).replace("+", "_").replace("#", "_").lstrip("$") or DEFAULT_PREFIX


def _own_values(made: Made, broker_url: str, prefix: str) -> str:
    """Return a sentence on the source that would receive the published values; empty if there is none."""
    for consumer in made.consumers.values():
        for topic, _qos in consumer.subscriptions:
            if consumer.keys["broker_url"] == broker_url and topics.overlaps(topic, f"{prefix}/#"):
                return f"the gateway would take its own values: [{consumer.name}] subscribes to topics below {prefix}/ on the same broker"
    return ""
