"""The ledger of a fleet: the values that each site published, that the workers of a share received, and that came twice or not at all.

A site counts the values that the broker has acknowledged (`values` of its MQTT sinks). A worker counts the values that came with a
site's mark, and remembers which ones they were. A value that two workers have is a double. A value that no worker has is still in the
broker, or lost.
"""

from __future__ import annotations

import json
import ssl
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from heapq import merge
from itertools import groupby
from operator import itemgetter
from typing import Any

from iiot_gateway.errors import GatewayError

TIMEOUT_S = 30.0
PARTS = ("delivered", "queued", "rejected", "dropped", "superseded")


@dataclass(frozen=True, slots=True, kw_only=True)
class Look:
    """The status of one gateway at the first look, now, and a moment later."""

    url: str
    first: Mapping[str, Any]
    now: Mapping[str, Any]
    after: Mapping[str, Any]

    @property
    def origin(self) -> str:
        """The id of the gateway's journal, with which its values are marked."""
        return str(self.now["journal"]["id"])


@dataclass(frozen=True, slots=True, kw_only=True)
class SiteRow:
    """The result for the values of one site."""

    origin: str
    url: str | None
    """The URL at which the site was queried; None if it was not queried."""
    published: int
    received: int
    doubles: int
    missing: int
    queued: int
    """Frames of the site that its MQTT sinks have not sent yet."""
    dropped: int
    """Frames of the site that were removed before its MQTT sinks had sent them."""
    forgotten: int
    """Values of which workers know only the number. Among them, a double value could hide a missing one."""
    is_asked: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkerRow:
    """The ledger of a worker in frames, with the sums over its sinks."""

    url: str
    accepted: int
    duplicate: int
    rejected: int
    refused: int
    """Frames that the other side of a sink refused; they are kept as rejects."""
    queued: int
    dropped: int
    """Frames that were removed before a sink had sent them."""
    unbalanced: tuple[str, ...]
    """Sinks, or `intake`, whose ledger does not balance."""

    @property
    def is_balanced(self) -> bool:
        """Whether every ledger balances."""
        return not self.unbalanced


AskPage = Callable[[str, str, str | None], Mapping[str, Any]]
"""Returns the values of a site (by its origin) that a worker (by its URL) has: the first chunks, or those after a `next`."""
Chunk = tuple[tuple[str, int], set[tuple[int, ...]]]
"""Run and number, and the values: frame, point, field."""


class _NoRedirect(urllib.request.HTTPRedirectHandler):
    """Follows no redirect, because the token is only for the address that was given."""

    def redirect_request(self, *_arguments: Any) -> None:
        return None


def asked(url: str, tokens: Mapping[str, str], ca_file: str | None = None, path: str = "status") -> dict[str, Any]:
    """Send a request to a gateway. Raises GatewayError."""
    address = f"{url.rstrip('/')}/api/v1/{path}"
    headers = {"accept": "application/json"}
    if token := tokens.get(url.rstrip("/"), tokens.get("")):
        headers["authorization"] = f"Bearer {token}"
    try:
        # A person may type any scheme.
        request = urllib.request.Request(address, headers=headers)  # noqa: S310
        context = ssl.create_default_context(cafile=ca_file) if address.startswith("https:") else None
        opener = urllib.request.build_opener(_NoRedirect, urllib.request.HTTPSHandler(context=context))
        with opener.open(request, timeout=TIMEOUT_S) as answer:
            document: dict[str, Any] = json.load(answer)
    except urllib.error.HTTPError as error:
        remedy = ": --token-file FILE names a file with its [http] token" if error.code == 401 else ""
        raise GatewayError(f"{address} answered {error.code} {error.reason}{remedy}") from error
    except (OSError, ValueError) as error:
        raise GatewayError(f"{address} cannot be asked: {error}") from error
    return document


def status_of(url: str, tokens: Mapping[str, str], ca_file: str | None) -> dict[str, Any]:
    """Return the status of a gateway. Raises GatewayError, also if the other side is no gateway that knows fleets."""
    status = asked(url, tokens, ca_file)
    try:
        known = bool(status["journal"]["id"]) and isinstance(status["sites"], dict) and isinstance(status["sinks"], dict)
    except (KeyError, TypeError):
        known = False
    if not known:
        raise GatewayError(
            f"{url} answers, but not as a gateway of this version does: is it the address of another program, or an older one?"
        )
    return status


