"""Write dashboards and alert rules anew: `PYTHONPATH=deploy/grafana/source python -m iiot_dashboards`."""

from __future__ import annotations

import json
import sys
from pathlib import Path

from iiot_dashboards import production_flux, production_sql
from iiot_dashboards.sdk import encode

ROOT = Path(__file__).parents[2]
BOARDS = (production_flux.board, production_sql.board)


def files() -> dict[str, str]:
    """Return every file that is made, by its path below deploy/grafana."""
    made = {}
    for board in BOARDS:
        built = board()
        made[f"dashboards/{built.uid}.json"] = json.dumps(json.loads(encode(built.build())), indent=1, ensure_ascii=False) + "\n"
    return made


def main() -> int:
    """Write them."""
    for name, text in files().items():
        (ROOT / name).write_text(text)
    return 0


if __name__ == "__main__":
    sys.exit(main())
