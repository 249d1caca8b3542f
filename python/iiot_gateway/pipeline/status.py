"""The status document: the journal's ledger, with the states of sources and sinks."""

from __future__ import annotations

import os
import time
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from iiot_gateway import __version__
from iiot_gateway._native import crossings
from iiot_gateway.log import lines_lost
from iiot_gateway.sinks.base import Sink
from iiot_gateway.sources.base import Source

if TYPE_CHECKING:
    from iiot_gateway._native import Journal

RATE_WINDOW_S = 60.0


class StatusView:
    """Builds the document of a running gateway. `document` reads the journal, so call it from a worker thread."""

    def __init__(
        self,
        journal: Journal,
        sources: Sequence[Source],
        sinks: Sequence[Sink],
        refusals: Mapping[str, Callable[[], dict[str, int]]] | None = None,
        notes: Sequence[str] = (),
    ) -> None:
        self._journal = journal
        self.sources = sources
        self._sinks = sinks
        self._refusals = refusals or {}
        self._notes = notes
        self._started = time.time()
        self._samples: deque[tuple[float, int]] = deque(maxlen=64)

    def document(self) -> dict[str, Any]:
        """Return {"gateway", "intake", "sinks", "sites", "journal", "source", "refused"}; units are frames."""
        document = self._journal.status()
        for sink in self._sinks:
            document["sinks"].setdefault(sink.name, {}).update(kind=sink.kind, **sink.status.document())
        for ledger in document["sinks"].values():
            # The journal also knows sinks that are no longer configured.
            ledger.setdefault("state", "removed")
            ledger.setdefault("last_error", None)
        document["source"] = {source.name: {"kind": source.kind, **source.status.document()} for source in self.sources}
        document["refused"] = {name: counts() for name, counts in self._refusals.items()}
        document["gateway"] = {
            "version": __version__,
            "pid": os.getpid(),
            "uptime_s": round(time.time() - self._started, 3),
            "frames_per_s": round(self._rate(int(document["intake"].get("received", 0))), 3),
            "crossings": crossings(),
            "log_lines_lost": lines_lost(),
            "resident_bytes": _resident_bytes(),
            "notes": list(self._notes),
        }
        return document

    def health(self) -> dict[str, Any]:
        """Return the document for the health topic: the ledger, without the texts of errors and notes."""
        document = self.document()
        del document["gateway"]["notes"]
        sinks = {name: {key: value for key, value in sink.items() if key != "last_error"} for name, sink in document["sinks"].items()}
        sources = {name: {"state": source["state"], "restarts": source["restarts"]} for name, source in document["source"].items()}
        return {**document, "sinks": sinks, "source": sources}

    def _rate(self, received: int) -> float:
        now_s = time.monotonic()
        while self._samples and now_s - self._samples[0][0] > RATE_WINDOW_S:
            self._samples.popleft()
        if not self._samples or now_s - self._samples[-1][0] >= 1.0:
            self._samples.append((now_s, received))
        first_s, first = self._samples[0]
        return (received - first) / (now_s - first_s) if now_s > first_s else 0.0


def _resident_bytes() -> int:
    """Return the resident memory of this process in bytes, as the kernel counts it."""
    with open("/proc/self/statm") as file:
        return int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")


def of_stopped(ledger: dict[str, Any]) -> dict[str, Any]:
    """Complete the ledger of a journal that no gateway has open, so that it has the form of a status document."""
    for sink in ledger["sinks"].values():
        sink.setdefault("state", "stopped" if sink.get("active", True) else "removed")
        sink.setdefault("last_error", None)
    # Nothing arrives now, and the rate at the end of a run says nothing about the next run.
    journal = {**ledger["journal"], "bytes_per_s": 0.0, "hours_left": None}
    return {**ledger, "journal": journal, "source": {}, "gateway": None}
