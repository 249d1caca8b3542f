"""`postgresql size`: prints the sizes of tables and their indexes, and the room that compression saves with TimescaleDB."""

from __future__ import annotations

import argparse
import json
from typing import Any

from iiot_gateway.cli.columns import lined_up, room
from iiot_gateway.cli.postgresql_access import Database
from iiot_gateway.sinks.postgresql import contents, hypertables


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the form of the output."""
    parser.add_argument("--json", action="store_true", help="print JSON, in bytes")


def size(database: Database, args: argparse.Namespace) -> int:
    """Print the sizes."""
    found = measured(database)
    if args.json:
        print(json.dumps(found, indent=2))
        return 0
    heading = ["table", "rows (about)", "parts", "rows MB", "indexes MB", "total MB", "compressed parts", "before MB", "after MB"]
    has_compression = any(table["compressed_parts"] for table in found)
    rows = [
        [
            table["table"],
            str(table["rows"]),
            str(table["parts"] or ""),
            *(room(table[f"{what}_bytes"]) for what in ("table", "index", "total")),
            *(
                [str(table["compressed_parts"]), room(table["before_bytes"]), room(table["after_bytes"])]
                if table["compressed_parts"]
                else [""] * 3
            ),
        ][: None if has_compression else 6]
        for table in found
    ]
    print(lined_up(heading[: None if has_compression else 6], rows))
    of_indexes = [[table["table"], name, room(size_)] for table in found for name, size_ in table["indexes"].items()]
    if of_indexes:
        print("\n" + lined_up(["table", "index", "MB"], of_indexes))
    return 0


def measured(database: Database) -> list[dict[str, Any]]:
    """Return the sizes of each table in bytes. A table of TimescaleDB has chunks as its parts."""
    schema = database.section.schema
    tables: dict[str, dict[str, Any]] = {}

    def add(rows: list[list[str]]) -> None:
        for name, parts, count, *sizes in rows:
            table_bytes, index_bytes, total_bytes = (int(text or 0) for text in sizes)
            tables[name] = {
                "table": name,
                "rows": int(count or 0),
                "parts": int(parts),
                "table_bytes": table_bytes,
                "index_bytes": index_bytes,
                "total_bytes": total_bytes,
                "compressed_parts": 0,
                "before_bytes": 0,
                "after_bytes": 0,
                "indexes": {},
            }

    add(database.texts(contents.sizes(schema)))
    if database.extension:
        add(database.texts(hypertables.sizes(schema)))
        for name, parts, before, after in database.texts(hypertables.compression(schema)):
            tables[name].update(compressed_parts=int(parts), before_bytes=int(before), after_bytes=int(after))
        of_hypertables = {name for (name,) in database.texts(hypertables.names(schema))}
    else:
        of_hypertables = set()
    for table, index, size_ in database.texts(contents.indexes(schema)):
        if table not in of_hypertables:  # the indexes of a hypertable itself are empty; those of its chunks are in its sum
            tables[table]["indexes"][index] = int(size_)
    return [tables[name] for name in sorted(tables)]
