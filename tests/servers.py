"""Real servers for tests: each on free ports with a folder of its own, ready when `start` returns.

A server keeps its port and folder over `kill9` and `restart`, so a test can pull it away from under the gateway.
"""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import tempfile
import time
import urllib.error
import urllib.parse
import urllib.request
import weakref
from collections.abc import Callable
from functools import cache
from glob import glob
from pathlib import Path
from typing import Self

READY_S = 20.0
POLL_S = 0.02
LONGEST_POLL_S = 0.1


def free_port() -> int:
    """Return a port that nobody listens on; ports are given out by the kernel in turn, so it stays free for a while."""
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        return int(sock.getsockname()[1])


def until(condition: Callable[[], bool], what: str, timeout_s: float = READY_S) -> None:
    """Wait for a condition that has no event to wait for. Raises TimeoutError that says what did not come.

    A question to a gateway costs both sides milliseconds of a core, so the pause grows with the time that has passed.
    """
    begin_s = time.monotonic()
    while not condition():
        waited_s = time.monotonic() - begin_s
        if waited_s > timeout_s:
            raise TimeoutError(f"{what} did not come within {timeout_s:g} s")
        time.sleep(min(max(POLL_S, waited_s / 10), LONGEST_POLL_S))


def find_program(*names: str) -> str | None:
    """Return the path of the first program that is installed; Debian puts some where a user's path does not look."""
    newest = sorted(glob("/usr/lib/postgresql/*/bin"), key=lambda folder: int(folder.split("/")[4]), reverse=True)
    path = ":".join([os.environ.get("PATH", ""), "/usr/sbin:/usr/local/sbin:/sbin", *newest])
    return next((found for name in names if (found := shutil.which(name, path=path))), None)


class Server:
    """A program that listens."""

    programs: tuple[str, ...] = ()
    ready_s = READY_S

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.port = free_port()
        self.process: subprocess.Popen[bytes] | None = None
        self.log_path = folder / "server.log"

    def command(self, program: str) -> list[str]:
        """Return the command line."""
        raise NotImplementedError

    def is_ready(self) -> bool:
        """Tell whether it answers."""
        with socket.socket() as sock:
            sock.settimeout(0.5)
            return sock.connect_ex(("127.0.0.1", self.port)) == 0

    def start(self) -> Self:
        """Start and wait until it answers."""
        self.begin()
        self.wait_ready()
        return self

    def begin(self) -> None:
        """Start without waiting."""
        program = find_program(*self.programs)
        assert program is not None, f"{self.programs[0]} is not installed"
        with self.log_path.open("ab") as log:
            # Its own session: Ctrl-C in the test run must not reach it before the test has ended it.
            self.process = subprocess.Popen(self.command(program), stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True)

    def wait_ready(self) -> None:
        """Wait until it answers."""
        process = self.process
        assert process is not None

        def is_up() -> bool:
            if process.poll() is not None:
                raise RuntimeError(
                    f"{self.programs[0]} ended with {process.returncode}:\n{self.log_path.read_text(errors='replace')[-2000:]}"
                )
            return self.is_ready()

        until(is_up, self.programs[0], self.ready_s)

    def stop(self) -> None:
        """End it in order."""
        self._end(signal.SIGTERM)

    def kill9(self) -> None:
        """End it as a loss of power to the process would."""
        self._end(signal.SIGKILL)

    def restart(self) -> None:
        """Start it again on the same port and folder."""
        if self.process is not None:
            self.stop()
        self.start()

    def freeze(self) -> None:
        """Let it hold its connections and answer nothing."""
        assert self.process is not None
        self.process.send_signal(signal.SIGSTOP)

    def thaw(self) -> None:
        """Let it go on."""
        assert self.process is not None
        self.process.send_signal(signal.SIGCONT)

    def _end(self, number: signal.Signals) -> None:
        if self.process is None:
            return
        self.process.send_signal(signal.SIGCONT)
        self.process.send_signal(number)
        try:
            self.process.wait(10)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        self.process = None

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(self, *_exc: object) -> None:
        self.stop()


