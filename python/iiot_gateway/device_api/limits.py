"""Limits the requests and points that a key or an address may send. If there are too many keys or addresses to count, new ones are refused.

A bucket holds what may be sent at once, a minute's worth, and fills at the rate of the limit. Full buckets are forgotten first.
"""

from __future__ import annotations

import functools
import math
import time
from collections.abc import Callable
from dataclasses import dataclass
from ipaddress import IPv6Address, IPv6Network, ip_address

from iiot_gateway.api.problem import Problem

MOST_BUCKETS = 100_000


@dataclass(slots=True)
class _Bucket:
    level: float
    at_s: float


class Limit:
    """A limit per minute for each name."""

    def __init__(self, per_minute: int, what: str, *, clock: Callable[[], float] = time.monotonic, most: int = MOST_BUCKETS) -> None:
        """Begin with full buckets. `what` names what is counted, and for whom: "requests per key". 0 is no limit."""
        self._per_minute = per_minute
        self._what = what
        self._clock = clock
        self._most = most
        self._buckets: dict[str, _Bucket] = {}

    def take(self, name: str, number: int = 1) -> None:
        """Count requests or points. Raises Problem 429 beyond the limit; then nothing is counted."""
        if not self._per_minute:
            return
        now_s = self._clock()
        bucket = self._buckets.get(name)
        if bucket is None:
            if len(self._buckets) >= self._most:
                self._forget(now_s)
            if len(self._buckets) >= self._most:
                raise self._refusal(60.0)
            bucket = self._buckets[name] = _Bucket(self._per_minute, now_s)
        level = self._level(bucket, now_s)
        # A request larger than a bucket would never fit: it is accepted when the bucket is full, and leaves a debt.
        wanted = min(number, self._per_minute)
        if level < wanted:
            raise self._refusal((wanted - level) * 60.0 / self._per_minute)
        bucket.level, bucket.at_s = level - number, now_s

    def _level(self, bucket: _Bucket, now_s: float) -> float:
        return min(self._per_minute, bucket.level + (now_s - bucket.at_s) * self._per_minute / 60.0)

    def _forget(self, now_s: float) -> None:
        self._buckets = {name: bucket for name, bucket in self._buckets.items() if self._level(bucket, now_s) < self._per_minute}

    def _refusal(self, wait_s: float) -> Problem:
        return Problem(
            429,
            "too_many",
            f"at most {self._per_minute} {self._what} are taken per minute",
            "send less, or several points at once; the limits are keys of [devices]",
            {"retry-after": str(max(1, math.ceil(wait_s)))},
        )


@functools.lru_cache(maxsize=4096)
def network_of(address: str) -> str:
    """Return the name under which an address is counted: for IPv6 its first 64 bits, because one client can choose all other bits."""
    try:
        parsed = ip_address(address)
    except ValueError:
        return address
    if isinstance(parsed, IPv6Address) and (parsed.ipv4_mapped is None):
        return str(IPv6Network((int(parsed) >> 64 << 64, 64)))
    return str(parsed)
