"""Translates `inputs.mqtt_consumer`: a connection, subscriptions, and the points of the formats `json` and `value`."""

from __future__ import annotations

from iiot_gateway.config.mqtt_text import filter_fault
from iiot_gateway.telegraf import connection, formats, parsing, topics, values
from iiot_gateway.telegraf.made import HOST_TAG, Consumer, Made, Point, literal
from iiot_gateway.telegraf.section import Section

PLUGIN = "inputs.mqtt_consumer"
ALL_ARE_TAKEN = "points are chosen by topic alone: all are taken"
WHEN_THEY_COME = "messages are taken when they come"
REASONS = {
    **connection.REASONS,
    "interval": WHEN_THEY_COME,
    "collection_jitter": WHEN_THEY_COME,
    "collection_offset": WHEN_THEY_COME,
    "precision": "times keep all their digits",
    "max_undelivered_messages": "the journal holds what outputs have not taken yet; max_bytes of [journal] bounds it",
    "metric_buffer_limit": "the journal holds what outputs have not taken yet; max_bytes of [journal] bounds it",
    "namepass": ALL_ARE_TAKEN,
    "namedrop": ALL_ARE_TAKEN,
    "tagpass": ALL_ARE_TAKEN,
    "tagdrop": ALL_ARE_TAKEN,
    "metricpass": ALL_ARE_TAKEN,
    "tags": "a tag needs a text that is not empty",
}
SECONDS = {"connection_timeout": "connect_timeout_s", "keepalive": "keep_alive_s", "ping_timeout": "ack_timeout_s"}
QOS_NOTE = "Telegraf subscribes with QoS 0 where `qos` is not set; the gateway does with 1, which loses nothing"
OTHER_SERVER = (
    "`servers` names no broker that the gateway can reach: it speaks MQTT over TCP (tcp://) and TLS (ssl://), not over WebSockets"
)


def take(section: Section, made: Made) -> None:
    """Translate a plugin, and report each of its keys."""
    wanted = [topic for topic in section.texts("topics") or [] if not filter_fault(topic) and literal(topic) == topic]
    broker = connection.read(section)
    shape = formats.read(section)
    reason = shape if isinstance(shape, str) else "" if wanted else "`topics` names no topic filter that can be used"
    if reason or broker is None or isinstance(shape, str):
        section.notes.append(f"left out: {reason or OTHER_SERVER}")
        section.refuse({}, "the plugin is left out")
        return
    consumer = made.consumer(broker.keys, section.raw("password") or broker.password)
    if other := _as_another_user(made, consumer, wanted):
        section.notes.append(f"left out: [{other}] has common topics on the same broker, as another user; messages would come twice")
        section.refuse({}, "the plugin is left out")
        return
    formats.report(section, shape)
    made.wants_host |= shape.has_tag(HOST_TAG)
    connection.report(section, made, consumer, broker)
    _report_session(section, consumer)
    _subscribe(section, consumer, wanted)
    consumer.points += _points(section, topics.widest([topics.plain(topic) for topic in wanted]), shape)
    section.refuse(REASONS)


def _as_another_user(made: Made, consumer: Consumer, wanted: list[str]) -> str:
    """Return the source that already gets some of the topics over another connection to the same broker."""
    others = [other for other in made.consumers.values() if other is not consumer]
    for other in others:
        if other.keys["broker_url"] == consumer.keys["broker_url"]:
            known = [topic for topic, _qos in other.subscriptions]
            if any(topics.overlaps(topic, held) for topic in wanted for held in known):
                made.forget(consumer)
                return other.name
    return ""


def _report_session(section: Section, consumer: Consumer) -> None:
    if (is_kept := section.flag("persistent_session")) is not None:
        section.differs(
            "persistent_session",
            f"the session is kept, under another client id, for session_expiry_s of [{consumer.name}]"
            if is_kept
            else "the session is kept: the broker holds what comes while the gateway is away",
        )
    for key, to in SECONDS.items():
        seconds = values.duration_s(section.raw(key))
        if seconds is not None and 1 <= seconds <= 3600:
            consumer.keys[to] = seconds
            section.taken(key, f"{to} of [{consumer.name}]")


def _qos(section: Section) -> int:
    qos = section.integer("qos")
    if qos in (1, 2):
        section.taken("qos", "the same")
        return qos
    if qos == 0:
        section.differs("qos", "1: with QoS 0 messages can be lost on their way")
    elif not section.has("qos"):
        section.notes.append(QOS_NOTE)
    return 1


def _subscribe(section: Section, consumer: Consumer, wanted: list[str]) -> None:
    """Add the topics to the subscriptions of the source, so that no two overlap."""
    held = [*consumer.subscriptions, *((topic, qos) for qos in [_qos(section)] for topic in wanted)]
    filters = topics.subscriptions(list(dict.fromkeys(topic for topic, _qos in held)))
    consumer.subscriptions = [(topic, max(qos for known, qos in held if topics.overlaps(known, topic))) for topic in filters]
    if len(wanted) < len(section.texts("topics") or []):
        section.differs("topics", f"topics of [{consumer.name}], without those that are no topic filters here")
    elif set(wanted) <= set(filters):
        section.taken("topics", f"topics of [{consumer.name}]")
    else:
        section.differs(
            "topics", f"topics of [{consumer.name}], joined where they overlap, so that no message comes twice; points choose among them"
        )


def _points(section: Section, wanted: list[str], shape: formats.Shape) -> list[Point]:
    """Make the points: one for each topic filter of `topic_parsing`, and one for all other topics."""
    tags = _left(_tags(section, wanted), shape)
    parsings = parsing.read(section, wanted)
    points = []
    for parsed, before in parsings.points:
        point = shape.point([parsed.filter], shape.measurement(parsed.measurement), {**tags, **_left(parsed.tags, shape)}, before)
        point.fields = {**point.fields, **parsed.fields}
        points.append(point)
    rest = [topic for topic in wanted if not any(topics.covers(pattern, topic) for pattern in parsings.taken)]
    if rest:
        excepted = [pattern for pattern in parsings.taken if any(topics.overlaps(pattern, topic) for topic in rest)]
        points.append(shape.point(rest, shape.measurement(None), tags, excepted))
    return points


def _left(tags: dict[str, str], shape: formats.Shape) -> dict[str, str]:
    return {name: text for name, text in tags.items() if shape.has_tag(name)}


def _tags(section: Section, wanted: list[str]) -> dict[str, str]:
    """Return the tags that all points of the plugin have."""
    tags = {}
    for name, text in section.table("tags").items():
        if name and text:
            tags[literal(name)] = literal(text)
            section.taken(("tags", name), "a tag of the points")
    topic_tag = section.text("topic_tag") if section.has("topic_tag") else "topic"
    if topic_tag:
        is_one = len(wanted) == 1 and topics.is_literal(wanted[0])
        tags[literal(topic_tag)] = wanted[0] if is_one else "{#}"
    if section.has("topic_tag") and topic_tag is not None:
        section.taken("topic_tag", "the tag with the topic" if topic_tag else "no tag with the topic")
    return tags
