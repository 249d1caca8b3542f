"""`doctor` tells what keeps rows out of a real PostgreSQL, and what to do about it."""

from __future__ import annotations

import json
from collections.abc import Callable

import pytest

from gateways import Gateway
from servers import Postgres, free_port


@pytest.fixture
def database(launch: Callable[..., Postgres]) -> Postgres:
    """A server with a role that may do nothing yet."""
    database = launch(Postgres)
    database.rows("CREATE ROLE writer LOGIN")
    return database


def findings(gateway: Gateway, url: str, keys: str = "") -> dict[str, tuple[bool | None, str, str]]:
    """Run `doctor`; return what it says of the database, by what it tried last."""
    gateway.configure(f'[simulate]\n[postgresql]\nurl = "{url}"\n{keys}')
    found = json.loads(gateway.run("doctor", "--json").stdout)
    ours = [finding for finding in found if finding["subject"].startswith("postgresql ")]
    names = [[*finding["subject"].split(), "connect"][2] for finding in ours]
    return {name: (finding["ok"], finding["detail"], finding["remedy"]) for name, finding in zip(names, ours, strict=True)}


def test_a_server_that_works(gateway: Gateway, database: Postgres) -> None:
    """Everything is tried, and nothing is left behind."""
    found = findings(gateway, database.url)

    assert {what: ok for what, (ok, _detail, _remedy) in found.items()} == {"connect": True, "rights": True, "position": True}
    assert "no TimescaleDB, time zone Europe/Berlin" in found["connect"][1]
    assert database.rows("SELECT relname FROM pg_class WHERE relname LIKE 'iiot%'") == []


def test_a_role_without_rights_gets_the_grant_that_it_needs(gateway: Gateway, database: Postgres) -> None:
    """What doctor names, done by the owner, is what was missing; for tables of the plant's own too."""
    url = database.url_of("writer")
    ok, detail, remedy = findings(gateway, url)["rights"]
    assert (ok, detail) == (False, "writer may not make tables in public")
    database.rows(remedy.partition("; or make")[0])
    database.rows("CREATE TABLE dosing_consumption (time timestamptz, device_id text)")

    ok, detail, remedy = findings(gateway, url)["rights"]

    assert (ok, detail) == (False, "writer may not write into dosing_consumption")
    database.rows(remedy)
    assert all(ok for ok, _detail, _remedy in findings(gateway, url).values())


def test_what_is_not_there_is_named(gateway: Gateway, database: Postgres) -> None:
    """A database, a schema, a server: each with what to do."""
    assert "create the database" in findings(gateway, database.url_of("postgres", "nowhere"))["connect"][2]
    assert findings(gateway, database.url, 'schema = "nowhere"')["schema"][1] == "there is no schema nowhere"
    assert "that the server runs" in findings(gateway, f"postgresql://me@127.0.0.1:{free_port()}/plant")["connect"][2]
