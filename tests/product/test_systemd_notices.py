"""What the gateway tells the service manager that started it; the test is the manager's end of NOTIFY_SOCKET."""

from __future__ import annotations

import os
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from gateways import Gateway

WATCHDOG_USEC = "200000"


class Manager:
    """Receives what sd_notify(3) sends."""

    def __init__(self, address: str) -> None:
        self.address = address
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._socket.bind(address.replace("@", "\0", 1) if address.startswith("@") else address)
        self._socket.settimeout(15)

    def next(self) -> str:
        """Return the next message. Raises TimeoutError if none comes."""
        return self._socket.recv(4096).decode()

    def rest(self) -> list[str]:
        """Return what has come by now."""
        self._socket.setblocking(False)
        found = []
        try:
            while True:
                found.append(self.next())
        except BlockingIOError:
            return found

    def close(self) -> None:
        """End it."""
        self._socket.close()


@pytest.fixture(params=["file", "abstract"])
def manager(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Manager]:
    """A manager with a socket in the file system or beside it."""
    it = Manager(str(tmp_path / "notify") if request.param == "file" else f"@iiot-{os.getpid()}-{tmp_path.name}")
    yield it
    it.close()


def test_the_manager_hears_ready_then_signs_of_life_then_stopping(gateway: Gateway, manager: Manager) -> None:
    """READY=1 once, WATCHDOG=1 again and again, STOPPING=1 when it is told to end."""
    gateway.configure("")
    gateway.start("run", env={**os.environ, "NOTIFY_SOCKET": manager.address, "WATCHDOG_USEC": WATCHDOG_USEC})

    running = [manager.next() for _ in range(4)]
    assert gateway.stop() == 0
    ending = manager.rest()

    assert sorted(running) == ["READY=1", "WATCHDOG=1", "WATCHDOG=1", "WATCHDOG=1"]
    assert [message for message in ending if message != "WATCHDOG=1"] == ["STOPPING=1"]


def test_a_watchdog_of_another_process_is_not_fed(gateway: Gateway, manager: Manager) -> None:
    """WATCHDOG_PID names whom the manager watches; a child that inherits the environment is not it."""
    gateway.configure("")
    gateway.start(
        "run",
        env={**os.environ, "NOTIFY_SOCKET": manager.address, "WATCHDOG_USEC": WATCHDOG_USEC, "WATCHDOG_PID": str(os.getpid())},
    )

    assert manager.next() == "READY=1"
    assert gateway.stop() == 0
    assert manager.rest() == ["STOPPING=1"]
