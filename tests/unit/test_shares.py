"""What `check` says of a share, and how the ledger of a fleet is added up."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from iiot_gateway.cli.fleet_ledger import Look, add_up
from iiot_gateway.cli.main import main
from iiot_gateway.config.load import load_text
from iiot_gateway.errors import ConfigError

SHARE = '[mqtt_consumer]\ntopics = ["$share/g/factory/#"]\nprofile = "{profile}"\n{keys}'
ONCE_MORE = "are stored at least once, not exactly once"


def notes_of(folder: Path, capsys: pytest.CaptureFixture[str], profile: str, keys: str = 'protocol = "5"\n') -> str:
    """Return what `check` notes."""
    (folder / "config.toml").write_text(SHARE.format(profile=profile, keys=keys))
    assert main(["check", "--config", str(folder / "config.toml")]) == 0
    return capsys.readouterr().err


def test_a_share_without_a_session_is_a_fault() -> None:
    """A worker that is killed would lose what is under way."""
    with pytest.raises(ConfigError) as caught:
        load_text(SHARE.format(profile="factory-dosing", keys="session_expiry_s = 0\n"))
    assert "mqtt_consumer.session_expiry_s: a worker that is killed would lose" in str(caught.value)


def test_the_built_in_broker_has_no_share() -> None:
    """Its messages go to this gateway alone."""
    with pytest.raises(ConfigError) as caught:
        load_text(SHARE.format(profile="factory-dosing", keys='broker_url = "embedded"\n'))
    assert "leave $share/GROUP/ out" in str(caught.value)


def test_what_a_share_cannot_promise_is_said(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """By the times that the profile reads, and by the protocol."""
    assert ONCE_MORE in notes_of(tmp_path, capsys, "factory-dosing")
    assert "reads no time" in notes_of(tmp_path, capsys, "gateway-topics")
    dated = tmp_path / "dated.toml"
    dated.write_text('name = "dated"\n[time]\npath = "t"\nformat = "unix_ms"\n[[point]]\nmeasurement = "m"\nfields = { v = "number" }\n')
    assert ONCE_MORE not in notes_of(tmp_path, capsys, str(dated))
    assert 'set protocol = "5"' in notes_of(tmp_path, capsys, str(dated), "")


def status(
    origin: str, *, published: int = 0, queued: int = 0, sites: Mapping[str, tuple[int, int]] | None = None, accepted: int = 0
) -> dict[str, Any]:
    """Return the status of a gateway, as far as the ledger looks at it."""
    ledger = {"accepted": 9, "delivered": 9 - queued, "queued": queued, "rejected": 0, "dropped": 0, "superseded": 0}
    return {
        "journal": {"id": origin},
        "intake": {"received": accepted, "accepted": accepted, "duplicate": 0, "rejected": 0},
        "sinks": {"mqtt": {"kind": "mqtt", "values": published, **ledger}},
        "sites": {name: {"received": received, "doubles": doubles} for name, (received, doubles) in (sites or {}).items()},
    }


def look(url: str, **given: Any) -> Look:
    """Return a look at a gateway where nothing moves."""
    found = status(**given)
    return Look(url=url, first=found, now=found, after=found)


def chunk(*values: tuple[int, int, int]) -> dict[str, Any]:
    """Return what a worker has of a site."""
    return {"chunks": [{"run": "r", "number": 3, "values": [list(value) for value in values]}]}


def test_a_value_that_two_workers_have_is_a_double_and_one_that_none_has_is_missing() -> None:
    """Of six published values one came to both workers, one came twice to one of them, and one came to none."""
    looks = [
        look("http://site", origin="s", published=6, queued=2),
        look("http://a", origin="a", sites={"s": (4, 1)}, accepted=4),
        look("http://b", origin="b", sites={"s": (3, 0)}, accepted=3),
    ]
    has = {"http://a": chunk((0, 0, 0), (0, 0, 1), (1, 0, 0)), "http://b": chunk((1, 0, 0), (2, 0, 0), (3, 0, 0))}

    sites, workers = add_up(looks, lambda url, _origin: has[url])

    (site,) = sites
    assert (site.published, site.received, site.doubles, site.missing, site.queued) == (6, 7, 2, 1, 2)
    assert [(worker.url, worker.accepted, worker.unbalanced) for worker in workers] == [("http://a", 4, ()), ("http://b", 3, ())]


def test_more_than_was_published_and_a_ledger_that_does_not_balance_are_told() -> None:
    """A journal that was put back publishes again under other runs."""
    broken = look("http://a", origin="a", sites={"s": (5, 0)}, accepted=5)
    broken.now["sinks"]["mqtt"]["delivered"] = 1
    sites, workers = add_up([look("http://site", origin="s", published=3), broken], lambda _url, _origin: {"chunks": []})
    assert sites[0].missing == -2
    assert workers[0].unbalanced == ("mqtt",)
