"""What `rust/iiot-native/src/history.rs` gives to Python."""

from collections.abc import Sequence
from typing import Any, Self, final

from iiot_gateway._stubs.copying import CopyProgress
from iiot_gateway._stubs.journal import Journal

@final
class HistorySink:
    """The path of a history sink from the journal to its file. The points never become Python objects."""

    def __new__(cls, journal: Journal, name: str) -> Self: ...
    def open(self, path: str, *, max_age_s: float = 0.0, max_bytes: int = 0, check: bool = True) -> None:
        """Open or make the file. With `check`, an existing file is read to its end, to find damage now. A limit of 0 means no limit. Raises HistoryError. Blocks."""
    def deliver(self, *, max_points: int, linger_ms: int, timeout_ms: int) -> dict[str, int] | None:
        """Store the points behind the sink's cursor and confirm their frames. Waits up to `timeout_ms` for a first frame, then `linger_ms` for more.
        Returns {"frames", "inserted", "replaced", "unchanged", "pruned"}: confirmed frames, and points; None on a time-out, or if the file is not open.
        Raises HistoryError or JournalError; then nothing is confirmed, and the next call begins again. Blocks; releases the interpreter."""
    def size(self) -> dict[str, int] | None:
        """{"series", "points", "bytes"}; None if the file is not open. Waits for a `deliver` under way."""
    def delete(self, device_id: str, start_ns: int, stop_ns: int) -> int | None:
        """Delete the points of all series with the tag `device_id` in [start_ns, stop_ns), Unix nanoseconds, and correct the roll-ups. Returns their number; None if the file is
        not open. Waits for a `deliver` under way. Raises HistoryError, also after `cancel`; then a part may be deleted, and the same call deletes the rest."""
    def copy_to(self, path: str, progress: CopyProgress) -> bool:
        """Copy the file into a new one, synced; nothing is stored meanwhile. False if the file is not open. Waits for a `deliver` under way. Raises JournalError, also
        after `cancel`. Blocks; releases the interpreter."""
    def cancel(self) -> None:
        """Make a waiting `deliver`, and every later one, return at once."""
    def close(self) -> None:
        """Close the file, once a `deliver`, `delete` or `copy_to` under way has returned."""

@final
class HistoryReader:
    """Queries a history file, even while a gateway writes it. Read-only; usable from any thread. Times are nanoseconds since 1970."""

    def __new__(cls, path: str) -> Self:
        """Raises HistoryError."""
    def series(self) -> list[dict[str, Any]]:
        """[{"id": int, "measurement": str, "tags": dict[str, str], "field": str, "topic": str | None, "first_ns": int, "last_ns": int, "points": int}]."""
    def last(self, ids: Sequence[int] | None = None) -> list[dict[str, Any]]:
        """The last point of each series: [{"id": int, "time_ns": int, "value": str, "typed": bool | int | float | str}]; `value` is the text that came. An id without points
        is left out."""
    def range(
        self, id: int, start_ns: int, end_ns: int, *, every_ns: int = 0, agg: str = "mean", limit: int = 100000, timeout_s: float = 0.0
    ) -> tuple[list[int], list[float | None]]:
        """Times and values in [start, end). With `every_ns` 0, these are points; otherwise buckets that begin at whole multiples of `every_ns` since 1970, without empty ones.

        `agg`: mean, min, max, sum, count, first, last, of numbers, where true is 1; a text is counted, but has no value (None). Raises ValueError,
        with the remedy, for an unknown series or agg, and for more than `limit` values. Raises HistoryError otherwise,
        of the kind "timeout" if reading takes longer than `timeout_s` (0: no limit)."""
    def texts(self, id: int, start_ns: int, end_ns: int, *, limit: int = 100000) -> tuple[list[int], list[str]]:
        """Times and original texts of the first `limit` points in [start, end). To continue, call again with a start behind the last time."""
    def values(self, id: int, start_ns: int, end_ns: int, *, limit: int = 100000) -> tuple[list[int], list[bool | int | float | str]]:
        """The same, each value with its own type: a text that looks like a number stays a text."""
    def close(self) -> None:
        """Close the file."""
