"""Opens a history for reading, for the web page and the API."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, closing, contextmanager
from functools import partial

from iiot_gateway import _native
from iiot_gateway.config.schema import Config
from iiot_gateway.errors import HistoryUnusable
from iiot_gateway.sinks.history.section import histories


def history_for_pages(config: Config) -> Callable[[], AbstractContextManager[_native.HistoryReader]] | None:
    """Return a function that opens the first history, which the pages show; None if no history is configured."""
    return next((partial(reading_history, path) for _name, _section, path in histories(config)), None)


@contextmanager
def reading_history(path: str) -> Iterator[_native.HistoryReader]:
    """Open a history for reading. Raises HistoryUnusable, also for errors within the `with` block."""
    try:
        with closing(_native.HistoryReader(path)) as reader:
            yield reader
    except _native.HistoryError as error:
        raise HistoryUnusable(error.kind, str(error)) from error
