"""Finds out who makes a call, and what the key may do. Every call of the device API passes through this module.

A key is only accepted in a header, because URLs end up in logs. The data of a key is remembered until something in the registry
changes. The registry is asked for changes once per turn of the event loop: a request that was sent after a change was answered is
handled in a later turn. A registry on a server is queried in a thread, so that nobody else waits for it.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar

import anyio
import anyio.to_thread
from starlette.requests import Request

from iiot_gateway._native import device_tags
from iiot_gateway.api.parameters import header
from iiot_gateway.api.problem import Problem
from iiot_gateway.registry.device import Device, KeyEntry
from iiot_gateway.registry.keys import MOST_CHARACTERS, KeyKind, is_mistyped
from iiot_gateway.registry.store import Registry

T = TypeVar("T")
R = TypeVar("R")

MOST_REMEMBERED = 10_000
"""The most keys, and the most devices, that are remembered. A full store replaces its newest entry.

Devices send in much the same order. Forgetting the oldest one, or all, would forget each device just before it sends again.
"""
MOST_ASKING = 8
"""The most threads that query a server at the same time; they take no threads from others."""


def key_needed() -> Problem:
    """Return the problem that no key was sent."""
    return Problem(
        401,
        "key_needed",
        "this call needs a key",
        "send it in the header `X-API-Key`, or as `Authorization: Bearer KEY`",
        {"www-authenticate": "Bearer"},
    )


def key_unknown() -> Problem:
    """Return the problem that a key is not valid, without the reason."""
    return Problem(
        401,
        "key_unknown",
        "no valid key: it is unknown, mistyped, expired or revoked",
        "ask the administrator of this gateway for a new one",
        {"www-authenticate": 'Bearer error="invalid_token"'},
    )


def foreign_device() -> Problem:
    """Return the problem that a key does not belong to a device."""
    return Problem(
        403, "foreign_device", "this key does not speak for that device", "use the device's own key, or a gateway's key that names it"
    )


def disabled() -> Problem:
    """Return the problem that a device is disabled."""
    return Problem(403, "device_disabled", "this device is disabled", "an administrator can make it active again")


@dataclass(frozen=True, slots=True)
class Sender:
    """A device whose data is accepted."""

    device: Device
    tags: bytes
    """The tags that its points get from the registry, in the form of the journal."""


@dataclass(frozen=True, slots=True)
class Caller:
    """The holder of a key."""

    key: KeyEntry

    @property
    def own_device(self) -> str | None:
        """The device of a device's key."""
        return self.key.devices[0] if self.key.kind is KeyKind.DEVICE and self.key.devices else None

    def must_be(self, *kinds: KeyKind) -> None:
        """Refuse keys of other kinds. Raises Problem 403."""
        if self.key.kind not in kinds:
            wanted = " or ".join(f"{'an' if kind is KeyKind.ADMINISTRATOR else 'a'} {kind}'s key" for kind in kinds)
            raise Problem(403, "key_of_wrong_kind", f"a {self.key.kind}'s key may not do this", f"use {wanted}")

    def may_speak_for(self, device_id: str) -> bool:
        """Return whether the caller may send as a device, and change what belongs to the device."""
        return self.key.kind is KeyKind.ADMINISTRATOR or (self.key.kind in (KeyKind.DEVICE, KeyKind.GATEWAY) and self.key.covers(device_id))

    def may_read(self, device_id: str) -> bool:
        """Return whether the caller may see the data of a device."""
        return self.key.kind is KeyKind.READER or self.may_speak_for(device_id)


