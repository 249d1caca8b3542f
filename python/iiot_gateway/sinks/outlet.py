"""The part of a sink that the delivery loop uses: it reads, sends and confirms a batch, and says what an answer of the other side means.

`delivery.py` holds the loop, which knows no protocol and no server. Every method that may wait is called on a worker thread, one at a
time; only `stop_reading` and `stop_sending` come from elsewhere meanwhile.
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
    """Whether it refuses every line, as the loop has found out."""
    rows: tuple[tuple[int, str], ...] = ()
    """The bad lines (index in the batch, the other side's words), where the other side names them."""


TAKEN = Outcome(Result.ACCEPTED)


class Batch(Protocol):
    """Lines of consecutive frames; a line is the unit that can be refused, such as a row of a table."""

    @property
    def lines(self) -> int:
        """How many there are."""

    @property
    def end_position(self) -> int:
        """The place in the journal behind its frames."""

    def line(self, index: int, /) -> bytes:
        """Return one line, for the log and as a canary."""

    def last_lines(self, *, first: int = 0, end: int | None = None) -> dict[bytes, bytes]:
        """Return the last of the lines first..end of each measurement."""


B = TypeVar("B", bound=Batch)


class Outlet(Protocol[B]):
    """The way from the journal to one other side."""

    place: tuple[str, str]
    """By which key and text the log names the other side: ("url", "http://localhost:8086")."""
    refuses_all_remedy: str
    """What to do if the other side refuses every line."""

    def greet(self) -> Outcome:
        """Ask for a sign of life, before the first batch."""

    def next_batch(self) -> B | None:
        """Return the batch behind the last one; None if none has come for a while, or after `stop_reading`. Raises JournalError."""

    def newest(self, behind: B) -> B | None:
        """Return the newest lines in the journal, to be tried as canaries. Raises JournalError."""

    def send(self, batch: B, part: Range) -> Outcome:
        """Send a part of a batch. The same lines may come again: at another attempt, after a restart, or in another part.

        Another side that must commit a batch as a whole names the bad lines: then the whole range comes again without them.
        """

    def prove(self, line: bytes) -> Outcome:
        """Show whether the other side takes this line, which was in a batch before; nothing may be doubled by it."""

    def rewind(self) -> None:
        """Forget the batches that are not confirmed: begin again at the sink's place in the journal."""

    def confirm(self, batch: B, rejects: Sequence[tuple[int, str]], *, wait: bool) -> bool:
        """Confirm a batch of which every line is in but the rejects; without `wait` False where that would block. Raises JournalError."""

    def stop_reading(self) -> None:
        """Let `next_batch` return, now and from now on."""

    def stop_sending(self) -> None:
        """Let `send` and `prove` return CANCELLED, now and from now on."""


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
        """Return the batch behind the last one; None if none has come for a while, or after `stop_reading`."""
        return self._reader.next_batch(
            max_lines=self._max_lines,
            max_bytes=self._max_bytes,
            linger_ms=self._linger_ms,
            timeout_ms=WAIT_FOR_FRAME_MS,
            gzip=self._gzip,
        )

    def newest(self, behind: LineBatch) -> LineBatch | None:
        """Return the newest lines in the journal."""
        return self._reader.newest(behind.end_position)

    def rewind(self) -> None:
        """Begin again at the sink's place in the journal."""
        self._reader.rewind()

    def confirm(self, batch: LineBatch, rejects: Sequence[tuple[int, str]], *, wait: bool) -> bool:
        """Confirm a batch of which every line is in but the rejects."""
        return self._reader.confirm(batch, rejects=rejects, wait=wait)

    def stop_reading(self) -> None:
        """Let `next_batch` return, now and from now on."""
        self._reader.cancel()
