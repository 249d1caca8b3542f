"""What `rust/iiot-native/src/decode.rs` gives to Python."""

from typing import Self, final

@final
class Profile:
    """Rules that turn documents into points. Immutable; shareable between threads."""

    @staticmethod
    def parse(text: str) -> Profile:
        """Compile the text of a profile file. Raises ProfileError with every fault."""
    def may_give(self, measurement: str, field: str) -> bool:
        """Whether any document may give a field of a measurement. An empty name stands for every name."""
    def heard(self, document: bytes) -> list[tuple[str, int | None, int]]:
        """Node, boot number and sequence number of every packet in a document; empty if the values had waited at their node."""
    @property
    def name(self) -> str:
        """The name that the profile gives itself."""
    @property
    def hash(self) -> str:
        """16 hexadecimal digits of the text's fingerprint."""

@final
class Decoder:
    """Decodes without a journal, for `decode`, `profile test` and benchmarks."""

    def __new__(
        cls,
        profile: Profile,
        *,
        topic_prefix: str,
        tags: dict[str, str],
        max_document_bytes: int = 65536,
        rtt_channel: str | None = None,
    ) -> Self:
        """With `rtt_channel`, only that channel is decoded if probe-rs prints several; see `Journal.add_source`."""
    def push(self, chunk: bytes, received_at_ns: int, *, publishes: bool = True) -> Decoded:
        """Decode a chunk. Without `publishes`, only lines are written."""
    def finish(self, received_at_ns: int) -> Decoded:
        """End the stream: a document that is still open is damaged."""
    def message(self, document: bytes, received_at_ns: int, *, topic: str | None = None) -> Decoded:
        """Decode one message, which is a whole document that came under `topic`: any JSON value, or a bare text if the profile accepts one."""

@final
class Decoded:
    """The result of one chunk or message."""

    documents: int
    points: int
    ignored: dict[str, int]
    """How many documents the profile ignored, by their name in the profile."""
    unused_times: list[str]
    """Why times in the documents are not the times of their values; at most one text per document and reason."""
    def lines(self) -> bytes:
        """The points in line protocol, each line with its line feed."""
    def publishes(self) -> list[tuple[bytes, bytes, bool]]:
        """(topic, payload, retain)."""
    def rejects(self) -> list[tuple[int, str, str]]:
        """(byte offset in the stream, or in that of its RTT channel if there are several; reason; excerpt)."""

@final
class Pacer:
    """Cuts a recording into pieces by the node's own clock, for playback in real time."""

    def __new__(cls, profile: Profile, *, max_document_bytes: int = 65536, rtt_channel: str | None = None) -> Self: ...
    def skip(self, chunk: bytes) -> None:
        """Skip bytes before the first `push`, as `Intake.skip` does."""
    def push(self, chunk: bytes) -> list[tuple[int, int]]:
        """(end offset in the chunk, milliseconds since the first document) for every document with a node time in it, in order."""