class HttpServer(Server):
    """A server with a health URL."""

    health = "/ping"

    @property
    def url(self) -> str:
        """Its address."""
        return f"http://127.0.0.1:{self.port}"

    def get(self, path: str, timeout_s: float = 10.0) -> bytes:
        """GET a path and return the body."""
        with urllib.request.urlopen(self.url + path, timeout=timeout_s) as answer:
            body: bytes = answer.read()
            return body

    def post(self, path: str, body: bytes, timeout_s: float = 10.0) -> int:
        """POST and return the status."""
        request = urllib.request.Request(self.url + path, data=body, method="POST")
        with urllib.request.urlopen(request, timeout=timeout_s) as answer:
            return int(answer.status)

    def is_ready(self) -> bool:
        """Tell whether the health URL answers well."""
        try:
            self.get(self.health, 0.5)
        except (urllib.error.URLError, OSError):
            return False
        return True


class Mosquitto(Server):
    """Mosquitto without persistence: what was retained is gone after a restart, which is the harder case."""

    programs = ("mosquitto",)

    def __init__(self, folder: Path, *, extra: str = "") -> None:
        super().__init__(folder)
        self.extra = extra

    @property
    def url(self) -> str:
        """The broker's URL."""
        return f"mqtt://127.0.0.1:{self.port}"

    def command(self, program: str) -> list[str]:
        """Write the configuration and return the command line."""
        file = self.folder / "mosquitto.conf"
        # As root it would become another user, who may not read the folders of the tests.
        user = "user root\n" if os.geteuid() == 0 else ""
        anonymous = "" if "allow_anonymous" in self.extra else "allow_anonymous true\n"
        file.write_text(
            f"{user}listener {self.port} 127.0.0.1\npersistence false\n{anonymous}"
            f"max_inflight_messages 0\nmax_queued_messages 0\n{self.extra}\n"
        )
        return [program, "-c", str(file), "-v"]


class VictoriaMetrics(HttpServer):
    """VictoriaMetrics that keeps old times and does not double a point that was sent twice."""

    programs = ("victoria-metrics",)
    health = "/health"

    def command(self, program: str) -> list[str]:
        """Return the command line."""
        return [
            program,
            f"-storageDataPath={self.folder / 'data'}",
            f"-httpListenAddr=127.0.0.1:{self.port}",
            "-retentionPeriod=100y",
            "-dedup.minScrapeInterval=1ms",
            "-search.latencyOffset=0s",
            "-memory.allowedBytes=128MB",
        ]

    def flush(self) -> None:
        """Make what was written readable now."""
        self.get("/internal/force_flush")

    def export(self, match: str) -> bytes:
        """Return every point of the matching series, a JSON document per line."""
        self.flush()
        return self.get("/api/v1/export?" + urllib.parse.urlencode({"match[]": match, "start": "0", "end": "4102444800"}), 60.0)


class Influxd(HttpServer):
    """InfluxDB 1.6: a second real parser of line protocol, with /write and InfluxQL."""

    programs = ("influxd",)

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self.rpc_port = free_port()

    def command(self, program: str) -> list[str]:
        """Write the configuration and return the command line."""
        file = self.folder / "influxdb.conf"
        file.write_text(
            f"""
reporting-disabled = true
bind-address = "127.0.0.1:{self.rpc_port}"
[meta]
  dir = "{self.folder}/meta"
[data]
  dir = "{self.folder}/data"
  wal-dir = "{self.folder}/wal"
[monitor]
  store-enabled = false
[http]
  bind-address = "127.0.0.1:{self.port}"
  log-enabled = false
[ifql]
  enabled = false
"""
        )
        return [program, "run", "-config", str(file)]

    def query(self, text: str, database: str = "") -> bytes:
        """Run InfluxQL and return the JSON."""
        return self.get("/query?" + urllib.parse.urlencode({"q": text, "db": database, "epoch": "ns"}))

    def create_database(self, name: str) -> None:
        """Make a database, and wait until it is there: it answers pings before it takes every command."""

        def is_there() -> bool:
            self.post("/query?" + urllib.parse.urlencode({"q": f"CREATE DATABASE {name}"}), b"")
            return f'["{name}"]'.encode() in self.query("SHOW DATABASES")

        until(is_there, f"the database {name}")


