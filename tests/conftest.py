"""Fixtures for all tests: a time limit, a clean environment, and real servers."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Iterator
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING

import pytest
import structlog
from hypothesis import settings

from servers import Influxd, Mosquitto, Postgres, Server, VictoriaMetrics, find_program

if TYPE_CHECKING:
    from playwright.sync_api import Browser

    from pages import Seen

LIMIT_S = 60
SLOW_LIMIT_S = int(os.environ.get("IIOT_SOAK_LIMIT_S", "600"))

# A busy machine is no fault.
settings.register_profile("without a limit of time", deadline=None)
settings.load_profile("without a limit of time")

if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    # Run in the background by a shell: what the tests start would inherit it, and Ctrl-C would do nothing.
    signal.signal(signal.SIGINT, signal.default_int_handler)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark what starts a real server, for scripts/test-integration.sh: only these fixtures do. Tests of backups mark themselves."""
    for item in items:
        if isinstance(item, pytest.Function) and not {"launch", "shared_postgres"}.isdisjoint(item.fixturenames):
            item.add_marker(pytest.mark.servers)


@pytest.fixture
def anyio_backend() -> str:
    """The gateway runs on asyncio."""
    return "asyncio"


@pytest.fixture(autouse=True)
def time_limit(request: pytest.FixtureRequest) -> Iterator[None]:
    """End a test that hangs."""
    limit_s = SLOW_LIMIT_S if request.node.get_closest_marker("slow") else LIMIT_S

    def expire(_number: int, _frame: FrameType | None) -> None:
        raise TimeoutError(f"the test took more than {limit_s} s")

    before = signal.signal(signal.SIGALRM, expire)
    signal.alarm(limit_s)
    yield
    signal.alarm(0)
    signal.signal(signal.SIGALRM, before)


@pytest.fixture(autouse=True)
def clean_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """Keep what the developer has set for his own gateway out of the tests."""
    for name in set(os.environ) - {"IIOT_BUILD_PROFILE", "IIOT_SHARED_DATA"}:
        if name.startswith(
            ("IIOT_", "INFLUXDB_TOKEN", "INFLUXDB_URL", "INFLUXDB_ORG", "INFLUXDB_BUCKET", "PGPASSWORD", "PROBE_RS_", "NOTIFY_SOCKET")
        ):
            monkeypatch.delenv(name)


@pytest.fixture
def events() -> Iterator[list[dict[str, object]]]:
    """Return the list that log events go to."""
    with structlog.testing.capture_logs() as captured:
        yield captured  # type: ignore[misc]


def must_be_installed(kind: type[Server]) -> None:
    """Skip a test whose server is not there; in CI it fails."""
    if find_program(*kind.programs) is None:
        message = f"{kind.programs[0]} is not installed; scripts/test.sh installs it"
        if os.environ.get("CI"):
            pytest.fail(message)
        pytest.skip(message)


@pytest.fixture(scope="session")
def shared_postgres(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Postgres]:
    """One PostgreSQL for all tests that do not stop it; each takes a schema of its own."""
    must_be_installed(Postgres)
    server = Postgres(tmp_path_factory.mktemp("postgres"))
    yield server.start()
    server.stop()


@pytest.fixture
def launch(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[..., Server]]:
    """Return a function that starts a server of a class; all are ended after the test."""
    running: list[Server] = []

    def start(kind: type[Server], **settings: object) -> Server:
        must_be_installed(kind)
        folder: Path = tmp_path_factory.mktemp(kind.__name__.lower())
        server = kind(folder, **settings)  # type: ignore[arg-type]
        running.append(server)
        return server.start()

    yield start
    for server in running:
        server.stop()


@pytest.fixture
def mosquitto(launch: Callable[..., Mosquitto]) -> Mosquitto:
    """A broker that takes anybody."""
    return launch(Mosquitto)


@pytest.fixture
def victoria_metrics(launch: Callable[..., VictoriaMetrics]) -> VictoriaMetrics:
    """A database that answers 204 to everything."""
    return launch(VictoriaMetrics)


@pytest.fixture
def influxd(launch: Callable[..., Influxd]) -> Influxd:
    """A database that is strict about lines; it has the database `telemetry`."""
    server = launch(Influxd)
    server.create_database("telemetry")
    return server


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """Debian's Chromium without a window."""
    from pages import chromium

    with chromium() as started:
        yield started


@pytest.fixture
def visit(browser: Browser) -> Iterator[Callable[..., Seen]]:
    """A function that opens a page; all are closed after the test."""
    from pages import Seen

    opened: list[Seen] = []

    def open_page(url: str, **settings: object) -> Seen:
        opened.append(Seen(browser, url, **settings))
        return opened[-1]

    yield open_page
    for seen in opened:
        seen.context.close()
