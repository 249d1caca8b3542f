"""What `rust/iiot-native/src/live.rs` gives to Python."""

from typing import Self, final

from iiot_gateway._stubs.journal import Journal

@final
class Live:
    """The newest value of every topic and of every node's link. It works beside the sinks, has no ledger, and delays nothing.

    Its documents are UTF-8 JSON (/api/v1/openapi.json, schemas Latest and Changes). Values are texts as they came; times are milliseconds since 1970."""

    def __new__(cls, journal: Journal, *, max_bytes: int = 1048576) -> Self:
        """Begin with the frames that the journal still holds, and the values that its sinks have confirmed. `max_bytes` of frames are kept between two calls of `follow`."""
    def follow(self) -> int:
        """Decode the frames committed since the last call. Returns the version, which rises if there were any. Releases the interpreter."""
    def latest(self) -> bytes:
        """All series and values, with the samples for sparklines."""
    def changes(self, since: int) -> bytes:
        """The changes after version `since`: new series, and values."""
