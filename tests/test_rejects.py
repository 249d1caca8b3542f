"""`rejects retry` says of every reject that it was asked for what became of it."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

import iiot_gateway
from servers import free_port

GATEWAY = [sys.executable, "-m", "iiot_gateway"]
LOG = """\
{"ts":1000,"id":"N2","n1":{"t":7.1,"h":true,"seq":1}}
{"ts":2000,"id":"N2","nothing":1}
{"ts":3000,"id":"N2","nothing":"%s"}
"""


def command(folder: Path, *words: str) -> subprocess.CompletedProcess[str]:
    """Run a command."""
    return subprocess.run([*GATEWAY, *words], cwd=folder, capture_output=True, text=True, timeout=15, check=False)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A journal with a refused value, a refused document, and one that was too long to be kept."""
    (tmp_path / "config.toml").write_text("[http]\nenabled = false\n")
    (tmp_path / "log.txt").write_text(LOG % ("x" * 6000))
    assert command(tmp_path, "replay", "log.txt", "--speed", "max", "--once").returncode == 0
    return tmp_path


def listed(folder: Path) -> list[dict[str, Any]]:
    """Return the rejects, oldest first."""
    rejects: list[dict[str, Any]] = json.loads(command(folder, "rejects", "--json").stdout)
    return rejects[::-1]


def test_a_reject_that_cannot_be_retried_is_said_to_be_one(folder: Path) -> None:
    """A value without its document, a document that was not kept, and a number that nobody has."""
    value, document, long = (reject["id"] for reject in listed(folder))

    said = {number: command(folder, "rejects", "retry", "--id", str(number)) for number in (value, document, long, 999)}

    assert said[document].returncode == 0
    assert "1 still rejected" in said[document].stdout
    assert [said[number].returncode for number in (value, long, 999)] == [1, 1, 1]
    assert "its document was accepted without this value" in said[value].stderr
    assert "too long to be kept" in said[long].stderr
    assert "there is no reject #999" in said[999].stderr


def test_a_reject_names_what_is_wrong_and_carries_its_kind(folder: Path) -> None:
    """A refused value has the stable name of its fault; a document without any other value says as much of it."""
    (folder / "wrong.txt").write_text('{"ts":9000,"id":"N2","n1":{"t":"5.4"}}\n')
    assert command(folder, "replay", "wrong.txt", "--speed", "max", "--once").returncode == 0
    value, *_others, document = listed(folder)

    assert (value["kind"], value["reason"], value["excerpt"]) == ("value", "not_a_number", "true")
    assert (document["kind"], document["reason"]) == ("document", "nothing_usable")
    assert "no usable value: n1.t: not a number: 5.4; looked for " in document["place"]


def test_a_retry_of_all_counts_those_that_cannot_be(folder: Path) -> None:
    """Three were kept, one could be offered."""
    result = json.loads(command(folder, "rejects", "retry", "--json").stdout)

    assert result["still_rejected"] == 1
    assert result["cannot_be_retried"] == 2


def test_a_number_beyond_all_numbers_is_a_wrong_argument(folder: Path) -> None:
    """No traceback from the depths."""
    done = command(folder, "rejects", "--limit", "9" * 30)

    assert done.returncode == 2
    assert "expected a whole number above 0" in done.stderr


def test_a_list_that_is_cut_says_so(folder: Path) -> None:
    """With the number of all, so that nobody takes the newest for all of them. JSON stays a list."""
    cut, whole = command(folder, "rejects", "--limit", "2"), command(folder, "rejects", "--limit", "3")

    assert [line.split()[0] for line in cut.stdout.splitlines()] == ["#3", "#2", "2"]
    assert cut.stdout.splitlines()[-1] == "2 of 3 rejects; `--limit N` shows more"
    assert [line.split()[0] for line in whole.stdout.splitlines()] == ["#3", "#2", "#1"]

    as_json = command(folder, "rejects", "--limit", "2", "--json")
    assert [reject["id"] for reject in json.loads(as_json.stdout)] == [3, 2]
    assert as_json.stderr == "2 of 3 rejects; `--limit N` shows more\n"


REFUSED = """
[gateway]
profile = "mine.toml"
[mqtt]
broker_url = "embedded"
[broker]
listen = "127.0.0.1:%d"
[http]
enabled = false
"""


def test_rejects_are_chosen_by_source_and_sink(tmp_path: Path) -> None:
    """The limit counts only those, so the many of a sink do not hide the few of the intake. A wrong name gets the right ones."""
    (tmp_path / "mine.toml").write_text('name = "mine"\n[[metric]]\npath = "a"\nmeasurement = "a"\ntopic = "{node}/a"\n')
    (tmp_path / "config.toml").write_text(REFUSED % free_port())
    # The topics below `gateway` are the gateway's own, so the sink refuses these values.
    (tmp_path / "log").write_text('{"b":1}\n' + '{"node":"gateway","a":1}\n' * 3)
    assert command(tmp_path, "replay", "log", "--speed", "max", "--once").returncode == 3

    def ids(*words: str) -> list[str]:
        return [line.split()[0] for line in command(tmp_path, "rejects", *words).stdout.splitlines()]

    intake = next(str(reject["id"]) for reject in listed(tmp_path) if reject["sink"] is None)
    assert ids("--sink", "intake", "--limit", "1") == ids("--sink", "intake", "--source", "replay") == [f"#{intake}"]
    assert len(ids("--source", "replay")) == 4
    assert len(ids("--sink", "mqtt")) == 3
    assert command(tmp_path, "rejects", "--sink", "mqtt", "--limit", "2").stdout.endswith("\n2 of 3 rejects; `--limit N` shows more\n")
    for wrong in (("--sink", "mqqt"), ("--source", "replays")):
        shown = command(tmp_path, "rejects", *wrong)
        assert shown.stdout == "no such rejects; there are rejects of the sources replay and the sinks intake, mqtt\n"
        assert shown.returncode == 0
    assert command(tmp_path, "rejects", "retry", "--sink", "mqtt").returncode == 1


MENDED = '[gateway]\nprofile = "mine.toml"\n[http]\nenabled = false\n'
PACKET = '{"ts":%d,"id":"N2","n1":{"other":1,"seq":%d}}\n'


def test_a_packet_that_was_rejected_twice_is_accepted_once(tmp_path: Path) -> None:
    """It was received twice; under the mended profile its repeat is a duplicate, and the ledger of the stopped gateway balances."""
    built_in = (Path(iiot_gateway.__file__).parent / "profiles" / "lora-bridge.toml").read_text()
    (tmp_path / "mine.toml").write_text(built_in)
    (tmp_path / "config.toml").write_text(MENDED)
    (tmp_path / "log.txt").write_text(PACKET % (1000, 1) + PACKET % (1500, 1) + PACKET % (2000, 2))
    assert command(tmp_path, "replay", "log.txt", "--speed", "max", "--once").returncode == 0
    assert len(listed(tmp_path)) == 3
    (tmp_path / "mine.toml").write_text(built_in.replace('path = "n1.t"', 'path = "n1.other"'))

    result = json.loads(command(tmp_path, "rejects", "retry", "--json").stdout)

    assert result == {"accepted": 2, "duplicate": 1, "still_rejected": 0, "without_source": 0, "cannot_be_retried": 0}
    intake = json.loads(command(tmp_path, "status", "--json").stdout)["intake"]
    assert {key: intake[key] for key in ("received", "accepted", "duplicate", "rejected")} == {
        "received": 3,
        "accepted": 2,
        "duplicate": 1,
        "rejected": 0,
    }
    assert listed(tmp_path) == []
