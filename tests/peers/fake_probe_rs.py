#!/usr/bin/env python3
"""A stand-in for probe-rs: prints what it is told and ends as it is told, one entry of the plan a life.

FAKE_PROBE_PLAN  path of a JSON list; each life takes the next entry, the last one is kept for all that follow:
                 {"stdout": text, "stdout_file": path, "stderr": text, "exit": code,
                  "stay": true (do not end by itself), "ignore_sigterm": true}
FAKE_PROBE_LIVES path of a file; each life adds a line {"pid", "argv", "environment"}
"""

from __future__ import annotations

import gzip
import json
import os
import shutil
import signal
import sys
from pathlib import Path


def main() -> int:
    """Live one life."""
    if sys.argv[1:] == ["--version"]:
        print("probe-rs 0.32.0 (git commit: unknown)")
        return 0
    if sys.argv[1:] == ["list"]:
        print("The following debug probes were found:\n[0]: STLink V2-1 -- 0483:374b:066DFF3833584B3043115433 (ST-LINK)")
        return 0
    lives = Path(os.environ["FAKE_PROBE_LIVES"])
    earlier = len(lives.read_text().splitlines()) if lives.exists() else 0
    plan = json.loads(Path(os.environ["FAKE_PROBE_PLAN"]).read_text())
    life = plan[min(earlier, len(plan) - 1)]
    if life.get("ignore_sigterm"):
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
    else:
        signal.signal(signal.SIGTERM, lambda *_: os._exit(0))
    with lives.open("a") as file:
        environment = {name: value for name, value in os.environ.items() if name in ("NO_COLOR", "PROBE_RS_COLOR", "PROBE_RS_CHIP")}
        file.write(json.dumps({"pid": os.getpid(), "argv": sys.argv[1:], "environment": environment}) + "\n")
    sys.stderr.write(life.get("stderr", ""))
    sys.stderr.flush()
    sys.stdout.write(life.get("stdout", ""))
    sys.stdout.flush()
    if path := life.get("stdout_file"):
        with (gzip.open if path.endswith(".gz") else open)(path, "rb") as recorded:
            shutil.copyfileobj(recorded, sys.stdout.buffer)
        sys.stdout.buffer.flush()
    while life.get("stay"):
        signal.pause()
    return int(life.get("exit", 0))


if __name__ == "__main__":
    sys.exit(main())
