"""The part of a sink that the delivery loop uses: it reads, sends and confirms a batch, and says what an answer of the other side means.

`delivery.py` holds the loop, which knows no protocol and no server. The loop calls every method that may wait on a worker thread. It
calls `stop_reading` and `stop_sending` from its own thread while such a method waits.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum
from typing import TYPE_CHECKING, Protocol, TypeVar

from iiot_gateway.sinks.plan import Range

if TYPE_CHECKING:
    from iiot_gateway._native import LineBatch, LineSink

WAIT_FOR_FRAME_MS = 1000


class Result(Enum):
    """What to do after an answer."""

    ACCEPTED = "accepted"
    """Every line that was sent is stored for good, so the loop may confirm it."""
    BAD_LINES = "bad_lines"
    """Some lines are bad: those that the outcome names; otherwise the loop halves the batch until it finds them."""
    TOO_LARGE = "too_large"
    WAIT = "wait"
    """The peer is not available or not ready."""
    FAILED = "failed"
    """The peer failed because of the request, or at the same time."""
    REFUSED = "refused"
    """The peer refuses the gateway: a person must act."""
    GONE = "gone"
    """The peer will never come back while this process runs: the gateway ends."""
    CANCELLED = "cancelled"


@dataclass(frozen=True, slots=True)
class Outcome:
    """The result of a request to the other side."""

    result: Result
    error: str = ""
    """The other side's own words, for the log, the status and a reject."""
    remedy: str = ""
    retry_after_s: float | None = None
    """How long the other side asks to wait."""
    not_authorized: bool = False
    refuses_all: bool = False
    """Whether the loop has found out that the other side refuses every line."""
    rows: tuple[tuple[int, str], ...] = ()
    """The bad lines (index in the batch, the other side's words), where the other side names them."""


TAKEN = Outcome(Result.ACCEPTED)


class Batch(Protocol):
    """Lines of consecutive frames. A line is the unit that the other side can refuse."""

    @property
    def lines(self) -> int:
        """The number of lines."""

    @property
    def end_position(self) -> int:
        """The position in the journal behind the last frame of the batch."""

    def line(self, index: int, /) -> bytes:
        """Return one line, for the log and as a canary."""

    def last_lines(self, *, first: int = 0, end: int | None = None) -> dict[bytes, bytes]:
        """Return the last line of each measurement among the lines first..end, by measurement."""


B = TypeVar("B", bound=Batch)


class Outlet(Protocol[B]):
    """The way from the journal to one other side."""

    place: tuple[str, str]
    """The key and the text with which the log names the other side: ("url", "http://localhost:8086")."""
    refuses_all_remedy: str
    """What to do if the other side refuses every line."""

    def greet(self) -> Outcome:
        """Find out whether the other side is available, before the first batch."""

    def next_batch(self) -> B | None:
        """Return the next batch, or None if no frame came for a while or after `stop_reading`. Raises JournalError."""

    def newest(self, behind: B) -> B | None:
        """Return the newest lines in the journal, as canaries; None if no frame is behind the batch. Raises JournalError."""

    def send(self, batch: B, part: Range) -> Outcome:
        """Send a part of a batch. The same lines may be sent again: at another attempt, after a restart, or in another part.

        If the other side must commit a batch as a whole, it names the bad lines. Then the whole range is sent again without them.
        """

    def prove(self, line: bytes) -> Outcome:
        """Show whether the other side accepts this line, which was in a batch before. Sending the line again must not double it."""

    def rewind(self) -> None:
        """Forget the batches that are not confirmed, and read again from the sink's position in the journal."""

    def confirm(self, batch: B, rejects: Sequence[tuple[int, str]], *, wait: bool) -> bool:
        """Confirm a batch: every line is stored, except the rejects (index, reason).

        Return False if `wait` is False and the call would block. Raises JournalError.
        """

    def stop_reading(self) -> None:
        """Make `next_batch` return at once, now and in future."""

    def stop_sending(self) -> None:
        """Make `send` and `prove` return CANCELLED, now and in future."""


class LineOutlet:
    """The half of an outlet that reads lines from the journal and confirms them."""

    refuses_all_remedy = ""

    def __init__(self, reader: LineSink, *, max_lines: int, max_bytes: int, linger_ms: int, gzip: bool = False) -> None:
        self._reader = reader
        self._max_lines = max_lines
        self._max_bytes = max_bytes
        self._linger_ms = linger_ms
        self._gzip = gzip

    def next_batch(self) -> LineBatch | None:
        """Return the next batch, or None if no frame came for a while or after `stop_reading`."""
        return self._reader.next_batch(
            max_lines=self._max_lines,
            max_bytes=self._max_bytes,
            linger_ms=self._linger_ms,
            timeout_ms=WAIT_FOR_FRAME_MS,
            gzip=self._gzip,
        )

    def newest(self, behind: LineBatch) -> LineBatch | None:
        """Return the newest lines in the journal; None if no frame is behind the batch."""
        return self._reader.newest(behind.end_position)

    def rewind(self) -> None:
        """Read again from the sink's position in the journal."""
        self._reader.rewind()

    def confirm(self, batch: LineBatch, rejects: Sequence[tuple[int, str]], *, wait: bool) -> bool:
        """Confirm a batch: every line is stored, except the rejects."""
        return self._reader.confirm(batch, rejects=rejects, wait=wait)

    def stop_reading(self) -> None:
        """Make `next_batch` return at once, now and in future."""
        self._reader.cancel()
