r"""PostgreSQL: a backlog of doses into the plant's tables, against `\copy` of the same rows; and how soon a published dose is a row.

Both ways write into `dosing_consumption` with its four indexes, weekly partitions and hourly sums, as `postgresql init` makes them, on an
emptied table. The backlog lies in the journal, with no broker to be asked. A third time a constraint refuses 30 % of one device's rows.
The latency is that of single doses, seen by a connection that waits for them, once published and once inserted by hand.
"""

from __future__ import annotations

import json
import os
import shutil
import statistics
import subprocess
import threading
import time
from pathlib import Path

import paho.mqtt.client as paho

from figures import Report, spread
from gateways import Gateway
from iiot_gateway._native import PostgresConnection, PostgresSettings
from memory import kilobytes
from peers import Bare, QuietMosquitto
from servers import Postgres

JOURNAL_BYTES = 2 << 30
POLL_S = 0.1
"""Each look costs the gateway a millisecond of the time that is measured."""
TELEGRAF = "Telegraf: 38 us of CPU per row"
"""As issue 13 gives it, from another machine."""
REFUSES = "ALTER TABLE dosing_consumption ADD CONSTRAINT plausible CHECK (device_id <> 'dosing_system_01' OR duration_ms % 10 >= 3)"
EMPTY = "TRUNCATE dosing_consumption, dosing_consumption_hourly_sums, iiot_gateway_position"
TOPIC = "factory/dosing/consumption"
SYNCED_BYTES = 12_288
"""About what one dose adds to the journal's log: three pages."""
WAIT = """\
CREATE FUNCTION wait_for(wanted text) RETURNS void LANGUAGE plpgsql AS $$ BEGIN
    LOOP
        PERFORM FROM dosing_consumption WHERE recipe = wanted;
        IF FOUND THEN RETURN; END IF;
        PERFORM pg_sleep(0.0002);
    END LOOP;
END $$"""


class LargePostgres(Postgres):
    """A server with room for a backlog between two checkpoints, as an operator would give it."""

    def command(self, program: str) -> list[str]:
        """Return the command line."""
        return [*super().command(program), "-c", "max_wal_size=2GB", "-c", "shared_buffers=256MB", "-c", "log_min_messages=error"]


def configure(gateway: Gateway, broker: QuietMosquitto, database: Postgres, keys: str = "") -> None:
    """Take doses from a broker to the plant's tables."""
    gateway.configure(
        f'[mqtt_consumer]\nbroker_url = "{broker.url}"\ntopics = ["factory/#"]\nprofile = "factory-dosing"\nclient_id = "gateway"\n'
        f'[postgresql]\nurl = "{database.url}"\ntables = "fixed"\n{keys}\n',
        journal_keys=f"max_bytes = {JOURNAL_BYTES}\n",
    )


def make_tables(gateway: Gateway, database: Postgres) -> None:
    """Make the plant's tables, with partitions of this week and the next."""
    for arguments in (("init", "--profile", "factory-dosing"), ("maintain",)):
        done = gateway.run("postgresql", *arguments)
        assert done.returncode == 0, done.stderr
    assert database.value("SELECT count(*) FROM pg_inherits WHERE inhparent = 'dosing_consumption'::regclass") == "2"


def fill(gateway: Gateway, broker: QuietMosquitto, messages: int) -> None:
    """Take messages into the journal while the database is away."""
    gateway.start("run")
    gateway.until(lambda status: status["source"]["mqtt_consumer"]["state"] == "subscribed", "the subscription")
    with Bare("ingest-fill", mqtt=broker.port, count=messages, start=int(time.time())):
        pass
    gateway.until(lambda status: status["intake"]["accepted"] == messages, "the backlog")
    assert gateway.stop() == 0


