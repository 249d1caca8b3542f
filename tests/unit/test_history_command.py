"""`history` prints and exports what was stored, text for text, and says what is wrong with a question."""

from __future__ import annotations

import csv
import json
import os
import pty
import subprocess
import sys
from collections.abc import Callable
from importlib.resources import files
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from iiot_gateway import _native
from iiot_gateway.cli.main import main

pytestmark = pytest.mark.native

START_NS = 1_703_721_600 * 10**9
"""2023-12-28T00:00:00Z."""
TEXTS = [f"{20 + n % 7}.{n % 10}0" for n in range(1440)]
"""What node1 measured, ten seconds apart, with a nought that must stay."""

Ask = Callable[..., tuple[int, str, str]]


@pytest.fixture
def history(tmp_path: Path) -> Path:
    """Four hours of two nodes, stored by the sink."""
    profile = _native.Profile.parse((files("iiot_gateway") / "profiles" / "lora-bridge.toml").read_text())
    journal = _native.Journal.open(str(tmp_path / "journal.db"))
    journal.add_sink("history")
    sink = _native.HistorySink(journal, "history")
    sink.open(str(tmp_path / "history.db"))
    intake = journal.add_source("test", profile=profile, topic_prefix="iiot", tags={"site": "north"})
    log = "".join(f'{{"ts":{n * 10_000},"n1":{{"t":{text}}},"n2":{{"t":5}}}}\n' for n, text in enumerate(TEXTS))
    for at, line in enumerate(log.splitlines(keepends=True)):
        intake.push(line.encode(), START_NS + at * 10 * 10**9)
    assert journal.sync(10)
    frames = 0
    while frames < len(TEXTS):
        done = sink.deliver(max_points=50_000, linger_ms=0, timeout_ms=5_000)
        assert done is not None
        frames += done["frames"]
    sink.close()
    journal.close()
    return tmp_path / "history.db"


@pytest.fixture
def ask(history: Path, capsys: pytest.CaptureFixture[str]) -> Ask:
    """Return a function that runs `history` on it: exit code, output, errors."""

    def run(*arguments: str) -> tuple[int, str, str]:
        code = main(["history", *arguments, "--file", str(history)])
        captured = capsys.readouterr()
        return code, captured.out, captured.err

    return run


def test_the_list_names_every_series(ask: Ask) -> None:
    """With its number, topic, points and times."""
    code, out, _ = ask("list")

    assert code == 0
    assert [line.split() for line in out.splitlines()[1:]] == [
        [str(number), f"iiot/node{number}/temperature", "1440", "2023-12-28T00:00:00Z", "2023-12-28T03:59:50Z"] for number in (1, 2)
    ]
    series = json.loads(ask("list", "--json")[1])[0]
    assert series["tags"] == {"node": "node1", "site": "north", "unit": "celsius"}
    assert (series["measurement"], series["field"], series["points"]) == ("temperature", "value", 1440)


def test_the_last_values_are_the_texts_that_came(ask: Ask) -> None:
    """Of all series, or of those that a number, topic or pattern names."""
    assert ask("last")[1].split() == [
        *("iiot/node1/temperature", TEXTS[-1], "2023-12-28T03:59:50Z"),
        *("iiot/node2/temperature", "5", "2023-12-28T03:59:50Z"),
    ]
    for name in ("2", "iiot/node2/temperature", "iiot/node2/#", "+/node2/+"):
        assert ask("last", name)[1].split()[:2] == ["iiot/node2/temperature", "5"], name
    assert json.loads(ask("last", "1", "--json")[1]) == [
        {"topic": "iiot/node1/temperature", "id": 1, "time_ns": START_NS + 14_390 * 10**9, "value": TEXTS[-1]}
    ]


def test_a_range_gives_points_as_they_came(ask: Ask) -> None:
    """From the start to the end, which is no part of it."""
    code, out, _ = ask("range", "iiot/node1/temperature", "--start", "2023-12-28T00:00:10Z", "--end", "2023-12-28T00:01:00Z")

    assert code == 0
    assert out.splitlines() == [f"2023-12-28T00:00:{n}0Z\t{TEXTS[n]}" for n in range(1, 6)]


def test_a_range_gives_buckets(ask: Ask) -> None:
    """Means of five minutes, and how many points each has."""
    means = [sum(float(text) for text in TEXTS[at : at + 30]) / 30 for at in range(0, 1440, 30)]

    out = ask("range", "1", "--every", "5m")[1]
    counts = ask("range", "1", "--every", "1h", "--agg", "count")[1]

    rows = [line.split("\t") for line in out.splitlines()]
    assert [float(value) for _, value in rows] == pytest.approx(means, abs=1e-6)
    assert rows[1][0] == "2023-12-28T00:05:00Z"
    assert [line.split("\t")[1] for line in counts.splitlines()] == ["360"] * 4
    assert len(ask("range", "1", "--since", "10m")[1].splitlines()) == 60


