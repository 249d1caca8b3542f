"""`influxdb init|query|delete` against a scripted server, and against a real one where INFLUXDB_V2_URL and INFLUXDB_V2_TOKEN name it."""

from __future__ import annotations

import csv
import json
import os
import stat
import time
import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest
from scripted_influxdb2 import ScriptedInfluxdb2

from gateways import START, START_MS, Gateway
from recordings import Expected

REAL_URL = os.environ.get("INFLUXDB_V2_URL", "")
REAL_TOKEN = os.environ.get("INFLUXDB_V2_TOKEN", "")

pytestmark = pytest.mark.slow


@pytest.fixture
def peer() -> Iterator[ScriptedInfluxdb2]:
    """A server that nobody has set up."""
    peer = ScriptedInfluxdb2()
    yield peer
    peer.close()


@pytest.fixture(params=["scripted", *([pytest.param("real", marks=pytest.mark.servers)] if REAL_URL else [])])
def server(request: pytest.FixtureRequest, peer: ScriptedInfluxdb2) -> tuple[str, str]:
    """Address and administrator's token of a server that is set up."""
    if request.param == "real":
        return REAL_URL, REAL_TOKEN
    peer.is_new = False
    peer.rights["admin"] = None
    return peer.url, "admin"


def configure(gateway: Gateway, url: str) -> str:
    """Write a configuration as README has it, the token's file not there yet; return the name of organisation and bucket."""
    name = f"iiot-{uuid.uuid4().hex[:8]}"
    gateway.configure(f'[influxdb]\nurl = "{url}"\norg = "{name}"\nbucket = "{name}"\ntoken_file = "gateway.token"\n')
    return name


def mode(path: Path) -> int:
    """Return the rights of a file."""
    return stat.S_IMODE(path.stat().st_mode)


def test_a_new_server_is_set_up(gateway: Gateway, peer: ScriptedInfluxdb2) -> None:
    """Organisation, bucket with retention, and three tokens in files that only their owner reads; said before, done once."""
    name = configure(gateway, peer.url)
    (gateway.folder / "password").write_text("correct horse\n")
    words = ("influxdb", "init", "--password-file", "password", "--retention-days", "30")

    assert "would set up the new server with the user admin" in gateway.run(*words, "--dry-run").stdout
    assert peer.is_new
    done = gateway.run(*words, "--yes")

    assert (done.returncode, done.stderr) == (0, "")
    assert peer.user == "admin"
    assert list(peer.orgs) == [name]
    bucket = peer.buckets[name]
    assert bucket["retentionRules"] == [{"type": "expire", "everySeconds": 30 * 86400}]
    tokens = {file: gateway.folder / f"{file}.token" for file in ("admin", "gateway", "dashboard")}
    assert {file: mode(path) for file, path in tokens.items()} == dict.fromkeys(tokens, 0o600)
    for file, action in (("gateway", "write"), ("dashboard", "read")):
        rights = peer.rights[tokens[file].read_text().strip()]
        assert rights is not None
        assert [(right["action"], right["resource"]["type"], right["resource"]["id"]) for right in rights] == [
            (action, "buckets", bucket["id"])
        ]


@pytest.mark.parametrize(
    ("words", "why"),
    [
        ((), "is not set up yet: --password-file FILE"),
        (("--password-file", "nowhere"), "nowhere cannot be read: No such file or directory"),
        (("--password-file", "password", "--dashboard-token-file", "password"), "password exists; move it away or name another file"),
    ],
)
def test_what_is_missing_is_said_before_anything_is_done(
    gateway: Gateway, peer: ScriptedInfluxdb2, words: tuple[str, ...], why: str
) -> None:
    """One line with the remedy, and the server is as new as before."""
    configure(gateway, peer.url)
    (gateway.folder / "password").write_text("correct horse\n")

    done = gateway.run("influxdb", "init", *words, "--yes")

    assert done.returncode == 1
    assert why in done.stderr
    assert len(done.stderr.splitlines()) == 1
    assert peer.is_new


def test_a_server_that_is_set_up_gets_bucket_and_tokens(gateway: Gateway, server: tuple[str, str]) -> None:
    """With an administrator's token; the gateway's own may not read, the dashboard's may."""
    url, admin = server
    name = configure(gateway, url)
    assert "--admin-token-file FILE, a token that may make buckets, is needed" in gateway.run("influxdb", "init", "--yes").stderr
    (gateway.folder / "admin.token").write_text(admin)

    done = gateway.run("influxdb", "init", "--yes")

    assert (done.returncode, done.stderr) == (0, "")
    query = f'from(bucket: "{name}") |> range(start: 0) |> limit(n: 1)'
    assert gateway.run("influxdb", "query", query).returncode == 0
    refused = gateway.run("influxdb", "query", query, "--token-file", "gateway.token")
    assert refused.returncode == 1
    assert "could not find bucket" in refused.stderr
    again = gateway.run("influxdb", "init", "--yes")
    assert "gateway.token exists; move it away or name another file" in again.stderr


