"""What `rust/iiot-native/src/http.rs` gives to Python."""

from typing import Self, final

from iiot_gateway._stubs.lines import LineBatch

@final
class Poster:
    """A persistent HTTP connection that posts line protocol."""

    def __new__(
        cls,
        url: str,
        *,
        headers: dict[str, str],
        timeout_s: float = 30.0,
        gzip: bool = True,
        ca_file: str | None = None,
        max_body_bytes: int = 65536,
    ) -> Self:
        """`url` is the whole write URL with its query. The first `max_body_bytes` of an answer's body are kept. Raises HttpError."""
    def post(self, batch: LineBatch, *, first: int = 0, end: int | None = None) -> Answer:
        """POST the lines first..end of the batch. Errors of the peer never raise. Blocks; releases the interpreter."""
    def post_bytes(self, body: bytes) -> Answer:
        """POST bytes unchanged, for callers without a batch."""
    def get(self, url: str) -> Answer:
        """GET with the same headers and settings, for health checks."""
    def cancel(self) -> None:
        """End a `post` under way, and every later one, with the error "cancelled"."""

@final
class Answer:
    """The result of a request: a status, or an error (refused, timeout, tls, dns, reset, cancelled) with status 0."""

    status: int
    error: str | None
    detail: str
    retry_after_s: float | None
    content_type: str
    """The content type that the peer gives; empty if it gives none."""
    location: str
    """The target of a redirect, which is not followed; empty if there is none."""
    body: bytes
    """The first `max_body_bytes` of the body."""
