"""Files for Compose, as it reads them: variables of a file, and their values put in."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parent.parent
VARIABLE = re.compile(r"\$\$|\$\{(\w+)(?:(:[-?])([^}]*))?\}")


def variables_of(path: Path) -> dict[str, str]:
    """Return what a file of variables sets."""
    return dict(re.findall(r"^([A-Z_]+)=(.*)$", path.read_text(), re.MULTILINE))


def interpolated(value: Any, environment: dict[str, str]) -> Any:
    """Put variables in, as Compose does."""

    def given(found: re.Match[str]) -> str:
        name, rule, default = found[1], found[2], found[3]
        if name is None:
            return "$"
        if environment.get(name):
            return environment[name]
        assert rule == ":-", f"{name} is needed, and not set"
        return str(default)

    if isinstance(value, dict):
        return {key: interpolated(entry, environment) for key, entry in value.items()}
    if isinstance(value, list):
        return [interpolated(entry, environment) for entry in value]
    return VARIABLE.sub(given, value) if isinstance(value, str) else value


def made_environment(folder: Path) -> dict[str, str]:
    """Return the variables that scripts/make-env.sh writes."""
    path = folder / ".env"
    done = subprocess.run([ROOT / "scripts" / "make-env.sh", "lora", path], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return variables_of(path)
