"""Write dashboards and alert rules anew: `PYTHONPATH=deploy/grafana/source python -m iiot_dashboards`."""

from __future__ import annotations

import json
import sys
from pathlib import Path

from iiot_dashboards import devices, gateway, lora, production_flux, production_sql, rules
from iiot_dashboards.sdk import encode

ROOT = Path(__file__).parents[2]
BOARDS = (lora.sensors, lora.signal, production_flux.board, production_sql.board, devices.board, gateway.board)


def files() -> dict[str, str]:
    """Return every file that is made, by its path below deploy/grafana."""
    boards = {board.uid: board for board in (make() for make in BOARDS)}
    made = {
        f"dashboards/{uid}.json": json.dumps(json.loads(encode(board.build())), indent=1, ensure_ascii=False) + "\n"
        for uid, board in boards.items()
    }
    return made | rules.files(boards)


def main() -> int:
    """Write them."""
    for name, text in files().items():
        (ROOT / name).write_text(text)
    return 0


if __name__ == "__main__":
    sys.exit(main())
