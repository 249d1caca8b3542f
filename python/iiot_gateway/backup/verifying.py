"""Verifies a backup: checksums, every page of its databases, their counts and versions. Nothing is written."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from iiot_gateway import _native
from iiot_gateway.backup.counting import counted
from iiot_gateway.backup.manifest import NAME, BackupUnusable, Entry, Manifest, read_manifest, sha256

PARTS = ("delivered", "queued", "rejected", "dropped", "superseded")


def verify(folder: Path) -> tuple[Manifest, list[str]]:
    """Return the manifest, and one sentence per fault. Raises BackupUnusable if the folder is not a complete backup."""
    manifest = read_manifest(folder)
    faults = changed(folder, manifest)
    if not faults:
        for entry in manifest.files:
            if entry.is_database:
                faults += _database_faults(folder / entry.name, entry, manifest)
    return manifest, faults


def changed(folder: Path, manifest: Manifest) -> list[str]:
    """Return files that are missing, changed or unexpected."""
    faults = []
    for entry in manifest.files:
        path = folder / entry.name
        try:
            size = path.stat().st_size
            if size != entry.bytes:
                faults.append(f"{entry.name}: {size} bytes, expected {entry.bytes}")
            elif sha256(path) != entry.sha256:
                faults.append(f"{entry.name}: it is not what was written (its SHA-256 is another one)")
        except OSError as error:
            faults.append(f"{entry.name}: {error.strerror}")
    known = {entry.name for entry in manifest.files} | {NAME}
    there = {str(path.relative_to(folder)) for path in folder.rglob("*") if not path.is_dir()}
    return faults + [f"{name}: the manifest does not know this file" for name in sorted(there - known)]


def _database_faults(path: Path, entry: Entry, manifest: Manifest) -> list[str]:
    try:
        faults = [f"{entry.name}: damaged: {fault}" for fault in _native.check_file(str(path))]
        if faults:
            return faults
        rows, version = counted(path)
        if (rows, version) != (entry.rows, entry.version):
            faults.append(f"{entry.name}: rows {rows} of version {version}, expected {entry.rows} of version {entry.version}")
        if entry.kind == "journal":
            ledger = _native.Journal.inspect(str(path))
            if ledger != manifest.ledger:
                faults.append(f"{entry.name}: its ledger is not the one of the manifest")
            faults += [f"{entry.name}: {fault}" for fault in unbalanced(ledger)]
    except (_native.JournalError, BackupUnusable) as error:
        return [f"{entry.name}: {error}"]
    return faults


def unbalanced(ledger: dict[str, Any]) -> list[str]:
    """Return every line of a ledger that does not balance."""
    intake = ledger["intake"]
    lines = [("the intake", intake["received"], sum(intake[part] for part in ("accepted", "duplicate", "rejected")))]
    lines += [(f"[{name}]", sink["accepted"], sum(sink[part] for part in PARTS)) for name, sink in ledger["sinks"].items()]
    return [f"the ledger of {name} does not balance: {whole} and {parts}" for name, whole, parts in lines if whole != parts]
