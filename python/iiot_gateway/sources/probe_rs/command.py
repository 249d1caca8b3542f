"""The command line and environment of probe-rs. Pure. The options are those of probe-rs 0.32 (`run` and `attach` share them).

--no-catch-reset      otherwise a watchdog reset of the node would end the session
--rtt-channel-mode    no-block-skip: a node whose reader died must go on, not wait with a full buffer
--non-interactive     several probes: an error, not a question
--preverify           flash only what differs; a restart must not wear the flash out
"""

from __future__ import annotations

from collections.abc import Mapping

from iiot_gateway.sources.probe_rs.section import ProbeRsSection


def arguments(section: ProbeRsSection) -> list[str]:
    """Return the arguments after the program's name."""
    command = [section.mode, "--chip", section.chip, "--non-interactive", "--no-catch-reset"]
    command += ["--rtt-channel-mode", "no-block-skip", "--no-location", "--no-timestamps"]
    if section.probe_id:
        command += ["--probe", section.probe_id]
    if section.log_format:
        command += ["--log-format", section.log_format]
    if section.mode == "run":
        command += ["--preverify", "--disable-progressbars"]
    if section.firmware_path:
        command += ["--", section.firmware_path]
    return command


def environment(inherited: Mapping[str, str]) -> dict[str, str]:
    """Return the environment without colours and backtraces, and without variables that would override the arguments."""
    kept = {
        name: value for name, value in inherited.items() if not name.startswith("PROBE_RS_") and name not in ("RUST_BACKTRACE", "RUST_LOG")
    }
    return {**kept, "NO_COLOR": "1", "PROBE_RS_COLOR": "0"}


def tied_to_parent(setpriv: str | None, command: list[str]) -> list[str]:
    """Make the program get SIGTERM when the gateway dies in any way.

    This uses setpriv of util-linux, because a process with threads must not run code between fork and exec. The kernel watches the
    *thread* that started the child, so start the child from the event loop's thread, which lives as long as the gateway.
    """
    return [setpriv, "--pdeathsig", "TERM", "--", *command] if setpriv else command
