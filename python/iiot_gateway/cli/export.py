"""Exports the points of a history to one file, CSV or Parquet. It works in pieces, so the data need not fit into memory."""

from __future__ import annotations

import argparse
import csv
import importlib.util
import json
import os
import sys
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from iiot_gateway.cli.moments import moment
from iiot_gateway.errors import GatewayError
from iiot_gateway.visible import for_reader

if TYPE_CHECKING:
    from iiot_gateway._native import HistoryReader

CHUNK = 50_000
BAR = 30
COLUMNS = ("time", "topic", "measurement", "tags", "field", "value")

Piece = tuple[dict[str, Any], list[int], list[str]]
"""A series, times in nanoseconds since 1970, and values as the text in which they came."""


def export(reader: HistoryReader, series: list[dict[str, Any]], start_ns: int, end_ns: int, args: argparse.Namespace) -> None:
    """Write the points of [start, end) series by series. Raises GatewayError if the file exists or cannot be written."""
    pieces = _with_bar(_pieces(reader, series, start_ns, end_ns), sum(one["points"] for one in series))
    path: str = args.csv or args.parquet
    if args.csv == "-":
        write_csv(pieces, sys.stdout)
        return
    if args.parquet:
        need_pyarrow()
    if os.path.exists(path) and not args.force:
        raise GatewayError(f"{path} exists; --force overwrites it")
    # The file gets its name only when it is complete.
    unfinished = f"{path}.part"
    try:
        if args.csv:
            with open(unfinished, "w", newline="", encoding="utf-8") as file:
                points = write_csv(pieces, file)
        else:
            points = write_parquet(pieces, unfinished)
        os.replace(unfinished, path)
    except OSError as error:
        raise GatewayError(f"{path} cannot be written: {error.strerror or error}") from error
    finally:
        if os.path.exists(unfinished):
            os.unlink(unfinished)
    print(f"{points} points of {len(series)} series in {path}", file=sys.stderr)


def write_csv(pieces: Iterator[Piece], file: Any) -> int:
    """Write a heading and one line per point, with times in RFC 3339 and tags as JSON. Return the number of points."""
    writer = csv.writer(file, lineterminator="\n")
    writer.writerow(COLUMNS)
    shown = for_reader(file)
    points = 0
    for series, times, texts in pieces:
        same = tuple(map(shown, (series["topic"] or "", series["measurement"], json.dumps(series["tags"]), series["field"])))
        writer.writerows((moment(time), *same, shown(text)) for time, text in zip(times, texts, strict=True))
        points += len(times)
    return points


def write_parquet(pieces: Iterator[Piece], path: str) -> int:
    """Write the same columns as in CSV; `value` is a float or null, and `text` is the text that came. Return the number of points."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    name = pa.dictionary(pa.int32(), pa.string())
    schema = pa.schema(
        [
            ("time", pa.timestamp("ns", tz="UTC")),
            *((column, name) for column in COLUMNS[1:5]),
            ("value", pa.float64()),
            ("text", pa.string()),
        ]
    )
    points = 0
    with pq.ParquetWriter(path, schema) as writer:
        for series, times, texts in pieces:
            same = (series["topic"], series["measurement"], json.dumps(series["tags"]), series["field"])
            columns = [pa.array(times, schema.field("time").type)]
            columns += [
                pa.DictionaryArray.from_arrays(pa.array([0] * len(times), pa.int32()), pa.array([one], pa.string())) for one in same
            ]
            columns += [pa.array([_number(text) for text in texts], pa.float64()), pa.array(texts, pa.string())]
            writer.write_batch(pa.record_batch(columns, schema=schema))
            points += len(times)
    return points


def _number(text: str) -> float | None:
    """Return a number or boolean as a float."""
    if text in ("true", "false"):
        return float(text == "true")
    try:
        return float(text)
    except ValueError:
        return None


def need_pyarrow() -> None:
    """Raise GatewayError without pyarrow."""
    if importlib.util.find_spec("pyarrow") is None:
        raise GatewayError(f"Parquet needs pyarrow: {sys.executable} -m pip install pyarrow, or take --csv")


def _pieces(reader: HistoryReader, series: list[dict[str, Any]], start_ns: int, end_ns: int) -> Iterator[Piece]:
    for one in series:
        from_ns = start_ns
        while True:
            times, texts = reader.texts(one["id"], from_ns, end_ns, limit=CHUNK)
            if times:
                yield one, times, texts
            if len(times) < CHUNK:
                break
            from_ns = times[-1] + 1


def _with_bar(pieces: Iterator[Piece], total: int) -> Iterator[Piece]:
    """Draw a progress bar on standard error if that is a terminal."""
    if not sys.stderr.isatty():
        yield from pieces
        return
    done = 0
    for piece in pieces:
        yield piece
        done += len(piece[1])
        filled = min(BAR, BAR * done // max(total, 1))
        print(f"\r[{'#' * filled}{'.' * (BAR - filled)}] {done} points", end="", file=sys.stderr, flush=True)
    print(file=sys.stderr)
