"""`record` of a serial port, and its file played back: the same bytes, as if they came when they came."""

from __future__ import annotations

import io
import json
import time
from collections.abc import Callable, Iterator
from itertools import accumulate
from pathlib import Path

import pytest

from gateways import Gateway
from iiot_gateway.sources.recording import RecordingReader, RecordingWriter
from ports import Port
from servers import Mosquitto, VictoriaMetrics, until
from subscribers import Subscriber

pytestmark = pytest.mark.slow

NOISE = b"\x00\xff@1 2\n"
BEGAN_NS = 1_700_000_000_000_000_000


@pytest.fixture
def port() -> Iterator[Port]:
    """A line that is plugged in."""
    with Port() as it:
        yield it


def document(number: int) -> bytes:
    """Return a reading that no other one equals."""
    return b'{"ts":%d,"id":"N2","n1":{"t":%d.5,"seq":%d}}\r\n' % (number * 1000, number, number)


def chunks(file: Path) -> list[tuple[int, bytes]]:
    """Return what a recording holds so far: arrival in nanoseconds, bytes."""
    return list(RecordingReader(io.BytesIO(file.read_bytes())).chunks()) if file.exists() and file.stat().st_size else []


def temperatures(database: VictoriaMetrics) -> list[tuple[int, float]]:
    """Return time in milliseconds and value of every point of node1's temperature."""
    series = [json.loads(line) for line in database.export('temperature_value{node="node1"}').splitlines()]
    return [pair for each in series for pair in zip(each["timestamps"], each["values"], strict=True)]


def test_a_recorded_port_plays_back_with_its_bytes_and_times(
    gateway: Gateway,
    port: Port,
    mosquitto: Mosquitto,
    victoria_metrics: VictoriaMetrics,
    subscribe: Callable[..., Subscriber],
    tmp_path: Path,
) -> None:
    """Every byte of the line is in the file; each value has the time at which its bytes came, however fast they are played."""
    file = tmp_path / "port.rec"
    gateway.configure(
        f'[serial]\nport = "{port.device}"\n[mqtt]\nbroker_url = "{mosquitto.url}"\n[influxdb]\nurl = "{victoria_metrics.url}"\n'
    )
    subscriber = subscribe(mosquitto)
    sent = [NOISE + document(1), document(2), document(3)]

    gateway.start("record", str(file))
    until(lambda: '"running"' in gateway.log(), "the port")
    before_ns = time.time_ns()
    for count in range(1, len(sent) + 1):
        port.write(sent[count - 1])
        until(lambda count=count: b"".join(chunk for _, chunk in chunks(file)) == b"".join(sent[:count]), "the bytes in the file")
    assert gateway.stop() == 0
    assert f"{len(b''.join(sent))} bytes in " in gateway.log()
    done = gateway.run("replay", str(file), "--speed", "max", "--once")

    assert done.returncode == 0, done.stderr
    recorded = chunks(file)
    arrivals_ns = [max(at for at, chunk in recorded if chunk.endswith(one[-8:])) for one in sent]
    assert before_ns < arrivals_ns[0] < arrivals_ns[1] < arrivals_ns[2] < time.time_ns()
    # Stamps advance by a millisecond at least, and these bytes may have come faster.
    stamps_ns = list(accumulate(arrivals_ns, lambda last, arrival: max(arrival, last + 1_000_000)))
    assert temperatures(victoria_metrics) == [(stamp // 1_000_000, number + 0.5) for number, stamp in enumerate(stamps_ns, 1)]
    subscriber.catch_up()
    assert subscriber.values("iiot/node1/temperature") == ["1.5", "2.5", "3.5"]


def test_a_recording_is_played_at_a_multiple_of_its_own_pace(
    gateway: Gateway, mosquitto: Mosquitto, victoria_metrics: VictoriaMetrics, subscribe: Callable[..., Subscriber], tmp_path: Path
) -> None:
    """A minute at --speed 20 takes three seconds at least; order and times are the recorded ones."""
    file = tmp_path / "minute.rec"
    with file.open("wb") as recording:
        writer = RecordingWriter(recording, "serial")
        for number in range(5):
            writer.push(document(number), BEGAN_NS + number * 15_000_000_000)
    gateway.configure(f'[mqtt]\nbroker_url = "{mosquitto.url}"\n[influxdb]\nurl = "{victoria_metrics.url}"\n')
    subscriber = subscribe(mosquitto)

    began_s = time.monotonic()
    done = gateway.run("replay", str(file), "--speed", "20", "--once")

    assert done.returncode == 0, done.stderr
    assert time.monotonic() - began_s >= 3.0
    assert temperatures(victoria_metrics) == [((BEGAN_NS + n * 15_000_000_000) // 1_000_000, n + 0.5) for n in range(5)]
    subscriber.catch_up()
    assert subscriber.values("iiot/node1/temperature") == [f"{n}.5" for n in range(5)]
