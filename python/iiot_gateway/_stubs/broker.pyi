"""What `rust/iiot-native/src/broker.rs` gives to Python."""

from collections.abc import Sequence
from typing import Self, final

from iiot_gateway._stubs.decode import Profile
from iiot_gateway._stubs.devices import DeviceDirectory
from iiot_gateway._stubs.journal import Journal

@final
class Broker:
    """A running MQTT broker (3.1.1 and 5 on one port), on a thread of its own. It ends with the object."""

    @staticmethod
    def start(
        listen: str,
        *,
        path: str,
        own_clients: Sequence[str] = (),
        consumers: Sequence[BrokerConsumer] = (),
        username: str | None = None,
        password: str | None = None,
        devices: DeviceDirectory | None = None,
        device_prefix: str = "iotflow/devices",
    ) -> Broker:
        """Start the broker and wait until it listens at ADDRESS:PORT. `path` is the file for retained values; those of `own_clients` are not
        stored, because these clients publish them again themselves. `consumers` get the messages of other clients. With a user name, every client must log in with it.

        With `devices`, which needs a user name and a password, a device logs in with its id or user name and its key. It may publish below `device_prefix`/ID/telemetry and
        .../status, and subscribe below .../commands. Its client id is its id, or begins with its id and `:`; no other client may have such a client id. Raises
        BrokerError, or ValueError for `listen`."""
    port: int
    def has_ended(self) -> bool:
        """Whether the broker has stopped, after `stop` or a fault."""
    def end_reason(self) -> str | None:
        """Why the broker no longer runs; None while it runs."""
    def not_stored(self) -> int:
        """How many changes of other clients' retained values could not be stored in the file since the start. Never waits."""
    def refused(self) -> dict[str, int]:
        """The number of refusals since the start, by reason: logins, publishes, subscriptions, and connections whose key was removed. Never waits."""
    def stop(self, timeout_s: float) -> bool:
        """Disconnect the clients and stop listening. False if that takes longer than the time-out."""

@final
class BrokerConsumer:
    """A consumer of messages from clients of the built-in broker. A client's message is acknowledged when its frame is synced in the journal."""

    def __new__(
        cls,
        journal: Journal,
        name: str,
        *,
        profile: Profile,
        topic_prefix: str,
        tags: dict[str, str],
        filters: Sequence[str],
        waits: bool = True,
        dedup_window_s: float = 3600.0,
        max_document_bytes: int = 65536,
        devices: DeviceDirectory | None = None,
    ) -> Self:
        """Make a consumer for `Broker.start`; see `MqttConsumer` for `waits` and `devices`."""
    def has_room(self) -> bool:
        """Whether the journal has room now; clients wait while it has none."""
    def stop(self) -> None:
        """Accept no more messages. They are not acknowledged, so that their clients send them again."""
    def counts(self) -> tuple[int, int, int]:
        """Messages so far, their bytes, and when the last one came (nanoseconds since 1970, 0 before the first)."""
