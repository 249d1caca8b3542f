"""`scripts/run-gateway.sh`, the one command: what it has built once it only runs."""

from __future__ import annotations

import os
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
    # Whatever is built is good enough: another build would replace the extension beneath the tests that run beside this one.
    stamp = ROOT / ".venv/built"
    profile = stamp.read_text().split()[0] if stamp.exists() else "release"
    environ = {**os.environ, "IIOT_BUILD_PROFILE": profile}

    def version() -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [ROOT / "scripts" / "run-gateway.sh", "version"],
            cwd=tmp_path,
            env=environ,
            capture_output=True,
            text=True,
            timeout=500,
            check=True,
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


def pretend(folder: Path, maturin: str) -> None:
    """Make a checkout in which the tools of a build do nothing, and maturin does this."""
    tools = folder / ".venv" / "bin"
    tools.mkdir(parents=True)
    for name, text in {"python": "exit 0", "cargo": "exit 0", "cc": "exit 0", "iiot-gateway": "exit 0", "maturin": maturin}.items():
        (tools / name).write_text(f"#!/bin/sh\n{text}\n")
        (tools / name).chmod(0o755)
    (folder / "rust").mkdir()
    for name in ("Cargo.toml", "Cargo.lock", "pyproject.toml"):
        (folder / name).touch()


def prepare(folder: Path, script: str) -> subprocess.CompletedProcess[str]:
    """Run a script there that calls what the other scripts build with."""
    before = f'set -euo pipefail; . "{ROOT}/scripts/environment.sh"; export PATH="{folder}/.venv/bin:$PATH"; prepare_page() {{ :; }}'
    return subprocess.run(["bash", "-c", f"{before}; {script}"], cwd=folder, capture_output=True, text=True, check=False)


def test_only_what_was_built_with_the_same_profile_is_used(tmp_path: Path) -> None:
    """Else a benchmark could measure what was built for tests."""
    pretend(tmp_path, 'echo "$3" >>profiles')
    calls = [
        "prepare dev",
        "prepare dev",
        "IIOT_BUILD_PROFILE=tests prepare dev",
        'IIOT_BUILD_PROFILE=tests prepare ""',
        "prepare dev",
        "touch rust/new",
        "prepare dev",
    ]

    assert prepare(tmp_path, "unset IIOT_BUILD_PROFILE; " + "; ".join(calls)).returncode == 0

    assert (tmp_path / "profiles").read_text().split() == ["release", "tests", "release", "release"]


def test_tests_take_the_best_build_that_is_there(tmp_path: Path) -> None:
    """So that nobody who has a release builds once more; where there is none, the build that is made soonest."""
    pretend(tmp_path, 'echo "$3" >>profiles')
    tests = "(choose_build release tests dev; prepare dev)"
    calls = [tests, tests, 'prepare ""', "touch rust/new", 'prepare ""', tests, "IIOT_BUILD_PROFILE=tests", tests]

    assert prepare(tmp_path, "unset IIOT_BUILD_PROFILE; " + "; ".join(calls)).returncode == 0

    # The last release has not yet what tests need beside the package.
    assert (tmp_path / "profiles").read_text().split() == ["dev", "release", "release", "release", "tests"]


@pytest.mark.parametrize("code", [0, 101])
def test_the_first_build_says_one_line_and_all_of_it_only_if_it_fails(tmp_path: Path, code: int) -> None:
    """Cargo's downloads are no news; its error is."""
    pretend(tmp_path, f"for crate in $(seq 240); do echo Downloaded crate $crate >&2; done; echo the last word; exit {code}")

    done = prepare(tmp_path, 'prepare ""')

    assert done.stdout == ""
    said = done.stderr.splitlines()
    assert said[0].startswith("building the extension")
    if code:
        assert done.returncode != 0
        assert said[1:242] == [*(f"Downloaded crate {number}" for number in range(1, 241)), "the last word"]
        assert "the build failed; its own words stand above" in said[-1]
    else:
        assert (done.returncode, len(said)) == (0, 1), said
