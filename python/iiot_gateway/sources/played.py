"""The arguments of `replay`, and the source that it plays."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from iiot_gateway.components import rule_arguments
from iiot_gateway.config.schema import GatewaySection
from iiot_gateway.config.wiring import SourceRules, source_rules
from iiot_gateway.errors import GatewayError

if TYPE_CHECKING:
    from iiot_gateway.components import Building
    from iiot_gateway.sources.base import Source


@dataclass(frozen=True, slots=True, kw_only=True)
class Replay:
    """The arguments of `replay`."""

    path: str
    source_name: str = "replay"
    start_ns: int | None = None
    speed: float | None = 1.0
    """The factor to real time; None is as fast as possible."""
    from_start: bool = False


def build_replay(building: Building, replay: Replay) -> Source:
    """Make the source. Raises GatewayError if the recording was begun with other arguments."""
    from iiot_gateway import _native
    from iiot_gateway.sources.recorded_file import fingerprint, is_stream
    from iiot_gateway.sources.replay import ReplaySource

    given = source_rules(building.config, replay.source_name, building.config.gateway)
    settings = rule_arguments(given)
    try:
        intake = building.journal.add_recording(
            replay.source_name,
            fingerprint=fingerprint(replay.path),
            arguments=_arguments(replay, given),
            from_start=replay.from_start or is_stream(replay.path),
            start_ns=replay.start_ns,
            **settings,
        )
    except ValueError as error:
        raise GatewayError(f"{replay.path}: {error}") from error
    pacer = None
    if replay.speed is not None:
        pacer = _native.Pacer(settings["profile"], max_document_bytes=given.max_document_bytes, rtt_channel=given.rtt_channel)
    return ReplaySource(replay.source_name, replay.path, intake, speed=replay.speed, pacer=pacer)


def _arguments(replay: Replay, given: SourceRules) -> str:
    """Return the arguments that must be the same when a recording is continued. The default channel is left out, as in earlier versions."""
    start = "no --start" if replay.start_ns is None else f"--start at {replay.start_ns} ns"
    return start if given.rtt_channel == GatewaySection().rtt_channel else f"{start}, rtt_channel {given.rtt_channel or 'none'}"
