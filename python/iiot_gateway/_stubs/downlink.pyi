"""What `rust/iiot-native/src/downlink.rs` gives to Python."""

from typing import Any, Literal

def sign_command(
    key: bytes, *, node: int, boot: int, until_seq: int, counter: int, action: Literal["interval_s", "led", "reboot"], value: int
) -> bytes:
    """Return the payload of a command (19 bytes) with its code. Raises ValueError for another action, and for a key without 16 bytes."""

def read_answer(key: bytes, *, node: int, payload: bytes) -> dict[str, Any] | None:
    """Return `counter`, `outcome` and `value` of an answer's payload; None if its code was not made with the key."""
