"""The extension's classes for PostgreSQL: what they say without a server. The crate's own tests run against one."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from iiot_gateway import _native
from iiot_gateway._native import Journal, PostgresConnection, PostgresError, PostgresSettings, PostgresSink


@pytest.fixture
def journal(tmp_path: Path) -> Iterator[Journal]:
    """A journal that knows the sink `db`."""
    journal = Journal.open(str(tmp_path / "journal.db"), keep_confirmed_s=60.0)
    journal.add_sink("db")
    yield journal
    journal.close()


@pytest.fixture
def deaf_port() -> Iterator[int]:
    """A port on which nobody listens."""
    with socket.socket() as bound:
        bound.bind(("127.0.0.1", 0))
        yield bound.getsockname()[1]


def test_settings_that_cannot_be_used_are_refused_by_kind(journal: Journal) -> None:
    """A wrong URL is an error of the settings, names what would be right, and shows no password."""
    with pytest.raises(PostgresError, match="postgresql://") as refused:
        PostgresSink(journal, "db", PostgresSettings("mysql://me:secret@db/plant"))
    assert (refused.value.kind, refused.value.sqlstate) == ("settings", None)
    assert "secret" not in str(refused.value)


def test_a_server_that_is_away_is_waited_for(journal: Journal, deaf_port: int) -> None:
    """Nobody listens: the kind says to wait, and nothing is handed out or confirmed by it."""
    sink = PostgresSink(journal, "db", PostgresSettings(f"postgresql://me@127.0.0.1:{deaf_port}/plant"))
    with pytest.raises(PostgresError) as refused:
        sink.connect()
    assert refused.value.kind == "wait"
    assert sink.next_batch(max_rows=10, max_bytes=1000, linger_ms=0, timeout_ms=0) is None


def test_a_cancelled_connection_stays_so(deaf_port: int) -> None:
    """After `cancel` every call ends at once."""
    connection = PostgresConnection(PostgresSettings(f"postgresql://me@127.0.0.1:{deaf_port}/plant"))
    connection.cancel()
    with pytest.raises(PostgresError) as refused:
        connection.connect()
    assert refused.value.kind == "cancelled"


def test_names_never_become_sql() -> None:
    """Names and texts are quoted wherever a statement holds them."""
    assert _native.postgres_name('a"b') == '"a""b"'
    assert _native.postgres_literal("it's") == "'it''s'"
    assert '"my ""schema"""."time_bucket"' in _native.postgres_time_bucket('my "schema"', 150000)
    statements = _native.postgres_roll_up("s", "t", "v", by=["device_id"], count="n", sums=[("value", "total", "average")])
    assert any('"s"."v_sums"' in statement for statement in statements)


def test_each_opening_is_a_run(journal: Journal) -> None:
    """A journal tells its run, which is not its id."""
    assert len(journal.run) == 32
    assert journal.run != journal.id
