"""What `rust/iiot-native/src/recorder.rs` gives to Python."""

from collections.abc import Callable, Sequence
from typing import Literal, Self, final

@final
class MqttRecorder:
    """A consumer for `record`. It calls a function with a list of (topic, payload, arrival in Unix nanoseconds), and acknowledges the messages when it returns."""

    def __new__(
        cls,
        listener: Callable[[list[tuple[bytes, bytes, int]]], object],
        *,
        broker_url: str,
        client_id: str,
        subscriptions: Sequence[tuple[str, int]],
        max_document_bytes: int = 65536,
        protocol: Literal["3.1.1", "5"] = "3.1.1",
        username: str | None = None,
        password: str | None = None,
        ca_file: str | None = None,
        client_cert_file: str | None = None,
        client_key_file: str | None = None,
    ) -> Self:
        """Raises MqttError for a URL, filter, text or certificate that cannot be used."""
    def run_connection(self) -> None:
        """Connect, subscribe and take messages until `stop`. Blocks; releases the interpreter. Raises MqttError when the connection ends otherwise."""
    def stop(self, timeout_s: float = 1.0) -> None:
        """End `run_connection`."""
