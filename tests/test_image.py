"""The image's health check, run as the container runtime would."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path

from servers import free_port, until

DOCKERFILE = Path(__file__).parent.parent / "Dockerfile"


def test_what_the_image_is_made_from_is_pinned() -> None:
    """Or the next build has another compiler or interpreter than the one that was tested."""
    bases = re.findall(r"^FROM (\S+)", DOCKERFILE.read_text(), re.MULTILINE)
    assert len(bases) == 2
    assert [base for base in bases if not re.search(r":\d+\.\d+\.\d+(-|$)", base)] == []


def test_the_health_check_passes_while_the_gateway_runs_and_fails_when_it_does_not(tmp_path: Path) -> None:
    """A journal that a stopped gateway left behind is no sign of life."""
    found = re.search(r"^HEALTHCHECK .*CMD (\[.*\])$", DOCKERFILE.read_text(), re.MULTILINE)
    assert found is not None
    port = free_port()
    program, *arguments = json.loads(found[1].replace("127.0.0.1:5000", f"127.0.0.1:{port}"))
    assert program == "python"
    (tmp_path / "config.toml").write_text(f'[http]\nlisten = "127.0.0.1:{port}"\n')

    def healthy() -> bool:
        return subprocess.run([sys.executable, *arguments], capture_output=True, check=False).returncode == 0

    gateway = subprocess.Popen([sys.executable, "-m", "iiot_gateway", "run"], cwd=tmp_path, stderr=subprocess.DEVNULL)
    try:
        until(healthy, "health", 15)
    finally:
        gateway.terminate()
        gateway.wait(10)

    assert (tmp_path / "iiot-gateway.db").exists()
    assert not healthy()
