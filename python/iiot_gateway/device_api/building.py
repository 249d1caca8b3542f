"""Builds the parts of the device API from the section: the registry, the source of posts for the journal, and the calls."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import anyio

from iiot_gateway import _native
from iiot_gateway.config.wiring import profile_path
from iiot_gateway.device_accounts.building import account_keeper_of, handed_keys_of
from iiot_gateway.device_api import lines
from iiot_gateway.device_api.deletions import DeletionService
from iiot_gateway.device_api.intake import PostQueue
from iiot_gateway.device_api.keepers import keepers_of
from iiot_gateway.device_api.routes import http_part
from iiot_gateway.device_api.service import DeviceApi
from iiot_gateway.device_mqtt.building import Task, mqtt_address, tasks
from iiot_gateway.errors import RegistryUnusable
from iiot_gateway.log import DEVICE_REQUESTS_REFUSED, Risen, get_log
from iiot_gateway.profile import read_profile
from iiot_gateway.registry.building import registry_of
from iiot_gateway.registry.directory import loaded_directory
from iiot_gateway.registry.section import DevicesSection
from iiot_gateway.sinks.history.reading import history_for_pages
from iiot_gateway.sinks.influxdb.section import InfluxdbSection
from iiot_gateway.sinks.postgresql.section import PostgresqlSection
from iiot_gateway.sources.base import Source, SourceStatus

if TYPE_CHECKING:
    from iiot_gateway.components import Building
    from iiot_gateway.config.schema import Config
    from iiot_gateway.device_accounts.handed import HandedKeys
    from iiot_gateway.device_accounts.keeper import AccountKeeper
    from iiot_gateway.device_api.archive import Archive

WATCH_S = 0.5


def device_api_of(building: Building) -> DeviceApi | None:
    """Return the objects that the calls of the device API use, None without [devices]."""
    return building.once(_device_api)


def _device_api(building: Building) -> DeviceApi | None:
    registry = registry_of(building)
    section = building.config.of(DevicesSection).get("devices")
    if registry is None or section is None or building.is_replay:
        return None
    rules = building.source_rules("devices")
    del rules["rtt_channel"]
    posts = _native.Posts(
        building.journal, "devices", message_id_window_s=section.message_id_window_s, max_message_ids=section.max_message_ids, **rules
    )
    # Line protocol has its own profile, which accepts any time.
    rules["profile"] = read_profile(profile_path(building.config.base, lines.PROFILE))
    line_posts = _native.Posts(building.journal, "devices_lines", **rules)
    deletions = DeletionService(registry, building.journal, keepers_of(building))
    archive = archive_of(building.config)
    api = DeviceApi(section, building.config.http, registry, PostQueue(posts), PostQueue(line_posts), archive, deletions)
    api.handed = handed_keys_of(building)
    api.mqtt_address = mqtt_address(building.config)
    return api


def archive_of(config: Config) -> Archive | None:
    """Return the archive for queries: InfluxDB if a token may read, else PostgreSQL, else a history; None if no sink stores values."""
    for section in config.of(InfluxdbSection).values():
        if section.read_token:
            from iiot_gateway.device_api.influxdb_archive import InfluxdbArchive

            return InfluxdbArchive(section)
    for database in config.of(PostgresqlSection).values():
        from iiot_gateway.device_api.postgresql_archive import PostgresqlArchive

        return PostgresqlArchive(database)
    open_history = history_for_pages(config)
    if open_history is None:
        return None
    from iiot_gateway.device_api.history_archive import HistoryArchive

    return HistoryArchive(open_history)


def device_source(building: Building, name: str, _section: DevicesSection) -> Source:
    """Make the source that devices post to."""
    api = device_api_of(building)
    if api is None:
        raise AssertionError("a source is made of a section that is there, and not while a recording is played")
    building.http_parts.append(http_part(api))
    building.refusals[name] = lambda: dict(api.refused)
    building.devices = lambda: loaded_directory(building)
    beside = [api.queue.run, api.lines.run, api.store_now_and_then, api.deletions.run, *tasks(building, api)]
    keeper = account_keeper_of(building)
    if keeper is not None and api.handed is not None:
        beside.append(keeper.run)
        building.commands["device_key"] = _taking_keys(api.handed)
    return DeviceSource(name, api, beside, keeper)


def _taking_keys(handed: HandedKeys) -> Callable[[dict[str, Any]], None]:
    """Return the receiver of keys from the command line, each before the registry stores its digest."""

    def take(request: dict[str, Any]) -> None:
        keys = request.get("keys")
        if not isinstance(keys, list) or not all(isinstance(key, str) and key for key in keys):
            raise ValueError("keys: expected a list of texts")
        for key in keys:
            handed.hand(key)

    return take


class DeviceSource:
    """The source of posts: it hands out their outcomes, and shows what arrives."""

    kind = "devices"

    def __init__(self, name: str, api: DeviceApi, beside: Sequence[Task], keeper: AccountKeeper | None) -> None:
        self.name = name
        self.status = SourceStatus(traffic=self._traffic)
        self._api = api
        self._beside = beside
        self._keeper = keeper
        self._refusals = Risen()
        self._log = get_log(source=name)

    async def run(self) -> None:
        """Run until cancelled. Devices send posts again that were not answered by then."""
        async with anyio.create_task_group() as beside:
            for task in self._beside:
                beside.start_soon(task)
            while True:
                if fault := self._registry_fault():
                    self.status.change(self._log, "unavailable", fault, bad=True)
                elif self._api.queue.has_room():
                    troubles = ("" if self._keeper is None else self._keeper.summary(), self._api.deletions.trouble())
                    trouble = "; ".join(each for each in troubles if each)
                    detail = "devices post to the HTTP server" + (f"; {trouble}" if trouble else "")
                    self.status.change(self._log, "listening", detail, bad=bool(trouble))
                else:
                    self.status.change(self._log, "paused", "the journal has no room; devices are told to come again", bad=True)
                if (refused := self._refusals.since(self._api.refused)) is not None:
                    self._log.warning(DEVICE_REQUESTS_REFUSED, **refused)
                await anyio.sleep(WATCH_S)

    def _registry_fault(self) -> str:
        """Return why a registry on a server cannot be queried, else an empty text. Every request queries a file anyway."""
        if self._api.registry.database.is_server:
            try:
                self._api.registry.generation()
            except RegistryUnusable as error:
                return f"devices are told to come again: {error}"
        return ""

    def _traffic(self) -> tuple[int, float, int, float]:
        counts = [queue.counts() for queue in (self._api.queue, self._api.lines)]
        messages, payload_bytes, last_ns = sum(c[0] for c in counts), sum(c[1] for c in counts), max(c[2] for c in counts)
        return payload_bytes, last_ns / 1e9, messages, last_ns / 1e9