def add_up(looks: Sequence[Look], page: AskPage) -> tuple[list[SiteRow], list[WorkerRow]]:
    """Return one row per site and per worker. Raises GatewayError if two addresses belong to one gateway."""
    urls: dict[str, str] = {}
    for look in looks:
        if (other := urls.setdefault(look.origin, look.url)) != look.url:
            raise GatewayError(f"{other} and {look.url} are one gateway: name it once")
    sites = {look.origin: look for look in looks if _published(look.first)}
    # A gateway that stores data of devices is also a worker, even if no site's values have come to it. A site without published
    # values is no worker.
    workers = [look for look in looks if look.now["sites"] or not _publishing(look.now)]
    origins = sorted({*sites, *(origin for look in workers for origin in look.now["sites"])})
    return [_site(origin, sites.get(origin), workers, page) for origin in origins], [_worker(look) for look in workers]


def _site(origin: str, look: Look | None, workers: Sequence[Look], page: AskPage) -> SiteRow:
    having = [worker for worker in workers if origin in worker.now["sites"]]
    received, doubles, forgotten = (
        sum(worker.now["sites"][origin][name] for worker in having) for name in ("received", "doubles", "forgotten")
    )
    if len(having) > 1:
        doubles += _in_several([_chunks(worker.url, origin, page) for worker in having])
    if look is None:
        return SiteRow(
            origin=origin,
            url=None,
            published=0,
            received=received,
            doubles=doubles,
            missing=0,
            queued=0,
            dropped=0,
            forgotten=forgotten,
            is_asked=False,
        )
    at_first, later = _published(look.first), _published(look.after)
    # If workers have more values than were published, the surplus came twice, so long ago that the workers no longer know which values.
    long_ago = min(forgotten, max(0, received - doubles - later))
    doubles += long_ago
    distinct = received - doubles
    missing = max(0, at_first - distinct) or min(0, later - distinct)
    queued, dropped = (sum(sink[part] for sink in _publishing(look.now)) for part in ("queued", "dropped"))
    return SiteRow(
        origin=origin,
        url=look.url,
        published=at_first,
        received=received,
        doubles=doubles,
        missing=missing,
        queued=queued,
        dropped=dropped,
        forgotten=forgotten,
        is_asked=True,
    )


def _in_several(workers: Sequence[Iterator[Chunk]]) -> int:
    """Return the number of surplus copies: a value that n workers have counts n - 1 times. Reads chunk by chunk."""
    doubles = 0
    for _place, chunks in groupby(merge(*workers, key=itemgetter(0)), key=itemgetter(0)):
        values = [chunk[1] for chunk in chunks]
        doubles += sum(map(len, values)) - len(set().union(*values))
    return doubles


def _chunks(url: str, origin: str, page: AskPage) -> Iterator[Chunk]:
    """Yield the chunks of a site that a worker has, in the order of runs and numbers."""
    after: str | None = None
    while True:
        answer = page(url, origin, after)
        for chunk in answer["chunks"]:
            yield (chunk["run"], chunk["number"]), _values(bytes.fromhex(chunk["values"]))
        after = answer["next"]
        if after is None:
            return


def _values(encoded: bytes) -> set[tuple[int, ...]]:
    """Read the values of a chunk: three varints per value. The first varint is the difference from the value before."""
    numbers: list[int] = []
    number = shift = 0
    for byte in encoded:
        number |= (byte & 127) << shift
        shift += 7
        if byte < 128:
            numbers.append(number)
            number = shift = 0
    frame = 0
    values: set[tuple[int, ...]] = set()
    for at in range(0, len(numbers) - 2, 3):
        frame += numbers[at]
        values.add((frame, numbers[at + 1], numbers[at + 2]))
    return values


def _publishing(status: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    return [sink for sink in status["sinks"].values() if sink.get("kind") == "mqtt"]


def _published(status: Mapping[str, Any]) -> int:
    return sum(int(sink["values"]) for sink in _publishing(status))


def _worker(look: Look) -> WorkerRow:
    intake, sinks = look.now["intake"], look.now["sinks"]
    # The alerts sink stores nothing, and may leave frames out.
    storing = [sink for sink in sinks.values() if sink.get("kind") != "alerts"]
    unbalanced = [name for name, sink in sinks.items() if sink["accepted"] != sum(sink[part] for part in PARTS)]
    if intake["received"] != intake["accepted"] + intake["duplicate"] + intake["rejected"]:
        unbalanced.append("intake")
    return WorkerRow(
        url=look.url,
        accepted=intake["accepted"],
        duplicate=intake["duplicate"],
        rejected=intake["rejected"],
        refused=sum(sink["rejected"] for sink in storing),
        queued=sum(sink["queued"] for sink in storing),
        dropped=sum(sink["dropped"] for sink in storing),
        unbalanced=tuple(unbalanced),
    )
