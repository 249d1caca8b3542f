"""Makes the partitions of the next week and drops those that are past their retention, once per day.

If the gateway makes the tables, it drops the partitions itself; otherwise it calls the function of `postgresql init`. Rows that are older
than the retention are rejects, so no row is written to a partition that is dropped. Hypertables have policies of their own on the server.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

from iiot_gateway._native import PostgresError, PostgresSink, postgres_drop_partition, postgres_partitions
from iiot_gateway.config.keys import DAY_S, HOUR_S
from iiot_gateway.log import SINK_PARTITION_DROPPED, SINK_PARTITIONS_NOT_KEPT, get_log
from iiot_gateway.sinks.postgresql.failures import remedy
from iiot_gateway.sinks.postgresql.schema import RETAIN, may_retain, qualified

if TYPE_CHECKING:
    from iiot_gateway.sinks.postgresql.section import PostgresqlSection

Query = Callable[[str], list[list[str | None]]]
"""Runs statements and gives the rows as text."""


class Retention:
    """The daily work on the partitions of one database."""

    def __init__(self, name: str, section: PostgresqlSection, native: PostgresSink) -> None:
        self._name = name
        self._section = section
        self._native = native
        self._next_s = 0.0
        self._log = get_log(sink=name)

    def is_due(self) -> bool:
        """Return whether the next run is due."""
        return time.monotonic() >= self._next_s

    def apply(self) -> bool:
        """Make and drop partitions; blocks. Return False after a failure, which has closed the connection.

        The next attempt comes an hour after a failure: the sink can write rows without this work.
        """
        self._next_s = time.monotonic() + DAY_S
        try:
            self._native.prepare_partitions()
            for partition in drop_old(self._section, self._native.query):
                self._log.info(SINK_PARTITION_DROPPED, partition=partition)
        except PostgresError as error:
            self._next_s = time.monotonic() + HOUR_S
            if error.kind == "report":
                self._log.error(SINK_PARTITIONS_NOT_KEPT, error=str(error), remedy=remedy(error, self._name))
            else:
                self._log.warning(SINK_PARTITIONS_NOT_KEPT, error=str(error))
            return False
        return True


def drop_old(section: PostgresqlSection, query: Query) -> Iterator[str]:
    """Drop the partitions that are past their retention, and yield the name of each. Raises PostgresError."""
    if query(may_retain(section.schema)):
        yield from (str(partition) for (partition,) in query(f"SELECT {qualified(section.schema, RETAIN)}()"))
    if section.tables == "manage":
        for partition in old(section, query):
            wait_ms = int(section.lock_timeout_s * 1000)  # a statement that waits for this lock blocks all statements behind it
            query(f"BEGIN; SET LOCAL lock_timeout = {wait_ms}; {postgres_drop_partition(section.schema, partition)}; COMMIT")
            yield partition


def old(section: PostgresqlSection, query: Query) -> list[str]:
    """Return the partitions that end before the time that `retention_days` keeps."""
    found = []
    for table, days in section.retention_days.items():
        before_us = (time.time() - days * DAY_S) * 1e6
        for partition, _first, end in query(postgres_partitions(section.schema, table)):
            if partition is not None and end is not None and int(end) <= before_us:
                found.append(partition)
    return found
