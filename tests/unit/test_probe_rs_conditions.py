"""Each way in which probe-rs ends has a name of its own."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from iiot_gateway.sources.probe_rs.conditions import REMEDY, Ending, classify

FLASHED = "      Erasing ✔ 100% [####################]  16.00 KiB\n     Finished in 1.29s\n"
LINE = "[INFO ] JSON sent via VCP: {}\\n (node2_firmware src/main.rs:573)\n"

ENDINGS = {
    "no_probe": (1, "", "Error: No connected probes were found.\n", False),
    "no_probe by selector": (1, "", "Error: Probe not found\n", False),
    "probe_busy": (1, "", "Error: Failed to open probe\n\nCaused by:\n    Probe is already in use\n", False),
    "several_probes": (1, "", "Error: Multiple probes were found:\n    1. STLink V2\n    2. STLink V3\n", False),
    "chip_not_found": (1, "", "Error: The requested chip 'STM32F446ZZ' was not found in the list of known targets.\n", False),
    "chip_not_connected": (1, "", FLASHED + "Error: Connecting to the chip was unsuccessful.\n", False),
    "firmware_missing": (1, "", "Error: Failed to open binary file.\n\nCaused by:\n    No such file or directory (os error 2)\n", False),
    "tool_cannot_run": (127, "", "setpriv: failed to execute /opt/probe-rs: No such file or directory\n", False),
    "tool_cannot_run by permission": (126, "", "setpriv: failed to execute /opt/probe-rs: Permission denied\n", False),
    "tool_cannot_run by library": (
        127,
        "",
        "probe-rs: error while loading shared libraries: libudev.so.1: cannot open shared object file: No such file or directory\n",
        False,
    ),
    "firmware_panicked": (
        1,
        LINE + "[ERROR] panicked at src/main.rs:12:5: index out of bounds\nFirmware exited unexpectedly: Exception\n",
        FLASHED,
        True,
    ),
    "firmware_panicked by fault": (1, LINE + "Firmware exited unexpectedly: Exception\n", FLASHED, True),
    "firmware_ended": (0, LINE + "Firmware exited successfully\n", FLASHED, True),
    "unplugged": (1, LINE, FLASHED + "Error: A USB Communication Error occurred: device disconnected\n", True),
    "unplugged between": (1, LINE, "Error: No connected probes were found.\n", True),
    "arguments_refused": (2, "", "error: unexpected argument '--no-timestamps' found\n\nUsage: probe-rs run [OPTIONS]\n", False),
    "ended": (101, "", "thread 'main' has overflowed\n", False),
    "ended by signal": (-9, LINE, "", True),
}


@pytest.mark.parametrize("case", ENDINGS)
def test_an_ending_is_told_by_its_words(case: str) -> None:
    """The recorded last words of probe-rs give the condition."""
    code, stdout, stderr, had_output = ENDINGS[case]

    ending = classify(code, stdout, stderr, had_output=had_output)

    assert ending.condition == case.partition(" ")[0]
    assert ending.detail


def test_colours_do_not_hide_the_words() -> None:
    """A probe-rs that colours its errors all the same is understood."""
    ending = classify(1, "", "\x1b[31mError\x1b[0m: \x1b[1mNo connected probes\x1b[0m were found.\n", had_output=False)

    assert ending == Ending("no_probe", "Error: No connected probes were found.")


@given(st.one_of(st.none(), st.integers(-64, 255)), st.text(), st.text(), st.booleans())
def test_any_words_give_a_condition_with_a_remedy(code: int | None, stdout: str, stderr: str, had_output: bool) -> None:  # noqa: FBT001
    """Nothing that a tool prints is without an answer."""
    assert classify(code, stdout, stderr, had_output=had_output).condition in REMEDY
