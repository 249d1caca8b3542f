"""Makes an InfluxDB sink from its section."""

from __future__ import annotations

from typing import TYPE_CHECKING

from iiot_gateway import _native
from iiot_gateway.errors import SettingUnusable
from iiot_gateway.sinks.delivery import DeliverySink
from iiot_gateway.sinks.influxdb.outlet import InfluxdbOutlet, headers, write_url
from iiot_gateway.sinks.influxdb.section import InfluxdbSection

if TYPE_CHECKING:
    from iiot_gateway.components import Building


def build_sink(building: Building, name: str, section: InfluxdbSection) -> DeliverySink[_native.LineBatch]:
    """Make a sink. Raises SettingUnusable."""
    reader = _native.LineSink(building.journal, name, integers=section.integers)
    outlet = InfluxdbOutlet(section, reader, poster(section))
    return DeliverySink(name, "influxdb", outlet, on_start=section.on_start, suspect_after_s=section.suspect_after_s)


def poster(section: InfluxdbSection) -> _native.Poster:
    """Return an HTTP client for a database section. Raises SettingUnusable."""
    try:
        return _native.Poster(
            write_url(section),
            headers=headers(section),
            timeout_s=section.timeout_s,
            gzip=section.gzip,
            ca_file=section.ca_file or None,
        )
    except _native.HttpError as error:
        raise SettingUnusable(str(error)) from error
