"""A table of a Telegraf file, and the result for each of its keys: each is reported once, and a key that was not used is left out."""

from __future__ import annotations

import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Literal

from iiot_gateway.telegraf import environment

Outcome = Literal["taken", "differs", "left out"]
KeyPath = tuple[str | int, ...]

OUTCOMES: tuple[Outcome, ...] = ("taken", "differs", "left out")
NOT_KNOWN = "nothing here stands for it"


@dataclass(frozen=True, slots=True)
class Entry:
    """The result for one key. The text never holds a value of the file, because that may be a secret."""

    key: str
    line: int
    outcome: Outcome
    text: str


class Section:
    """One `[table]` or `[[plugin]]` of a file."""

    def __init__(
        self,
        name: str,
        place: str,
        line: int,
        values: Mapping[str, Any],
        lines: Mapping[KeyPath, int],
        environ: Mapping[str, str],
    ) -> None:
        self.name = name
        self.place = place
        self.line = line
        self.notes: list[str] = []
        self._values = values
        self._environ = environ
        self._lines = {path: _line(lines, path, line) for path, _value in leaves(values)}
        self._entries: dict[KeyPath, Entry] = {}
        self._reasons: dict[str, str] = {}
        self._from_environment: dict[str, list[str]] = {}

    # --- reading ---

    def has(self, key: str) -> bool:
        """Return whether the key exists."""
        return key in self._values

    def text(self, key: str) -> str | None:
        """Return a text, or None if there is no usable one."""
        value = self._read(key, str, "a text")
        return value if isinstance(value, str) else None

    def texts(self, key: str) -> list[str] | None:
        """Return a list of texts."""
        value = self._values.get(key)
        if isinstance(value, str):
            text = self.text(key)
            return None if text is None else [text]
        if value is None:
            return None
        if not isinstance(value, list) or not all(isinstance(item, str) for item in value):
            self._reasons[key] = "expected a list of texts"
            return None
        items = [self._resolved(key, item) for item in value]
        return None if None in items else [item for item in items if item is not None]

    def flag(self, key: str) -> bool | None:
        """Return true or false."""
        value = self._read(key, bool, "true or false")
        return value if isinstance(value, bool) else None

    def integer(self, key: str) -> int | None:
        """Return a whole number."""
        value = self._read(key, int, "a whole number")
        return value if isinstance(value, int) else None

    def table(self, key: str) -> dict[str, str]:
        """Return the texts of a table. Numbers and booleans become texts, in the same way as in Telegraf's tags."""
        value = self._values.get(key)
        found: dict[str, str] = {}
        for name, item in value.items() if isinstance(value, dict) else ():
            if isinstance(item, str):
                text = self._resolved(f"{key}.{name}", item)
                if text is not None:
                    found[name] = text
        return found

    def tables(self, key: str) -> list[dict[str, Any]]:
        """Return the tables in a list, without other values."""
        value = self._values.get(key)
        value = [value] if isinstance(value, dict) else value
        return [item for item in value if isinstance(item, dict)] if isinstance(value, list) else []

    def raw(self, key: str) -> Any:
        """Return the unresolved value: in secrets, references must stay references."""
        return self._values.get(key)

    def variables(self, key: str) -> list[str]:
        """Return the environment variables whose present values were used for a key."""
        return self._from_environment.get(key, [])

    def _read(self, key: str, kind: type, expected: str) -> Any:
        value = self._values.get(key)
        if value is None:
            return None
        if isinstance(value, str) and (kind is str or environment.names(value)):
            value = self._resolved(key, value)
            if value is not None and kind is not str:
                value = _value(value)
        if value is None:
            return None
        if not isinstance(value, kind) or (kind is int and isinstance(value, bool)):
            self._reasons[key] = f"expected {expected}"
            return None
        return value

    def _resolved(self, key: str, text: str) -> str | None:
        if environment.stored(text):
            self._reasons[key] = "it stands in one of Telegraf's secret stores, which cannot be read here"
            return None
        names = environment.names(text)
        value, missing = environment.resolved(text, self._environ)
        if missing:
            listed = ", ".join(missing)
            self._reasons[key] = f"it needs {listed} of the environment, which has no value here: set it and import again"
            return None
        if names:
            self._from_environment[key] = [*self._from_environment.get(key, []), *names]
        return value

    # --- reporting ---

    def taken(self, key: str | KeyPath, text: str) -> None:
        """Report that a key has the same meaning here."""
        self._report(key, "taken", text)

    def differs(self, key: str | KeyPath, text: str) -> None:
        """Report that a key was translated, but has a different meaning here."""
        self._report(key, "differs", text)

    def left_out(self, key: str | KeyPath, text: str) -> None:
        """Report that a key has no counterpart here."""
        self._report(key, "left out", text)

    def refuse(self, reasons: Mapping[str, str], otherwise: str = NOT_KNOWN) -> None:
        """Report every key that was not reported yet as left out."""
        for path in self._lines:
            if path not in self._entries:
                key = str(path[0])
                reason = self._reasons.get(shown(path)) or self._reasons.get(key) or reasons.get(key) or otherwise
                self._add(path, "left out", reason)

    def entries(self) -> list[Entry]:
        """Return the result for each key, in the order of the file."""
        return [self._entries[path] for path in self._lines]

    def names(self) -> list[str]:
        """Return the keys of the table itself."""
        return list(self._values)

    def _report(self, key: str | KeyPath, outcome: Outcome, text: str) -> None:
        path = (key,) if isinstance(key, str) else key
        if variables := self.variables(shown(path)):
            text += f", with the present value of ${', $'.join(dict.fromkeys(variables))}"
        for known in self._lines:
            if known[: len(path)] == path:
                self._add(known, outcome, text)

    def _add(self, path: KeyPath, outcome: Outcome, text: str) -> None:
        if path in self._entries:
            raise RuntimeError(f"{self.name}: {shown(path)} is reported twice")
        self._entries[path] = Entry(shown(path), self._lines[path], outcome, text)


def leaves(values: Mapping[str, Any], path: KeyPath = ()) -> Iterator[tuple[KeyPath, Any]]:
    """Yield every key whose value is no table, with its path."""
    for key, value in values.items():
        yield from _leaves(value, (*path, key))


def _leaves(value: Any, path: KeyPath) -> Iterator[tuple[KeyPath, Any]]:
    if isinstance(value, dict):
        yield from leaves(value, path)
    elif isinstance(value, list) and value and all(isinstance(item, dict) for item in value):
        for number, item in enumerate(value):
            yield from leaves(item, (*path, number))
    else:
        yield path, value


def shown(path: KeyPath) -> str:
    """Return a path as text, such as `topic_parsing[0].tags`."""
    text = "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in path)
    return text.removeprefix(".")


def _line(lines: Mapping[KeyPath, int], path: KeyPath, table: int) -> int:
    while path:
        if path in lines:
            return lines[path]
        path = path[:-1]
    return table


def _value(text: str) -> Any:
    try:
        return tomllib.loads(f"value = {text}")["value"]
    except tomllib.TOMLDecodeError:
        return text
