"""Copies the databases of a running gateway, on a thread of its own, on request over the control socket.

{"command": "backup", "action": "begin", "folder": "/b/a.partial/data"}  {"number": 1}
{"command": "backup", "action": "state", "number": 1}                    {"state": "copying", "name": "journal", "pages": [512, 4096], ...}
{"command": "backup", "action": "cancel", "number": 1}                   the same
"""

from __future__ import annotations

import os
import threading
from typing import TYPE_CHECKING, Any

import anyio

from iiot_gateway import _native
from iiot_gateway.backup.contents import Database, databases
from iiot_gateway.errors import GatewayError
from iiot_gateway.log import BACKUP_FAILED, BACKUP_MADE, get_log
from iiot_gateway.sinks.history.section import writers

if TYPE_CHECKING:
    from iiot_gateway.components import Building

JOIN_S = 2.0


class Copier:
    """Makes one set of copies at a time. Methods may be called from any thread."""

    def __init__(self, building: Building) -> None:
        self._building = building
        self._databases = databases(building.config)
        self._lock = threading.Lock()
        self._number = 0
        self._thread: threading.Thread | None = None
        self._state: dict[str, Any] = {}
        self._progress = _native.CopyProgress()
        self._log = get_log()

    def answer(self, request: dict[str, Any]) -> dict[str, Any]:
        """Answer a request. Raises GatewayError."""
        match request.get("action"):
            case "begin":
                return self._begin(request.get("folder"))
            case "state":
                return self._told(request.get("number"))
            case "cancel":
                told = self._told(request.get("number"))
                self._progress.cancel()
                return told
            case _:
                raise GatewayError("action: expected begin, state or cancel")

    async def run(self, _views: object) -> None:
        """Wait for the end of the gateway, and then end a copy that is under way."""
        try:
            await anyio.sleep_forever()
        finally:
            self._progress.cancel()
            if self._thread is not None:
                self._thread.join(JOIN_S)

    def _begin(self, folder: Any) -> dict[str, Any]:
        if not isinstance(folder, str) or not os.path.isabs(folder):
            raise GatewayError("folder: expected an absolute path")
        with self._lock:
            if self._thread is not None and self._thread.is_alive():
                raise GatewayError("another backup is being made; wait for its end")
            self._number += 1
            self._progress = _native.CopyProgress()
            self._state = {"state": "copying", "name": "", "files": []}
            self._thread = threading.Thread(target=self._copy_all, args=(folder, self._state), name="backup", daemon=True)
            self._thread.start()
        return {"number": self._number}

    def _told(self, number: Any) -> dict[str, Any]:
        if number != self._number:
            raise GatewayError("another backup has begun since, or the gateway was restarted")
        return {**self._state, "pages": list(self._progress.pages())}

    def _copy_all(self, folder: str, state: dict[str, Any]) -> None:
        try:
            for database in self._databases:
                state["name"] = database.name
                path = os.path.join(folder, database.copy_name)
                if self._copy(database, path):
                    state["files"] = [*state["files"], {"kind": database.kind, "name": database.name, "path": database.path}]
        except (GatewayError, _native.JournalError, OSError, ValueError) as error:
            self._log.error(BACKUP_FAILED, folder=folder, copying=state["name"], error=str(error), consequence="nothing but the backup")
            state.update(state="failed", error=str(error))
        else:
            self._log.info(BACKUP_MADE, folder=folder, databases=[file["name"] for file in state["files"]])
            state["state"] = "done"

    def _copy(self, database: Database, path: str) -> bool:
        """Copy one database. Return False if its file does not exist yet."""
        match database.kind:
            case "journal":
                self._building.journal.copy_to(path, self._progress)
                return True
            case "history":
                # While the sink cannot open its file, no process writes it.
                if writers(self._building)[database.name].copy_to(path, self._progress):
                    return True
            case "registry":
                # A gateway without devices does not need these imports.
                from iiot_gateway.registry.building import registry_of
                from iiot_gateway.registry.file import RegistryFile

                registry = registry_of(self._building)
                if registry is not None and isinstance(registry.database, RegistryFile):
                    registry.database.copy_to(path)
                    return True
        if not os.path.exists(database.path):
            return False
        _native.copy_file(database.path, path, self._progress)
        return True
