"""What `rust/iiot-native/src/posts.rs` gives to Python."""

from collections.abc import Sequence
from typing import Self, final

from iiot_gateway._stubs.decode import Profile
from iiot_gateway._stubs.journal import Journal

@final
class Posts:
    """The source of HTTP clients in the journal. It takes batches of messages, and returns the outcome of each message once it is synced."""

    def __new__(
        cls,
        journal: Journal,
        name: str,
        *,
        profile: Profile,
        topic_prefix: str,
        tags: dict[str, str],
        dedup_window_s: float = 3600.0,
        message_id_window_s: float = 900.0,
        max_message_ids: int = 2_000_000,
        max_document_bytes: int = 65536,
    ) -> Self:
        """Begin the source. A message id is remembered for `message_id_window_s`, even over restarts; an id takes 24 to 30 bytes of memory and 16 of the journal."""
    def post(self, messages: Sequence[tuple[str | None, bytes, str, bytes, bytes | None, int]]) -> int:
        """Queue messages as one batch: (topic, document, device id or "", result of `device_tags` or b"", message id, arrival in Unix nanoseconds).

        Returns the ticket of the batch. Scans the messages, but does not wait for the disk. Check `has_room` first. Raises ValueError if there are no messages, and
        JournalError for a closed journal."""
    def fileno(self) -> int:
        """A descriptor that is readable when `results` has results. Raises ValueError when it is closed."""
    def results(self) -> list[tuple[int, list[tuple[str, str]]]]:
        """Every synced batch that was not returned before, in the order of the tickets: (ticket, (outcome, detail) per message, in order).

        Outcomes: accepted (the detail names values that could not be used), duplicate, conflict (same device and message id, other content; not kept), rejected
        ("reason: text"; kept), refused (too many message ids within the window; not kept), ignored (the profile says that the document is not telemetry)."""
    def has_room(self) -> bool:
        """Whether the journal has room now."""
    def counts(self) -> tuple[int, int, int]:
        """Messages so far, their bytes, and when the last one came (nanoseconds since 1970, 0 before the first)."""
    def close(self) -> None:
        """Close the descriptor, which must no longer be watched. Batches that were not returned stay in the journal."""

def device_tags(tags: dict[str, str]) -> bytes:
    """Return the snapshot of a device with these tags, which override all other tags of its points. Tags without a value are left out.

    Raises ValueError for an empty key, and for more than 16 KiB."""

def read_time(text: bytes) -> int | None:
    """Read a JSON value as a time, like a profile with the format "auto": a number since 1970 (its size tells the unit), also in quotes, or RFC 3339. Returns Unix nanoseconds."""
