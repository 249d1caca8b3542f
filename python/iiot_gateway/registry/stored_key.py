"""The stored form of a key: a digest to find the key, and for a device's key the hash with which Mosquitto checks a password.

    $7$101$SALT$HASH    PBKDF2 with HMAC-SHA-512 and 101 rounds, salt and hash in Base64: as mosquitto_passwd writes (Mosquitto 2.0)

So few rounds are enough for 256 random bits; they would not be for a password that a person chooses.
"""

from __future__ import annotations

import base64
import hashlib
import secrets
from dataclasses import dataclass

from iiot_gateway.registry.keys import digest

ROUNDS = 101
SALT_BYTES = 12


@dataclass(frozen=True, slots=True)
class StoredKey:
    """A key in the form in which the registry stores it."""

    digest: bytes
    """The SHA-256, 32 bytes."""
    password_hash: str | None = None
    """The hash for Mosquitto; None for keys with which no device logs in."""


def device_key(key: str) -> StoredKey:
    """Return the stored form of a device's key."""
    return StoredKey(digest(key), password_hash(key))


def password_hash(key: str) -> str:
    """Return a password in the form of Mosquitto's password file."""
    salt = secrets.token_bytes(SALT_BYTES)
    hashed = hashlib.pbkdf2_hmac("sha512", key.encode(), salt, ROUNDS)
    return f"$7${ROUNDS}${base64.b64encode(salt).decode()}${base64.b64encode(hashed).decode()}"
