"""Notes on settings that are not faults, but may surprise the author: one sentence each, for `check` and for the start."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import combinations

from iiot_gateway.config.component import PublishingSection
from iiot_gateway.config.schema import Config
from iiot_gateway.config.wiring import source_rules


def notes(config: Config) -> Iterator[str]:
    """Yield every note on a configuration without faults."""
    for component in config.components:
        yield from component.notes(config)
    if any(not isinstance(sink, PublishingSection) for sink in config.sinks().values()):
        yield from _shared_series(config)


def _shared_series(config: Config) -> Iterator[str]:
    """Find sources that have different topics but equal tags, so that their values are mixed in databases, which know no topics."""
    sources = [source_rules(config, name, section) for name, section in config.sources().items()]
    for one, other in combinations(sources, 2):
        if one.topic_prefix != other.topic_prefix and (one.profile, one.tags) == (other.profile, other.tags):
            yield (
                f"[{one.name}] and [{other.name}] have different topic prefixes and the same tags: nodes of one name share series in "
                f'databases; tags = {{ site = "..." }} in each keeps them apart'
            )
