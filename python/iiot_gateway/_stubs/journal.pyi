"""What `rust/iiot-native/src/journal.rs` gives to Python."""

from collections.abc import Sequence
from typing import Any, Literal, final

from iiot_gateway._stubs.copying import CopyProgress
from iiot_gateway._stubs.decode import Profile
from iiot_gateway._stubs.devices import DeviceDirectory
from iiot_gateway._stubs.intake import Intake

@final
class Journal:
    """The durable log between sources and sinks. One process at a time; all methods may be called from any thread."""

    @staticmethod
    def open(
        path: str,
        *,
        sync: Literal["full", "normal"] = "full",
        max_bytes: int = 268435456,
        max_age_s: float = 0.0,
        max_rejects: int = 10000,
        keep_confirmed_s: float = 0.0,
        keep_sinks: bool = False,
    ) -> Journal:
        """Open or create the journal; starts the writer and the sync thread. Raises JournalError. `max_age_s` 0 means no limit of age.
        Frames that every sink has confirmed stay for `keep_confirmed_s` while half of the room is free, for a database that returns to an earlier state.
        With `keep_sinks`, the sinks of the last run stay active without `add_sink`, which a retry on a stopped gateway needs."""
    @staticmethod
    def inspect(path: str) -> dict[str, Any]:
        """The `status()` of a journal, read-only. A process may have the journal open for writing."""
    @staticmethod
    def inspect_rejects(path: str, *, limit: int = 100) -> list[dict[str, Any]]:
        """The `rejects()` of a journal, read-only; as `inspect`. Raises JournalError."""
    def notes(self) -> list[str]:
        """Sentences for the log that were not returned before: a torn tail that was dropped, a clock that was set back, a full disk."""
    def status(self) -> dict[str, Any]:
        """The ledger: {"intake": {...}, "sinks": {name: {...}}, "sites": {...}, "journal": {...}}; units are frames. See "ledger" in docs/glossary.md."""
    def rejects(self, *, limit: int = 100) -> list[dict[str, Any]]:
        """Newest first: {"id", "at_ns", "sink" (None for intake), "source", "position", "point", "field", "topic", "reason", "place",
        "excerpt"}; the frame came under `topic`."""
    def retry_rejects(
        self, sources: dict[str, tuple[Profile, float]], *, ids: Sequence[int] | None = None, devices: DeviceDirectory | None = None
    ) -> dict[str, int]:
        """Offer rejects again, the oldest first, with the present profile and dedup_window_s of their source, by its name. Rejects because of their device are
        looked up in `devices`; without it, such documents are accepted without tags of a device.
        Returns {"accepted", "duplicate", "still_rejected", "without_source"}."""
    def add_source(
        self,
        name: str,
        *,
        profile: Profile,
        topic_prefix: str,
        tags: dict[str, str],
        dedup_window_s: float = 3600.0,
        time_step_us: int = 1000,
        replayable: bool = False,
        max_document_bytes: int = 65536,
        rtt_channel: str | None = None,
    ) -> Intake:
        """Begin a live source. A replayable source waits for a slow disk; any other may queue 16 MB, and then loses data, which is counted.

        With `rtt_channel`, the whole stream is read until a line begins with `[rtt_channel] `; from there on, only that channel is read."""
    def add_recording(
        self,
        name: str,
        *,
        fingerprint: str,
        arguments: str,
        from_start: bool = False,
        start_ns: int | None = None,
        profile: Profile,
        topic_prefix: str,
        tags: dict[str, str],
        dedup_window_s: float = 3600.0,
        time_step_us: int = 1000,
        max_document_bytes: int = 65536,
        rtt_channel: str | None = None,
    ) -> Intake:
        """Begin or resume a recording. With `start_ns`, times follow the node's clock; without it, they are the times given to `push`.
        Raises ValueError if it was begun with other `arguments` and `from_start` is not set."""
    def add_sink(self, name: str, *, profiles: Sequence[str] | None = None) -> None:
        """Register the sink. A new sink starts at the oldest kept frame. Call this for every configured sink before any source."""
    @property
    def id(self) -> str:
        """A random id of this journal, 32 hexadecimal digits, made together with the journal."""
    run: str
    """The run that this opening began, in hexadecimal."""
    def site_chunks(self, origin: str, *, behind: tuple[str, int] | None = None, limit: int = 256) -> list[tuple[str, int, bytes]]:
        """The values that came from a site: run, number (position divided by 64) and values, in the order of run and number, after the given run and number.

        Each value is three varints: the frame's distance from the one before within the 64, the point and the field."""
    def may_drop(self, name: str) -> None:
        """If room is scarce, drop frames first that only this sink lacks."""
    def end(self, timeout_s: float) -> int | None:
        """The position behind all data pushed so far, once it is synced; None if that takes longer than the time-out."""
    def behind(self, position: int) -> list[str]:
        """The configured sinks whose stored cursor has not passed a position, by name. Raises JournalError."""
    def delete_rejects(self, device_id: str, start_ns: int, stop_ns: int) -> int:
        """Delete the rejects of a device with times in [start_ns, stop_ns), Unix nanoseconds. Returns their number. The deletion, and all commits before, then
        survive a loss of power. Raises JournalError."""
    def wait_delivered(self, timeout_s: float) -> bool:
        """Wait until every added sink has passed every committed frame. False on a time-out."""
    def sync(self, timeout_s: float) -> bool:
        """Commit and sync all data pushed so far. False on a time-out."""
    def copy_to(self, path: str, progress: CopyProgress) -> None:
        """Copy the file into a new one while it is written, in steps of some milliseconds. The copy is synced, and holds all commits up to the return of this
        call. Raises JournalError, also after `cancel`, and ValueError while another copy is being made. Blocks; releases the interpreter."""
    @staticmethod
    def copy_file(path: str, to: str, progress: CopyProgress) -> None:
        """The same for a journal that no process has open. The journal is not changed."""
    def close(self, timeout_s: float = 3.0) -> int:
        """Commit, sync, checkpoint, stop the threads, release the lock. Idempotent.

        Returns the number of documents of live sources that could not be committed, and are lost."""
