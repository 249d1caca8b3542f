"""What a configuration may say without fault, and its author may not expect: each a sentence for `check` and for the start."""

from __future__ import annotations

import re
from collections.abc import Iterator
from itertools import combinations
from urllib.parse import urlsplit

from iiot_gateway.config.schema import Config
from iiot_gateway.config.wiring import live_sections, origin, value_prefixes

API_PATH = re.compile(r"/(api/v[23](/.*)?|write|write_lp|query|ping|health)$")
"""What InfluxDB and VictoriaMetrics call their ends of the API; a proxy's own path may stand before it."""


def notes(config: Config) -> Iterator[str]:
    """Give every note on a configuration without faults."""
    for name, section in config.mqtt.items():
        prefixes = value_prefixes(config, section)
        if section.topic_prefix not in prefixes:
            own = section.topic_prefix
            yield (
                f"{name}.topic_prefix begins {own}/gateway/status and {own}/gateway/health only: values that go there keep the prefix of "
                f"their source, {_quoted(prefixes)}; topic_prefix of [gateway] or of the source changes it"
            )
    for name, influxdb in config.influxdb.items():
        base = influxdb.url.rstrip("/")
        if found := API_PATH.search(urlsplit(base).path):
            right = base.removesuffix(found[0])
            yield f"{name}.url ends with a path of the API, {found[0]}, to which the gateway adds its own: take {right}"
    if config.influxdb or config.history:
        yield from _shared_series(config)


def _shared_series(config: Config) -> Iterator[str]:
    """Find sources that are kept apart in topics and not in databases, which know no topics."""
    sources = [origin(config, name, section) for name, section in live_sections(config).items()]
    for one, other in combinations(sources, 2):
        if one.topic_prefix != other.topic_prefix and (one.profile, one.tags) == (other.profile, other.tags):
            yield (
                f"[{one.name}] and [{other.name}] have different topic prefixes and the same tags: nodes of one name share series in "
                f'databases; tags = {{ site = "..." }} in each keeps them apart'
            )


def _quoted(words: list[str]) -> str:
    return ", ".join(f'"{word}"' for word in words)
