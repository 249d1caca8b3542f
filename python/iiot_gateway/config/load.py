"""Loads a configuration file. It reports all faults at once, each with its line, the expected value and the nearest known key."""

from __future__ import annotations

import os
import re
import tomllib
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from types import MappingProxyType
from typing import Any

from iiot_gateway.config import rules
from iiot_gateway.config.component import Component, is_list
from iiot_gateway.config.env_file import read_variables
from iiot_gateway.config.environment import overrides, unused
from iiot_gateway.config.files import read_secret, read_text
from iiot_gateway.config.keys import FILE, Key, Subscription, keys_of
from iiot_gateway.config.locate import lines_in_arrays, nearest_line, places
from iiot_gateway.config.nearest import nearest_name
from iiot_gateway.config.notes import notes
from iiot_gateway.config.schema import Config
from iiot_gateway.config.secret import Secret
from iiot_gateway.config.sections import COMPONENTS, CORE, SECTIONS
from iiot_gateway.errors import ConfigError, Fault, command

ENV_FILE = "IIOT_GATEWAY__ENV_FILE"
DEFAULT_FILE = "config.toml"
NAME = re.compile(r"[A-Za-z0-9_-]+")


def load(path: str | None = None, environ: Mapping[str, str] | None = None) -> Config:
    """Load the named file, or `config.toml` if it exists. Environment variables override its keys.

    Raises ConfigError with every fault.
    """
    return _faultless(*examine(path, environ))


def load_text(text: str, *, place: str = "config.toml", base: Path = Path(), environ: Mapping[str, str] | None = None) -> Config:
    """Load the text of a configuration file; see `load`."""
    return _faultless(*_examine_text(text, place, base, environ or {}))


def examine(path: str | None = None, environ: Mapping[str, str] | None = None) -> tuple[Config, list[Fault]]:
    """Load as much as possible, and return every fault, so that a caller can add others. Raises ConfigError if the text is no TOML."""
    environ = os.environ if environ is None else environ
    if path is None and not Path(DEFAULT_FILE).exists():
        return _examine_text("", DEFAULT_FILE, Path.cwd(), environ)
    place = path or DEFAULT_FILE
    try:
        text = read_text(place)
    except UnicodeDecodeError as error:
        raise ConfigError([Fault(place, 0, "", f"not UTF-8 text (byte {error.start}); save it as UTF-8")]) from error
    except OSError as error:
        raise ConfigError([Fault(place, 0, "", f"cannot be read: {error.strerror}")]) from error
    return _examine_text(text, place, Path(place).resolve().parent, environ)


def _examine_text(text: str, place: str, base: Path, environ: Mapping[str, str]) -> tuple[Config, list[Fault]]:
    try:
        tables = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        line = re.search(r"at line (\d+)", str(error))
        raise ConfigError([Fault(place, int(line[1]) if line else 0, "", f"not valid TOML: {error}")]) from error
    lines, headers = _places(text)
    more, faults = _env_file(tables, lines, place, base, environ)
    config, others = _Loader(tables, lines, headers, place, base, {**more, **environ}).load()
    return config, [*faults, *others]


def load_list(text: str, component: Component, place: str, base: Path) -> tuple[list[Any], list[Fault]]:
    """Read the sections under [[name]] in a valid TOML file other than the configuration. Return them and the faults of their keys."""
    lines, headers = _places(text)
    loader = _Loader(tomllib.loads(text), lines, headers, place, base, {})
    loaded = loader.list(component, loader.tables.get(component.name, []))
    return list(loaded.values()), loader.faults


def fault_in_list(text: str, path: tuple[str, ...], place: str, message: str) -> Fault:
    """Return a fault in a file that `load_list` has read."""
    return Fault(place, nearest_line(_places(text)[0], path), _shown_path(path), message)


def _places(text: str) -> tuple[dict[tuple[str, ...], int], set[tuple[str, ...]]]:
    """Return the line of each key path, with the number of the table within [[name]], and every table that has a header."""
    lines, headers = places(text)
    return {**lines, **{tuple(map(str, path)): line for path, line in lines_in_arrays(text).items()}}, headers


def _shown_path(path: tuple[str, ...]) -> str:
    """Return a key path for people, without the number of a table in a list: the line shows which table it is."""
    component = SECTIONS.get(path[0])
    return ".".join(path[:1] + path[2:] if component is not None and is_list(component) else path)


def _env_file(
    tables: Mapping[str, Any], lines: dict[tuple[str, ...], int], place: str, base: Path, environ: Mapping[str, str]
) -> tuple[dict[str, str], list[Fault]]:
    """Return the variables of the file that `gateway.env_file` names."""
    section = tables.get("gateway")
    named = environ.get(ENV_FILE) or (section.get("env_file") if isinstance(section, Mapping) else None)
    if not isinstance(named, str) or not named:
        return {}, []
    file = str(base / os.path.expanduser(named))
    try:
        found, wrong = read_variables(read_text(file))
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "not UTF-8 text"
        line = 0 if environ.get(ENV_FILE) else nearest_line(lines, ("gateway", "env_file"))
        return {}, [Fault(place if line else ENV_FILE, line, "gateway.env_file", f"{file} cannot be read: {reason}")]
    return found, [Fault(file, line, "", message) for line, message in wrong]


