"""The contents of a backup: the databases and files that a configuration names."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from iiot_gateway.config.keys import FILE, keys_of
from iiot_gateway.config.wiring import PROFILES, profile_files
from iiot_gateway.mqtt.broker import BrokerSection, is_wanted
from iiot_gateway.registry.section import DevicesSection, registry_path, server_section
from iiot_gateway.sinks.history.section import histories

if TYPE_CHECKING:
    from iiot_gateway.config.schema import Config

SECRET_KEYS = ("key_file", "env_file")
"""Name endings of keys whose files hold secrets, besides the files of secret keys."""


@dataclass(frozen=True, slots=True)
class Database:
    """A file that a gateway writes while it runs."""

    kind: str
    """The kind of database: journal, history, registry or retained."""
    name: str
    """The name of its section, such as history.north."""
    path: str

    @property
    def copy_name(self) -> str:
        """The name of its copy in the folder of copies."""
        return f"{self.name}.db"


@dataclass(frozen=True, slots=True)
class ConfigurationFile:
    """A file that a person or a command wrote."""

    path: Path
    kind: str
    """The kind of file: configuration, profile or file."""
    is_secret: bool


def databases(config: Config) -> list[Database]:
    """Return every database, in the order in which they are copied.

    The journal is first. So data that it has delivered to the other databases is in their copies, and delivering it again changes nothing.
    """
    found = [Database("journal", "journal", config.journal_path())]
    found += [Database("history", name, path) for name, _section, path in histories(config)]
    if registry := registry_path(config):
        found.append(Database("registry", "registry", registry))
    if is_wanted(config):
        found.append(Database("retained", "retained", str(config.base / config.one(BrokerSection).path)))
    return found


def configuration_files(config: Config, config_path: str | None) -> list[ConfigurationFile]:
    """Return the configuration, its profiles that are not built in, and every file that a key names, each once."""
    found: dict[Path, ConfigurationFile] = {}
    written = {placed(database.path) for database in databases(config)}
    # If the registry is on a server, its key still names a file, which nobody reads.
    written |= {placed(config.base / section.path) for section in config.of(DevicesSection).values()}
    for file in _named(config, config_path):
        if file.path not in written:
            found.setdefault(file.path, file)
    return list(found.values())


def elsewhere(config: Config) -> list[str]:
    """Return the data of the gateway that is in no backup because it is on a server, one sentence per item."""
    found = server_section(config)
    if found is None:
        return []
    name, _section = found
    schema = config.one(DevicesSection).database_schema
    return [f"the registry of devices is in the PostgreSQL of [{name}], schema {schema}: pg_dump --schema={schema} makes its backup"]


def placed(path: Path | str) -> Path:
    """Return the path of a file without `..`, so that its copy is not outside the folder of copies."""
    return Path(os.path.abspath(path))


def variables(config: Config) -> list[str]:
    """Return the names of the environment variables that set keys; their values are in no backup."""
    known = {name for component in config.components for name in component.variables}
    return sorted(name for name in os.environ if name in known or (name.startswith("IIOT_") and "__" in name))


def _named(config: Config, config_path: str | None) -> Iterator[ConfigurationFile]:
    sections = [section for _name, section in _sections(config)]
    if config_path is not None:
        yield ConfigurationFile(placed(config_path), "configuration", any(map(_says_secret, sections)))
    for profile in profile_files(config).values():
        if not profile.is_relative_to(PROFILES):
            yield ConfigurationFile(placed(profile), "profile", is_secret=False)
    for section in sections:
        keys = keys_of(type(section))
        secret_files = tuple(f"{name}{FILE}" for name, key in keys.items() if key.kind == "secret")
        for name, key in keys.items():
            if key.kind == "path" and (value := getattr(section, name)):
                yield ConfigurationFile(placed(config.base / value), "file", name in secret_files or name.endswith(SECRET_KEYS))


def _sections(config: Config) -> Iterator[tuple[str, Any]]:
    yield from (("gateway", config.gateway), ("journal", config.journal), ("http", config.http), ("log", config.log))
    for named in config.sections.values():
        yield from named.items()


def _says_secret(section: Any) -> bool:
    """Return whether a secret may be in the configuration itself: its key is set, and no file is named for it."""
    return any(
        key.kind == "secret" and getattr(section, name) and not getattr(section, f"{name}{FILE}", "")
        for name, key in keys_of(type(section)).items()
    )
