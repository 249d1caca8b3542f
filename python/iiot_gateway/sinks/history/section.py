"""The section `[history]`: a file on this machine, and how large it may grow."""

from __future__ import annotations

import os
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from typing import TYPE_CHECKING

from iiot_gateway.config.component import MAY_DROP, Faults, KeyPath, SinkSection, place
from iiot_gateway.config.keys import flag, integer, number, path, texts

if TYPE_CHECKING:
    from iiot_gateway._native import HistorySink as NativeHistorySink
    from iiot_gateway.components import Building
    from iiot_gateway.config.schema import Config

MIN_BYTES = 1048576


@dataclass(frozen=True, slots=True, kw_only=True)
class HistorySection(SinkSection):
    """`[history]`, `[history.NAME]`: every point in a file on this machine, for the web page, the API and `history`."""

    path: str = path("history.db", "The history's file.")
    max_age_d: float = number(0.0, "Points older than this are removed. 0 keeps them.", low=0, high=36600)
    max_bytes: int = integer(
        1073741824, "With more bytes in use, the oldest points are removed; a point takes about 3 bytes. 0 is no limit.", low=0, high=2**44
    )
    commit_interval_ms: int = integer(
        1000, "How long the first frame of a commit waits for more; longer spares SD cards.", low=0, high=60000
    )
    profiles: tuple[str, ...] = texts("Only frames of these profiles; empty takes all.")
    may_drop: bool = flag(False, MAY_DROP)


def histories(config: Config) -> list[tuple[str, HistorySection, str]]:
    """Return the name, section and file of every history."""
    return [(name, section, str(config.base / section.path)) for name, section in config.of(HistorySection).items()]


def faults(config: Config, _given: AbstractSet[KeyPath]) -> Faults:
    """Yield every broken rule."""
    seen = {config.journal_path(): "journal"}
    for name, history, file in histories(config):
        if not history.path:
            yield (*place(name), "path"), "must not be empty"
        elif os.path.isdir(file):
            yield (*place(name), "path"), f"{file} is a directory: name a file in it"
        elif file in seen:
            yield (*place(name), "path"), f"the same file as that of [{seen[file]}]; each needs its own"
        seen.setdefault(file, name)
        if 0 < history.max_bytes < MIN_BYTES:
            yield (*place(name), "max_bytes"), f"expected 0, or at least {MIN_BYTES}"


def writers(building: Building) -> dict[str, NativeHistorySink]:
    """Return the writer of each history, by its name; there is one writer per file. This registers the sinks in the journal."""
    return building.once(_writers)


def _writers(building: Building) -> dict[str, NativeHistorySink]:
    from iiot_gateway import _native

    return {name: _native.HistorySink(building.journal, name) for name in building.config.of(HistorySection)}
