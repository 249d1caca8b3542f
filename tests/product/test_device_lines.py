"""Line protocol in: InfluxDB's own client and Telegraf's way of writing, through the journal."""

from __future__ import annotations

import base64
import gzip
from collections.abc import Iterator
from pathlib import Path

import pytest
from influxdb_client import InfluxDBClient, Point
from influxdb_client.client.write_api import SYNCHRONOUS
from influxdb_client.rest import ApiException

from fleets import Fleet
from gateways import assert_balanced

pytestmark = [pytest.mark.native, pytest.mark.slow]

HOUR_NS = 1_793_534_400_000_000_000  # 2026-11-01T12:00:00Z


@pytest.fixture
def fleet(tmp_path: Path) -> Iterator[Fleet]:
    """A gateway whose lines go to standard output, as they would to a database."""
    gateway = Fleet(tmp_path / "gateway", sections='[stdout]\nformat = "lines"\n[history]\npath = "history.db"')
    gateway.begin()
    yield gateway
    gateway.end()


def written(fleet: Fleet, count: int) -> list[str]:
    """Return the lines that the gateway wrote, once there are so many."""
    found: list[str] = []

    def there(_status: object) -> bool:
        nonlocal found
        # Its log stands in the same file.
        found = [line for line in fleet.log().splitlines() if line and not line.startswith("{") and not line.startswith("status,")]
        return len(found) >= count

    fleet.until(there, f"{count} lines")
    return found


def test_types_texts_and_times_of_lines_are_kept(fleet: Fleet) -> None:
    """54.10 stays 54.10, an integer an integer, a text a text; the registry's tags come to them."""
    key = fleet.add("one", "--location", "hall")
    body = (
        f'cpu,host=a\\ b usage=54.10,count=45000i,up=true,note="a \\"b\\", c" {HOUR_NS}\n'
        "# a comment\n\n"
        f"cpu,host=b usage=-1e-3 {HOUR_NS + 1}\n"
    )

    status, answer = fleet.call("POST", "/api/v2/write?bucket=b&org=o", "", body.encode(), Authorization=f"Token {key}")

    assert (status, answer) == (204, b"")
    tags = "device_id=one,device_name=name\\ of\\ one,device_type=sensor"
    first, second = written(fleet, 2)
    head, fields, time_ns = first.rsplit(" ", 2)[0], first, first.rsplit(" ", 1)[1]
    assert head.startswith(f"cpu,{tags},host=a\\ b,location=hall ")
    for part in ("usage=54.10", "count=45000i", "up=true", 'note="a \\"b\\", c"'):
        assert part in fields
    assert time_ns == str(HOUR_NS)
    assert second == f"cpu,{tags},host=b,location=hall usage=-1e-3 {HOUR_NS + 1}"
    assert_balanced(fleet.ask())


def test_what_is_written_again_is_taken_once(fleet: Fleet) -> None:
    """A client that had no answer sends the batch again, packed or not, to either address."""
    key = fleet.add("one")
    body = b"m v=1 1793534400\nm v=2 1793534401\n"
    password = base64.b64encode(f"anybody:{key}".encode()).decode()

    first = fleet.call("POST", "/api/v2/write?precision=s", "", body, Authorization=f"Token {key}")
    packed = {"Authorization": f"Bearer {key}", "Content-Encoding": "gzip"}
    second = fleet.call("POST", "/api/v2/write?precision=s", "", gzip.compress(body), **packed)
    third = fleet.call("POST", "/write?db=x&precision=s", "", body, Authorization=f"Basic {password}")

    assert [answer[0] for answer in (first, second, third)] == [204, 204, 204]
    intake = fleet.ask()["intake"]
    assert intake["duplicate"] == 4


def test_a_line_that_cannot_be_read_costs_itself(fleet: Fleet) -> None:
    """The answer says where; a gateway's key needs the device in each line."""
    key = fleet.add("one")
    gateway_key = fleet.command_key("keys", "create", "--type", "gateway", "--device", "one")

    status, problem = fleet.call("POST", "/api/v2/write", "", b"m v=1\nm v=\n,x v=1\nm v=2\n", Authorization=f"Token {key}")
    assert (status, problem["error"]) == (400, "invalid_lines")
    assert problem["message"].startswith("partial write: 2 of 4 lines: line 2, column ")
    lines = b"m,device_id=one v=3\nm v=4\nm,device_id=two v=5\n"
    status, problem = fleet.call("POST", "/api/v2/write", "", lines, Authorization=f"Token {gateway_key}")
    assert (status, problem["error"]) == (400, "invalid_lines")
    assert "point 2: the tag device_id is needed" in problem["message"]
    assert "point 3: this key does not speak for that device" in problem["message"]
    assert len(written(fleet, 3)) == 3


