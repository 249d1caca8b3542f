"""Opens the journal, for the gateway and for commands. Errors of the extension become errors of `errors.py`."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from iiot_gateway import _native
from iiot_gateway.config.component import SourceSection
from iiot_gateway.config.schema import Config
from iiot_gateway.config.wiring import source_rules
from iiot_gateway.errors import GatewayError, JournalUnusable
from iiot_gateway.log import JOURNAL_NOTE, get_log
from iiot_gateway.profile import read_profile


def open_journal(config: Config, *, keep_sinks: bool = False) -> _native.Journal:
    """Open the journal. With `keep_sinks`, the sinks of the last run stay active. Raises JournalUnusable."""
    path, section = config.journal_path(), config.journal
    try:
        journal = _native.Journal.open(
            path,
            sync=section.sync,
            max_bytes=section.max_bytes,
            max_age_s=section.max_age_h * 3600.0,
            max_rejects=section.max_rejects,
            keep_confirmed_s=max((each.keep_confirmed_s for each in config.components if config.of(each.section)), default=0.0),
            keep_sinks=keep_sinks,
        )
    except _native.JournalError as error:
        raise JournalUnusable(error.kind, path, str(error)) from error
    log = get_log()
    for note in journal.notes():
        log.warning(JOURNAL_NOTE, note=note)
    return journal


def _existing(config: Config) -> str:
    """Return the journal's file. Raises GatewayError if there is none yet."""
    path = config.journal_path()
    if not Path(path).exists():
        raise GatewayError(f"there is no journal yet at {path}; `run` makes it")
    return path


def inspect(config: Config) -> dict[str, Any]:
    """Return the ledger of a journal that no gateway has open. Raises JournalUnusable."""
    path = _existing(config)
    try:
        return _native.Journal.inspect(path)
    except _native.JournalError as error:
        raise JournalUnusable(error.kind, path, str(error)) from error


def inspect_rejects(config: Config, limit: int) -> list[dict[str, Any]]:
    """Return the rejects of a journal that no gateway has open. Raises JournalUnusable."""
    path = _existing(config)
    try:
        return _native.Journal.inspect_rejects(path, limit=limit)
    except _native.JournalError as error:
        raise JournalUnusable(error.kind, path, str(error)) from error


def retry(
    config: Config, journal: _native.Journal, ids: Sequence[int] | None, devices: _native.DeviceDirectory | None = None
) -> dict[str, int]:
    """Offer rejects again, with the profile files in their present form. A repeat of an accepted document is a duplicate.

    The devices of rejects with an unknown or disabled device are looked up in `devices`.
    """
    sections: dict[str, SourceSection] = {**config.sources()}
    try:
        known = journal.rejects(limit=1_000_000)
        # A recording has no section, so its rejects use the keys that `replay` would use.
        sections |= {reject["source"]: config.gateway for reject in known if reject["source"] not in sections}
        given = [source_rules(config, name, section) for name, section in sections.items()]
        sources = {source.name: (read_profile(source.profile), source.dedup_window_s) for source in given}
        wanted = known if ids is None else _named(known, ids)
        numbers = None if ids is None else [reject["id"] for reject in wanted]
        result = journal.retry_rejects(sources, ids=numbers, devices=devices)
    except _native.JournalError as error:
        raise JournalUnusable(error.kind, config.journal_path(), str(error)) from error
    values = sum(reject["kind"] == "value" for reject in wanted)
    documents = {_document(reject) for reject in wanted if reject["kind"] != "value"}
    without_document = max(0, len(documents) - sum(result.values()))
    if ids is not None and without_document:
        names = ", ".join(f"#{number}" for number in ids)
        raise GatewayError(f"{names} cannot be offered again: the document was too long to be kept with it")
    return {**result, "cannot_be_retried": values + without_document}


def _named(known: list[dict[str, Any]], ids: Sequence[int]) -> list[dict[str, Any]]:
    """Return the rejects with these ids. Raises GatewayError for one that does not exist or has no document of its own."""
    by_id = {reject["id"]: reject for reject in known}
    for number in ids:
        if number not in by_id:
            raise GatewayError(f"there is no reject #{number}; `rejects` lists those that are kept")
        if by_id[number]["kind"] == "value":
            raise GatewayError(f"#{number} cannot be offered again: its document was accepted without this value")
    documents = {_document(by_id[number]) for number in ids}
    return [reject for reject in known if reject["kind"] != "value" and _document(reject) in documents]


def _document(reject: dict[str, Any]) -> tuple[Any, ...]:
    """Return a key that all rejects of one document share. A sink may have refused several lines of it, which are retried together."""
    return (reject["sink"], reject["position"]) if reject["position"] is not None else (reject["sink"], None, reject["id"])
