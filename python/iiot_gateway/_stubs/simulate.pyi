"""What `rust/iiot-native/src/simulate.rs` gives to Python."""

from typing import Self, final

@final
class Simulator:
    """Simulates sensor nodes, and the log that probe-rs would print for their receiver. The same arguments give the same bytes."""

    def __new__(cls, *, nodes: int, rate_per_s: float | None, seed: int, start_ns: int) -> Self:
        """`rate_per_s` counts the readings of all nodes in simulated time, which begins at `start_ns`; with None each node measures every
        10 s. Raises ValueError."""
    @property
    def next_ns(self) -> int:
        """The simulated time of the next reading."""
    def advance(self, until_ns: int | None, *, max_readings: int) -> bytes:
        """The log of all events before a time (None: without a limit), for at most `max_readings` readings. Releases the interpreter."""
    def counts(self) -> dict[str, int]:
        """The counts so far: {"readings", "lost", "damaged", "documents", "duplicates", "node_restarts", "receiver_restarts"};
        documents = readings - lost - damaged + duplicates."""
