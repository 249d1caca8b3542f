"""What `rust/iiot-native/src/devices.rs` gives to Python."""

from collections.abc import Sequence
from typing import Literal, Self, final

@final
class DeviceDirectory:
    """The registered devices: the tags that frames take from them, and the keys with which they log in. Consumers, the broker and threads may share it."""

    def __new__(cls, *, unknown: Literal["reject", "take"] = "reject") -> Self:
        """Begin without devices. `unknown`: documents of unknown or disabled devices become rejects, or are accepted without a device's tags."""
    def set(
        self,
        device_id: str,
        *,
        user_name: str | None = None,
        is_enabled: bool = True,
        tags: dict[str, str],
        keys: Sequence[tuple[bytes, float | None]],
    ) -> None:
        """Add or replace a device. `keys`: the SHA-256 of each key, and its expiry in Unix seconds. Connections end if their key is removed.

        Raises ValueError for tags that `device_tags` refuses, and for a hash without 32 bytes."""
    def remove(self, device_id: str) -> None:
        """Forget a device and end its connections."""
    def heard(self) -> list[tuple[str, int]]:
        """The devices from which a document came since the last call, with the newest arrival in Unix nanoseconds."""
