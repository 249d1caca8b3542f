"""Draws profiles, as TOML gives them, and documents for them.

The cases come from a random generator instead of nested strategies: a test then sees thousands of them, and many give points.
Comments name what is not drawn, because the gateway does not follow the rules there.
"""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from random import Random
from typing import Any

from times_model import Number
from values_model import Raw, Twice

KEYS = ["a", "a", "b", "b", "name", "list", "list", "nodes", "nodes", "x y"]
PATHS = ["a", "a", "b", "b", "name", "nodes.a", "list[0]", "nodes.b.a", ".", '"x y"', '"x y".a']
EACH = ["list[*]", "nodes.*", "nodes", "list", "nodes.list"]
WILD = ["list[*]", "nodes.*", "*", "nodes.*.a", "*.*"]
TYPES = ["any", "any", "number", "integer", "bool", "string"]
FILTERS = ["p/{name}/t", "p/+/{kind}", "p/#", "q/{a}", ["p/{name}/t", "q/{name}"]]
EXCEPT_FILTERS = ["p/+/t", "q/#", ["q/z", "r/+"]]
TOPICS = [None, "p/n1/t", "p/n1/t", "p/n 2/t", "p/27.50/t", "q/z", "q/-45e1", "p", "r/s", "p//t"]
TEMPLATES = ["m", "{a}", "x{name}", "{nodes.a}-{b}", "{kind}", "{#}", "{@device_id}", "{name}{@id}", "#{a}"]
PATTERNS = ["*", "a", "b", "nodes*", "*a", "?", "list_?", "n*_*a", "x y", "name", "v*"]

FORMATS = [
    "unix_s",
    "unix_ms",
    "unix_us",
    "unix_ns",
    "unix_s",
    "rfc3339",
    "auto",
    "auto",
    "uptime_ms",
    "unix_s_or_uptime_ms",
    "%Y-%m-%d %H:%M:%S%.f %z",
]
IN_ZONES = ["local", "local", "%d.%m.%Y %H:%M", "%Y%m%d%H%M"]
ZONES = ["Europe/Vienna", "UTC", "Asia/Kolkata"]
UNIX = [
    "1699990000",
    "1699990000.5",
    "1699990000123",
    "1699990000123456",
    "1699990000123456789",
    "1500000000",
    "1800000000",
    "5000",
    "0",
    "-1",
    "1.69999e9",
    "1.69999e+12",
    "16e8",
    "5e3",
]
DATES = [
    "2023-11-14T22:00:00Z",
    "2023-11-14t21:00:00.1234567891z",
    "2023-02-30T00:00:00Z",
    "2023-11-14T22:00:00",
    "2023-11-14",
    "2023-10-29 02:30:00",
    "2023-03-26 02:30:00",
    "14.11.2023 21:30",
    "31.02.2023 10:00",
    "202311142130",
    "2023-11-14 20:00:00 +0530",
    "2023-11-14 20:00:00.75 -0100",
]
OFFSETS = ["2023-11-14 23:00:00.25+01:00", "2023-11-14T23:00:00-01:30"]
SUITED = {
    "unix_s": ["1699990000", "1699990000.5", "1.69999e9", "1500000000", "1800000000", "1420000000"],
    "unix_ms": ["1699990000123", "1500000000000", "1800000000000.5"],
    "unix_us": ["1699990000123456", "1500000000000000"],
    "unix_ns": ["1699990000123456789", "1500000000000000000"],
    "rfc3339": DATES[:2],
    "auto": [*DATES[:2], *UNIX],
    "uptime_ms": ["5000", "6000"],
    "unix_s_or_uptime_ms": ["5000", "1699990000", "1699990000.5", "17699990000"],
    "%Y-%m-%d %H:%M:%S%.f %z": ["2023-11-14 20:00:00 +0530", "2023-11-14 20:00:00.75 -0100"],
    "local": [
        "2023-11-14T22:00:00",
        "2023-11-14T22:00:00+01:00",
        "2023-10-29T02:30:00+01:00",
        "2023-10-29 02:30:00",
        "2023-03-26 02:30:00",
        "2023-11-14 21:30:00.125",
    ],
    "%d.%m.%Y %H:%M": ["14.11.2023 21:30", "29.10.2023 02:30", "31.02.2023 10:00"],
    "%Y%m%d%H%M": ["202311142130", "202303260230"],
}
"""Texts that a format reads, most of them."""

NUMBERS = ["0", "-0", "1", "27.60", "-2.50", "45000.0", "4.5e4", "1e400", "12345678901234567890", "0.1e1"]
TEXTS = ["", "on", "a b", "x,y=z", 'q"q', "back\\slash", "line\nfeed", "é", "#1", "a/b+", "\x85"]
RAWS = ["ON", " off ", "27,6", "1 2", "x", "tru", '{"a": 1', "[1", "", '"on', "{} 1"]


