"""What simulated nodes send, decoded apart from the gateway under test."""

from __future__ import annotations

from iiot_gateway._native import Decoder, Simulator
from iiot_gateway.config.wiring import DEFAULT_PROFILE, PROFILES
from iiot_gateway.profile import read_profile

READINGS = 1000


def decoder() -> Decoder:
    """Return one of the built-in profile."""
    return Decoder(read_profile(PROFILES / f"{DEFAULT_PROFILE}.toml"), topic_prefix="iiot", tags={})


def topics(nodes: int) -> set[str]:
    """Return every topic that so many nodes beside their receiver publish to."""
    log = Simulator(nodes=nodes, rate_per_s=20.0, seed=1, start_ns=0).advance(10**15, max_readings=READINGS)
    return {topic.decode() for topic, _payload, _retain in decoder().push(log, 0).publishes()}
