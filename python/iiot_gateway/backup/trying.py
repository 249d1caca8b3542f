"""Restores a backup into a temporary folder, opens everything there as a gateway would, and counts."""

from __future__ import annotations

from pathlib import Path
from tempfile import TemporaryDirectory

from iiot_gateway import _native
from iiot_gateway.backup.manifest import Entry, Manifest
from iiot_gateway.backup.restoring import restore
from iiot_gateway.backup.verifying import PARTS, unbalanced
from iiot_gateway.registry.file import RegistryFile
from iiot_gateway.registry.store import Registry

COUNTED = ("accepted", *PARTS)


def tried(folder: Path) -> tuple[dict[str, int], list[str]]:
    """Return the counts, and one sentence per fault. Needs as much room beside the folder as a gateway. Raises GatewayError."""
    counts: dict[str, int] = {}
    faults: list[str] = []
    with TemporaryDirectory(prefix=".verify-", dir=folder.absolute().parent) as place:
        manifest = restore(folder, Path(place), replace=False).manifest
        for entry in manifest.files:
            path = str(Path(place) / (entry.relative or entry.path.lstrip("/")))
            match entry.kind:
                case "journal":
                    faults += _journal_faults(path, manifest)
                    counts["frames accepted"] = manifest.ledger["intake"]["accepted"]
                case "history":
                    counts[f"points in {Path(entry.name).stem}"] = _points(path)
                case "registry":
                    faults += _registry_faults(path, entry)
                    counts["devices"] = (entry.rows or {}).get("device", 0)
    return counts, faults


def _journal_faults(path: str, manifest: Manifest) -> list[str]:
    expected = manifest.ledger
    try:
        journal = _native.Journal.open(path, max_bytes=expected["journal"]["max_bytes"], keep_sinks=True)
    except _native.JournalError as error:
        return [f"the restored journal cannot be opened: {error}"]
    try:
        found = journal.status()
    finally:
        journal.close()
    faults = [f"the restored journal: {fault}" for fault in unbalanced(found)]
    if found["intake"] != expected["intake"]:
        faults.append(f"the restored journal counts {found['intake']}, expected {expected['intake']}")
    for name, sink in expected["sinks"].items():
        seen, wanted = ({key: ledger[key] for key in COUNTED} for ledger in (found["sinks"][name], sink))
        if seen != wanted:
            faults.append(f"the restored journal counts {seen} for [{name}], expected {wanted}")
    return faults


def _points(path: str) -> int:
    reader = _native.HistoryReader(path)
    try:
        return sum(int(series["points"]) for series in reader.series())
    finally:
        reader.close()


def _registry_faults(path: str, entry: Entry) -> list[str]:
    registry = Registry(RegistryFile(path))
    try:
        devices = len(registry.devices.all())
    finally:
        registry.close()
    expected = (entry.rows or {}).get("device", 0)
    return [] if devices == expected else [f"the restored registry has {devices} devices, expected {expected}"]