class Drawing(Random):
    """A random generator with the words of this file."""

    def one(self, choices: Sequence[Any]) -> Any:
        """Return one of the choices."""
        return self.choice(choices)

    def happens(self, one_in: float) -> bool:
        """Return True once in so many calls."""
        return self.random() * one_in < 1

    def some(self, choices: Sequence[Any], most: int = 2) -> list[Any]:
        """Return up to so many of the choices, each once."""
        return list(dict.fromkeys(self.choices(choices, k=self.randint(0, most))))

    def keys(self, one_in: float, **choices: Sequence[Any]) -> dict[str, Any]:
        """Return a table with some of these keys."""
        return {key: self.one(of) for key, of in choices.items() if self.happens(one_in)}

    def lists(self, keys: Sequence[str], choices: Sequence[str]) -> dict[str, list[str]]:
        """Return a table with some of these keys, each with some of the choices."""
        return {key: self.some(choices) for key in keys if self.happens(3)}

    # --- Documents ---

    def scalar(self) -> Any:
        """Return a value that is no object and no array."""
        return self.one([Number(self.one(NUMBERS)), Number("5"), self.one(TEXTS), True, False, None])

    def time(self, texts: Sequence[str]) -> Any:
        """Return a time, or what stands in its place."""
        text = self.one(texts)
        is_number = re.fullmatch(r"-?\d+(\.\d+)?(e\+?\d+)?", text) is not None
        return self.one([Number(text) if is_number else text] * 3 + [text, self.one([Number("202311142130"), "", True, None, ["x"]])])

    def count(self) -> Any:
        """Return a whole number, or what stands in its place."""
        large = self.one(["0", "250", "1000", "12345678901234567890"])
        return self.one([Number(large), Number("250"), self.one(["250", True, None, Number("1.0"), Number("-1")])])

    def object(self, times: Sequence[str], depth: int) -> dict[str, Any]:
        """Return an object. Special keys hold what the profile expects there, or anything else."""
        drawn = {key: self.value(times, depth - 1) for key in self.choices(KEYS, k=self.randint(2 * depth - 2, 2 * depth + 2))}
        special = {
            "age": self.count(),
            "seq": self.count(),
            "off": self.one([True, False, "true", Number("1")]),
            "value": self.scalar(),
        }
        drawn |= {key: value for key, value in special.items() if self.happens(4)}
        drawn |= {key: self.time(times) for key in ("at", "ts") if self.happens(1.5)}
        pairs = list(drawn.items())
        self.shuffle(pairs)
        return Twice(pairs) if self.happens(6) else dict(pairs)

    def value(self, times: Sequence[str], depth: int) -> Any:
        """Return any JSON value."""
        kind = self.random() if depth > 0 else 1
        if kind < 0.25:
            return self.object(times, depth)
        return [self.value(times, depth - 1) for _ in range(self.randint(0, 3))] if kind < 0.5 else self.scalar()

    def document(self, times: Sequence[str]) -> Any:
        """Return what a device sends: mostly an object."""
        kind = self.random()
        if kind < 0.7:
            return self.object(times, 3)
        if kind < 0.85:
            return [self.object(times, 2) for _ in range(self.randint(0, 3))] + [self.scalar() for _ in range(self.randint(0, 1))]
        return self.value(times, 3) if kind < 0.95 else Raw(self.one(RAWS))

    def documents(self, profile: dict[str, Any]) -> list[Any]:
        """Return documents for a profile, with times that suit its formats."""
        rules = [profile.get("time", {}), *(rule.get("time", {}) for rule in profile.get("point", []))]
        used = {rule["format"] for rule in rules if "format" in rule}
        times = UNIX + DATES + 10 * [text for format_ in sorted(used) for text in SUITED[format_]]
        if not any("%z" in format_ for format_ in used):
            # `%z` and a space before it read more than the model.
            times = times + OFFSETS
        return [self.document(times) for _ in range(self.randint(1, 4))]

    # --- Profiles ---

    def times(self) -> dict[str, Any]:
        """Return the place and the format of a time."""
        place = {"path": self.one(["at", "ts", ["ts", "at"], "nodes.at"])}
        if self.happens(3):
            return {**place, "format": self.one(IN_ZONES), "zone": self.one(ZONES)}
        return {**place, "format": self.one(FORMATS)}

    def publishing(self, topics: Sequence[str]) -> dict[str, Any]:
        """Return the keys that publish a value."""
        return self.keys(2, topic=topics, retain=[True, False])

    def field(self, level: str | None) -> dict[str, Any] | str:
        """Return a field of a point; `level` is a named level of its topics."""
        if self.happens(3):
            return str(self.one(TYPES))
        if level is not None and self.happens(3):
            drawn = {"level": level, "type": self.one(["number", "integer", "string"])}
        else:
            drawn = {"path": self.one(PATHS), "type": self.one(TYPES)}
        unless = {"unless": self.some(["off", "nodes.off", "b"])} if self.happens(3) else {}
        return drawn | unless | self.publishing(["t", "n/{a}", "{name}/{#}", "x{@device_id}"])

    def table(self) -> dict[str, Any]:
        """Return a table of `[point.others]`."""
        topics = self.publishing(["o/{1}", "{1}/{a}", "o"])
        if self.happens(3):
            return self.one([topics, {**topics, "except": ["b"]}])
        table = self.keys(3, flatten=["_", ".", ""], within=["nodes", "list", "nodes.b"])
        table |= self.lists(["strings"], PATTERNS) | self.lists(["tag_objects"], ["nodes", "nodes.b", "a"])
        table |= self.keys(3, value=["{name}", "{kind}", "{a}", "b"])
        return {**table, **topics, **self.lists(["tags", "fields", "booleans", "except", "integers"], PATTERNS)}

    def point(self) -> dict[str, Any]:
        """Return a point of the long form."""
        drawn = self.keys(3, filter=FILTERS, each=EACH) | ({"time": self.times()} if self.happens(2) else {})
        drawn["measurement"] = self.one(["m", *TEMPLATES])
        drawn["tags"] = self.keys(2, t=TEMPLATES, u=TEMPLATES, site=TEMPLATES)
        level = next((name for name in ("name", "kind", "a") if f"{{{name}}}" in str(drawn.get("filter"))), None)
        names = self.some(["f", "g", "a", "b", "x y"], 4)
        drawn["fields"] = {name: self.field(level) for name in names}
        if not names or self.happens(2):
            drawn["others"] = self.one([self.table(), self.table(), [self.table() for _ in range(self.randint(1, 3))]])
        return drawn

    def metric(self) -> dict[str, Any]:
        """Return a point of the short form."""
        path = self.one(PATHS + WILD + WILD)
        wildcards = [f"{{{number}}}" for number in range(1, path.count("*") + 1)]
        drawn = {
            "path": path,
            "measurement": self.one(["m", *TEMPLATES]),
            "type": self.one(TYPES),
            **self.keys(2, field=["f", "x y"]),
        }
        drawn |= self.publishing(["t", "n/{a}", "x{@device_id}", "/".join(["w", *wildcards])])
        if self.happens(4):
            drawn["unless"] = self.some(["off", "nodes.off", "b"])
        if drawn["type"] == "number" and self.happens(2):
            del drawn["type"]
        return {**drawn, "tags": self.keys(2, t=["-".join(wildcards), *TEMPLATES], u=TEMPLATES, site=TEMPLATES)}

    def ignore(self) -> dict[str, Any]:
        """Return a rule for documents that are not telemetry."""
        filter_ = {"filter": self.one(["p/n1/t", "q/+", ["r/#", "p/+/x"]])}
        paths = {"has": self.some(["off", "seq", "nodes.b", "."], 1), "lacks": self.some(["a", "b", "list"], 3)}
        paths = {key: value for key, value in paths.items() if value and self.happens(1.5)}
        return {"name": self.one(["join", "ack"]), **paths, **(filter_ if self.happens(2) or "has" not in paths else {})}

    def profile(self) -> dict[str, Any]:
        """Return a profile."""
        metrics, points = self.one([(1, 0), (2, 0), (1, 1), (0, 1), (0, 2), (2, 2), (0, 3)])
        belief = self.keys(4, earliest=["2010-01-01T00:00:00Z", "2023-11-14T22:30:00Z"], most_ahead_s=[0, 200_000_000])
        profile: dict[str, Any] = {
            "name": "model",
            "clock": self.keys(3, uptime_ms=["ts"], age_ms=["age"], packet_counter=["b"]),
            "time": {
                **(self.times() if self.happens(1.5) else {}),
                **belief,
                **self.keys(5, device=["name"], repeats=["real", "duplicate"]),
            },
            "receiver": self.keys(3, rssi=["a"], names=[["n1"]]),
            "sequence": [{"node": "n{name}", "seq": "seq"}, {"node": "n", "object": "nodes", "seq": "seq", "boot": "a"}],
            "metric": [self.metric() for _ in range(metrics)],
            "point": [self.point() for _ in range(points)],
            "ignore": [self.ignore() for _ in range(self.randint(1, 2))],
        }
        for key, one_in in (("clock", 2), ("time", 1.5), ("sequence", 4), ("ignore", 4)):
            if not self.happens(one_in):
                del profile[key]
        profile["ignore"] = [rule for rule in profile.get("ignore", []) if "has" in rule or "filter" in rule]
        for rule in profile["point"]:
            if self.happens(3):
                rule["except_filter"] = self.one(EXCEPT_FILTERS)
        return {key: value for key, value in profile.items() if value != []}


def toml(value: Any) -> str:
    """Write a value of a profile."""
    if isinstance(value, dict):
        return "{ " + ", ".join(f"{json.dumps(key)} = {toml(inner)}" for key, inner in value.items()) + " }"
    return "[" + ", ".join(map(toml, value)) + "]" if isinstance(value, list) else json.dumps(value)


def written(profile: dict[str, Any]) -> str:
    """Write a profile file."""
    lines = []
    for key, value in profile.items():
        for table in value if isinstance(value, list) else [value]:
            if isinstance(table, dict):
                lines += [
                    f"[[{key}]]" if isinstance(value, list) else f"[{key}]",
                    *(f"{name} = {toml(inner)}" for name, inner in table.items()),
                ]
            else:
                lines.append(f"{key} = {toml(table)}")
    return "\n".join(lines) + "\n"
