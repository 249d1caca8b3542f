"""Translates the settings for all plugins, `global_tags` and `agent`, and reports plugins without a counterpart in the gateway."""

from __future__ import annotations

from iiot_gateway.telegraf.made import HOST_TAG, Made
from iiot_gateway.telegraf.section import Section

AGENT = {
    "interval": "messages are taken when they come",
    "round_interval": "messages are taken when they come",
    "collection_jitter": "messages are taken when they come",
    "collection_offset": "messages are taken when they come",
    "metric_batch_size": "batch_lines of [influxdb] is 5,000 unless it is set; larger requests cost less",
    "metric_buffer_limit": "the journal holds what outputs have not taken yet; max_bytes of [journal] bounds it",
    "flush_interval": "points are written within batch_interval_ms of [influxdb], one second unless it is set",
    "flush_jitter": "points are written as they come",
    "precision": "times keep all their digits",
    "debug": "level of [log]",
    "quiet": "level of [log]",
    "logtarget": "the log goes to standard error",
    "logfile": "the log goes to standard error, for systemd or the container",
    "logformat": "format of [log]",
    "statefile": "the journal keeps all state",
    "buffer_strategy": "the journal is on the disk, always",
    "buffer_directory": "path of [journal] says where it is",
}


def take_global_tags(section: Section, made: Made) -> None:
    """Take over the tags of all points."""
    for name in section.names():
        if name and (text := section.text(name)):
            made.tags[name] = text
            section.taken(name, "a tag of [gateway], on every point")
    section.refuse({}, "a tag needs a text that is not empty")


def take_agent(section: Section) -> None:
    """Report the keys of the agent. `take_host` handles the tag `host`."""
    section.refuse(AGENT)


def take_host(agents: list[Section], made: Made, hostname: str) -> str:
    """Give all points the tag `host` of Telegraf's agent, and report that. The last file with such a setting counts."""
    is_omitted, name = False, ""
    for agent in agents:
        if agent.has("omit_hostname") and (flag := agent.flag("omit_hostname")) is not None:
            is_omitted = flag
            agent.taken("omit_hostname", f"no tag `{HOST_TAG}`" if flag else f"the tag `{HOST_TAG}` of [gateway]")
        if agent.has("hostname") and (text := agent.text("hostname")) is not None:
            name = text
            agent.taken("hostname", f"the tag `{HOST_TAG}` of [gateway], unless it is omitted")
    if is_omitted or HOST_TAG in made.tags or not made.wants_host:
        return ""
    made.tags[HOST_TAG] = name or hostname
    if name:
        return ""
    return (
        f"Telegraf gives every point the tag `{HOST_TAG}` with the name of its machine. The tag of [gateway] is the name of this machine; "
        "correct it if Telegraf runs elsewhere, or take it out to begin new series"
    )
