"""The registry, in the form that other modules use."""

from __future__ import annotations

from iiot_gateway.registry.access import AccessKeys
from iiot_gateway.registry.accounts import Accounts
from iiot_gateway.registry.commands import Commands
from iiot_gateway.registry.database import Database
from iiot_gateway.registry.deletions import Deletions
from iiot_gateway.registry.devices import Devices


class Registry:
    """Devices, keys, commands and deletions in one database. Methods of its parts may be called from any thread."""

    def __init__(self, database: Database) -> None:
        self.database = database
        self.devices = Devices(self.database)
        self.keys = AccessKeys(self.database)
        self.commands = Commands(self.database)
        self.deletions = Deletions(self.database)
        self.accounts = Accounts(self.database)

    def generation(self) -> int:
        """Return a number that changes with each relevant change, in any process. Raises RegistryUnusable."""
        return self.database.generation()

    def close(self) -> None:
        """Close the database."""
        self.database.close()
