"""Firmware with several RTT channels: probe-rs marks each piece that it polled, and a document may lie in two of them."""

from __future__ import annotations

import json
import os
import random
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from gateways import START, Gateway
from recordings import Expected, expect, generated
from servers import Mosquitto
from subscribers import Subscriber

FAKE = Path(__file__).parent.parent / "peers" / "fake_probe_rs.py"


def polled(log: bytes) -> bytes:
    """Return the log as probe-rs prints it when another channel logs beside it: cut anywhere, with something of the other one between."""
    rng = random.Random(11)
    pieces = [b"[Terminal] boot\n", b"[log] ready\n"]
    at = 0
    while at < len(log):
        length = rng.randrange(1, 400)
        pieces.append(b"[Terminal] " + log[at : at + length])
        pieces.append(b'[log] {"n1":{"t":99.9}}\n')
        at += length
    return b"".join(pieces)


@pytest.fixture
def expected(tmp_path: Path) -> Expected:
    """What a right reader finds in the one channel, which lies in `channel.log`; `polled.log` has both."""
    log = generated(300)
    (tmp_path / "channel.log").write_bytes(log)
    (tmp_path / "polled.log").write_bytes(polled(log))
    return expect(tmp_path / "channel.log")


def counts(gateway: Gateway) -> tuple[int, int, int, int]:
    """Return received, accepted, duplicate, rejected."""
    intake = gateway.status()["intake"]
    return intake["received"], intake["accepted"], intake["duplicate"], intake["rejected"]


def test_documents_that_another_channel_splits_arrive(
    gateway: Gateway, mosquitto: Mosquitto, subscribe: Callable[..., Subscriber], expected: Expected, tmp_path: Path
) -> None:
    """Every value of the channel comes once and in order, none of the other one, and the log names the channel that was left out."""
    (tmp_path / "node.elf").write_bytes(b"\x7fELF")
    (tmp_path / "plan.json").write_text(json.dumps([{"stdout_file": str(tmp_path / "polled.log"), "stay": True}]))
    tool = tmp_path / "probe-rs"
    tool.write_text(f'#!/bin/sh\nexec "{sys.executable}" "{FAKE}" "$@"\n')
    tool.chmod(0o755)
    probe = f'[gateway]\nchip = "X"\nfirmware_path = "{tmp_path / "node.elf"}"\nprobe_rs_path = "{tool}"\n'
    gateway.configure(f'[mqtt]\nbroker_url = "{mosquitto.url}"\n{probe}')
    subscriber = subscribe(mosquitto)
    environ = {**os.environ, "FAKE_PROBE_PLAN": str(tmp_path / "plan.json"), "FAKE_PROBE_LIVES": str(tmp_path / "lives")}

    gateway.start("run", env=environ)
    gateway.until(lambda s: s["sinks"]["mqtt"]["delivered"] >= expected.accepted, "all deliveries")
    subscriber.catch_up()

    assert gateway.stop() == 0
    assert counts(gateway) == (expected.received, expected.accepted, expected.duplicate, expected.rejected)
    for topic in expected.topics():
        assert subscriber.values(f"iiot/{topic}") == expected.values(topic), topic
    assert "rtt_channel_left_out" in gateway.log()


def test_a_log_of_several_channels_is_replayed_and_decoded(
    gateway: Gateway, mosquitto: Mosquitto, expected: Expected, tmp_path: Path
) -> None:
    """Files give what the probe gave, at any speed; `rtt_channel` chooses the channel."""
    gateway.configure(f'[mqtt]\nbroker_url = "{mosquitto.url}"\n')
    played = gateway.run("replay", str(tmp_path / "polled.log"), "--start", START, "--speed", "1000000", "--once")
    one, both = (gateway.run("decode", str(tmp_path / name), "--only", "topics") for name in ("channel.log", "polled.log"))

    assert played.returncode == 0, played.stderr
    assert counts(gateway) == (expected.received, expected.accepted, expected.duplicate, expected.rejected)
    assert (one.returncode, one.stdout) == (both.returncode, both.stdout)
    gateway.configure(f'[mqtt]\nbroker_url = "{mosquitto.url}"\n[gateway]\nrtt_channel = "log"\n')
    other = gateway.run("decode", str(tmp_path / "polled.log"), "--only", "topics").stdout
    assert other.splitlines()[-1] == "iiot/node1/temperature = 99.9 (retained)"