def _faultless(config: Config, faults: list[Fault]) -> Config:
    if faults:
        raise ConfigError(faults)
    return config


class _Loader:
    def __init__(
        self,
        tables: dict[str, Any],
        lines: dict[tuple[str, ...], int],
        headers: set[tuple[str, ...]],
        place: str,
        base: Path,
        environ: Mapping[str, str],
    ) -> None:
        self.tables = tables
        self.lines = lines
        self.headers = headers
        self.place = place
        self.base = base
        self.faults: list[Fault] = []
        self.from_environment: dict[tuple[str, ...], str] = {}
        self.unused = unused(environ, tables, headers)
        for path, (name, value) in overrides(environ, tables, headers).items():
            if _is_unicode(environ[name]):
                self.set(path, name, value)
            else:
                self.faults.append(Fault(name, 0, ".".join(path), "not UTF-8 text"))

    def set(self, path: tuple[str, ...], variable: str, value: Any) -> None:
        table = self.tables
        for part in path[:-1]:
            table = table.setdefault(part, {})
            if not isinstance(table, dict):
                self.faults.append(Fault(variable, 0, ".".join(path), "the file has a value where this names a section"))
                return
        table[path[-1]] = value
        self.from_environment[path] = variable

    def fault(self, path: tuple[str, ...], message: str) -> None:
        if path in self.from_environment:
            self.faults.append(Fault(self.from_environment[path], 0, _shown_path(path), message))
        else:
            self.faults.append(Fault(self.place, nearest_line(self.lines, path), _shown_path(path), message))

    def load(self) -> tuple[Config, list[Fault]]:
        read: dict[str, dict[str, Any]] = {}
        for name, table in self.tables.items():
            if name not in SECTIONS:
                self.fault((name,), f"unknown section{nearest_name(name, list(SECTIONS))}")
            elif is_list(SECTIONS[name]):
                read[name] = self.list(SECTIONS[name], table)
            elif not isinstance(table, dict):
                self.fault((name,), "expected a section")
            else:
                read[name] = self.component(SECTIONS[name], table)
        for component in COMPONENTS:
            if component.name not in read and any(read.get(name) for name in component.comes_with):
                read[component.name] = {component.name: component.section()}
        core = {component.name: read[component.name][component.name] for component in CORE if component.name in read}
        # The sections are in the order of the components, not in that of the file.
        sections = {component.section: MappingProxyType(read[component.name]) for component in COMPONENTS if read.get(component.name)}
        config = Config(
            **core, sections=MappingProxyType(sections), components=COMPONENTS, base=self.base, notes=tuple(self.without_meaning())
        )
        for path, message in rules.faults(config, set(self.lines) | set(self.from_environment)):
            self.fault(path, message)
        if not self.faults:
            config = replace(config, notes=(*config.notes, *notes(config)))
        return config, sorted(self.faults, key=lambda fault: (fault.line, fault.place))

    def without_meaning(self) -> list[str]:
        return [
            *(
                f"{name}.{given} has no meaning here: {why}"
                for name, component in SECTIONS.items()
                for given, key in keys_of(component.section).items()
                if (why := key.without_meaning) and isinstance(table := self.tables.get(name), dict) and given in table
            ),
            *self.unused,
        ]

    def component(self, component: Component, table: dict[str, Any]) -> dict[str, Any]:
        """Read `[name]` and each `[name.other]`. A table that has no header `[name]` and holds only named sections is no section itself."""
        name, section = component.name, component.section
        if not component.many:
            loaded = self.section(section, (name,), table)
            # For most kinds, a section without keys counts as absent.
            return {name: loaded} if component.is_on_alone or loaded != section() or component in CORE else {}
        known = keys_of(section)
        named = {key: value for key, value in table.items() if isinstance(value, dict) and key not in known}
        own = {key: value for key, value in table.items() if key not in named}
        found: dict[str, Any] = {}
        if component.only_named and own:
            self.fault((name, next(iter(own))), component.only_named)
        elif own or (not component.only_named and ((name,) in self.headers or not named)):
            found[name] = self.section(section, (name,), own)
        for key, value in named.items():
            if NAME.fullmatch(key):
                found[f"{name}.{key}"] = self.section(section, (name, key), value)
            else:
                self.fault((name, key), "expected a name of letters, digits, _ and -")
        return found

    def list(self, component: Component, tables: Any) -> dict[str, Any]:
        """Read each table under `[[name]]`."""
        name = component.name
        if not isinstance(tables, list) or not all(isinstance(table, dict) for table in tables):
            self.fault((name,), f"expected tables, each under [[{name}]]")
            return {}
        return {f"{name}.{at}": self.section(component.section, (name, str(at)), table) for at, table in enumerate(tables)}

    def section(self, section: type, path: tuple[str, ...], table: dict[str, Any]) -> Any:
        keys = keys_of(section)
        values: dict[str, Any] = {}
        for name, value in table.items():
            place = (*path, name)
            if name not in keys:
                self.fault(place, f"unknown key{nearest_name(name, list(keys))}")
                continue
            key = keys[name]
            if wrong := _wrong_entries(value, key):
                for entry, wrong_value in wrong:
                    self.fault((*place, entry), f"expected text in quotes, found {_shown(wrong_value, key)}")
                continue
            good, read = _convert(value, key)
            if not good:
                self.fault(place, f"expected {key.expected()}, found {_shown(value, key)}")
                continue
            if key.kind == "path" and read:
                try:
                    read = str(self.base / Path(read).expanduser())
                except RuntimeError:
                    self.fault(place, f"there is no home folder of {Path(read).parts[0]}")
                    continue
            values[name] = read
        loaded = section(**values)
        for secret_key, key in keys.items():
            file_key = secret_key + FILE
            if key.kind == "secret" and values.get(file_key):
                loaded = self.secret_from_file(loaded, (*path, file_key), secret_key, keys[file_key].made_by)
        return loaded

    def secret_from_file(self, section: Any, path: tuple[str, ...], secret_key: str, made_by: str) -> Any:
        file = getattr(section, path[-1])
        own = (*path[:-1], secret_key)
        if getattr(section, secret_key):
            if own in self.from_environment:
                return section  # the environment overrides the file
            self.fault(path, f"{secret_key} is set as well; keep one of the two")
            return section
        try:
            text = read_secret(file)
        except (OSError, UnicodeDecodeError) as error:
            reason = error.strerror if isinstance(error, OSError) else "not UTF-8 text"
            remedy = f"; `{command(made_by)}` sets a server up and writes it" if made_by else ""
            self.fault(path, f"{file} cannot be read: {reason}{remedy}")
            return section
        if not text:
            self.fault(path, f"{file} is empty")
        return replace(section, **{secret_key: Secret(text)})


