"""The section `[simulate]`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from iiot_gateway.config.component import SourceSection
from iiot_gateway.config.keys import YEAR_S, integer, number, tags, text


@dataclass(frozen=True, slots=True, kw_only=True)
class SimulateSection(SourceSection):
    """`[simulate]`, `[simulate.NAME]`: simulated sensor nodes, printed as probe-rs would print them."""

    nodes: int = integer(3, "The number of sensor nodes: node1, node3, node4 and so on. node2 is the receiver.", low=1, high=100000)
    rate_per_s: float = number(
        0.5,
        "Readings per second, of all nodes together. 0 is as fast as the journal accepts them; then each node measures every 10 s.",
        low=0,
        high=1e6,
    )
    seed: int = integer(1, "Another seed simulates another place, with other weather.", low=0, high=2**63 - 1)
    profile: str = text("", "Built-in profile by name, or a path to a .toml file; empty takes that of [gateway].")
    topic_prefix: str = text("", "Prefix of this source's topics; empty takes that of [gateway].")
    tags: Mapping[str, str] = tags("Tags on every point; they override those of [gateway].")
    dedup_window_s: float = number(
        3600.0, "A repeat of node, boot, seq and text within this window is a duplicate. 0 keeps all.", low=0, high=YEAR_S
    )
    max_document_bytes: int = integer(65536, "A longer document is rejected.", low=64, high=16777216)