def test_csv_holds_every_point(ask: Ask, tmp_path: Path) -> None:
    """On standard output as in a file, which is not overwritten unasked."""
    path = tmp_path / "out.csv"

    code, _, err = ask("export", "--csv", str(path))

    assert (code, err) == (0, f"2880 points of 2 series in {path}\n")
    rows = list(csv.DictReader(path.read_text().splitlines()))
    assert [row["value"] for row in rows if row["topic"] == "iiot/node1/temperature"] == TEXTS
    assert rows[1]["time"] == "2023-12-28T00:00:10Z"
    assert json.loads(rows[0]["tags"])["site"] == "north"
    assert ask("export", "--csv", "-", "1", "--since", "1h")[1].count("\n") == 361
    code, _, err = ask("export", "--csv", str(path))
    assert code == 1
    assert "--force overwrites it" in err
    assert ask("export", "--csv", str(path), "--force")[0] == 0


def test_parquet_holds_every_point(ask: Ask, tmp_path: Path) -> None:
    """As pyarrow reads it: times to the nanosecond, floats, and the texts."""
    path = tmp_path / "out.parquet"

    assert ask("export", "--parquet", str(path))[0] == 0

    table = pq.read_table(path)
    assert table.column_names == ["time", "topic", "measurement", "tags", "field", "value", "text"]
    first = [row for row in table.to_pylist() if row["topic"] == "iiot/node1/temperature"]
    assert [row["text"] for row in first] == TEXTS
    assert [row["value"] for row in first] == [float(text) for text in TEXTS]
    assert table["time"].cast("int64").to_pylist()[:1440] == [START_NS + n * 10**10 for n in range(1440)]


def test_an_export_that_fails_leaves_no_file(ask: Ask, tmp_path: Path) -> None:
    """Neither half of one, nor a torn one under its name."""
    folder = tmp_path / "missing"

    code, _, err = ask("export", "--csv", str(folder / "out.csv"))

    assert code == 1
    assert err == f"iiot-gateway: {folder / 'out.csv'} cannot be written: No such file or directory\n"
    assert not list(tmp_path.glob("**/*.part"))


def test_a_terminal_sees_a_bar(history: Path, tmp_path: Path) -> None:
    """On standard error, until all points are written."""
    controller, device = pty.openpty()
    command = [sys.executable, "-m", "iiot_gateway", "history", "--file", str(history), "export", "--csv", str(tmp_path / "out.csv")]

    subprocess.run(command, stderr=device, check=True)

    os.close(device)
    assert b"[##############################] 2880 points" in os.read(controller, 4096)
    os.close(controller)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("range", "iiot/node9/temperature"), "no series is called 'iiot/node9/temperature'"),
        (("last", "iiot/+/pressure"), "no series is called 'iiot/+/pressure'"),
        (("range", "iiot/+/temperature"), "means 2 series (iiot/node1/temperature, iiot/node2/temperature); name one"),
        (("range", "1", "--every", "1m", "--limit", "5"), "the range holds more than 5 values: ask for wider buckets"),
        (("range", "1", "--limit", "5"), "more than 5 points: ask for buckets (--every 5m)"),
        (("range", "1", "--start", "2024-01-01", "--since", "1h"), "--start and --since say the same thing"),
        (("range", "1", "--start", "2025-01-01"), "begins at 2025-01-01T00:00:00Z, behind its end"),
    ],
)
def test_a_question_without_an_answer_says_why(ask: Ask, arguments: tuple[str, ...], said: str) -> None:
    """And what to do instead."""
    code, out, err = ask(*arguments)

    assert (code, out) == (1, "")
    assert said in err


def test_a_history_that_is_not_there_is_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """So is a configuration without one."""
    config = tmp_path / "config.toml"
    config.write_text("[history]\n")

    assert main(["history", "--config", str(config)]) == 1
    assert f"(missing): history {tmp_path / 'history.db'}: there is no history yet" in capsys.readouterr().err
    config.write_text("[mqtt]\n")
    assert main(["history", "last", "--config", str(config)]) == 1
    assert "add the section, or name a file with --file" in capsys.readouterr().err


@pytest.mark.parametrize("text", ["5", "m", "-5m", "0s", "5 m", "1w", "999999999999d"])
def test_a_length_of_time_needs_a_unit(ask: Ask, capsys: pytest.CaptureFixture[str], text: str) -> None:
    """Nothing is guessed."""
    with pytest.raises(SystemExit):
        ask("range", "1", f"--every={text}")
    assert "expected a length of time like 30s, 5m, 1h or 7d" in capsys.readouterr().err


def test_reading_beside_a_writer_needs_no_permission(history: Path) -> None:
    """A second reader and a writer share the file; the sink's lock is for writers."""
    journal = _native.Journal.open(str(history.parent / "other.db"))
    journal.add_sink("history")
    sink = _native.HistorySink(journal, "history")
    sink.open(str(history))

    assert len(_native.HistoryReader(str(history)).last()) == 2
    second = _native.HistorySink(journal, "history")
    with pytest.raises(_native.HistoryError) as raised:
        second.open(str(history))
    assert raised.value.kind == "busy"
    sink.close()
    second.open(str(history))
    second.close()
    journal.close()
