"""The probe-rs source: reads a debug probe through the program probe-rs."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from iiot_gateway.components import ByteSource
from iiot_gateway.sources.probe_rs.section import ProbeRsSection, faults

if TYPE_CHECKING:
    from iiot_gateway.config.schema import Config
    from iiot_gateway.findings import Finding, Running
    from iiot_gateway.sources.base import Intake, Source


def build(name: str, section: ProbeRsSection, intake: Intake) -> Source:
    """Make the source."""
    from iiot_gateway.sources.probe_rs.source import ProbeRsSource

    return ProbeRsSource(name, section, intake)


def _doctor(config: Config, _running: Running) -> Iterator[Finding]:
    """Try each probe."""
    from iiot_gateway.sources.probe_rs.doctor import probes as tried_probes

    return tried_probes(config)


COMPONENT = ByteSource(
    name="probe_rs",
    section=ProbeRsSection,
    only_named="expected [probe_rs.NAME]; the first probe stands in [gateway]",
    template="absent",
    faults=faults,
    build=build,
    doctor=_doctor,
)
