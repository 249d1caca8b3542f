"""What `rust/iiot-native/src/consumer.rs` gives to Python."""

from collections.abc import Sequence
from typing import Any, Literal, Self, final

from iiot_gateway._stubs.decode import Profile
from iiot_gateway._stubs.devices import DeviceDirectory
from iiot_gateway._stubs.journal import Journal

@final
class MqttConsumer:
    """A consumer of MQTT messages, with its place in the journal."""

    def __new__(
        cls,
        journal: Journal,
        name: str,
        *,
        profile: Profile,
        topic_prefix: str,
        tags: dict[str, str],
        broker_url: str,
        client_id: str,
        subscriptions: Sequence[tuple[str, int]],
        retained: Literal["ignore", "take"] = "ignore",
        redelivery: Literal["marked", "unmarked"] = "marked",
        waits: bool = True,
        session_expiry_s: float = 86400.0,
        dedup_window_s: float = 3600.0,
        max_document_bytes: int = 65536,
        protocol: Literal["3.1.1", "5"] = "3.1.1",
        keep_alive_s: float = 30.0,
        ack_timeout_s: float = 20.0,
        connect_timeout_s: float = 10.0,
        receive_maximum: int = 65535,
        is_shared: bool = False,
        username: str | None = None,
        password: str | None = None,
        ca_file: str | None = None,
        client_cert_file: str | None = None,
        client_key_file: str | None = None,
        devices: DeviceDirectory | None = None,
    ) -> Self:
        """`subscriptions` are filters, each with its QoS. With `devices`, the level `{device}` of the profile's filters names a registered device, whose tags are added to the
        message. A message of an unknown or disabled device is a reject (unknown_device, device_disabled). With `waits`, the source stops before the journal is full, and its
        frames are never dropped for those of others. Raises MqttError for a URL, filter, text or certificate that cannot be used."""
    def run_connection(self) -> dict[str, Any]:
        """Connect, subscribe and take messages until the connection ends or `stop`. Blocks; releases the interpreter.
        Returns {"kind", "detail", "subscribed_s"}; kinds: those of `MqttSink.run_connection`, and paused: the journal has no room."""
    def wait_room(self, timeout_s: float) -> bool:
        """Wait until the journal has room. False on a time-out."""
    def stop(self, timeout_s: float = 3.0) -> None:
        """End `run_connection`: acknowledge the messages that become durable within the time-out, and disconnect. The broker keeps the session."""
    def retire(self) -> None:
        """Make `run_connection`, now or at the next call, unsubscribe, take the messages that the broker still holds, and end the session. Its kind is then `retired` for good."""
    def state(self) -> dict[str, Any]:
        """{"state": connecting|subscribed|paused|disconnected|stopped, "messages", "payload_bytes", "last_message_ns", "unacknowledged", "refused",
        "limits", "sessions_lost"}. "refused": filters that the broker refused. "limits": settings of which it granted less. "sessions_lost": how often it lost the session."""