def test_each_line_is_counted_once(fleet: Fleet) -> None:
    """A line that never reached the journal is refused, by its error. A reject is received, and the request is no refusal of its own."""
    key = fleet.add("one")
    gateway_key = fleet.command_key("keys", "create", "--type", "gateway", "--device", "one")
    long = b'm,device_id=one s="' + b"x" * 70_000 + b'"\n'
    assert fleet.call("POST", "/api/v2/write", "", b"m v=0\n", Authorization=f"Token {key}")[0] == 204
    fleet.until_online("one")
    before = fleet.ask()["intake"]["received"]

    first = fleet.call("POST", "/api/v2/write", "", b"m v=\nm v=1\n" + long + long.replace(b"m,", b"n,"), Authorization=f"Token {key}")
    second = fleet.call("POST", "/api/v2/write", "", b"m v=1\nm,device_id=two v=1\n", Authorization=f"Token {gateway_key}")

    assert [(answer[0], answer[1]["error"]) for answer in (first, second)] == [(400, "invalid_lines")] * 2
    assert first[1]["message"].startswith("partial write: 3 of 4 lines: ")
    status = fleet.ask()
    assert status["refused"]["devices"] == {"invalid_line": 1, "device_id_missing": 1, "foreign_device": 1}
    assert status["intake"]["received"] - before == 3
    assert status["intake"]["reject_reasons"] == {"too_long": 2}
    assert_balanced(status)


def test_a_packed_body_that_unpacks_to_too_much_is_refused(fleet: Fleet) -> None:
    """No more of it is unpacked than is allowed; and what is no gzip is told so."""
    key = fleet.add("one")
    packed = {"Authorization": f"Token {key}", "Content-Encoding": "gzip"}

    bomb = fleet.call("POST", "/api/v2/write", "", gzip.compress(b"m v=1\n" * 10_000_000), **packed)
    none = fleet.call("POST", "/api/v2/write", "", b"m v=1", **packed)
    cut = fleet.call("POST", "/api/v2/write", "", gzip.compress(b"m v=1\n" * 100)[:-9], **packed)
    many = fleet.call("POST", "/api/v2/write", "", b"m v=1\n" * 5001, Authorization=f"Token {key}")

    assert [(answer[0], answer[1]["error"]) for answer in (bomb, none, cut, many)] == [
        (413, "body_too_long"),
        (400, "gzip_damaged"),
        (400, "gzip_damaged"),
        (413, "too_many_lines"),
    ]


def test_every_member_of_a_packed_body_is_read(fleet: Fleet) -> None:
    """RFC 1952 allows several; what follows the last one and is no gzip refuses the whole body."""
    key = fleet.add("one")
    packed = {"Authorization": f"Token {key}", "Content-Encoding": "gzip"}
    members = gzip.compress(f"m a=1 {HOUR_NS}\n".encode()) + gzip.compress(f"m b=2 {HOUR_NS + 1}\n".encode())

    assert fleet.call("POST", "/api/v2/write", "", members + b"more", **packed)[0] == 400
    assert fleet.call("POST", "/api/v2/write", "", members, **packed)[0] == 204

    assert [line.split(" ")[-2:] for line in written(fleet, 2)] == [["a=1", str(HOUR_NS)], ["b=2", str(HOUR_NS + 1)]]


def test_influxdbs_own_client_writes_to_the_gateway(fleet: Fleet) -> None:
    """With a device's key for a token; and learns of what was not taken."""
    key = fleet.add("one")
    with InfluxDBClient(url=f"http://127.0.0.1:{fleet.port}", token=key, org="any", enable_gzip=True) as client:
        writer = client.write_api(write_options=SYNCHRONOUS)
        writer.write(bucket="any", record=[Point("room").tag("floor", "1").field("t", 21.5).field("n", 3).time(HOUR_NS)])
        with pytest.raises(ApiException) as refusal:
            writer.write(bucket="any", record="room t=")

    assert refusal.value.status == 400
    (line,) = written(fleet, 1)
    assert line.startswith("room,device_id=one,device_name=name\\ of\\ one,device_type=sensor,floor=1 ")
    assert "t=21.5" in line
    assert "n=3i" in line
