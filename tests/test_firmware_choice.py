"""What somebody chooses for the firmware's radio is checked by the build, and refused in one line."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

SCRIPT = Path(__file__).parent.parent / "scripts" / "build-firmware.sh"


def build(*words: str) -> subprocess.CompletedProcess[str]:
    """Run the script."""
    return subprocess.run([SCRIPT, *words], check=False, capture_output=True, text=True, timeout=300)


def require() -> None:
    """Skip where no compiler for the nodes is installed; in CI that is a failure."""
    if (found := build("toolchain")).returncode:
        if os.environ.get("CI"):
            pytest.fail(found.stderr)
        pytest.skip(found.stderr)


@pytest.mark.slow  # where nothing of the firmware was built before
@pytest.mark.parametrize(
    ("words", "why"),
    [
        (("--region", "eu433"), "IIOT_NODE_REGION is 'eu433': expected eu868 or us915"),
        (("--band-hz", "915000000"), "a channel of 125 kHz at 915000000 Hz: expected all of it within 868.0-868.6"),
        (("--region", "us915", "--parameter", "9,7,4,24"), "the longest packet is on air for 444 ms"),
    ],
)
def test_what_the_radio_may_not_be_set_up_as_is_never_built(words: tuple[str, ...], why: str) -> None:
    """The line says what was seen and what would be right, and no firmware comes of it."""
    require()

    found = build(*words, "board")

    assert found.returncode
    said = [line for line in found.stderr.splitlines() if why in line]
    assert len(said) == 1, found.stderr


def test_a_misspelt_choice_is_refused() -> None:
    """Nothing is built for a node that would listen where nobody expects it."""
    for words, why in [(("--freq", "1"), "--freq is none of --region, "), (("--region",), "--region needs a value")]:
        found = build(*words)
        assert found.returncode == 2
        assert found.stderr.startswith(f"build-firmware.sh: {why}")
