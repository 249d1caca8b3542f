"""The checks of `doctor` for the place of the journal."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

from iiot_gateway.config.schema import Config
from iiot_gateway.findings import Finding, place_fault


def journal(config: Config) -> Iterator[Finding]:
    """Check that the folder is writable, and has room for the journal to grow to its largest size."""
    path = Path(config.journal_path())
    subject = f"journal {path}"
    if fault := place_fault(subject, path, "journal.path"):
        yield fault
        return
    free = shutil.disk_usage(path.parent).free
    used = path.stat().st_size if path.exists() else 0
    needed = config.journal.max_bytes - used
    if free < needed:
        yield Finding(
            subject,
            ok=False,
            detail=f"{free / 1e6:.0f} MB are free, and the journal may grow by {needed / 1e6:.0f} MB",
            remedy=f"free some room, or set journal.max_bytes to {max(1048576, free // 2 + used)}",
        )
        return
    yield Finding(subject, ok=True, detail=f"writable, {free / 1e6:.0f} MB free")
