"""Makes a backup: copies into a folder NAME.partial, which gets its name only when everything in it is synced.

The running gateway copies its databases itself. Without one they are copied here, and no gateway can start meanwhile.
"""

from __future__ import annotations

import os
import shutil
import time
from collections.abc import Callable
from contextlib import ExitStack, suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from iiot_gateway import __version__, _native
from iiot_gateway.backup.contents import Database, configuration_files, databases, elsewhere, placed, variables
from iiot_gateway.backup.counting import counted
from iiot_gateway.backup.locking import locked
from iiot_gateway.backup.manifest import PARTIAL, Entry, Manifest, copy_private, sha256, sync_folder
from iiot_gateway.errors import GatewayError, GatewayUnreachable
from iiot_gateway.pipeline.control import ask

if TYPE_CHECKING:
    from iiot_gateway.config.schema import Config

POLL_S = 0.1
DATA = "data"
FILES = "files"

Told = Callable[[str, int, int], None]
"""Called with the name of a database, and the number of pages copied so far."""


class BackupFailed(GatewayError):
    """A backup could not be made; nothing else is affected."""


def make(config: Config, config_path: str | None, folder: Path, told: Told) -> Manifest:
    """Make a backup in a new folder, and return its manifest. Raises GatewayError; then there is no such folder."""
    folder = folder.absolute()
    partial = folder.with_name(folder.name + PARTIAL)
    begun_at = _now()
    for taken in (folder, partial):
        if taken.exists():
            raise BackupFailed(f"{taken} is there already: name another folder, or remove this one")
    try:
        os.umask(0o077)  # this process makes nothing else
        (partial / DATA).mkdir(parents=True)
        _give_to_owner(config, partial)
    except OSError as error:
        raise BackupFailed(f"{partial} cannot be made: {error.strerror}") from error
    try:
        try:
            copied, from_running = _copied_by_gateway(config, partial / DATA, told), True
        except GatewayUnreachable as error:
            if any((partial / DATA).iterdir()):
                raise BackupFailed(f"the gateway ended while it made the copies: {error}") from error
            copied, from_running = _copied_here(config, partial / DATA, told), False
        entries = [_database_entry(config, partial, database) for database in copied]
        files, missing = _configuration_entries(config, config_path, partial)
        manifest = Manifest(
            made_by=f"iiot-gateway {__version__}",
            begun_at=begun_at,
            finished_at=_now(),
            from_running=from_running,
            files=[*entries, *files],
            missing=missing,
            environment=variables(config),
            elsewhere=elsewhere(config),
            ledger=_native.Journal.inspect(str(partial / DATA / copied[0].copy_name)),
        )
        manifest.write(partial)
        partial.chmod(0o700)
        for place, _folders, _files in os.walk(partial):
            sync_folder(Path(place))
        partial.rename(folder)
        sync_folder(folder.parent)
    except OSError as error:
        _remove(partial)
        raise BackupFailed(f"{folder}: {error.filename or 'the backup'}: {error.strerror}; no backup was made") from error
    except _native.JournalError as error:
        _remove(partial)
        raise BackupFailed(f"{folder}: {error}; no backup was made") from error
    except BaseException:
        _remove(partial)
        raise
    return manifest


def _remove(partial: Path) -> None:
    """Remove an unusable backup, to free its room."""
    shutil.rmtree(partial, ignore_errors=True)


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")


def _give_to_owner(config: Config, partial: Path) -> None:
    """Let the gateway write its copies if root makes the backup of another user's gateway. Root writes the other files."""
    with suppress(FileNotFoundError):
        if os.geteuid() == 0:
            owner = os.stat(config.journal_path())
            os.chown(partial / DATA, owner.st_uid, owner.st_gid)
            partial.chmod(0o711)


def _copied_by_gateway(config: Config, folder: Path, told: Told) -> list[Database]:
    path = config.journal_path()
    number = ask(path, {"command": "backup", "action": "begin", "folder": str(folder)})["number"]
    state: dict[str, Any] = {}
    try:
        while (state := ask(path, {"command": "backup", "action": "state", "number": number}))["state"] == "copying":
            told(state["name"], *state["pages"])
            time.sleep(POLL_S)
    except GatewayUnreachable:
        raise
    except BaseException:
        with suppress(GatewayError):
            ask(path, {"command": "backup", "action": "cancel", "number": number})
        raise
    if state["state"] != "done":
        raise BackupFailed(
            f"the gateway could not copy its {state['name']}: {state['error']}. It writes the copies itself: "
            "name a folder that it may write to and that has room (ReadWritePaths= of its unit)"
        )
    copied = [Database(**file) for file in state["files"]]
    for database in copied:
        if not (folder / database.copy_name).exists():
            raise BackupFailed(f"{folder}: the gateway sees another folder by this name; name one that is the same for both")
    return copied


def _copied_here(config: Config, folder: Path, told: Told) -> list[Database]:
    found = [database for database in databases(config) if os.path.exists(database.path)]
    if not found or found[0].kind != "journal":
        raise BackupFailed(f"there is no journal at {config.journal_path()}, so there is nothing to back up")
    with ExitStack() as locks:
        for database in found:
            if database.kind in ("journal", "history"):
                was = os.stat(database.path)
                locks.enter_context(locked(Path(database.path), (was.st_uid, was.st_gid)))
        for database in found:
            progress = _native.CopyProgress()
            told(database.name, 0, 0)
            copy = _native.Journal.copy_file if database.kind == "journal" else _native.copy_file
            copy(database.path, str(folder / database.copy_name), progress)
    return found


def _database_entry(config: Config, partial: Path, database: Database) -> Entry:
    name = f"{DATA}/{database.copy_name}"
    rows, version = counted(partial / name)
    return _entry(config, partial, name, Path(database.path), database.kind, rows=rows, version=version)


def _configuration_entries(config: Config, config_path: str | None, partial: Path) -> tuple[list[Entry], list[str]]:
    entries, missing = [], []
    for file in configuration_files(config, config_path):
        if not file.path.is_file():
            missing.append(str(file.path))
            continue
        name = f"{FILES}{file.path}"
        (partial / name).parent.mkdir(parents=True, exist_ok=True)
        copy_private(file.path, partial / name)
        entries.append(_entry(config, partial, name, file.path, file.kind, is_secret=file.is_secret))
    return entries, missing


def _entry(config: Config, partial: Path, name: str, path: Path, kind: str, *, is_secret: bool = False, **database: Any) -> Entry:
    was, base = os.stat(path), placed(config.base)
    path = placed(path)
    return Entry(
        name=name,
        path=str(path),
        relative=str(path.relative_to(base)) if path.is_relative_to(base) else None,
        kind=kind,
        is_secret=is_secret or kind == "registry",
        mode=was.st_mode & 0o777,
        uid=was.st_uid,
        gid=was.st_gid,
        bytes=(partial / name).stat().st_size,
        sha256=sha256(partial / name),
        **database,
    )
