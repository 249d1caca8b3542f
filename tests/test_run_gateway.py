"""`scripts/run-gateway.sh`, the one command: what it has built once it only runs."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
BUILT = (".venv/built", "python/iiot_gateway/_native.abi3.so", "python/iiot_gateway/web/index.html", "web/node_modules/.built")


def built() -> dict[str, tuple[int, int]]:
    """Return which file each thing that the script makes is, and when it was written."""
    found = [ROOT / name for name in BUILT if (ROOT / name).exists()]
    return {str(file): (file.stat().st_ino, file.stat().st_mtime_ns) for file in found}


@pytest.mark.slow  # where nothing was built before
def test_a_second_start_builds_nothing(tmp_path: Path) -> None:
    """It says nothing either but what was asked for, from whatever folder it is called."""

    def version() -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [ROOT / "scripts" / "run-gateway.sh", "version"], cwd=tmp_path, capture_output=True, text=True, timeout=500, check=True
        )

    first = version()
    before = built()
    second = version()

    assert built() == before
    assert {str(ROOT / ".venv/built"), str(ROOT / "python/iiot_gateway/_native.abi3.so")} <= set(before)
    assert second.stdout == first.stdout
    assert second.stdout.startswith("iiot-gateway ")
    assert "building" not in second.stderr
    assert "making" not in second.stderr