def deliver(gateway: Gateway, messages: int) -> tuple[float, float, float]:
    """Return rows a second, microseconds of CPU a row and the greatest megabytes, from the first look that shows rows to the last."""
    process = gateway.start("run")
    first: tuple[float, int, int] | None = None
    while True:
        try:
            sink = gateway.ask()["sinks"]["postgresql"]
        except OSError:
            time.sleep(POLL_S)
            continue
        now_s, count, used = time.monotonic(), sink["delivered"] + sink["rejected"], ticks(process.pid)
        if count and first is None:
            first = (now_s, count, used)
        if count >= messages:
            assert first is not None
            rows = count - first[1]
            peak_mb = kilobytes(process.pid, "VmHWM") / 1024
            assert gateway.stop() == 0
            assert rows > messages / 2, "the backlog was gone before it was looked at"
            return rows / (now_s - first[0]), (used - first[2]) / os.sysconf("SC_CLK_TCK") / rows * 1e6, peak_mb
        time.sleep(POLL_S)


def ticks(pid: int) -> int:
    """Return the CPU time of a process in ticks."""
    return sum(int(word) for word in Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[11:13])


def copied(database: Postgres, file: Path, rows: int) -> float:
    r"""Return rows a second of `\copy` into the emptied table."""
    database.rows(f"{EMPTY}; CHECKPOINT")
    command = ["psql", "-Xq", "-d", database.url, "-c", f"\\copy dosing_consumption FROM '{file}'"]
    began_s = time.monotonic()
    subprocess.run(command, check=True)
    return rows / (time.monotonic() - began_s)


def run(report: Report, folder: Path, *, short: bool) -> None:
    """Add the figures."""
    broker_folder = folder / "broker"
    broker_folder.mkdir(parents=True)
    # With Nagle's algorithm the broker holds a message back until the subscriber's kernel has acknowledged the one before, up to 40 ms.
    broker = QuietMosquitto(broker_folder, extra="max_queued_bytes 0\nset_tcp_nodelay true").start()
    database = LargePostgres(folder).start()
    gateway = Gateway(folder / "gateway")
    configure(gateway, broker, database)
    try:
        make_tables(gateway, database)
        backlog(report, gateway, broker, database, *((200_000, 3) if short else (400_000, 5)))
        latency(report, folder, broker, database, 200 if short else 1000)
    finally:
        gateway.end()
        database.stop()
        broker.stop()


def backlog(report: Report, gateway: Gateway, broker: QuietMosquitto, database: Postgres, messages: int, rounds: int) -> None:
    """Deliver one journal again and again, each time into an emptied table, and copy the same rows in between."""
    database.stop()
    fill(gateway, broker, messages)
    broker.stop()
    database.start()
    kept, file = gateway.journal.with_name("kept.db"), gateway.folder / "rows.txt"
    shutil.copy(gateway.journal, kept)
    rates, copies, refusing, cpus, peaks = [], [], [], [], []

    def once() -> tuple[float, float]:
        for leftover in gateway.folder.glob("journal.db*"):
            leftover.unlink()
        shutil.copy(kept, gateway.journal)
        database.rows(f"{EMPTY}; CHECKPOINT")
        rate, cpu_us, peak_mb = deliver(gateway, messages)
        peaks.append(peak_mb)
        return rate, cpu_us

    for number in range(rounds):
        rate, cpu_us = once()
        rates.append(rate)
        cpus.append(cpu_us)
        if number == 0:
            assert database.value("SELECT count(*) FROM dosing_consumption") == str(messages)
            # As they were written: in the order of the pages.
            command = f"\\copy (TABLE dosing_consumption) TO '{file}'"
            subprocess.run(["psql", "-Xq", "-d", database.url, "-c", command], check=True)
        copies.append(copied(database, file, messages))
        database.rows(f"{EMPTY}; {REFUSES}")
        refusing.append(once()[0])
        database.rows("ALTER TABLE dosing_consumption DROP CONSTRAINT plausible")
    ratios = [rate / copy for rate, copy in zip(rates, copies, strict=True)]
    lost = [slow / rate for slow, rate in zip(refusing, rates, strict=True)]
    with_refusals = f"with 30 % of one device of 20 refused {statistics.median(lost):.2f} of it ({spread(lost)})"
    report.add("postgresql_rows_per_s", statistics.median(rates), f"{spread(rates)}; {with_refusals}")
    report.add(
        "postgresql_vs_copy", statistics.median(ratios), f"\\copy {statistics.median(copies):,.0f}/s ({spread(copies)}); {spread(ratios)}"
    )
    report.add("postgresql_cpu_us_per_row", statistics.median(cpus), f"{spread(cpus)}; {TELEGRAF}")
    report.add("postgresql_rss_peak_mb", max(peaks), f"{messages:,} rows")
    broker.start()


