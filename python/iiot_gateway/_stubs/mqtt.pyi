"""What `rust/iiot-native/src/mqtt.rs` gives to Python."""

from collections.abc import Sequence
from typing import Any, Literal, Self, final

from iiot_gateway._stubs.journal import Journal

@final
class MqttSink:
    """The MQTT client and its place in the journal."""

    def __new__(
        cls,
        journal: Journal,
        name: str,
        *,
        broker_url: str,
        client_id: str,
        availability_topic: str,
        health_topic: str,
        own_topics: Sequence[str] = (),
        protocol: Literal["3.1.1", "5"] = "3.1.1",
        qos: int = 1,
        backlog: Literal["replay", "latest"] = "replay",
        keep_alive_s: float = 30.0,
        ack_timeout_s: float = 20.0,
        connect_timeout_s: float = 10.0,
        inflight: int = 1000,
        max_topics: int = 100000,
        username: str | None = None,
        password: str | None = None,
        ca_file: str | None = None,
        client_cert_file: str | None = None,
        client_key_file: str | None = None,
    ) -> Self:
        """`own_topics` are filters of the gateway's own topics; values for them are rejected. Schemes: mqtt:// (1883), mqtts:// (8883, always
        with TLS). Raises MqttError for a URL, text or certificate that cannot be used."""
    def run_connection(self) -> dict[str, Any]:
        """Connect, refresh, publish until the connection ends or `stop`. Blocks; releases the interpreter.
        Returns {"kind", "detail", "connected_s", "delivered", "again", "answered"}; kinds: stopped, refused, not_authorized, unreachable,
        lost, ack_timeout, session_taken_over, tls, protocol, quota, journal, search. "again": the next connection should come soon, because the
        sink is looking for a publish that ends connections, or will act differently. "answered": the broker answered a publish."""
    def is_answering(self, timeout_s: float) -> bool:
        """Whether the broker answers a CONNECT under another client id. Blocks; releases the interpreter."""
    def stop(self, timeout_s: float = 3.0) -> None:
        """End `run_connection`: finish the publishes in flight, publish "offline", and disconnect. After the time-out, cut the connection, so that the broker publishes the will."""
    def publish_health(self, payload: bytes) -> None:
        """Replace the retained health document; sent when connected."""
    def refusal(self, topic: str) -> str | None:
        """Why no value may be published to this topic: MQTT does not allow it, or it is one of the gateway's own. None if values may be published there."""
    def state(self) -> dict[str, Any]:
        """{"state": connecting|refreshing|connected|disconnected|stopped, "in_flight", "late", "refreshed", "publishes", "unlisted",
        "suspects", "rejects", "last_reject", "limits", "last_error"}. "suspects": publishes that may have ended connections. "rejects": points refused for good.
        "last_reject": the last of them. "limits": configured features that the broker does not offer."""
    @staticmethod
    def probe(
        *,
        broker_url: str,
        client_id: str,
        topic: str,
        filter: str | None = None,
        protocol: str = "3.1.1",
        username: str | None = None,
        password: str | None = None,
        ca_file: str | None = None,
        client_cert_file: str | None = None,
        client_key_file: str | None = None,
        timeout_s: float = 10.0,
    ) -> dict[str, Any]:
        """Connect, subscribe to `filter` (by default the topic), publish to `topic`, and read the message back.

        Returns {"ok", "step", "kind", "detail"}: the first step that failed, and the reason with the kinds of `run_connection`."""
