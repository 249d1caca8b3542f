"""Documents of LoRa nodes, of ChirpStack and of a profile of one's own in PostgreSQL: a table for each measurement, made by the gateway."""

from __future__ import annotations

import json
from collections.abc import Callable

import pytest

from gateways import Gateway
from plants import Plant
from rows import configure, delivered, start
from servers import Postgres
from watched import line

pytestmark = pytest.mark.slow

COLUMNS = (
    "SELECT attname, format_type(atttypid, atttypmod) FROM pg_attribute WHERE attrelid = '{}'::regclass AND attnum > 0 ORDER BY attnum"
)
OWN = """\
name = "own"
[[metric]]
path = "level"
topic = "{tank}/level"
measurement = "Fill level"
tags = { node = "{tank}", unit = "percent" }
"""


@pytest.fixture
def database(launch: Callable[..., Postgres]) -> Postgres:
    """A server of its own."""
    return launch(Postgres)


def columns(database: Postgres, table: str) -> dict[str, str]:
    """Return the columns of a table and their types."""
    return {row[0]: row[1] for row in database.rows(COLUMNS.format(table))}


def test_lora_nodes(gateway: Gateway, database: Postgres) -> None:
    """Each measurement has its table with node, unit and value; decimals keep their value, and each packet is a row."""
    log = gateway.folder / "packets.log"
    log.write_bytes(b"".join(line(seq, temperature=f"{20 + seq / 100:.2f}") for seq in range(1, 101)))
    gateway.configure(f'[postgresql]\nurl = "{database.url}"\n')

    done = gateway.run("replay", str(log), "--once", "--speed", "max")

    assert done.returncode == 0, done.stderr
    expected = {"time": "timestamp with time zone", "node": "text", "unit": "text", "value": "double precision", "extra": "jsonb"}
    for table in ("temperature", "humidity", "rssi", "snr"):
        assert columns(database, table) == expected
        assert database.value(f"SELECT count(*) FROM {table} WHERE extra IS NULL") == "100"
    sums = "SELECT node, unit, sum(value::numeric), count(DISTINCT time) FROM temperature GROUP BY 1, 2"
    assert database.rows(sums) == [["node1", "celsius", "2050.50", "100"]]


def test_chirpstack(gateway: Gateway, plant: Plant, database: Postgres) -> None:
    """What a device measures has tables under its own names; signal and status too."""
    configure(gateway, plant.broker, database.url, profile="chirpstack")
    start(gateway)
    uplink = {
        "deviceName": "door",
        "devEUI": "d1d1e80000000032",
        "fCnt": 7,
        "data": "AQ==",
        "_timestamp": 1_795_900_000_000,
        "rxInfo": [{"gatewayID": "100210b935d4ef15", "rssi": -120, "loRaSNR": -6.2}],
        "object": {"temperature": 21.5, "open": True, "state": "ajar"},
    }
    status = {"deviceName": "door", "devEUI": "d1d1e80000000032", "_timestamp": 1_795_900_001_000, "margin": 12, "batteryLevel": 75.5}
    for document in (uplink, status):
        plant.client.publish("factory/door", json.dumps(document), qos=2).wait_for_publish(10.0)

    delivered(gateway, 2)

    tags = {"time": "timestamp with time zone", "device": "text", "eui": "text"}
    assert columns(database, "temperature") == {**tags, "value": "double precision", "extra": "jsonb"}
    assert columns(database, "open") == {**tags, "value": "boolean", "extra": "jsonb"}
    assert columns(database, "state") == {**tags, "value": "text", "extra": "jsonb"}
    assert columns(database, "rssi") == {**tags, "gateway": "text", "unit": "text", "value": "double precision", "extra": "jsonb"}
    assert database.rows("SELECT device, value FROM state") == [["door", "ajar"]]
    assert database.rows("SELECT gateway, unit, value FROM snr") == [["100210b935d4ef15", "db", "-6.2"]]
    assert database.rows("SELECT unit, value FROM battery_level") == [["percent", "75.5"]]
    assert gateway.stop() == 0


def test_a_profile_of_one_s_own(gateway: Gateway, plant: Plant, database: Postgres) -> None:
    """A measurement whose name needs quotes is a table like any other."""
    (gateway.folder / "own.toml").write_text(OWN)
    configure(gateway, plant.broker, database.url, profile="own.toml")
    start(gateway)
    plant.client.publish("factory/tank", '{"tank": "t1", "level": 41.50}', qos=2).wait_for_publish(10.0)

    delivered(gateway, 1)

    assert database.rows('SELECT node, unit, value FROM "Fill level"') == [["t1", "percent", "41.5"]]
    assert gateway.stop() == 0


def test_tags_that_documents_bring_are_kept(gateway: Gateway, plant: Plant, database: Postgres) -> None:
    """They make no column, because a device may invent any name; what differs in them alone is two rows, also with `unique = true`."""
    profile = gateway.folder / "own.toml"
    profile.write_text('name = "own"\n[[point]]\nmeasurement = "m"\n[point.others]\ntag_objects = ["tags"]\n')
    configure(gateway, plant.broker, database.url, "unique = true\n", str(profile))
    start(gateway)
    for room in ("cellar", "attic"):
        document = json.dumps({"value": 1, "tags": {"room": room}})
        plant.client.publish("factory/m", document, qos=1).wait_for_publish(10)
    delivered(gateway, 2)
    assert database.rows("SELECT extra->>'room' FROM m ORDER BY 1") == [["attic"], ["cellar"]]
