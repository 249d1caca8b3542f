"""The manifest of a backup: its files, where they belong, and their checksums. A folder without a manifest is not a backup."""

from __future__ import annotations

import hashlib
import json
import os
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from iiot_gateway.errors import GatewayError

FORMAT = 1
NAME = "manifest.json"
PARTIAL = ".partial"
"""The suffix of a folder in which a backup is being made, or was interrupted."""
CHUNK_BYTES = 1 << 20


class BackupUnusable(GatewayError):
    """A folder is not a complete backup, or is one that this program cannot read."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """A file in a backup."""

    name: str
    """Its path within the folder of the backup."""
    path: str
    """The absolute path where the file was."""
    relative: str | None
    """The path relative to the folder of the configuration; None if the file was outside that folder."""
    kind: str
    is_secret: bool
    mode: int
    uid: int
    gid: int
    bytes: int
    sha256: str
    rows: dict[str, int] | None = None
    """The number of rows per table of a database."""
    version: int | None = None
    """The version of a database's format."""

    @property
    def is_database(self) -> bool:
        """Return whether there may be a log beside the file."""
        return self.rows is not None


@dataclass(frozen=True, slots=True, kw_only=True)
class Manifest:
    """The contents of a backup."""

    made_by: str
    begun_at: str
    finished_at: str
    from_running: bool
    """Whether the gateway was running."""
    files: list[Entry]
    missing: list[str] = field(default_factory=list)
    """Files that the configuration names, but that did not exist."""
    environment: list[str] = field(default_factory=list)
    """Environment variables that set keys; their values are not in the backup."""
    elsewhere: list[str] = field(default_factory=list)
    """The data that is on servers, and how to make its backup."""
    ledger: dict[str, Any] = field(default_factory=dict)
    """The ledger in the journal's copy."""
    format: int = FORMAT

    def write(self, folder: Path) -> None:
        """Write the manifest into a folder, synced."""
        with open_private(folder / NAME) as file:
            file.write(json.dumps(asdict(self), indent=2).encode() + b"\n")
            file.flush()
            os.fsync(file.fileno())


def read_manifest(folder: Path) -> Manifest:
    """Read the manifest of a complete backup. Raises BackupUnusable."""
    if folder.name.endswith(PARTIAL):
        raise BackupUnusable(f"{folder}: this backup was cut off before its end; take another one, and remove this folder")
    try:
        document = json.loads((folder / NAME).read_bytes())
        if document["format"] != FORMAT:
            raise BackupUnusable(
                f"{folder}: a backup of format {document['format']}, made by {document.get('made_by')}; "
                f"this program knows format {FORMAT}: use the iiot-gateway that made it, or a later one"
            )
        manifest = Manifest(**{**document, "files": [Entry(**entry) for entry in document["files"]]})
    except FileNotFoundError as error:
        raise BackupUnusable(f"{folder}: no backup, because it has no {NAME}") from error
    except OSError as error:
        raise BackupUnusable(f"{folder / NAME} cannot be read: {error.strerror}") from error
    except (ValueError, TypeError, KeyError) as error:
        raise BackupUnusable(f"{folder / NAME} is damaged: {error}; take another backup") from error
    for entry in manifest.files:
        inside = [Path(entry.name), Path(entry.relative or entry.path.lstrip("/"))]
        if any(path.is_absolute() or ".." in path.parts for path in inside):
            raise BackupUnusable(f"{folder / NAME} is damaged: {entry.name} would lie outside of its folder; take another backup")
    return manifest


def open_private(path: Path) -> Any:
    """Open a new file for writing bytes, which only its owner may read. Raises OSError."""
    return os.fdopen(os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY | os.O_CLOEXEC, 0o600), "wb")


def copy_private(source: Path, to: Path) -> None:
    """Copy the content of a file into a new one, synced. Raises OSError."""
    with source.open("rb") as file, open_private(to) as copy:
        while chunk := file.read(CHUNK_BYTES):
            copy.write(chunk)
        copy.flush()
        os.fsync(copy.fileno())


def sync_folder(folder: Path) -> None:
    """Sync a folder, so that the names in it survive a loss of power."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def sha256(path: Path) -> str:
    """Return the checksum of a file. Raises OSError."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
