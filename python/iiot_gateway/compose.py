"""From a configuration to a gateway: this module chooses the components to build; each component builds itself (`components.py`)."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any, assert_never

from iiot_gateway import _native
from iiot_gateway.backup.copier import Copier
from iiot_gateway.components import Building, ByteSource, MessageSource, ServiceComponent, SinkComponent
from iiot_gateway.config.component import SourceSection
from iiot_gateway.config.schema import Config
from iiot_gateway.config.wiring import NO_SOURCE, profile_files
from iiot_gateway.errors import GatewayError, JournalUnusable, SettingUnusable
from iiot_gateway.journal import open_journal, retry
from iiot_gateway.log import CONFIG_NOTE, get_log
from iiot_gateway.pipeline.live import LiveValues
from iiot_gateway.pipeline.supervisor import Gateway, Service
from iiot_gateway.sinks.base import Sink
from iiot_gateway.sinks.history.reading import history_for_pages
from iiot_gateway.sources.base import Source
from iiot_gateway.sources.played import build_replay

if TYPE_CHECKING:
    from iiot_gateway.sources.played import Replay


def build(config: Config, *, replay: Replay | None = None, services: Sequence[Service] = ()) -> Gateway:
    """Open the journal, register its sinks, then its sources. Closes the journal again if it raises GatewayError."""
    for note in config.notes:
        get_log().info(CONFIG_NOTE, note=note)
    if not replay and not profile_files(config):
        get_log().warning(CONFIG_NOTE, note=NO_SOURCE)
    journal = open_journal(config)
    building = Building(config, journal, is_replay=replay is not None)
    wanted = [component for component in config.components if isinstance(component, ServiceComponent)]
    try:
        sinks = list(_sinks(building))
        # Made before any frame comes, because it first shows the frames that the journal still holds.
        live = _native.Live(journal) if config.http.enabled or any(service.looks_at_values(config) for service in wanted) else None
        sources = [build_replay(building, replay)] if replay else list(_sources(building))
        beside = [each for service in wanted for each in service.build(building, sources, sinks)]
    except _native.JournalError as error:
        journal.close()
        raise JournalUnusable(error.kind, config.journal_path(), str(error)) from error
    except (_native.MqttError, _native.HttpError) as error:
        journal.close()
        raise SettingUnusable(str(error)) from error
    except BaseException:
        journal.close()
        raise
    watched = LiveValues(lambda: live or _native.Live(journal))
    copier = Copier(building)
    commands = {
        "backup": copier.answer,
        "live": watched.answer,
        "rejects": lambda request: journal.rejects(limit=_whole(request, "limit", 100)),
        **building.commands,
        "retry": lambda request: retry(
            config, journal, None if request.get("id") is None else [_whole(request, "id", 0)], building.devices()
        ),
    }
    gateway = Gateway(
        journal,
        config.journal_path(),
        sources,
        sinks,
        commands=commands,
        services=[*services, *beside, copier.run],
        live=live,
        open_history=history_for_pages(config),
        alerts=building.alerts,
        http_parts=building.http_parts,
        refusals=building.refusals,
        notes=config.notes,
    )
    building.status, building.document = gateway.view.health, gateway.view.document
    return gateway


def source_component(config: Config, section: SourceSection) -> ByteSource | MessageSource:
    """Return the component that makes a source from a section."""
    for component in config.components:
        if isinstance(component, ByteSource | MessageSource) and isinstance(section, component.section):
            return component
    raise GatewayError(f"no component makes a source of {type(section).__name__}")


def _sinks(building: Building) -> Iterator[Sink]:
    config = building.config
    # All sinks are registered before any frame comes, because the journal may remove a frame that every known sink has.
    for name, section in config.sinks().items():
        building.journal.add_sink(name, profiles=section.profiles or None)
        if section.may_drop:
            building.journal.may_drop(name)
    for component in config.components:
        if isinstance(component, SinkComponent):
            for name, section in config.of(component.section).items():
                yield component.build(building, name, section)


def _sources(building: Building) -> Iterator[Source]:
    for name, section in building.config.sources().items():
        component = source_component(building.config, section)
        match component:
            case ByteSource():
                yield component.build(name, section, building.journal.add_source(name, **building.source_rules(name)))
            case MessageSource():
                yield component.build(building, name, section)
            case _:
                assert_never(component)


def _whole(request: dict[str, Any], key: str, default: int) -> int:
    """Read a whole number above 0 from a request. Raises ValueError."""
    value = request.get(key, default)
    if not isinstance(value, int) or isinstance(value, bool) or not 0 < value < 2**63:
        raise ValueError(f"{key}: expected a whole number above 0, found {value!r}")
    return value
