"""Finds out why probe-rs ended, from its exit code and its last output. Pure. The texts are those of probe-rs 0.24 to 0.32."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Literal

Condition = Literal[
    "tool_not_installed",
    "tool_cannot_run",
    "no_probe",
    "probe_busy",
    "several_probes",
    "chip_not_found",
    "chip_not_connected",
    "firmware_missing",
    "firmware_panicked",
    "firmware_ended",
    "unplugged",
    "arguments_refused",
    "ended",
]

REMEDY: dict[Condition, str] = {
    "tool_not_installed": "install probe-rs (https://probe.rs/docs/getting-started/installation/) or set gateway.probe_rs_path",
    "tool_cannot_run": "chmod +x it, or install the probe-rs that was built for this machine, with the libraries that it needs",
    "no_probe": "plug the probe in; `probe-rs list` must show it, and udev must give this user access to it",
    "probe_busy": "close the other program that uses the probe (an IDE, another gateway)",
    "several_probes": "set gateway.probe_id to one of those that `probe-rs list` shows",
    "chip_not_found": "`probe-rs chip list` prints the names that gateway.chip may have",
    "chip_not_connected": "check the wires and the power of the node",
    "firmware_missing": "build the firmware, or correct gateway.firmware_path",
    "firmware_panicked": "read the panic in the log; the node is started again",
    "firmware_ended": "the firmware returned; the node is started again",
    "unplugged": "plug the probe in again; the gateway goes on by itself",
    "arguments_refused": "this probe-rs does not know an option; 0.32 is what the gateway was made for",
    "ended": "read the last lines of probe-rs",
}

# Exit codes of a failed exec: of a shell, of setpriv, and of the dynamic loader, whose "No such file or directory" means a library.
EXEC_FAILED = (126, 127)

ANSI = re.compile(r"\x1b\[[0-9;?]*[ -/]*[@-~]")

# The order matters: an earlier condition explains later ones.
_TEXTS: dict[Condition, re.Pattern[str]] = {
    "probe_busy": re.compile(r"probe is already in use|probe is being used|\bclaim\w* interface|resource busy", re.IGNORECASE),
    "unplugged": re.compile(r"usb communication error|no such device|device (?:was )?disconnected|probe was unplugged", re.IGNORECASE),
    "several_probes": re.compile(r"multiple probes were found|more than one probe|ambiguous probe", re.IGNORECASE),
    "no_probe": re.compile(
        r"no (?:connected |debug )?probes? (?:were |was )?found|probe not found|failed to open (?:the )?(?:debug )?probe", re.IGNORECASE
    ),
    "chip_not_found": re.compile(r"chip '.*?' was not found|chip .* not found", re.IGNORECASE),
    "firmware_missing": re.compile(
        r"failed to open (?:binary|elf) file|unable to open (?:the )?(?:binary|elf)|no such file or directory", re.IGNORECASE
    ),
    "chip_not_connected": re.compile(
        r"connecting to the chip was unsuccessful|no core found|target did not respond|target voltage", re.IGNORECASE
    ),
}
_PANIC = re.compile(r"\bpanicked at\b|\bHardFault\b|stack overflow|the core is locked up", re.IGNORECASE)
_UNEXPECTED = re.compile(r"firmware exited unexpectedly", re.IGNORECASE)
_SUCCESS = re.compile(r"firmware exited successfully", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Ending:
    """Why probe-rs ended, with its own words."""

    condition: Condition
    detail: str


def classify(exit_code: int | None, stdout_tail: str, stderr_tail: str, *, had_output: bool) -> Ending:
    """Return the condition that explains the end.

    Args:
        exit_code: the exit code of the process; negative for a signal, None if it never started.
        stdout_tail: the end of the target's output, which shows panics.
        stderr_tail: the end of probe-rs's own output.
        had_output: whether the target had printed something, which shows that the probe was connected.
    """
    errors = ANSI.sub("", stderr_tail)
    target = ANSI.sub("", stdout_tail)
    last = next((line.strip() for line in reversed(errors.splitlines()) if line.strip()), "")
    ending: Ending | None
    if exit_code in EXEC_FAILED and not had_output:
        ending = Ending("tool_cannot_run", f"it does not start: {last[:200]}" if last else f"exit code {exit_code}")
    elif exit_code == 2 and re.search(r"unexpected argument|usage:|invalid value", errors, re.IGNORECASE):
        ending = Ending("arguments_refused", _line_with(errors, re.compile("error", re.IGNORECASE)))
    else:
        ending = _by_words(errors, had_output=had_output) or _by_target(target, errors)
    if ending is not None:
        return ending
    if _SUCCESS.search(target) or (exit_code == 0 and had_output):
        return Ending("firmware_ended", "probe-rs ended without an error")
    how = f"signal {-exit_code}" if exit_code is not None and exit_code < 0 else f"exit code {exit_code}"
    return Ending("ended", f"{how}: {last[:200]}" if last else how)


def _by_words(errors: str, *, had_output: bool) -> Ending | None:
    """Return the condition that the output of probe-rs shows."""
    for condition, pattern in _TEXTS.items():
        if pattern.search(errors):
            # If a probe is missing that worked before, it was unplugged, whatever probe-rs prints.
            seen: Condition = "unplugged" if had_output and condition == "no_probe" else condition
            return Ending(seen, _line_with(errors, pattern))
    return None


def _by_target(target: str, errors: str) -> Ending | None:
    """Return the condition that the firmware's last output shows."""
    if panic := _PANIC.search(target):
        return Ending("firmware_panicked", _line_at(target, panic.start()))
    if _UNEXPECTED.search(target) or _UNEXPECTED.search(errors):
        return Ending("firmware_panicked", _line_with(target + "\n" + errors, _UNEXPECTED))
    return None


def _line_at(text: str, offset: int) -> str:
    start = text.rfind("\n", 0, offset) + 1
    end = text.find("\n", offset)
    return text[start : len(text) if end < 0 else end].strip()[:200]


def _line_with(text: str, pattern: re.Pattern[str]) -> str:
    found = pattern.search(text)
    return _line_at(text, found.start()) if found else ""