def test_the_plan_of_the_plant_makes_buckets_and_a_task(gateway: Gateway, peer: ScriptedInfluxdb2) -> None:
    """Raw points for two years, days for ten, a task that is the same however often it is made, and tokens for what each may do."""
    name = configure(gateway, peer.url)
    (gateway.folder / "password").write_text("correct horse\n")
    words = ("influxdb", "init", "--password-file", "password", "--plan", "factory-dosing", "--yes")

    refused = gateway.run(*words)
    assert refused.returncode == 1
    assert "set bucket = 'factory_metrics' in [influxdb]" in refused.stderr
    gateway.config.write_text(gateway.config.read_text().replace(f'bucket = "{name}"', 'bucket = "factory_metrics"'))
    assert "--sample-data is of devices" in gateway.run(*words, "--sample-data").stderr
    assert peer.is_new
    for _ in range(2):
        assert gateway.run(*words).returncode == 0
        for file in ("gateway.token", "dashboard.token"):
            (gateway.folder / file).rename(gateway.folder / f"old-{file}")
    hours = {bucket: peer.buckets[bucket]["retentionRules"][0]["everySeconds"] // 3600 for bucket in peer.buckets}
    assert hours == {"factory_metrics": 17_520, "factory_metrics_daily": 87_600}
    assert list(peer.tasks) == ["downsample_dosing_daily"]
    flux = peer.tasks["downsample_dosing_daily"]["flux"]
    assert 'timeSrc: "_start"' in flux
    assert "date.truncate(t: date.sub(d: 1d, from: now()), unit: 1d)" in flux
    assert f'to(bucket: "factory_metrics_daily", org: "{name}")' in flux
    rights = peer.rights[(gateway.folder / "old-dashboard.token").read_text().strip()]
    assert rights is not None
    assert [right["action"] for right in rights] == ["read", "read"]


def test_a_new_bucket_gets_sample_data_and_no_other_one_does(gateway: Gateway, peer: ScriptedInfluxdb2) -> None:
    """A day of two devices, as the profile iotflow would store it; said before, written once."""
    configure(gateway, peer.url)
    (gateway.folder / "password").write_text("correct horse\n")
    words = ("influxdb", "init", "--password-file", "password", "--sample-data")
    assert "would write sample data of two devices" in gateway.run(*words, "--dry-run").stdout
    before_s = int(time.time())

    done = gateway.run(*words, "--yes")

    assert (done.returncode, done.stderr) == (0, "")
    lines = [line for body in peer.lines for line in body.splitlines()]
    assert f"wrote {len(lines)} points of the devices sample-1 and sample-2" in done.stdout
    assert {line.partition(",")[0] for line in lines} == {"temperature", "humidity", "battery", "status"}
    assert {line.partition("device_id=")[2].partition(",")[0] for line in lines} == {"sample-1", "sample-2"}
    assert all(",location=" in line and " value=" in line for line in lines)
    times = [int(line.rpartition(" ")[2]) for line in lines]
    assert before_s <= max(times) <= time.time()
    assert 82_800 < max(times) - min(times) < 86_400
    assert len({(line.partition(" ")[0], at) for line, at in zip(lines, times, strict=True)}) == len(lines)

    for file in ("gateway.token", "dashboard.token"):
        (gateway.folder / file).unlink()
    again = gateway.run(*words, "--yes")
    assert again.returncode == 0
    assert "was there before, so it gets no sample data" in again.stderr
    assert sum(len(body.splitlines()) for body in peer.lines) == len(lines)


def test_points_are_deleted_by_time_and_predicate(gateway: Gateway, peer: ScriptedInfluxdb2) -> None:
    """The server is told exactly what was said, and nothing in a dry run."""
    peer.is_new, peer.rights = False, {"t": None}
    name = configure(gateway, peer.url)
    (gateway.folder / "gateway.token").write_text("t")
    words = ("--from", "2024-01-01T00:00:00Z", "--to", "2024-02-01T00:00:00Z", "--predicate", 'node="node1"')

    assert gateway.run("influxdb", "delete", *words, "--dry-run").returncode == 0
    assert gateway.run("influxdb", "delete", *words).returncode == 1  # nobody there to ask
    assert peer.deletions == []
    assert gateway.run("influxdb", "delete", *words, "--yes").returncode == 0
    (asked,) = peer.deletions
    assert {key: asked[key] for key in ("org", "bucket", "predicate")} == {"org": name, "bucket": name, "predicate": 'node="node1"'}
    assert (asked["start"][:20], asked["stop"][:20]) == ("2024-01-01T00:00:00.", "2024-02-01T00:00:00.")


if REAL_URL:

    @pytest.mark.servers
    def test_a_recording_in_influxdb_2(gateway: Gateway, recording: Path, expected: Expected) -> None:
        """Every point, with the value and the time of the recording, sent twice or not; deleted as asked."""
        name = configure(gateway, REAL_URL)
        (gateway.folder / "admin.token").write_text(REAL_TOKEN)
        assert gateway.run("influxdb", "init", "--yes").returncode == 0
        for words in ((), ("--from-start",)):
            done = gateway.run("replay", str(recording), "--start", START, "--speed", "max", "--once", *words, timeout_s=120)
            assert done.returncode == 0, done.stdout + done.stderr

        flux = f'from(bucket: "{name}") |> range(start: 0) |> filter(fn: (r) => r._measurement == "temperature" and r.node == "node1")'
        points = read(gateway.run("influxdb", "query", flux).stdout)
        assert points == {START_MS + ms: value for ms, value in expected.points("node1/temperature").items()}
        gone = ("--from", "1970-01-01T00:00:00Z", "--to", "2100-01-01T00:00:00Z", "--predicate", 'node="node1"', "--yes")
        assert gateway.run("influxdb", "delete", *gone).returncode == 0
        assert read(gateway.run("influxdb", "query", flux).stdout) == {}
        assert json.loads(gateway.run("status", "--json").stdout)["sinks"]["influxdb"]["delivered"] == 2 * expected.accepted


def read(answer: str) -> dict[int, float]:
    """Return the points of an annotated CSV: milliseconds since 1970 -> value."""
    import datetime as dt

    rows = csv.DictReader(line for line in answer.splitlines() if line and not line.startswith("#"))
    return {
        round(dt.datetime.fromisoformat(row["_time"]).timestamp() * 1000): float(row["_value"])
        for row in rows
        if row["_value"] not in ("", "_value", None)
    }
