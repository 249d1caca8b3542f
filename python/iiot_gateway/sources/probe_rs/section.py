"""The section `[probe_rs.NAME]`, and the rules between its keys."""

from __future__ import annotations

import re
from collections.abc import Mapping
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from iiot_gateway.config.component import Faults, KeyPath, SourceSection, place
from iiot_gateway.config.keys import YEAR_S, integer, number, path, tags, text

if TYPE_CHECKING:
    from iiot_gateway.config.schema import Config

CHANNEL = re.compile(r"[ -Z\\^-~]{1,32}")
USB = re.compile(r"[0-9A-Fa-f]{4}:[0-9A-Fa-f]{4}(:.+)?")


@dataclass(frozen=True, slots=True, kw_only=True)
class ProbeRsSection(SourceSection):
    """`[probe_rs.NAME]`: a further debug probe; the same keys as `[gateway]`."""

    probe_id: str = text("", "The probe, VID:PID or VID:PID:SERIAL as `probe-rs list` prints it; needed when several are plugged in.")
    chip: str = text("", "The chip of the node. If it is set, this probe is a source.")
    firmware_path: str = path("", "The firmware (ELF) that runs on the node; run mode flashes it, both modes decode its log with it.")
    mode: Literal["run", "attach"] = text("run", "run: flash if needed, reset and listen. attach: listen only.", "run", "attach")
    probe_rs_path: str = text("probe-rs", "The probe-rs program: a name on the search path, or a path.")
    log_format: str = text("", "A defmt log format for --log-format; empty leaves it to probe-rs.")
    rtt_channel: str = text(
        "Terminal",
        "With several RTT channels: the one to read. A single channel has no name in the log, and is always read; empty reads everything.",
    )
    rtt_silence_s: float = number(60.0, "Without any byte for this long, status says rtt_silent. 0 turns this off.", low=0, high=YEAR_S)
    telemetry_silence_s: float = number(
        900.0, "With log lines but no telemetry for this long, status says telemetry_silent. 0 turns this off.", low=0, high=YEAR_S
    )
    stop_grace_s: float = number(2.0, "How long probe-rs may take to end before it is killed.", low=0, high=3)
    profile: str = text("", "Built-in profile by name, or a path to a .toml file; empty takes that of [gateway], there `lora-bridge`.")
    topic_prefix: str = text("", "Prefix of this source's topics; empty takes that of [gateway], there that of the first [mqtt].")
    tags: Mapping[str, str] = tags("Tags on every point; a source's own tags override those of [gateway].")
    dedup_window_s: float = number(
        3600.0, "A repeat of node, boot, seq and text within this window is a duplicate. 0 keeps all.", low=0, high=YEAR_S
    )
    max_document_bytes: int = integer(65536, "A longer document is rejected.", low=64, high=16777216)


def probes(config: Config) -> dict[str, ProbeRsSection]:
    """Return the section of every probe by the source's name; the probe of [gateway] is called `probe_rs`."""
    return {name: section for name, section in config.sources().items() if isinstance(section, ProbeRsSection)}


def faults(config: Config, given: AbstractSet[KeyPath]) -> Faults:
    """Yield every broken rule."""
    yield from _probe(("gateway",), config.gateway, given, needs_chip=False)
    for name, probe in config.of(ProbeRsSection).items():
        yield from _probe(place(name), probe, given, needs_chip=True)


def _probe(path: KeyPath, probe: ProbeRsSection, given: AbstractSet[KeyPath], *, needs_chip: bool) -> Faults:
    if probe.rtt_channel and not CHANNEL.fullmatch(probe.rtt_channel):
        yield (
            (*path, "rtt_channel"),
            "expected a channel's name as the firmware gives it: 1 to 32 printable ASCII characters without brackets",
        )
    if not probe.chip:
        for key in ("probe_id", "firmware_path"):
            if (*path, key) in given and getattr(probe, key):
                yield (*path, "chip"), f"is needed beside {key}"
                return
        if needs_chip:
            yield (*path, "chip"), "is needed"
        return
    if probe.mode == "run" and not probe.firmware_path:
        yield (*path, "firmware_path"), 'is needed with mode = "run"'
    if probe.probe_id and not USB.fullmatch(probe.probe_id):
        yield (*path, "probe_id"), "expected VID:PID or VID:PID:SERIAL in hexadecimal, as `probe-rs list` prints it"
