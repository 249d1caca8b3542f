"""The section `[serial]`: a port, and the form of its bytes."""

from __future__ import annotations

from collections.abc import Mapping
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from iiot_gateway.config.component import Faults, KeyPath, SourceSection, place
from iiot_gateway.config.keys import YEAR_S, choice, integer, number, tags, text

if TYPE_CHECKING:
    from iiot_gateway.config.schema import Config


@dataclass(frozen=True, slots=True, kw_only=True)
class SerialSection(SourceSection):
    """`[serial]`, `[serial.NAME]`: a serial port."""

    port: str = text("", "A device (/dev/ttyACM0), or VID:PID[:SERIAL] of a USB adapter at any port.")
    baud: int = integer(115200, "Bits per second.", low=50, high=12000000)
    bytesize: int = choice(8, "Data bits.", 5, 6, 7, 8)
    parity: Literal["N", "E", "O"] = text("N", "N none, E even, O odd.", "N", "E", "O")
    stopbits: int = choice(1, "Stop bits.", 1, 2)
    silence_s: float = number(900.0, "Without telemetry for this long, status says telemetry_silent. 0 turns this off.", low=0, high=YEAR_S)
    profile: str = text("", "Built-in profile by name, or a path to a .toml file; empty takes that of [gateway].")
    topic_prefix: str = text("", "Prefix of this source's topics; empty takes that of [gateway].")
    tags: Mapping[str, str] = tags("Tags on every point; they override those of [gateway].")
    dedup_window_s: float = number(
        3600.0, "A repeat of node, boot, seq and text within this window is a duplicate. 0 keeps all.", low=0, high=YEAR_S
    )
    max_document_bytes: int = integer(65536, "A longer document is rejected.", low=64, high=16777216)


def faults(config: Config, _given: AbstractSet[KeyPath]) -> Faults:
    """Yield every broken rule."""
    for name, serial in config.of(SerialSection).items():
        if not serial.port:
            yield (*place(name), "port"), "is needed: a device, or VID:PID[:SERIAL]"
