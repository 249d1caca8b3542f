"""What `rust/iiot-native/src/lines.rs` gives to Python."""

from collections.abc import Sequence
from typing import Literal, Self, final

from iiot_gateway._stubs.journal import Journal

@final
class LineSink:
    """Reads lines of the frames behind a sink's cursor, for a database or a pipe."""

    def __new__(
        cls, journal: Journal, name: str, *, format: Literal["influx", "json"] = "influx", integers: Literal["typed", "float"] = "typed"
    ) -> Self:
        """ "influx" gives line protocol. "json" gives one object per point:
        `{"measurement":"temperature","tags":{"node":"1"},"fields":{"value":27.60},"time":1764393600000000000}`, the time in nanoseconds since 1970.

        With integers = "float", line protocol writes integers as floats, for a database that already stores them as floats."""
    def next_batch(self, *, max_lines: int, max_bytes: int, linger_ms: int, timeout_ms: int, gzip: bool = False) -> LineBatch | None:
        """The next batch; waits up to `timeout_ms` for a first frame, then `linger_ms` for more. None on a time-out.
        Blocks; releases the interpreter. Batches may be prepared ahead; they are confirmed in order. With `gzip`, for a poster that compresses, the
        whole batch is compressed here while another one is posted."""
    def newest(self, behind: int) -> LineBatch | None:
        """Lines of the newest frames, at most the last 64, from position `behind` on. They cannot be confirmed. None if there are none."""
    def rewind(self) -> None:
        """Forget returned batches that are not confirmed, and begin again at the stored cursor."""
    def confirm(self, batch: LineBatch, *, rejects: Sequence[tuple[int, str]] = (), wait: bool = True) -> bool:
        """Confirm that the other side has every line of the batch except `rejects` (line index, reason), which are stored as rejects.

        Returns when the previous confirmation is committed; this one is committed at the latest when the journal is closed. Without `wait`, this never
        blocks: if the previous one is not committed yet, it returns False and confirms nothing."""
    def cancel(self) -> None:
        """Make a waiting `next_batch` return None now, and every later one."""

@final
class LineBatch:
    """Lines of consecutive frames. Immutable."""

    lines: int
    frames: int
    byte_length: int
    first_position: int
    end_position: int
    def line(self, index: int) -> bytes:
        """One line, with its line feed. Raises ValueError if there is no such line."""
    def text(self, *, first: int = 0, end: int | None = None) -> bytes:
        """The lines `first`..`end`, each with its line feed. Raises ValueError if the batch has fewer lines."""
    def last_lines(self, *, first: int = 0, end: int | None = None, most: int = 1000) -> dict[bytes, bytes]:
        """The last line of each measurement among `first`..`end`, by the measurement in the form of lines; for at most `most` measurements."""
