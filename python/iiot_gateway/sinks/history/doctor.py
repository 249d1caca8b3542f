"""The trials of `doctor` for each history: whether it can be read, and whether the disk has room for it to grow."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

from iiot_gateway._native import HistoryError, HistoryReader
from iiot_gateway.config.schema import Config
from iiot_gateway.findings import Finding, place_fault
from iiot_gateway.sinks.history.section import HistorySection
from iiot_gateway.sinks.history.section import histories as configured_histories


def histories(config: Config) -> Iterator[Finding]:
    """Look at each history's file and disk. Nothing is written."""
    for name, section, path in configured_histories(config):
        yield _history(f"{name} {path}", section, Path(path))


def _history(subject: str, section: HistorySection, path: Path) -> Finding:
    if fault := place_fault(subject, path, "path"):
        return fault
    detail = "not there yet"
    try:
        reader = HistoryReader(str(path))
        known = reader.series()
        reader.close()
        detail = f"{sum(series['points'] for series in known)} points of {len(known)} series"
    except HistoryError as error:
        if error.kind != "missing":
            return Finding(subject, ok=False, detail=f"{error.kind}: {error}", remedy="read the detail; its frames wait in the journal")
    free = shutil.disk_usage(path.parent).free
    needed = section.max_bytes - (path.stat().st_size if path.exists() else 0)
    if section.max_bytes and free < needed:
        return Finding(
            subject,
            ok=False,
            detail=f"{detail}; {free / 1e6:.0f} MB are free, and it may grow by {needed / 1e6:.0f} MB",
            remedy="free some room, or lower max_bytes: on a full disk the history stands still",
        )
    return Finding(subject, ok=True, detail=f"{detail}; {free / 1e6:.0f} MB free")
