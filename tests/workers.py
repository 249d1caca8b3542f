"""Workers of a share, and the sites whose values they take: gateways with their HTTP face on, asked together by `fleet status`."""

from __future__ import annotations

import json
import subprocess
import sys
from contextlib import suppress
from pathlib import Path
from typing import Any

from gateways import Gateway
from watched import Watched

GROUP = "store"
OWN = "iiot/+/+"
"""The topics of the values of a gateway."""


class Worker(Watched):
    """A gateway that takes its part of the messages of a broker into a database."""

    def __init__(
        self,
        folder: Path,
        broker_url: str,
        database_url: str,
        *,
        topics: str = OWN,
        keys: str = 'profile = "gateway-topics"',
        sink: str = "",
    ) -> None:
        super().__init__(
            folder,
            f'[mqtt_consumer]\nbroker_url = "{broker_url}"\ntopics = ["$share/{GROUP}/{topics}"]\nprotocol = "5"\n'
            f"{keys}\n"
            f'[postgresql]\nurl = "{database_url}"\nunique = true\nbatch_interval_ms = 10\n{sink}\n',
        )

    def work(self) -> None:
        """Start it and wait until the broker has its subscription."""
        self.start("run")
        self.until(lambda status: status["source"]["mqtt_consumer"]["state"] == "subscribed", "the subscription")


class Site(Watched):
    """A gateway that publishes the values of its nodes."""

    def __init__(self, folder: Path, broker_url: str, sections: str = "") -> None:
        super().__init__(folder, f'{sections}[mqtt]\nbroker_url = "{broker_url}"\nprotocol = "5"\nclient_id = "{folder.name}"\n')


def fleet(*gateways: Watched, wait_s: float = 20.0) -> tuple[int, dict[str, Any]]:
    """Ask `fleet status`; return its exit code and document."""
    command = [sys.executable, "-m", "iiot_gateway", "fleet", "status", *(each.url for each in gateways), "--json", "--wait", str(wait_s)]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=120)
    assert done.stdout, done.stderr
    document: dict[str, Any] = json.loads(done.stdout)
    return done.returncode, document


def accepted(*workers: Gateway) -> int:
    """Return how many frames the workers have accepted together, those that answer."""
    total = 0
    for worker in workers:
        with suppress(OSError):
            total += worker.ask()["intake"]["accepted"]
    return total


def until_stored(*workers: Gateway, timeout_s: float = 60.0) -> None:
    """Wait until no worker has a frame that is not in the database."""
    for worker in workers:
        worker.until(lambda status: not any(sink["queued"] for sink in status["sinks"].values()), "every frame stored", timeout_s)
