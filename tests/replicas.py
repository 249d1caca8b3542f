"""A standby of a PostgreSQL: it follows by streaming, falls behind while it is away, and takes over when it is told to."""

from __future__ import annotations

import subprocess
import tempfile
from pathlib import Path

from servers import Postgres, find_program, until

REPLICATION = "host all all 127.0.0.1/32 trust\nhost replication all 127.0.0.1/32 trust\n"
"""What the primary must allow."""


class Standby(Postgres):
    """A copy of a running server; not started yet."""

    def __init__(self, primary: Postgres) -> None:
        super().__init__(Path(tempfile.gettempdir()), access=REPLICATION)
        self.primary = primary

    def command(self, program: str) -> list[str]:
        """Copy the primary if that has not been done, and return the command line."""
        if not self.data.exists():
            self._give_folder(self.folder)
            copy = find_program("pg_basebackup")
            assert copy is not None
            options = ["-R", "-c", "fast", "-d", self.primary.url, "-D", str(self.data)]
            subprocess.run(self._as_user(copy, *options), check=True, capture_output=True, cwd="/")
        return super().command(program)

    def wait_until_level(self) -> None:
        """Wait until it has all that the primary has."""
        is_level = "SELECT count(*) FROM pg_stat_replication WHERE replay_lsn >= pg_current_wal_lsn()"
        until(lambda: self.primary.value(is_level) == "1", "a replica that is level")

    def promote(self) -> None:
        """Let it take writes."""
        self.rows("SELECT pg_promote()")
