"""The interface of a source: an object with a name that pushes bytes into an intake until it is cancelled."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Protocol

from iiot_gateway.log import SOURCE_STATE, Log

Listener = Callable[[bytes], None]


class Intake(Protocol):
    """The receiver of a source's bytes: the extension's intake, or the file that `record` writes."""

    def push(self, chunk: bytes, received_at_ns: int, /) -> int:
        """Take a chunk, and return how many documents it completed. Never waits for a sync."""

    def read(self, descriptor: int, stop: int, listener: Listener | None = None, /) -> bytes:
        """Push all bytes from a descriptor until its other end, or that of `stop`, hangs up. Return the last bytes."""

    def traffic(self) -> tuple[int, float, int, float]:
        """Return the counts of `read`: bytes, Unix time of the last bytes, documents, Unix time of the last document."""

    def wait_room(self, timeout_s: float, /) -> bool:
        """Wait until the disk has caught up. Return False on a time-out."""

    def restart(self) -> None:
        """Note that the stream was interrupted."""


class Source(Protocol):
    """A source. Each instance has one stream."""

    @property
    def name(self) -> str:
        """The name in the configuration, the journal and the metrics."""

    @property
    def kind(self) -> str:
        """The kind, such as probe_rs, serial, simulate or replay."""

    @property
    def status(self) -> SourceStatus:
        """The present state of the source."""

    async def run(self) -> None:
        """Push bytes until the stream ends for good. Cancelling loses no bytes that were read."""


@dataclass(slots=True)
class SourceStatus:
    """The state of a source, kept by the source itself; times are Unix seconds."""

    state: str = "starting"
    detail: str = ""
    damage: str = ""
    """The fault of a recording: which part could not be read, or that it is empty."""
    since: float = field(default_factory=time.time)
    restarts: int = 0
    bytes: int = 0
    last_bytes_at: float = 0.0
    documents: int = 0
    last_document_at: float = 0.0
    traffic: Callable[[], tuple[int, float, int, float]] | None = None
    """Returns the counts of an intake that reads by itself; see `Intake.traffic`."""

    def received(self, length: int, documents: int) -> None:
        """Count a chunk."""
        now = time.time()
        self.bytes += length
        self.last_bytes_at = now
        if documents:
            self.documents += documents
            self.last_document_at = now

    def refresh(self) -> None:
        """Copy the counts of an intake that reads by itself."""
        if self.traffic is not None:
            self.bytes, self.last_bytes_at, self.documents, self.last_document_at = self.traffic()

    def change(self, log: Log, state: str, detail: str = "", *, bad: bool = False) -> None:
        """Enter a state. A change is logged once."""
        if state == self.state and detail == self.detail:
            return
        self.state, self.detail, self.since = state, detail, time.time()
        (log.warning if bad else log.info)(SOURCE_STATE, state=state, detail=detail)

    def document(self) -> dict[str, Any]:
        """Return the state, for the status document and the metrics."""
        self.refresh()
        return {
            "state": self.state,
            "detail": self.detail,
            "since": self.since,
            "restarts": self.restarts,
            "bytes": self.bytes,
            "last_bytes_at": self.last_bytes_at or None,
            "documents": self.documents,
            "last_document_at": self.last_document_at or None,
        }
