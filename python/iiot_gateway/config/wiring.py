"""From sections to what each source needs: its name, profile file, prefix and tags. Only the names of profiles are read from files."""

from __future__ import annotations

import os
import tomllib
from dataclasses import dataclass
from ipaddress import ip_address
from pathlib import Path

from iiot_gateway.config.files import read_text
from iiot_gateway.config.schema import EMBEDDED, Config, MqttConsumerSection, MqttSection, ProbeRsSection, SourceSection

PROFILES = Path(__file__).resolve().parent.parent / "profiles"
BUILT_IN_PROFILES = tuple(sorted(file.stem for file in PROFILES.glob("*.toml")))
DEFAULT_PROFILE = "lora-bridge"


@dataclass(frozen=True, slots=True)
class Origin:
    """What the journal is told of a source."""

    name: str
    profile: Path
    topic_prefix: str
    tags: dict[str, str]
    dedup_window_s: float
    max_document_bytes: int
    rtt_channel: str | None


NO_SOURCE = "no source, so nothing will come: set gateway.chip, or add [serial] or [simulate]"


def profile_path(base: Path, profile: str) -> Path:
    """Return the file of a profile: a path if it ends in .toml, else the name of one that is built in."""
    if profile.endswith(".toml"):
        # A ~ of nobody stays as it is: there is no such file then.
        return base / os.path.expanduser(profile)
    return PROFILES / f"{profile or DEFAULT_PROFILE}.toml"


def origin(config: Config, name: str, section: SourceSection) -> Origin:
    """Join a source's own keys with those that [gateway] gives to all."""
    return Origin(
        name=name,
        profile=profile_path(config.base, section.profile or config.gateway.profile),
        topic_prefix=section.topic_prefix or config.topic_prefix(),
        tags={**config.gateway.tags, **section.tags},
        dedup_window_s=section.dedup_window_s,
        max_document_bytes=section.max_document_bytes,
        rtt_channel=(isinstance(section, ProbeRsSection) and section.rtt_channel) or None,
    )


def embedded_clients(config: Config) -> list[str]:
    """Return the client id of every sink that publishes to the built-in broker."""
    return [section.client_id for section in config.mqtt.values() if section.broker_url == EMBEDDED]


def broker_access(config: Config, section: MqttSection | MqttConsumerSection) -> tuple[str, str, str]:
    """Return the URL of a section's broker, the user name and the password."""
    if section.broker_url != EMBEDDED:
        return section.broker_url, section.username, section.password.reveal()
    host, _, port = config.broker.listen.rpartition(":")
    host = {"0.0.0.0": "127.0.0.1", "[::]": "[::1]"}.get(host, host)  # noqa: S104 - where it listens, not where we do
    return f"mqtt://{host}:{port}", config.broker.username, config.broker.password.reveal()


def probes(config: Config) -> dict[str, ProbeRsSection]:
    """Return every probe by its source's name; that of [gateway] is called `probe_rs`."""
    first = {"probe_rs": config.gateway} if config.gateway.chip else {}
    return {**first, **config.probe_rs}


def live_sections(config: Config) -> dict[str, SourceSection]:
    """Return the section of every configured source, by the source's name."""
    return {**probes(config), **config.serial, **config.simulate, **config.mqtt_consumer}


def profile_files(config: Config) -> dict[str, Path]:
    """Return the profile file of every configured source, by the source's name."""
    return {name: origin(config, name, section).profile for name, section in live_sections(config).items()}


def profile_name(file: Path) -> str | None:
    """Return the name that a profile gives itself, None if it cannot be read; that is another fault."""
    try:
        name = tomllib.loads(read_text(file)).get("name")
    except (OSError, ValueError):
        return None
    return name if isinstance(name, str) else None


def value_prefixes(config: Config, section: MqttSection) -> list[str]:
    """Return the prefixes of the values that a broker gets: those of the sources that it takes, without any that of `replay`."""
    sources = [origin(config, name, source) for name, source in live_sections(config).items()]
    taken = [source for source in sources if not section.profiles or profile_name(source.profile) in section.profiles]
    return list(dict.fromkeys(source.topic_prefix for source in taken)) or [config.topic_prefix()]


def own_prefixes(config: Config, broker_url: str) -> list[tuple[str, str]]:
    """Return the prefixes below which the gateway publishes to a broker, each with the name of the section that does."""
    found = [
        (name, prefix)
        for name, section in config.mqtt.items()
        if section.broker_url == broker_url
        for prefix in (section.topic_prefix, *value_prefixes(config, section))
    ]
    home = config.home_assistant
    if home.discovery:
        found += [
            ("home_assistant", home.discovery_prefix)
            for name, section in config.mqtt.items()
            if section.broker_url == broker_url and (not home.mqtt or name in home.mqtt)
        ]
    return list(dict.fromkeys(found))


def listen_host(listen: str) -> str:
    """Return the address of ADDRESS:PORT, without the brackets of an IPv6 one."""
    return listen.rpartition(":")[0].strip("[]")


def is_loopback(host: str) -> bool:
    """Tell whether only this machine can reach an address; a name other than localhost may be anybody's."""
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