def _is_unicode(text: str) -> bool:
    """Return whether a variable holds text. Bytes that are not UTF-8 come as lone surrogates."""
    return not any("\ud800" <= character <= "\udfff" for character in text)


def _wrong_entries(value: Any, key: Key) -> list[tuple[str, Any]]:
    """Return the entries of a table or list of texts that are not texts, each under the name that a person would look for."""
    if key.kind == "tags" and isinstance(value, dict):
        return [(name, entry) for name, entry in value.items() if not isinstance(entry, str)]
    if key.kind == "texts" and isinstance(value, list):
        return [(f"entry {number}", entry) for number, entry in enumerate(value, 1) if not isinstance(entry, str)]
    return []


def _convert(value: Any, key: Key) -> tuple[bool, Any]:
    """Return whether the value has the key's kind and is within its limits, and the value in its stored form."""
    match key.kind:
        case "text" | "path":
            good = isinstance(value, str) and "\0" not in value and (not key.choices or value in key.choices)
        case "secret":
            return isinstance(value, str), Secret(value) if isinstance(value, str) else value
        case "flag":
            good = isinstance(value, bool)
        case "integer":
            good = isinstance(value, int) and not isinstance(value, bool) and (not key.choices or value in key.choices)
        case "number":
            # Compared before the conversion to a float, which fails for very large whole numbers.
            good = isinstance(value, int | float) and not isinstance(value, bool) and _within(value, key)
            value = float(value) if good else value
        case "texts":
            good = isinstance(value, list) and all(isinstance(item, str) for item in value)
            value = tuple(value) if good else value
        case "subscriptions":
            read = [_subscription(item) for item in value] if isinstance(value, list) else [None]
            good = None not in read
            value = tuple(read) if good else value
        case "tags" | "days":
            is_entry = _is_days if key.kind == "days" else _is_text
            good = isinstance(value, dict) and all(map(is_entry, value.values()))
            value = MappingProxyType(dict(value)) if good else value
    if good and key.kind == "integer":
        good = _within(value, key)
    return good, value


def _is_text(value: Any) -> bool:
    return isinstance(value, str)


def _is_days(value: Any) -> bool:
    """Return whether a value is a number of days, at most a hundred years."""
    return isinstance(value, int | float) and not isinstance(value, bool) and 0 < value <= 36600


def _subscription(item: Any) -> Subscription | None:
    """Read a topic filter: a text, or a table with the filter and its QoS."""
    if isinstance(item, str):
        return Subscription(item)
    if not isinstance(item, dict) or not isinstance(item.get("filter"), str) or set(item) - {"filter", "qos"}:
        return None
    qos = item.get("qos")
    return Subscription(item["filter"], qos) if qos is None or (qos in (0, 1, 2) and not isinstance(qos, bool)) else None


def _within(value: float, key: Key) -> bool:
    """Return whether a number is within its limits; nan never is."""
    return (key.low is None or value >= key.low) and (key.high is None or value <= key.high)


def _shown(value: Any, key: Key) -> str:
    if key.kind == "secret":
        return f"a {type(value).__name__}"  # the value is not shown, because it may be the secret
    text = repr(value)
    return text if len(text) <= 40 else f"{text[:40]}..."
