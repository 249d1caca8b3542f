"""The ledger of a fleet: what each site published, what the workers of a share received of it, and what came twice or not at all.

A site counts the values that the broker has acknowledged (`values` of its MQTT sinks). A worker counts the values that came with a
site's mark, and keeps which ones they were. A value that two workers have is a double. One that none has is still in the broker, or lost.
"""

from __future__ import annotations

import json
import ssl
import urllib.error
import urllib.request
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from iiot_gateway.errors import GatewayError

TIMEOUT_S = 30.0
PARTS = ("delivered", "queued", "rejected", "dropped", "superseded")


@dataclass(frozen=True, slots=True, kw_only=True)
class Look:
    """One gateway: its status when the question began, now, and a moment later."""

    url: str
    first: Mapping[str, Any]
    now: Mapping[str, Any]
    after: Mapping[str, Any]

    @property
    def origin(self) -> str:
        """By what its values are marked."""
        return str(self.now["journal"]["id"])


@dataclass(frozen=True, slots=True, kw_only=True)
class SiteRow:
    """What became of the values of a site."""

    origin: str
    url: str | None
    """Where it was asked; None if it was not."""
    published: int
    received: int
    doubles: int
    missing: int
    queued: int
    """Frames of the site that its MQTT sinks have still to send."""
    is_asked: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkerRow:
    """The ledger of a worker, in frames; of its sinks, the sums."""

    url: str
    accepted: int
    duplicate: int
    rejected: int
    queued: int
    dropped: int
    unbalanced: tuple[str, ...]
    """Sinks, or `intake`, whose ledger does not balance."""

    @property
    def is_balanced(self) -> bool:
        """Whether every ledger balances."""
        return not self.unbalanced


AskChunks = Callable[[str, str], Mapping[str, Any]]
"""Gives what a worker, by its URL, has of a site, by its origin."""


def asked(url: str, tokens: Mapping[str, str], ca_file: str | None = None, path: str = "status") -> dict[str, Any]:
    """Ask a gateway. Raises GatewayError."""
    address = f"{url.rstrip('/')}/api/v1/{path}"
    headers = {"accept": "application/json"}
    if token := tokens.get(url.rstrip("/"), tokens.get("")):
        headers["authorization"] = f"Bearer {token}"
    try:
        # Whatever scheme a person has typed.
        request = urllib.request.Request(address, headers=headers)  # noqa: S310
        context = ssl.create_default_context(cafile=ca_file) if address.startswith("https:") else None
        with urllib.request.urlopen(request, timeout=TIMEOUT_S, context=context) as answer:  # noqa: S310
            document: dict[str, Any] = json.load(answer)
    except urllib.error.HTTPError as error:
        remedy = ": --token-file has its [http] token" if error.code == 401 else ""
        raise GatewayError(f"{address} answered {error.code} {error.reason}{remedy}") from error
    except (OSError, ValueError) as error:
        raise GatewayError(f"{address} cannot be asked: {error}") from error
    return document


def add_up(looks: Sequence[Look], chunks: AskChunks) -> tuple[list[SiteRow], list[WorkerRow]]:
    """Return a row for each site and for each worker."""
    sites = {look.origin: look for look in looks if _published(look.first)}
    workers = [look for look in looks if look.now.get("sites")]
    origins = sorted({*sites, *(origin for look in workers for origin in look.now["sites"])})
    return [_site(origin, sites.get(origin), workers, chunks) for origin in origins], [_worker(look) for look in workers]


def _site(origin: str, look: Look | None, workers: Sequence[Look], chunks: AskChunks) -> SiteRow:
    having = [worker for worker in workers if origin in worker.now["sites"]]
    received = sum(worker.now["sites"][origin]["received"] for worker in having)
    doubles = sum(worker.now["sites"][origin]["doubles"] for worker in having)
    if len(having) > 1:
        doubles += _in_several(chunks(worker.url, origin) for worker in having)
    if look is None:
        return SiteRow(origin=origin, url=None, published=0, received=received, doubles=doubles, missing=0, queued=0, is_asked=False)
    at_first, later = _published(look.first), _published(look.after)
    distinct = received - doubles
    missing = max(0, at_first - distinct) or min(0, later - distinct)
    queued = sum(sink["queued"] for sink in _publishing(look.now))
    return SiteRow(
        origin=origin, url=look.url, published=at_first, received=received, doubles=doubles, missing=missing, queued=queued, is_asked=True
    )


def _in_several(answers: Iterator[Mapping[str, Any]]) -> int:
    """Return how many values more than one worker has, each counted once less than it is there."""
    seen: Counter[tuple[str, int, int, int, int]] = Counter()
    for answer in answers:
        for chunk in answer["chunks"]:
            run, number = chunk["run"], chunk["number"]
            seen.update((run, number, frame, point, field) for frame, point, field in chunk["values"])
    return sum(count - 1 for count in seen.values())


def _publishing(status: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    return [sink for sink in status["sinks"].values() if sink.get("kind") == "mqtt"]


def _published(status: Mapping[str, Any]) -> int:
    return sum(int(sink["values"]) for sink in _publishing(status))


def _worker(look: Look) -> WorkerRow:
    intake, sinks = look.now["intake"], look.now["sinks"]
    unbalanced = [name for name, sink in sinks.items() if sink["accepted"] != sum(sink[part] for part in PARTS)]
    if intake["received"] != intake["accepted"] + intake["duplicate"] + intake["rejected"]:
        unbalanced.append("intake")
    return WorkerRow(
        url=look.url,
        accepted=intake["accepted"],
        duplicate=intake["duplicate"],
        rejected=intake["rejected"],
        queued=sum(sink["queued"] for sink in sinks.values()),
        dropped=sum(sink["dropped"] for sink in sinks.values()),
        unbalanced=tuple(unbalanced),
    )
