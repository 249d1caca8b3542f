"""`restore DIR`: restores a backup, and prints what the operator must know afterwards."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from iiot_gateway.visible import visible

if TYPE_CHECKING:
    from iiot_gateway.backup.restoring import Restored


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the backup and the destination."""
    parser.add_argument("folder", metavar="DIR", help="the backup")
    parser.add_argument("--into", metavar="FOLDER", help="restore it below this folder instead of its old place")
    parser.add_argument("--replace", action="store_true", help="move existing files aside, under other names")


def run(args: argparse.Namespace) -> int:
    """Restore the backup."""
    from iiot_gateway.backup.restoring import restore

    into = None if args.into is None else Path(args.into)
    restored = restore(Path(args.folder), into, replace=args.replace)
    for path in restored.moved:
        print(f"moved aside: {visible(str(path))}")
    for path in restored.same:
        print(f"left as it is, because it is the same: {visible(str(path))}")
    for path in restored.written:
        print(f"restored: {visible(str(path))}")
    for line in _consequences(restored):
        print(line)
    return 0


def _consequences(restored: Restored) -> list[str]:
    manifest = restored.manifest
    lines = [
        "",
        (
            f"This is the state of {manifest.finished_at}. Frames that were accepted later are not in it; "
            "frames that waited for a sink at that time are sent again."
        ),
        "A PostgreSQL sink that says `unknown_run` goes on after `iiot-gateway postgresql adopt`; all others go on by themselves.",
    ]
    if any(entry.kind == "registry" for entry in manifest.files):
        lines.append("Keys that were revoked later are valid again, and keys that were made later are unknown: see `devices list`.")
    if manifest.environment:
        lines.append(f"Not in a backup are the values of {', '.join(manifest.environment)}: set them before the start.")
    return lines
