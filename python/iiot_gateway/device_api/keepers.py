"""The stores that keep the values of devices and can delete them: every sink of the gateway that stores values."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Protocol

from iiot_gateway._native import HistoryError
from iiot_gateway.api.problem import Problem
from iiot_gateway.sinks.history.section import writers
from iiot_gateway.sinks.influxdb.section import InfluxdbSection
from iiot_gateway.sinks.postgresql.section import PostgresqlSection

if TYPE_CHECKING:
    from iiot_gateway._native import HistorySink
    from iiot_gateway.components import Building
    from iiot_gateway.device_api.influxdb_archive import InfluxdbArchive
    from iiot_gateway.sinks.influxdb.section import InfluxdbSection as Influxdb


class Keeper(Protocol):
    """A sink that keeps values. The calls block."""

    name: str

    def refusal(self) -> Problem | None:
        """Return why the sink cannot delete; None if it can, or may be able to once it answers."""

    def delete(self, device_id: str, start_ns: int, stop_ns: int) -> None:
        """Delete the values of a device in [start_ns, stop_ns), Unix nanoseconds. Repeating it changes nothing. Raises Problem."""

    def cancel(self) -> None:
        """End a running `delete`, and every later one, with Problem."""


class HistoryKeeper:
    """A history: its one writer deletes."""

    def __init__(self, name: str, writer: HistorySink) -> None:
        self.name = name
        self._writer = writer

    def refusal(self) -> Problem | None:
        """Return nothing: every history can delete."""
        return None

    def delete(self, device_id: str, start_ns: int, stop_ns: int) -> None:
        """Delete points; roll-ups follow. Raises Problem."""
        try:
            deleted = self._writer.delete(device_id, start_ns, stop_ns)
        except HistoryError as error:
            raise Problem(503, f"history_{error.kind}", f"[{self.name}] {error}", "it is tried again") from error
        if deleted is None:
            raise Problem(503, "history_closed", f"[{self.name}] its file is not open", "it is tried again")

    def cancel(self) -> None:
        """Do nothing: the sink ends it when it stops."""


class InfluxdbKeeper:
    """InfluxDB 1 or 2, of which a section names a token that may read: the others may be anything that takes line protocol."""

    def __init__(self, name: str, section: Influxdb) -> None:
        self.name = name
        self._section = section
        self._archive: InfluxdbArchive | None = None

    def refusal(self) -> Problem | None:
        """Return the problem that there is no such token."""
        if self._section.read_token:
            return None
        return Problem(
            501,
            "delete_unsupported",
            f"[{self.name}] has no read_token_file, so it may be a database that cannot delete, as VictoriaMetrics",
            "name a token with read_token_file if it is InfluxDB 1 or 2, else delete in each database itself; nothing was deleted",
        )

    def delete(self, device_id: str, start_ns: int, stop_ns: int) -> None:
        """Delete points. Raises Problem."""
        from iiot_gateway.device_api.influxdb_archive import InfluxdbArchive

        self._archive = self._archive or InfluxdbArchive(self._section)
        self._archive.delete(device_id, start_ns, stop_ns)

    def cancel(self) -> None:
        """End the request under way."""
        if self._archive is not None:
            self._archive.cancel()


def keepers_of(building: Building) -> list[Keeper]:
    """Return every sink that keeps values. Standard output and brokers keep no past values."""
    return list(_keepers(building))


def _keepers(building: Building) -> Iterator[Keeper]:
    config = building.config
    for name, influxdb in config.of(InfluxdbSection).items():
        yield InfluxdbKeeper(name, influxdb)
    for name, postgresql in config.of(PostgresqlSection).items():
        from iiot_gateway.device_api.postgresql_deletion import PostgresqlKeeper

        yield PostgresqlKeeper(name, postgresql)
    for name, writer in writers(building).items():
        yield HistoryKeeper(name, writer)
