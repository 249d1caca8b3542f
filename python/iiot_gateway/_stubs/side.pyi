"""What `rust/iiot-native/src/side.rs` gives to Python."""

from collections.abc import Sequence
from typing import Any, Literal, Self, final

@final
class SideConnection:
    """A connection beside a sink's, for messages that belong to no ledger: it takes messages of subscriptions, and publishes at QoS 1."""

    def __new__(
        cls,
        *,
        broker_url: str,
        client_id: str,
        subscriptions: Sequence[str],
        protocol: Literal["3.1.1", "5"] = "3.1.1",
        keep_alive_s: float = 30.0,
        ack_timeout_s: float = 20.0,
        connect_timeout_s: float = 10.0,
        username: str | None = None,
        password: str | None = None,
        ca_file: str | None = None,
        client_cert_file: str | None = None,
        client_key_file: str | None = None,
        will_topic: str | None = None,
    ) -> Self:
        """`subscriptions` are topic filters, at QoS 0. If a connection breaks, the broker publishes `offline` to `will_topic`. Raises MqttError for a filter, URL or certificate
        that cannot be used."""
    def run_connection(self) -> dict[str, Any]:
        """Connect and subscribe, publish and receive until the connection ends or `stop`. Blocks; releases the interpreter.
        Returns {"kind", "detail", "connected_s"}, with the kinds of `MqttSink.run_connection`. The connection ends as `refused` if more than 20,000 messages, or
        16 MiB of them, wait for `receive`."""
    def publish(self, topic: str, payload: bytes, *, retain: bool, only_over: int | None = None) -> bool:
        """Queue a publish. It is kept, even over connections, until the broker has answered it. With `only_over`, the number of a
        connection, it is forgotten when that connection ends, and its refusal ends the connection. False if it was not queued: 20,000
        publishes or 16 MiB wait already, or that connection has ended."""
    def receive(self, known: int, timeout_s: float) -> tuple[int, list[tuple[str, bytes, bool]], list[tuple[str, str, int]]]:
        """Wait for messages, refusals, or another connection than `known`. Returns the number of the connection (0 if there is none;
        each connection has a new number), (topic, payload, came as retained) of its messages in order, and (topic, reason, number) of kept
        publishes that the broker has refused. Releases the interpreter."""
    def waiting(self) -> int:
        """How many publishes have no answer yet, or a refusal that nobody has fetched."""
    def is_waiting(self, number: int) -> bool:
        """Whether the publish with this number has no answer yet, or a refusal that nobody has fetched. Publishes have numbers from 1, in the
        order in which they were queued."""
    def stop(self, timeout_s: float = 0.3) -> None:
        """End `run_connection` for good. Queued publishes are sent first, within the time-out."""