class Door:
    """Lets in callers with a valid key."""

    def __init__(self, registry: Registry) -> None:
        self._registry = registry
        self._generation = -1
        self._is_fresh = False
        self._callers: dict[str, Caller] = {}
        self._senders: dict[str, Sender] = {}
        self._limiter: anyio.CapacityLimiter | None = None
        self.used: dict[int, float] = {}
        """The times when keys were used last, Unix seconds; the service stores them."""

    async def caller(self, request: Request) -> Caller:
        """Return the caller. Raises Problem 401."""
        return await self.holder(presented_key(request))

    async def holder(self, key: str) -> Caller:
        """Return the holder of a key. Raises Problem 401, also for a key that has expired."""
        self.refresh()
        caller = self._callers.get(key)
        if caller is None:
            # A server is not asked about a text that cannot be a key. With a file the check would cost valid keys more than it saves.
            if len(key) > MOST_CHARACTERS or (self._registry.database.is_server and is_mistyped(key)):
                raise key_unknown()
            # Somebody who guesses keys learns nothing from the response time, because digests are compared.
            generation = self._generation
            entry = await self._asked(self._registry.keys.find, key)
            if entry is None:
                raise key_unknown()
            caller = Caller(entry)
            self._remember(self._callers, key, caller, generation)
        now = time.time()
        if not caller.key.is_valid(now):
            raise key_unknown()
        self.used[caller.key.id] = now
        return caller

    async def sender(self, device_id: str) -> Sender | None:
        """Return a device as of the last `holder` or `refresh`, even if it is disabled; None if there is no such device."""
        if (known := self._senders.get(device_id)) is not None:
            return known
        generation = self._generation
        device = await self._asked(self._registry.devices.get, device_id)
        if device is None:
            # It is not remembered: names without a device would take the places of devices.
            return None
        sender = Sender(device, device_tags(device.point_tags()))
        self._remember(self._senders, device_id, sender, generation)
        return sender

    async def own_device(self, request: Request) -> tuple[Caller, Sender]:
        """Return the device whose own key was sent. Raises Problem 401, 403."""
        caller = await self.caller(request)
        caller.must_be(KeyKind.DEVICE)
        return caller, await self.enabled(caller.own_device or "")

    async def speaking_for(self, caller: Caller, device_id: str) -> Sender:
        """Return a device for which the caller may act. Raises Problem 403, 404."""
        caller.must_be(KeyKind.DEVICE, KeyKind.GATEWAY, KeyKind.ADMINISTRATOR)
        if not caller.may_speak_for(device_id):
            raise foreign_device()
        return await self.enabled(device_id)

    async def read_by(self, caller: Caller, device_id: str) -> Sender:
        """Return a device whose data the caller may see. Raises Problem 403, 404."""
        caller.must_be(KeyKind.DEVICE, KeyKind.GATEWAY, KeyKind.READER, KeyKind.ADMINISTRATOR)
        if not caller.may_read(device_id):
            raise foreign_device()
        if caller.own_device is not None:
            return await self.enabled(device_id)
        return await self.known(device_id)

    async def known(self, device_id: str) -> Sender:
        """Return a device. Raises Problem 404."""
        sender = await self.sender(device_id)
        if sender is None:
            raise unknown_device(device_id)
        return sender

    async def enabled(self, device_id: str) -> Sender:
        """Return a device that is not disabled. Raises Problem 403, 404."""
        sender = await self.known(device_id)
        if not sender.device.is_enabled():
            raise disabled()
        return sender

    async def _asked(self, find: Callable[[str], T], what: str) -> T:
        if not self._registry.database.is_server:
            return find(what)
        if self._limiter is None:
            self._limiter = anyio.CapacityLimiter(MOST_ASKING)
        return await anyio.to_thread.run_sync(find, what, limiter=self._limiter)

    def _remember(self, where: dict[str, R], name: str, found: R, generation: int) -> None:
        """Remember the result, unless the registry has changed during the query."""
        self.refresh()
        if generation != self._generation:
            return
        if len(where) >= MOST_REMEMBERED:
            where.popitem()
        where[name] = found

    def refresh(self) -> None:
        """Forget everything if the registry has changed by this turn of the event loop. Raises RegistryUnusable."""
        if self._is_fresh:
            return
        generation = self._registry.generation()
        if generation != self._generation:
            self._callers.clear()
            self._senders.clear()
            self._generation = generation
        self._is_fresh = True
        # This runs before any request that is read from now on is handled.
        asyncio.get_running_loop().call_soon(self._end_turn)

    def _end_turn(self) -> None:
        self._is_fresh = False


def presented_key(request: Request) -> str:
    """Return the key of a request's headers. Raises Problem 401."""
    if key := header(request.scope, b"x-api-key").strip():
        return key
    scheme, _, key = header(request.scope, b"authorization").partition(" ")
    # InfluxDB's clients send Token instead of Bearer.
    if scheme.lower() in ("bearer", "token") and key.strip():
        return key.strip()
    raise key_needed()


def unknown_device(device_id: str) -> Problem:
    """Return the problem that there is no such device."""
    return Problem(404, "unknown_device", f"there is no device {device_id[:64]!r}", "register it with POST /api/v1/devices/register")
