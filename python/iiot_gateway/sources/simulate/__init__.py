"""The simulate source: simulated sensor nodes."""

from __future__ import annotations

from typing import TYPE_CHECKING

from iiot_gateway.components import ByteSource
from iiot_gateway.sources.simulate.section import SimulateSection

if TYPE_CHECKING:
    from iiot_gateway.sources.base import Intake, Source


def build(name: str, section: SimulateSection, intake: Intake) -> Source:
    """Make the source."""
    from iiot_gateway._native import Simulator
    from iiot_gateway.sources.simulate.source import SimulateSource

    return SimulateSource(name, section, intake, Simulator)


COMPONENT = ByteSource(name="simulate", section=SimulateSection, build=build)
