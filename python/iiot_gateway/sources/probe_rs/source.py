"""The probe-rs source: runs probe-rs, reads all its output, and starts it again whenever it ends."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import time
from collections import deque
from collections.abc import AsyncIterator

import anyio
from anyio.abc import ByteReceiveStream, Process

from iiot_gateway.backoff import Backoff
from iiot_gateway.log import SOURCE_FAILED, SOURCE_OUTPUT, SOURCE_STARTED, Repeated, get_log
from iiot_gateway.sources.base import Intake, SourceStatus
from iiot_gateway.sources.descriptor import read_descriptor
from iiot_gateway.sources.probe_rs.command import arguments, environment, tied_to_parent
from iiot_gateway.sources.probe_rs.conditions import REMEDY, Ending, classify
from iiot_gateway.sources.probe_rs.program import find, not_started
from iiot_gateway.sources.probe_rs.section import ProbeRsSection

CHUNK_BYTES = 65536
TAIL_BYTES = 4096


class ProbeRsSource:
    """Supervises one `probe-rs run` or `attach`."""

    kind = "probe_rs"

    def __init__(self, name: str, section: ProbeRsSection, intake: Intake, *, backoff: Backoff | None = None) -> None:
        self.name = name
        self.status = SourceStatus(traffic=intake.traffic)
        self._section = section
        self._intake = intake
        self._backoff = backoff or Backoff()
        self._log = get_log(source=name)
        self._repeated = Repeated()

    async def run(self) -> None:
        """Run probe-rs again and again. Cancelling ends it with SIGTERM, and then with SIGKILL."""
        while True:
            started_s = time.monotonic()
            ending, had_output = await self._attempt()
            healthy_s = time.monotonic() - started_s if had_output else 0.0
            delay_s = self._backoff.next_delay_s(healthy_s)
            self.status.change(self._log, ending.condition, ending.detail, bad=True)
            if (extra := self._repeated.allows(ending.condition)) is not None:
                self._log.warning(
                    SOURCE_FAILED,
                    condition=ending.condition,
                    detail=ending.detail,
                    remedy=REMEDY[ending.condition],
                    retry_s=round(delay_s, 1),
                    **extra,
                )
            self.status.restarts += 1
            await anyio.sleep(delay_s)

    async def _attempt(self) -> tuple[Ending, bool]:
        program = find(self._section.probe_rs_path)
        if isinstance(program, Ending):
            return program, False
        firmware = self._section.firmware_path
        if firmware and not os.path.isfile(firmware):  # noqa: ASYNC240 - a local stat, before a process is started
            return Ending("firmware_missing", f"there is no file {firmware}"), False
        self.status.change(self._log, "starting", "probe-rs attaches to the chip")
        command = tied_to_parent(shutil.which("setpriv"), [program, *arguments(self._section)])
        self._log.debug(SOURCE_STARTED, command=command)
        output, its_output = os.pipe()
        try:
            process = await anyio.open_process(
                command, stdin=subprocess.DEVNULL, stdout=its_output, env=environment(os.environ), start_new_session=True
            )
        except OSError as error:
            os.close(output)
            return not_started(program, error), False
        except BaseException:
            os.close(output)
            raise
        finally:
            os.close(its_output)
        session = _Session(self, process, output)
        try:
            return await session.listen()
        finally:
            with anyio.CancelScope(shield=True):
                await session.end(self._section.stop_grace_s)
            self._intake.restart()

    async def read(self, output: int) -> bytes:
        """Push the target's output until it ends. Return the last bytes."""
        return await read_descriptor(output, self._intake)

    def judge_silence(self, began_s: float) -> None:
        """Set the state: the node sends telemetry, prints without telemetry, or is silent. Times are Unix seconds."""
        now_s, status, section = time.time(), self.status, self._section
        status.refresh()
        if section.rtt_silence_s and now_s - max(began_s, status.last_bytes_at) > section.rtt_silence_s:
            status.change(self._log, "rtt_silent", f"probe-rs runs, but no line came for {section.rtt_silence_s:g} s", bad=True)
        elif status.last_bytes_at < began_s:
            return
        elif section.telemetry_silence_s and now_s - max(began_s, status.last_document_at) > section.telemetry_silence_s:
            status.change(
                self._log,
                "telemetry_silent",
                f"lines, but no telemetry for {section.telemetry_silence_s:g} s",
                bad=True,
            )
        else:
            status.change(self._log, "running")

    def silence_check_s(self) -> float:
        """How often to check for silence, in seconds: a tenth of the shorter limit, at most one second."""
        limits = [limit for limit in (self._section.rtt_silence_s, self._section.telemetry_silence_s) if limit]
        return min(1.0, min(limits, default=10.0) / 10)

    def output(self, line: str) -> None:
        """Log a line of probe-rs's own output."""
        self._log.debug(SOURCE_OUTPUT, line=line)


class _Session:
    """One run of probe-rs."""

    def __init__(self, source: ProbeRsSource, process: Process, output: int) -> None:
        self.source = source
        self.process = process
        self.output = output
        self.stderr_tail: deque[str] = deque(maxlen=40)
        self.stderr_done = anyio.Event()

    async def listen(self) -> tuple[Ending, bool]:
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(self._drain_stderr)
            tasks.start_soon(self._watch)
            tail = await self.source.read(self.output)
            code = await self.process.wait()
            # The rest of stderr helps the diagnosis. The wait is limited, because a grandchild may keep the pipe open.
            with anyio.move_on_after(1.0):
                await self.stderr_done.wait()
            tasks.cancel_scope.cancel()
        printed = tail.decode("utf-8", "replace")
        return classify(code, printed, "\n".join(self.stderr_tail), had_output=bool(tail)), bool(tail)

    async def _drain_stderr(self) -> None:
        rest = ""
        try:
            async for chunk in _chunks(self.process.stderr):
                *lines, rest = (rest + chunk.decode("utf-8", "replace").replace("\r", "\n")).split("\n")
                rest = rest[-TAIL_BYTES:]
                for line in lines:
                    self._keep(line)
        finally:
            self._keep(rest)
            self.stderr_done.set()

    def _keep(self, line: str) -> None:
        if line.strip():
            self.stderr_tail.append(line[:400])
            self.source.output(line[:400])

    async def _watch(self) -> None:
        began_s = time.time()
        while True:
            await anyio.sleep(self.source.silence_check_s())
            self.source.judge_silence(began_s)

    async def end(self, grace_s: float) -> None:
        """Send SIGTERM, so that probe-rs leaves RTT in order. After the grace time, send SIGKILL to its whole session."""
        if self.process.returncode is None:
            _signal(self.process.pid, signal.SIGTERM)
            with anyio.move_on_after(grace_s):
                await self.process.wait()
        if self.process.returncode is None:
            _signal(self.process.pid, signal.SIGKILL)
            await self.process.wait()
        os.close(self.output)
        await self.process.aclose()


async def _chunks(stream: ByteReceiveStream | None) -> AsyncIterator[bytes]:
    while stream is not None:
        try:
            yield await stream.receive(CHUNK_BYTES)
        except (anyio.EndOfStream, anyio.ClosedResourceError, anyio.BrokenResourceError):
            return


def _signal(pid: int, number: signal.Signals) -> None:
    try:
        os.killpg(pid, number)  # with start_new_session, the process is the leader of its group
    except ProcessLookupError:
        return
