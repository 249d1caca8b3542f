"""Restores a backup: all files are checked first, no existing file is overwritten, and each file appears whole or not at all."""

from __future__ import annotations

import os
import sqlite3
from contextlib import ExitStack, closing, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from iiot_gateway.backup.locking import locked
from iiot_gateway.backup.manifest import BackupUnusable, Entry, Manifest, copy_private, read_manifest, sha256, sync_folder
from iiot_gateway.backup.verifying import changed
from iiot_gateway.errors import GatewayError

LOGS = ("-wal", "-shm", "-journal")
RESTORING = ".restoring"
SKIPPED_NUMBERS = 1000
"""How many ids of devices are left out: ids that were given after the backup may be in databases."""


class RestoreRefused(GatewayError):
    """Nothing was restored."""


@dataclass(frozen=True, slots=True)
class Restored:
    """The result of a restore."""

    manifest: Manifest
    written: list[Path]
    same: list[Path]
    """Files that existed with the same content as in the backup."""
    moved: list[Path]
    """The new names of files that were moved aside."""


def restore(folder: Path, into: Path | None, *, replace: bool) -> Restored:
    """Put the files where they were, or below another folder. Raises GatewayError; where files are in the way, nothing was changed.

    Below `into` files lie as they lay in the folder of the configuration; files from elsewhere by their whole path.
    """
    manifest = read_manifest(folder)
    if faults := changed(folder, manifest):
        raise BackupUnusable("\n".join([f"{folder}: damaged; nothing was restored", *faults]))
    # The registry comes last: it is changed while it is restored, so a repeated restore would not recognise it.
    entries = sorted(manifest.files, key=lambda entry: entry.kind == "registry")
    places = [(entry, _place(entry, into)) for entry in entries]
    with ExitStack() as locks:
        for entry, place in places:
            owner = (entry.uid, entry.gid)
            _make_folder(place.parent, owner)
            if entry.kind in ("journal", "history"):
                locks.enter_context(locked(place, owner))
        same = [place for entry, place in places if _is_same(entry, place)]
        in_the_way = [path for entry, place in places if place not in same for path in _present(entry, place)]
        if in_the_way and not replace:
            named = "\n".join(f"  {path}" for path in in_the_way)
            raise RestoreRefused(f"these files are there already, and nothing was changed; --replace moves them aside:\n{named}")
        moved = _moved_aside(in_the_way)
        written = []
        for entry, place in places:
            if place not in same:
                _put(folder / entry.name, entry, place)
                written.append(place)
    return Restored(manifest, written, same, moved)


def _place(entry: Entry, into: Path | None) -> Path:
    if into is None:
        return Path(entry.path)
    return into.absolute() / (entry.relative or entry.path.lstrip("/"))


def _make_folder(folder: Path, owner: tuple[int, int]) -> None:
    missing = [path for path in (folder, *folder.parents) if not path.exists()]
    try:
        folder.mkdir(parents=True, exist_ok=True)
        if os.geteuid() == 0:
            # The gateway writes more than the restored files there, and need not be root.
            for path in missing:
                os.chown(path, *owner)
    except OSError as error:
        raise RestoreRefused(f"{folder} cannot be made: {error.strerror}; nothing was changed") from error


def _present(entry: Entry, place: Path) -> list[Path]:
    """Return the existing files. For a database this includes its log, which must not stay beside another file."""
    names = [place, *(Path(f"{place}{suffix}") for suffix in LOGS if entry.is_database)]
    return [path for path in names if path.exists()]


def _is_same(entry: Entry, place: Path) -> bool:
    """Return whether the file exists with the same content, so that an interrupted restore can be repeated."""
    return _present(entry, place) == [place] and place.stat().st_size == entry.bytes and sha256(place) == entry.sha256


def _moved_aside(paths: list[Path]) -> list[Path]:
    """Move all files, or none if one cannot be moved: a gateway without its journal would start with a new one."""
    moved: list[Path] = []
    try:
        for path in paths:
            aside = path.with_name(f"{path.name}.replaced-{datetime.now(UTC):%Y%m%dT%H%M%S%f}")
            path.rename(aside)
            moved.append(aside)
    except OSError as error:
        for aside, there in reversed(list(zip(moved, paths, strict=False))):
            aside.rename(there)
        raise RestoreRefused(
            f"{path} cannot be moved aside: {error.strerror}; nothing was changed. If it is mounted there, such as the configuration of a "
            "container, put the backup's file in its place where it is mounted from, and restore again"
        ) from error
    return moved


def _put(source: Path, entry: Entry, place: Path) -> None:
    """Write a file under another name, and rename it when it is synced."""
    new = place.with_name(place.name + RESTORING)
    try:
        with suppress(FileNotFoundError):
            new.unlink()
        copy_private(source, new)
        if entry.kind == "registry":
            _skip_numbers(new)
        os.chmod(new, entry.mode)
        if os.geteuid() == 0:
            os.chown(new, entry.uid, entry.gid)
        new.rename(place)
        sync_folder(place.parent)
    except OSError as error:
        with suppress(OSError):
            new.unlink()
        raise GatewayError(f"{place}: {error.strerror}; mend that and restore again: what is there already is left as it is") from error


def _skip_numbers(registry: Path) -> None:
    """Reserve the ids that may have been given after the backup: values of a new device would be taken for those of another one."""
    with closing(sqlite3.connect(registry)) as db, db:
        db.execute("UPDATE last_number SET number = number + ?", [SKIPPED_NUMBERS])
