"""What an import of Telegraf files gives: its files in a folder, and the points that messages give there, read apart."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pytest

from iiot_gateway import _native
from iiot_gateway.cli.main import main
from iiot_gateway.config.load import load
from iiot_gateway.config.wiring import source_rules
from iiot_gateway.profile import read_profile
from iiot_gateway.sources.mqtt_consumer.section import MqttConsumerSection

NOW_NS = 1_800_000_000_000_000_000

Point = tuple[str, frozenset[tuple[str, str]], frozenset[tuple[str, Any]]]


class Imported:
    """The folder of an import, and its report."""

    def __init__(self, folder: Path, report: dict[str, Any]) -> None:
        self.folder = folder
        self.report = report
        self.config = load(str(folder / "config.toml"), {}) if (folder / "config.toml").exists() else None

    def keys(self) -> list[tuple[str, int, str]]:
        """Return file, section's line and key of every entry of the report."""
        return [(section["file"], section["line"], entry["key"]) for section in self.report["sections"] for entry in section["keys"]]

    def outcome(self, key: str, section: str | None = None) -> str:
        """Return what became of the only key of this name."""
        found = [
            entry["outcome"]
            for part in self.report["sections"]
            for entry in part["keys"]
            if entry["key"] == key and section in (None, part["name"])
        ]
        assert len(found) == 1, (key, found)
        return str(found[0])

    def texts(self) -> str:
        """Return everything that the report says."""
        return json.dumps(self.report, ensure_ascii=False)

    def decode(self, topic: str, payload: str, consumer: str = "mqtt_consumer") -> tuple[list[Point], list[tuple[int, str, str]]]:
        """Return the points of a message, and its rejects."""
        assert self.config is not None
        given = source_rules(self.config, consumer, self.config.of(MqttConsumerSection)[consumer])
        decoder = _native.Decoder(read_profile(given.profile), topic_prefix=given.topic_prefix, tags=given.tags)
        decoded = decoder.message(payload.encode(), NOW_NS, topic=topic)
        return points(decoded.lines().decode().splitlines()), decoded.rejects()

    def lines(self, topic: str, payload: str, consumer: str = "mqtt_consumer") -> list[str]:
        """Return the lines of a message, without their time where that is the time of arrival."""
        assert self.config is not None
        given = source_rules(self.config, consumer, self.config.of(MqttConsumerSection)[consumer])
        decoder = _native.Decoder(read_profile(given.profile), topic_prefix="", tags=given.tags)
        decoded = decoder.message(payload.encode(), NOW_NS, topic=topic)
        return [line.removesuffix(f" {NOW_NS}") for line in decoded.lines().decode().splitlines()]


def imported(capsys: pytest.CaptureFixture[str], folder: Path, *files: str | Path) -> Imported:
    """Import files, or texts of files, into a folder."""
    paths = []
    for number, file in enumerate(files):
        path = file if isinstance(file, Path) else folder / f"{number}.conf"
        if isinstance(file, str):
            path.write_text(file)
        paths.append(str(path))
    out = folder / "out"
    capsys.readouterr()
    main(["import", "telegraf", *paths, "--out", str(out), "--json"])
    return Imported(out, json.loads(capsys.readouterr().out))


def points(lines: Iterable[str]) -> list[Point]:
    """Take lines apart that hold no escapes: measurement, tags, fields."""
    found = []
    for line in lines:
        head, fields = line.split(" ")[:2]
        measurement, *tags = head.split(",")
        found.append(
            (measurement, frozenset(map(_pair, tags)), frozenset((name, _value(text)) for name, text in map(_pair, fields.split(","))))
        )
    return found


def _pair(text: str) -> tuple[str, str]:
    name, _, value = text.partition("=")
    return name, value


def _value(text: str) -> Any:
    return float(text) if re.fullmatch(r"-?[\d.]+(e-?\d+)?", text) else text
