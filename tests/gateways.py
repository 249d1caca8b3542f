"""The gateway as a process: started, asked, killed and started again, as an operator or a power cut would."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

from servers import until

START = "2023-01-04T21:31:22Z"
START_MS = 1_672_867_882_000


class Gateway:
    """One folder with a configuration and a journal, and at most one process on it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        folder.mkdir(parents=True, exist_ok=True)
        self.config = folder / "config.toml"
        self.journal = folder / "journal.db"
        self.log_path = folder / "gateway.log"
        self.process: subprocess.Popen[bytes] | None = None

    def configure(self, text: str, *, journal: Path | None = None, journal_keys: str = "") -> None:
        """Write the configuration; the journal and a silent HTTP port are filled in."""
        self.journal = journal or self.journal
        self.config.write_text(f'{text}\n[journal]\npath = "{self.journal}"\n{journal_keys}\n[http]\nenabled = false\n')

    def command(self, *arguments: str) -> list[str]:
        """Return the command line."""
        return [sys.executable, "-m", "iiot_gateway", *arguments, "--config", str(self.config)]

    def start(self, *arguments: str, **settings: Any) -> subprocess.Popen[bytes]:
        """Start a command without waiting for it."""
        with self.log_path.open("ab") as log:
            self.process = subprocess.Popen(
                self.command(*arguments),
                stdin=settings.pop("stdin", subprocess.DEVNULL),
                stdout=log,
                stderr=log,
                cwd=self.folder,
                **settings,
            )
        return self.process

    def run(self, *arguments: str, timeout_s: float = 120.0) -> subprocess.CompletedProcess[str]:
        """Run a command to its end."""
        return subprocess.run(
            self.command(*arguments), capture_output=True, text=True, timeout=timeout_s, cwd=self.folder, check=False, env=dict(os.environ)
        )

    def kill9(self) -> None:
        """End it as a power cut would."""
        if self.process is not None:
            self.process.kill()
            self.process.wait()
            self.process = None

    def stop(self, timeout_s: float = 10.0) -> int:
        """End it as a service manager would."""
        assert self.process is not None
        self.process.send_signal(signal.SIGTERM)
        code = self.process.wait(timeout_s)
        self.process = None
        return code

    def wait(self, timeout_s: float = 90.0) -> int:
        """Wait until it ends by itself."""
        assert self.process is not None
        code = self.process.wait(timeout_s)
        self.process = None
        return code

    def end(self) -> None:
        """Whatever it is doing."""
        self.kill9()

    def ask(self, command: str = "status", **request: Any) -> Any:
        """Ask the running gateway over its control socket. Raises OSError if it does not answer."""
        from iiot_gateway.errors import GatewayUnreachable
        from iiot_gateway.pipeline.control import ask

        try:
            return ask(str(self.journal), {"command": command, **request})
        except GatewayUnreachable as error:
            raise OSError(str(error)) from error

    def until(self, condition: Any, what: str, timeout_s: float = 60.0) -> dict[str, Any]:
        """Wait until the status of the running gateway is as wanted, and return it."""
        found: dict[str, Any] = {}

        def holds() -> bool:
            nonlocal found
            if self.process is not None and self.process.poll() is not None:
                raise RuntimeError(f"the gateway ended with {self.process.returncode}:\n{self.log()[-3000:]}")
            try:
                found = self.ask()
            except OSError:
                return False
            return bool(condition(found))

        try:
            until(holds, what, timeout_s)
        except TimeoutError as error:
            error.add_note(f"the gateway's log:\n{self.log()[-3000:]}")
            raise
        return found

    def status(self) -> dict[str, Any]:
        """Return the ledger, from the running gateway or from the journal of the stopped one."""
        done = self.run("status", "--json")
        assert done.returncode == 0, done.stderr
        document: dict[str, Any] = json.loads(done.stdout)
        return document

    def log(self) -> str:
        """Return everything it said."""
        return self.log_path.read_text(errors="replace") if self.log_path.exists() else ""


def assert_balanced(status: dict[str, Any]) -> None:
    """The ledger balances in every line."""
    intake = status["intake"]
    assert intake["received"] == intake["accepted"] + intake["duplicate"] + intake["rejected"], intake
    for name, sink in status["sinks"].items():
        parts = ("delivered", "queued", "rejected", "dropped", "superseded")
        assert sink["accepted"] == sum(sink[part] for part in parts), (name, sink)