def latency(report: Report, folder: Path, broker: QuietMosquitto, database: Postgres, samples: int) -> None:
    """Publish single doses, insert as many by hand in between, and measure what a sync of the journal's disk takes."""
    gateway = Gateway(folder / "single")
    configure(gateway, broker, database, "batch_interval_ms = 0")
    database.rows(f"{EMPTY}; {WAIT}")
    client = paho.Client(paho.CallbackAPIVersion.VERSION2, client_id="machine")
    client.connect("127.0.0.1", broker.port)
    client.loop_start()
    watch, insert = (PostgresConnection(PostgresSettings(database.url, timeout_s=60.0)) for _ in range(2))
    for connection in (watch, insert):
        connection.connect()
    insert.query("SELECT 1")

    def publish(recipe: str) -> None:
        document = {"device_id": "d1", "pump": 1, "chemical": "acid", "actual_g": 1.5, "recipe": recipe}
        client.publish(TOPIC, json.dumps(document), qos=1)

    def insert_bare(recipe: str) -> None:
        columns, values = "time, device_id, pump, chemical, actual_g, recipe", "clock_timestamp(), 'd1', 1, 'acid', 1.5"
        insert.query(f"INSERT INTO dosing_consumption ({columns}) VALUES ({values}, '{recipe}')")  # noqa: S608 - all ours

    def seen_ms(recipe: str, send: object) -> float:
        assert callable(send)
        seen_s = 0.0

        def wait() -> None:
            nonlocal seen_s
            watch.query(f"SELECT wait_for('{recipe}')")
            seen_s = time.perf_counter()

        watcher = threading.Thread(target=wait)
        watcher.start()
        time.sleep(0.005)  # until it waits
        began_s = time.perf_counter()
        send(recipe)
        watcher.join()
        return (seen_s - began_s) * 1000

    lanes: dict[str, list[float]] = {"gateway": [], "bare": [], "sync": []}
    try:
        gateway.start("run")
        gateway.until(lambda status: status["source"]["mqtt_consumer"]["state"] == "subscribed", "the subscription")
        with (gateway.folder / "synced").open("wb", buffering=0) as file:
            for number in range(-10, samples):
                found = {"gateway": seen_ms(f"p{number}", publish), "bare": seen_ms(f"i{number}", insert_bare)}
                began_s = time.perf_counter()
                file.write(bytes(SYNCED_BYTES))
                os.fdatasync(file.fileno())
                found["sync"] = (time.perf_counter() - began_s) * 1000
                if number >= 0:  # the first ones look for the tables
                    for lane, value in found.items():
                        lanes[lane].append(value)
        assert gateway.stop() == 0
    finally:
        gateway.end()
        client.disconnect()
        client.loop_stop()
    middle = {lane: statistics.median(values) for lane, values in lanes.items()}
    report.add(
        "postgresql_latency_added_p50_ms",
        middle["gateway"] - middle["bare"] - middle["sync"],
        f"medians of {samples}: published {middle['gateway']:.2f} ms, a bare INSERT {middle['bare']:.2f}, a sync {middle['sync']:.2f}; "
        "batch_interval_ms = 0, Mosquitto with set_tcp_nodelay",
    )
