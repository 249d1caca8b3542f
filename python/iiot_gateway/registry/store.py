"""The registry as its users hold it."""

from __future__ import annotations

from iiot_gateway.registry.access import AccessKeys
from iiot_gateway.registry.accounts import Accounts
from iiot_gateway.registry.commands import Commands
from iiot_gateway.registry.deletions import Deletions
from iiot_gateway.registry.devices import Devices
from iiot_gateway.registry.file import RegistryFile


class Registry:
    """Devices, keys, commands and deletions in one file. Methods of its parts may be called from any thread."""

    def __init__(self, path: str) -> None:
        """Open the file, and make or migrate it. Raises RegistryUnusable."""
        self._file = RegistryFile(path)
        self.devices = Devices(self._file)
        self.keys = AccessKeys(self._file)
        self.commands = Commands(self._file)
        self.deletions = Deletions(self._file)
        self.accounts = Accounts(self._file)

    def generation(self) -> int:
        """Return a number that is another one after each change, by whomever."""
        return self._file.generation()

    def copy_to(self, path: str) -> None:
        """Copy the file into a new one. Raises RegistryUnusable, and OSError where the new one cannot be made."""
        self._file.copy_to(path)

    def close(self) -> None:
        """Close the file."""
        self._file.close()
