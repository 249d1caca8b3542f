"""What `doctor` finds out about the journal's place."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from pathlib import Path

from iiot_gateway.config.schema import Config
from iiot_gateway.findings import Finding


def journal(config: Config) -> Iterator[Finding]:
    """See whether the folder is writable, with room for what the journal may grow to."""
    path = Path(config.journal_path())
    subject = f"journal {path}"
    folder = path.parent
    if not folder.is_dir():
        yield Finding(subject, ok=False, detail="its folder does not exist", remedy=f"mkdir -p {folder}")
        return
    if not os.access(folder, os.W_OK | os.X_OK) or (path.exists() and not os.access(path, os.R_OK | os.W_OK)):
        yield Finding(
            subject,
            ok=False,
            detail="may not be written by this user",
            remedy="set journal.path to a place of your own, or change its owner",
        )
        return
    free = shutil.disk_usage(folder).free
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
