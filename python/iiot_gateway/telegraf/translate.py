"""Translates Telegraf's files into the gateway's files, with a report on each plugin and key."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from iiot_gateway.config.secret import Secret
from iiot_gateway.telegraf import conf, general, inputs, outputs, postgresql, written
from iiot_gateway.telegraf.made import Made
from iiot_gateway.telegraf.section import Section

NO_LIKE = "the gateway has no such plugin"
UNNAMED = (
    "texts and booleans that no key names vanish in Telegraf; here each one is counted as a value fault. `strings` makes fields "
    "of them in the profile, `tags` tags, and `except` leaves them out in silence"
)
TAGS = ("global_tags", "tags")
SINKS = {
    "outputs.influxdb_v2": outputs.take_influxdb,
    "outputs.influxdb": outputs.take_influxdb,
    "outputs.mqtt": outputs.take_mqtt,
    "outputs.postgresql": postgresql.take,
}
LEFT_OUT = {
    "inputs": "the gateway reads messages of MQTT, and no measurements of the machine; leave this part with Telegraf",
    "outputs": "there is no such sink; InfluxDB, VictoriaMetrics, PostgreSQL, MQTT and a history on this machine are there",
    "processors": "points are as the profile makes them; nothing works on them afterwards",
    "aggregators": "points are written as they come; `iiot-gateway history` and tasks of the database add them up",
    "secretstores": "secrets stand in files and in the environment",
}


@dataclass(slots=True)
class Translation:
    """The result of an import."""

    sections: list[Section]
    config: str
    profiles: dict[str, str]
    secrets: dict[str, Secret]
    notes: list[str] = field(default_factory=list)
    has_source: bool = False


def translate(files: Sequence[tuple[str, str]], environ: Mapping[str, str], hostname: str) -> Translation:
    """Translate files, each with its name and text, all together as Telegraf reads them. Raises ConfigError if one is no TOML."""
    made, notes = Made(), list[str]()
    sections = [section for place, text in files for section in conf.read(text, place, environ)]
    agents = [section for section in sections if section.name == "agent"]
    for section in sections:
        if section.name in TAGS:
            general.take_global_tags(section, made)
        elif section.name == inputs.PLUGIN:
            inputs.take(section, made)
    if note := general.take_host(agents, made, hostname):
        notes.append(note)
    for section in sections:
        _take_rest(section, made)
    if any(point.others is not None for consumer in made.consumers.values() for point in consumer.points):
        notes.append(UNNAMED)
    if made.consumers and not made.sinks:
        notes.append("no output is taken over: add [influxdb] or [history] to the configuration, or nothing is kept beyond the journal")
    return Translation(sections, written.config(made), written.profiles(made), made.secrets, notes, bool(made.consumers))


def _take_rest(section: Section, made: Made) -> None:
    """Translate outputs, which depend on all inputs, and report sections without a counterpart here."""
    if section.name in SINKS:
        SINKS[section.name](section, made)
    elif section.name == "agent":
        general.take_agent(section)
    elif section.name not in (*TAGS, inputs.PLUGIN):
        kind = section.name.partition(".")[0]
        section.notes.append(f"left out: {LEFT_OUT.get(kind, NO_LIKE)}")
        section.refuse({}, "the plugin is left out" if "." in section.name else NO_LIKE)
