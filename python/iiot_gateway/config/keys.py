"""Declares the keys of the configuration: kind, default, limits, and the sentence for the template."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from types import MappingProxyType
from typing import Any, Literal

from iiot_gateway.config.secret import Secret

HOUR_S = 3600
DAY_S = 24 * HOUR_S
YEAR_S = 366 * DAY_S

FILE = "_file"
"""The suffix that makes, from the name of a secret, the name of the key with the secret's file."""

OnStart = Literal["wait", "fail"]

Kind = Literal["text", "integer", "number", "flag", "texts", "tags", "secret", "path", "subscriptions", "days"]

EXPECTED: dict[Kind, str] = {
    "text": "text in quotes",
    "integer": "a whole number",
    "number": "a number",
    "flag": "true or false",
    "texts": 'a list of texts, like ["a", "b"]',
    "tags": 'a table of texts, like { site = "north" }',
    "secret": "text in quotes",
    "path": "a path in quotes",
    "subscriptions": 'a list of topic filters, like ["a/#", { filter = "b/+", qos = 2 }]',
    "days": "a table of numbers above 0, like { temperature = 90 }",
}


@dataclass(frozen=True, slots=True)
class Subscription:
    """A topic filter, with its own QoS if it has one."""

    filter: str
    qos: int | None = None


def nothing() -> Mapping[Any, Any]:
    """Return an empty, read-only table."""
    return MappingProxyType({})


@dataclass(frozen=True, slots=True)
class Key:
    """The declaration of one key."""

    kind: Kind
    doc: str
    choices: tuple[str | int, ...] = ()
    low: float | None = None
    high: float | None = None
    made_by: str = ""
    """For a path: the command that writes the file."""
    without_meaning: str = ""
    """Why a key of an earlier program has no effect here. Such a key is not in the template."""

    def expected(self) -> str:
        """Return a description of the values that the key accepts."""
        if self.choices:
            return "one of " + ", ".join(f'"{c}"' if isinstance(c, str) else str(c) for c in self.choices)
        text = EXPECTED[self.kind]
        if self.low is not None and self.high is not None:
            return f"{text} from {_plain(self.low)} to {_plain(self.high)}"
        return text


def _plain(limit: float) -> str:
    """Return a limit as text, without an exponent."""
    return str(int(limit)) if limit == int(limit) else f"{limit:g}"


def keys_of(section: type) -> dict[str, Key]:
    """Return the keys of a section, by name."""
    return {field.name: field.metadata["key"] for field in fields(section)}


def _declare(default: Any, key: Key) -> Any:
    return field(default=default, metadata={"key": key})


def text(default: str, doc: str, *choices: str) -> Any:
    """Declare a text."""
    return _declare(default, Key("text", doc, choices))


def path(default: str, doc: str, *, made_by: str = "") -> Any:
    """Declare a path. A relative path begins at the folder of the configuration file."""
    return _declare(default, Key("path", doc, made_by=made_by))


def integer(default: int, doc: str, *, low: int, high: int, without_meaning: str = "") -> Any:
    """Declare a whole number. Both limits are required, because a file may hold any number."""
    return _declare(default, Key("integer", doc, (), low, high, without_meaning=without_meaning))


def choice(default: int, doc: str, *choices: int) -> Any:
    """Declare one of a few whole numbers."""
    return _declare(default, Key("integer", doc, choices))


def number(default: float, doc: str, *, low: float, high: float) -> Any:
    """Declare a number. Both limits are required, because a file may hold any number, even inf."""
    return _declare(default, Key("number", doc, (), low, high))


def optional(doc: str, *, low: float, high: float) -> Any:
    """Declare a number that may be absent; then it is None."""
    return _declare(None, Key("number", doc, (), low, high))


def flag(default: bool, doc: str) -> Any:  # noqa: FBT001 - the default of the key, always a positional argument
    """Declare a switch."""
    return _declare(default, Key("flag", doc))


def texts(doc: str) -> Any:
    """Declare a list of texts, empty by default."""
    return _declare((), Key("texts", doc))


def tags(doc: str) -> Any:
    """Declare a table of texts, empty by default."""
    return field(default_factory=nothing, metadata={"key": Key("tags", doc)})


def days(doc: str) -> Any:
    """Declare a table of days, each above 0, empty by default."""
    return field(default_factory=nothing, metadata={"key": Key("days", doc)})


def subscriptions(doc: str) -> Any:
    """Declare a list of topic filters, empty by default."""
    return _declare((), Key("subscriptions", doc))


def secret(doc: str) -> Any:
    """Declare a secret, without a default."""
    return _declare(Secret(), Key("secret", doc))