class Postgres(Server):
    """PostgreSQL with a private cluster; every user of the machine may connect as any role, unless `access` says otherwise."""

    programs = ("postgres",)

    def __init__(self, _folder: Path, *, access: str = "host all all 127.0.0.1/32 trust\n") -> None:
        # In a folder of its own: as root the server is another user, who may not read the folders of the tests.
        folder = Path(tempfile.mkdtemp(prefix="postgres-"))
        weakref.finalize(self, shutil.rmtree, folder, ignore_errors=True)
        super().__init__(folder)
        self.data = folder / "data"
        self.access = access

    @property
    def url(self) -> str:
        """The database, as its owner."""
        return self.url_of("postgres")

    def url_of(self, user: str, database: str = "postgres") -> str:
        """A database, as a user."""
        return f"postgresql://{user}@127.0.0.1:{self.port}/{database}"

    def command(self, program: str) -> list[str]:
        """Make the cluster if there is none, and return the command line."""
        if not self.data.exists():
            self._give_folder(self.folder)
            subprocess.run(self._as_user("cp", "-a", f"{self._first(program).name}/data", str(self.data)), check=True, cwd="/")
            with (self.data / "postgresql.conf").open("a") as file:
                file.write("fsync = on\nmax_wal_size = 64MB\nmin_wal_size = 32MB\nshared_buffers = 32MB\ntimezone = 'Europe/Berlin'\n")
        (self.data / "pg_hba.conf").write_text(self.access)
        return self._as_user(program, "-D", str(self.data), "-p", str(self.port), "-h", "127.0.0.1", "-k", str(self.folder))

    @staticmethod
    @cache
    def _first(program: str) -> tempfile.TemporaryDirectory[str]:
        """Make an empty cluster, once. The others are its copies, because `initdb` costs half a second of a core."""
        folder = tempfile.TemporaryDirectory(prefix="postgres-")
        Postgres._give_folder(Path(folder.name))
        initdb = str(Path(program).with_name("initdb"))
        options = ["-U", "postgres", "-A", "trust", "-E", "UTF8", "--locale=C", "-N", "-D", f"{folder.name}/data"]
        subprocess.run(Postgres._as_user(initdb, *options), check=True, capture_output=True, cwd="/")
        return folder

    @staticmethod
    def _give_folder(folder: Path) -> None:
        if os.geteuid() == 0:
            shutil.chown(folder, "postgres", "postgres")

    @staticmethod
    def _as_user(*command: str) -> list[str]:
        """Return a command that root runs as the user `postgres`: PostgreSQL refuses root."""
        become = ["setpriv", "--reuid=postgres", "--regid=postgres", "--clear-groups"]
        return [*(become if os.geteuid() == 0 else []), *command]

    def is_ready(self) -> bool:
        """Tell whether it answers a query."""
        return super().is_ready() and self._psql("SELECT 1").returncode == 0

    def _psql(self, sql: str, user: str = "postgres") -> subprocess.CompletedProcess[str]:
        command = ["psql", "-XAtq", "-v", "ON_ERROR_STOP=1", "-d", self.url_of(user), "-f", "-"]
        return subprocess.run(command, input=sql, capture_output=True, text=True, check=False, timeout=60)

    def rows(self, sql: str) -> list[list[str]]:
        """Run statements as the owner; return the rows, NULL as nothing. Raises RuntimeError."""
        done = self._psql(sql)
        if done.returncode:
            raise RuntimeError(f"{sql}: {done.stderr}")
        return [line.split("|") for line in done.stdout.splitlines()]

    def value(self, sql: str) -> str:
        """Return the only value that a query gives."""
        ((value,),) = self.rows(sql)
        return value

    def allow(self, access: str) -> None:
        """Change who may connect; those who are connected stay."""
        self.access = access
        (self.data / "pg_hba.conf").write_text(access)
        self.rows("SELECT pg_reload_conf()")

    def stop(self) -> None:
        """End it in order, without waiting for those who are connected."""
        self._end(signal.SIGINT)

    def crash(self) -> None:
        """End it as a loss of power would: nothing is written out."""
        self._end(signal.SIGQUIT)
