"""A gateway node, sensor nodes and the air between them, all at once; in a thread of its own, so that anything may run beside it."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Coroutine, Sequence
from pathlib import Path
from typing import Any, Self, TypeVar

from iiot_gateway.devices.air import Air, AirPlan
from iiot_gateway.devices.board import Board, NodePlan

T = TypeVar("T")
CALL_S = 60.0


class Simulation:
    """Runs while it is entered; `boards` by address."""

    def __init__(self, folder: Path, nodes: Sequence[NodePlan], air: AirPlan | None = None) -> None:
        self.boards: dict[int, Board] = {}
        self._folder = folder
        self._nodes = nodes
        self._air_plan = air or AirPlan()
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="simulation", daemon=True)

    def __enter__(self) -> Self:
        """Start everything. Raises GatewayError."""
        self._thread.start()
        try:
            self.call(self._start())
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_exc: object) -> None:
        """End everything."""
        self.call(self._stop())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    def call(self, action: Coroutine[Any, Any, T]) -> T:
        """Run something in the simulation's thread and wait for it."""
        return asyncio.run_coroutine_threadsafe(action, self._loop).result(CALL_S)

    def do(self, action: Callable[[], T]) -> T:
        """Call a plain function there."""

        async def run() -> T:
            return action()

        return self.call(run())

    async def _start(self) -> None:
        self.air = Air(self._air_plan, self._loop)
        for plan in self._nodes:
            self.boards[plan.address] = Board(plan, self._folder / f"node{plan.address}", self.air)
        await asyncio.gather(*(board.start() for board in self.boards.values()))

    async def _stop(self) -> None:
        await asyncio.gather(*(board.stop() for board in self.boards.values()))
