"""Makes keys, recognises mistyped keys before a look-up, and computes the digests that are stored.

    iiot d 43 characters of 62   6 characters of 62
    ---- - -------------------- -------------------
    prefix, kind, 256 random bits, CRC-32 of all characters before

Only the SHA-256 of a key is stored. That is enough for 256 random bits; a slow hash is for passwords that people choose.
"""

from __future__ import annotations

import secrets
import string
import zlib
from enum import StrEnum
from hashlib import sha256

PREFIX = "iiot"
DIGITS = string.digits + string.ascii_uppercase + string.ascii_lowercase
RANDOM_BITS = 256
RANDOM_DIGITS = 43
"""The number of base-62 digits that hold 256 bits."""
CHECK_DIGITS = 6
LENGTH = len(PREFIX) + 2 + RANDOM_DIGITS + CHECK_DIGITS
MOST_CHARACTERS = 256
"""The most characters of a key; a longer text is no key, not even one of another service."""


class KeyKind(StrEnum):
    """The purpose of a key."""

    DEVICE = "device"
    """One device: its own data, configuration and commands."""
    GATEWAY = "gateway"
    """Several devices, which it names."""
    READER = "reader"
    """Reads the data of every device, and writes nothing."""
    ADMINISTRATOR = "administrator"
    """Everything that devices and people may do."""
    REGISTRATION = "registration"
    """Registers devices, and nothing else."""


LETTERS = {
    KeyKind.DEVICE: "d",
    KeyKind.GATEWAY: "g",
    KeyKind.READER: "r",
    KeyKind.ADMINISTRATOR: "a",
    KeyKind.REGISTRATION: "n",
}


def new_key(kind: KeyKind) -> str:
    """Return a new random key."""
    body = f"{PREFIX}{LETTERS[kind]}_{_digits(secrets.randbits(RANDOM_BITS), RANDOM_DIGITS)}"
    return body + _check(body)


def is_mistyped(key: str) -> bool:
    """Return whether a text begins like a key of this program but cannot be one, because it is cut or a character is wrong."""
    begins = len(key) > len(PREFIX) + 1 and key.startswith(PREFIX) and key[len(PREFIX)] in LETTERS.values() and key[len(PREFIX) + 1] == "_"
    return begins and (len(key) != LENGTH or _check(key[:-CHECK_DIGITS]) != key[-CHECK_DIGITS:])


def digest(key: str) -> bytes:
    """Return the digest of a key that is stored: 32 bytes."""
    return sha256(key.encode()).digest()


def _check(body: str) -> str:
    return _digits(zlib.crc32(body.encode()), CHECK_DIGITS)


def _digits(number: int, length: int) -> str:
    digits = ""
    for _ in range(length):
        number, digit = divmod(number, len(DIGITS))
        digits = DIGITS[digit] + digits
    return digits
