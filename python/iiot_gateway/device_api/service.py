"""The device API as a whole: the objects that its calls share, and the data that is stored from time to time."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

import anyio
import anyio.to_thread
from starlette.requests import Request

from iiot_gateway.api.problem import Problem
from iiot_gateway.config.urls import is_loopback, listen_host
from iiot_gateway.device_api.door import Caller, Door, unknown_device
from iiot_gateway.device_api.intake import Message, Outcome, PostQueue
from iiot_gateway.device_api.limits import Limit, network_of
from iiot_gateway.errors import RegistryUnusable
from iiot_gateway.log import REGISTRY_UNAVAILABLE, Repeated, get_log
from iiot_gateway.registry.device import Device, DeviceState
from iiot_gateway.registry.devices import Taken
from iiot_gateway.registry.keys import KeyKind, new_key
from iiot_gateway.registry.shown import shown_device

if TYPE_CHECKING:
    from iiot_gateway.config.schema import HttpSection
    from iiot_gateway.device_accounts.handed import HandedKeys
    from iiot_gateway.device_api.archive import Archive
    from iiot_gateway.device_api.deletions import DeletionService
    from iiot_gateway.registry.section import DevicesSection
    from iiot_gateway.registry.store import Registry

STORE_S = 10.0


class DeviceApi:
    """The objects that the calls of the device API work with."""

    def __init__(
        self,
        section: DevicesSection,
        http: HttpSection,
        registry: Registry,
        queue: PostQueue,
        lines: PostQueue,
        archive: Archive | None,
        deletions: DeletionService,
    ) -> None:
        self.section = section
        self._http = http
        self._is_private = http.behind_proxy or http.plaintext == "allow" or is_loopback(listen_host(http.listen))
        self.registry = registry
        self.queue = queue
        self.lines = lines
        self.archive = archive
        self.deletions = deletions
        self.door = Door(registry)
        self.requests = Limit(section.requests_per_minute, "requests per key")
        self.points = Limit(section.points_per_minute, "points per key")
        self.addresses = Limit(section.address_requests_per_minute, "requests per address")
        self.registrations = Limit(section.registrations_per_minute, "registrations per address")
        self.heard: dict[str, float] = {}
        """The times when devices were heard last since the start, Unix seconds."""
        self._gone: dict[str, float] = {}
        """The times at which the broker reported devices as gone, Unix seconds."""
        self.mqtt_address: tuple[str, int] | None = None
        """Host and port of the devices' broker, None if there is none. An empty host means the host name of this server."""
        self.handed: HandedKeys | None = None
        """Receives the keys of devices for a broker with its own accounts, before the registry stores their digests."""
        self._not_stored: set[str] = set()
        self.refused: Counter[str] = Counter()
        """Requests that were answered with an error, and refused points and lines, by the error's name. The journal counts posted data."""

    def _presence_of(self, device: Device, last_seen: float | None) -> str:
        """Return the presence of a device: online, offline, never_seen, or its state if it is not active."""
        if device.state is not DeviceState.ACTIVE:
            return str(device.state)
        if last_seen is None:
            return "never_seen"
        return "offline" if self.is_silent(device.id, last_seen) else "online"

    def address(self, request: Request) -> str:
        """Return the address of the caller; behind a proxy, the one that the proxy saw."""
        if self._http.behind_proxy and (forwarded := ",".join(request.headers.getlist("x-forwarded-for"))):
            # The proxy itself has added the last address; a client can invent those before it.
            return network_of(forwarded.rpartition(",")[2].strip()[:64])
        client = request.scope["client"]
        return network_of(client[0]) if client else "unknown"

    def must_be_private(self, request: Request) -> None:
        """Refuse a call that writes if others on the network could read its key. Raises Problem 403."""
        if self._is_private or request.scope["scheme"] == "https":
            return
        raise Problem(
            403,
            "tls_needed",
            "this call is not taken without TLS: anybody on the way could read the key",
            'set http.tls_cert_file and http.tls_key_file, http.behind_proxy = true, or http.plaintext = "allow" on a trusted network',
        )

    async def change(self, device_id: str, changes: Mapping[str, Any]) -> Device:
        """Change a device; a new configuration is sent to it. Raises Problem 404, 409."""
        try:
            device = await anyio.to_thread.run_sync(self.registry.devices.change, device_id, changes)
        except Taken as error:
            raise Problem(409, "device_exists", str(error), "choose another one") from error
        if device is None:
            raise unknown_device(device_id)
        return device

    def new_device_key(self) -> str:
        """Return a new key for a device; a broker with accounts gets it once the registry has stored it."""
        key = new_key(KeyKind.DEVICE)
        if self.handed is not None:
            self.handed.hand(key)
        return key

    def heard_at(self, device_id: str, stored: float | None) -> float | None:
        """Return when a device was heard last, Unix seconds; `stored` is the time in the registry."""
        heard = self.heard.get(device_id)
        return stored if heard is None else heard if stored is None else max(heard, stored)

    def hears(self, device_id: str, at_s: float) -> None:
        """Note that a device was heard."""
        self.heard[device_id] = max(at_s, self.heard.get(device_id, 0.0))
        self._not_stored.add(device_id)

    def leaves(self, device_id: str) -> None:
        """Note that a device is gone: its last will came."""
        self._gone[device_id] = time.time()

    def is_silent(self, device_id: str, last_seen: float) -> bool:
        """Return whether a device is gone, or has been silent for so long that it counts as offline."""
        return last_seen <= self._gone.get(device_id, -1.0) or time.time() - last_seen >= self.section.silence_s

    def shown(self, device: Device) -> dict[str, Any]:
        """Return a device with the newest times, which are not yet in the registry."""
        last_seen = self.heard_at(device.id, device.last_seen)
        presence = self._presence_of(device, last_seen)
        return {**shown_device(device), "last_seen": last_seen, "presence": presence, "is_online": presence == "online"}

    async def as_stored(self, device: Device) -> Device:
        """Return a device with the times that other gateways have stored since it was remembered: such times do not count as changes."""
        if not self.registry.database.is_server:
            return device
        return await anyio.to_thread.run_sync(self.registry.devices.get, device.id) or device

    def count_sent(self, caller: Caller, points: int) -> None:
        """Count a request that sends, and its points, for the limits of its key. Raises Problem 429."""
        name = str(caller.key.id)
        self.requests.take(name)
        self.points.take(name, points)

    async def post(self, queue: PostQueue, messages: list[Message], refused: Iterable[str]) -> list[Outcome]:
        """Post the messages of a request, and count the errors of its refused points. Raises Problem 503.

        If the journal has no room, the request is refused as a whole, and its points are not counted.
        """
        if messages:
            queue.must_have_room()
        self.refused.update(refused)
        return await queue.post(messages) if messages else []

    async def store_now_and_then(self) -> None:
        """Store which devices were heard and which keys were used, until cancelled, and once more at the end."""
        repeated = Repeated()
        try:
            while True:
                await anyio.sleep(STORE_S)
                await self._store(repeated)
        finally:
            with anyio.CancelScope(shield=True):
                await self._store(repeated)

    async def _store(self, repeated: Repeated) -> None:
        not_stored, self._not_stored = self._not_stored, set()
        heard = {device_id: self.heard[device_id] for device_id in not_stored}
        used, self.door.used = self.door.used, {}

        def write() -> None:
            if heard:
                self.registry.devices.heard(heard)
            if used:
                self.registry.keys.used(used)

        try:
            await anyio.to_thread.run_sync(write)
        except RegistryUnusable as error:
            self._not_stored |= not_stored
            self.door.used = {**used, **self.door.used}
            if (extra := repeated.allows(str(error))) is not None:
                get_log().warning(REGISTRY_UNAVAILABLE, error=str(error), consequence="who was heard last is not stored", **extra)
