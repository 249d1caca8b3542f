"""The supervision of probe-rs, against a stand-in that dies in each way."""

from __future__ import annotations

import io
import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import anyio
import pytest

from iiot_gateway.backoff import Backoff
from iiot_gateway.config.load import load_text
from iiot_gateway.sources.probe_rs.command import arguments, environment
from iiot_gateway.sources.probe_rs.conditions import REMEDY
from iiot_gateway.sources.probe_rs.doctor import probes
from iiot_gateway.sources.probe_rs.section import ProbeRsSection
from iiot_gateway.sources.probe_rs.source import ProbeRsSource
from iiot_gateway.sources.recording import RecordingReader, RecordingWriter
from servers import until

FAKE = Path(__file__).parent.parent / "peers" / "fake_probe_rs.py"
LINE = '[INFO ] JSON sent via VCP: {"ts":5000,"id":"N2"}\\n (node2_firmware src/main.rs:573)\n'

pytestmark = pytest.mark.anyio


class Bench:
    """A stand-in with its plan, and a source that records what it prints."""

    def __init__(self, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.lives_path = folder / "lives"
        self.plan_path = folder / "plan.json"
        self.firmware = folder / "node.elf"
        self.firmware.write_bytes(b"\x7fELF")
        self.file = io.BytesIO()
        monkeypatch.setenv("FAKE_PROBE_LIVES", str(self.lives_path))
        monkeypatch.setenv("FAKE_PROBE_PLAN", str(self.plan_path))

    def source(self, plan: list[dict[str, Any]], **settings: Any) -> ProbeRsSource:
        """Return a source over the plan; it waits next to nothing between lives."""
        self.plan_path.write_text(json.dumps(plan))
        given = {"chip": "STM32F446RETx", "firmware_path": str(self.firmware), "probe_rs_path": str(FAKE), "stop_grace_s": 0.5, **settings}
        section = ProbeRsSection(**given)
        return ProbeRsSource("probe_rs", section, RecordingWriter(self.file, "probe_rs"), backoff=Backoff(first_s=0.01, ceiling_s=0.02))

    def lives(self) -> list[dict[str, Any]]:
        """Return what the stand-in wrote about each of its lives."""
        return [json.loads(line) for line in self.lives_path.read_text().splitlines()] if self.lives_path.exists() else []

    def received(self) -> bytes:
        """Return all bytes that came through."""
        return b"".join(chunk for _at, chunk in RecordingReader(io.BytesIO(self.file.getvalue())).chunks())


@pytest.fixture
def bench(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Bench:
    """A stand-in in a folder of its own."""
    return Bench(tmp_path, monkeypatch)


async def run_until(source: ProbeRsSource, condition: Callable[[], bool]) -> None:
    """Run the source until the condition holds, then cancel it."""
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(source.run)
        with anyio.fail_after(10):
            while not condition():
                await anyio.sleep(0.005)
        tasks.cancel_scope.cancel()


def is_alive(pid: int) -> bool:
    """Tell whether a process runs; one that ended and was not fetched does not."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


async def test_every_byte_of_every_life_is_pushed(bench: Bench) -> None:
    """What the node printed before each death arrives, in order."""
    source = bench.source([{"stdout": LINE, "exit": 1}, {"stdout": LINE * 2000, "exit": 1}, {"stdout": "end\n", "stay": True}])

    await run_until(source, lambda: bench.received().endswith(b"end\n"))

    assert bench.received() == (LINE + LINE * 2000 + "end\n").encode()
    assert source.status.restarts == 2


@pytest.mark.parametrize(
    ("life", "condition"),
    [
        ({"stderr": "Error: No connected probes were found.\n", "exit": 1}, "no_probe"),
        ({"stderr": "Error: Probe is already in use\n", "exit": 1}, "probe_busy"),
        ({"stderr": "Error: The requested chip 'X' was not found\n", "exit": 1}, "chip_not_found"),
        ({"stdout": LINE + "[ERROR] panicked at src/main.rs:1\nFirmware exited unexpectedly: Exception\n", "exit": 1}, "firmware_panicked"),
        ({"stdout": LINE, "stderr": "Error: USB Communication Error\n", "exit": 1}, "unplugged"),
    ],
)
async def test_a_death_is_named_in_the_status_and_the_tool_started_again(bench: Bench, life: dict[str, Any], condition: str) -> None:
    """The operator sees why, and the gateway goes on."""
    seen: set[str] = set()
    source = bench.source([life])

    def named() -> bool:
        seen.add(source.status.state)
        return condition in seen and len(bench.lives()) > 1

    await run_until(source, named)

    assert condition in seen


async def test_a_missing_tool_is_named(bench: Bench) -> None:
    """Without probe-rs on the path the status says so."""
    source = bench.source([], probe_rs_path="no-such-probe-rs")

    await run_until(source, lambda: source.status.state == "tool_not_installed")

    assert "no-such-probe-rs" in source.status.detail


@pytest.mark.parametrize(
    ("content", "mode", "words"),
    [
        (b"#!/no/such/interpreter\n", 0o755, "probe-rs"),
        (b"#!/bin/sh\nexit 0\n", 0o644, "is there, and may not be run by this user"),
        (b"\x7fELF of another machine", 0o755, "probe-rs"),
    ],
    ids=["no loader", "no right", "another machine"],
)
async def test_a_tool_that_is_there_and_does_not_start_is_not_called_missing(
    bench: Bench, tmp_path: Path, content: bytes, mode: int, words: str
) -> None:
    """Neither the firmware nor an installation is blamed; `doctor` says the same as the status."""
    program = tmp_path / "probe-rs"
    program.write_bytes(content)
    program.chmod(mode)
    source = bench.source([], probe_rs_path=str(program))

    await run_until(source, lambda: source.status.state == "tool_cannot_run")

    assert words in source.status.detail
    [finding] = probes(load_text(f'[gateway]\nchip = "X"\nfirmware_path = "{program}"\nprobe_rs_path = "{program}"\n'))
    assert (finding.ok, finding.remedy) == (False, REMEDY["tool_cannot_run"])
    assert str(program) in finding.detail


async def test_a_missing_firmware_file_is_named_before_the_tool_starts(bench: Bench) -> None:
    """The path in the configuration is told, and no probe is touched."""
    source = bench.source([{}], firmware_path="/no/such/node.elf")

    await run_until(source, lambda: source.status.state == "firmware_missing")

    assert bench.lives() == []


async def test_silence_and_lines_without_telemetry_are_told_apart(bench: Bench) -> None:
    """A node that prints nothing is another fault than a node that prints no telemetry."""
    silent = bench.source([{"stay": True}], rtt_silence_s=0.1)
    await run_until(silent, lambda: silent.status.state == "rtt_silent")
    talking = bench.source([{"stdout": "[INFO ] boot\n", "stay": True}], rtt_silence_s=0, telemetry_silence_s=0.1)
    await run_until(talking, lambda: talking.status.state == "telemetry_silent")

    assert (silent.status.state, talking.status.state) == ("rtt_silent", "telemetry_silent")


@pytest.mark.parametrize("ignores", [False, True])
async def test_cancelling_leaves_no_process(bench: Bench, ignores: bool) -> None:  # noqa: FBT001
    """SIGTERM ends the tool, and SIGKILL one that ignores it."""
    source = bench.source([{"stdout": LINE, "stay": True, "ignore_sigterm": ignores}])

    await run_until(source, lambda: bool(bench.received()))

    assert not is_alive(bench.lives()[0]["pid"])


async def test_the_tool_dies_with_a_gateway_that_is_killed(bench: Bench, tmp_path: Path) -> None:
    """SIGKILL to the gateway leaves no probe-rs that holds the probe."""
    bench.source([{"stdout": LINE, "stay": True}])
    program = (
        "import anyio, io; from iiot_gateway.sources.probe_rs.section import ProbeRsSection; "
        "from iiot_gateway.sources.probe_rs.source import ProbeRsSource;"
        "from iiot_gateway.sources.recording import RecordingWriter;"
        f"s = ProbeRsSection(chip='X', firmware_path={str(bench.firmware)!r}, probe_rs_path={str(FAKE)!r});"
        "anyio.run(ProbeRsSource('probe_rs', s, RecordingWriter(io.BytesIO(), 'x')).run)"
    )
    with (tmp_path / "log").open("wb") as log, subprocess.Popen([sys.executable, "-c", program], stderr=log, stdout=log) as gateway:
        until(lambda: len(bench.lives()) == 1, "the first life")
        gateway.kill()

    until(lambda: not is_alive(bench.lives()[0]["pid"]), "the end of the tool")


async def test_the_tool_gets_its_arguments_and_no_variables_that_overrule_them(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    """What the configuration says is what probe-rs does."""
    monkeypatch.setenv("PROBE_RS_CHIP", "another")
    source = bench.source([{"stdout": LINE, "stay": True}], probe_id="0483:374b:066DFF")

    await run_until(source, lambda: bool(bench.received()))

    life = bench.lives()[0]
    assert life["argv"][0] == "run"
    assert life["argv"][-2:] == ["--", str(bench.firmware)]
    assert life["environment"] == {"NO_COLOR": "1", "PROBE_RS_COLOR": "0"}


def test_attach_neither_flashes_nor_needs_firmware() -> None:
    """The options of flashing are unknown to attach."""
    command = arguments(ProbeRsSection(chip="X", mode="attach", probe_id="0483:374b"))

    assert command == [
        *("attach", "--chip", "X", "--non-interactive", "--no-catch-reset", "--rtt-channel-mode", "no-block-skip"),
        *("--no-location", "--no-timestamps", "--probe", "0483:374b"),
    ]


def test_backtraces_are_not_asked_for() -> None:
    """A backtrace would push the words of the error out of what is kept."""
    assert environment({"RUST_BACKTRACE": "1", "HOME": "/h"}) == {"HOME": "/h", "NO_COLOR": "1", "PROBE_RS_COLOR": "0"}
    assert os.environ.get("PROBE_RS_COLOR") is None
