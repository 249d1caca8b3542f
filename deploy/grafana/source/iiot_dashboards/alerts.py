"""The alerts by name, as the gateway knows them too: what each says, how bad it is, and where it counts as one."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Alert:
    """An alert whatever database it reads."""

    name: str
    severity: str
    summary: str
    """A template: `$labels` has the series' labels, `$values.B.Value` its value."""
    compare: str
    """gt, lt or outside_range."""
    limits: Sequence[float]
    hold: str = "0s"
    """How long it must last."""

    @property
    def runbook(self) -> str:
        """Return the path of its page."""
        return f"docs/runbooks/{self.name.replace('_', '-')}.md"


def _rounded(digits: int) -> str:
    return f'{{{{ printf "%.{digits}f" $values.B.Value }}}}'


def _label(name: str) -> str:
    return f"{{{{ $labels.{name} }}}}"


ON_PUMP = f"{_label('chemical')} on pump {_label('pump')} is off by {_rounded(2)} g"

# Words, limits and severities are those of the gateway's own rules, which stand in its profiles and in sinks/alerts/gateway.toml.
DOSING = (
    Alert("inventory_low", "critical", f"Low inventory: {_label('chemical')} at {_rounded(0)} %", "lt", (20,)),
    Alert("temperature_high", "critical", f"High temperature: {_label('location')} at {_rounded(1)} °C", "gt", (80,), "5m"),
    Alert("vibration_high", "warning", f"High vibration: pump {_label('pump')} at {_rounded(2)} g", "gt", (0.15,)),
    Alert("dosing_inaccurate", "warning", f"Inaccurate dosing: {ON_PUMP} on average", "gt", (1,)),
    Alert("dose_off", "warning", f"Wrong dose: {ON_PUMP}", "gt", (2,)),
    Alert("plant_silent", "critical", f"Plant silent: nothing from {_label('device_id')} for {_rounded(0)} min", "gt", (10,)),
)
LORA = (
    Alert("node_silent", "warning", f"{_label('node')} is silent for {_rounded(0)} min", "gt", (15,)),
    Alert("battery_low", "warning", f"Low battery: {_label('node')} at {_rounded(0)} mV", "lt", (2900,), "5m"),
    Alert(
        "temperature_out_of_range",
        "warning",
        f"Temperature out of range: {_label('node')} at {_rounded(1)} °C",
        "outside_range",
        (-10, 40),
        "5m",
    ),
    Alert(
        "humidity_out_of_range", "warning", f"Humidity out of range: {_label('node')} at {_rounded(0)} %", "outside_range", (15, 85), "5m"
    ),
)
GATEWAY = (
    Alert("queue_old", "warning", f"{_label('sink')} is behind: its oldest frame has waited {_rounded(0)} s", "gt", (300,)),
    Alert("journal_short", "critical", f"The journal has room for {_rounded(1)} hours at the present rate", "lt", (6,), "1m"),
    Alert("frames_dropped", "critical", f"{_label('sink')} loses frames: {_rounded(0)} in ten minutes", "gt", (0,)),
    Alert("source_silent", "warning", f"Nothing came from {_label('source')} for {_rounded(0)} s", "gt", (900,)),
)
ALERTS = (*DOSING, *LORA, *GATEWAY)

ZONE, BEGINS_H, ENDS_H, WEEKDAYS = "Etc/UTC", 6, 22, (1, 2, 3, 4, 5)
"""Working hours of a plant; Monday is 1. docs/grafana.md says where an operator sets them."""
