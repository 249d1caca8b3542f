"""What `check` says of a share, and how the ledger of a fleet is added up."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from iiot_gateway.cli.fleet_ledger import Look, add_up, asked, status_of
from iiot_gateway.cli.main import main
from iiot_gateway.config.load import load_text
from iiot_gateway.errors import ConfigError, GatewayError

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
    origin: str,
    *,
    published: int = 0,
    queued: int = 0,
    rejected: int = 0,
    dropped: int = 0,
    sites: Mapping[str, tuple[int, int, int]] | None = None,
    accepted: int = 0,
) -> dict[str, Any]:
    """Return the status of a gateway, as far as the ledger looks at it."""
    ledger = {
        "accepted": 9,
        "delivered": 9 - queued - rejected - dropped,
        "queued": queued,
        "rejected": rejected,
        "dropped": dropped,
        "superseded": 0,
    }
    return {
        "journal": {"id": origin},
        "intake": {"received": accepted, "accepted": accepted, "duplicate": 0, "rejected": 0},
        "sinks": {"mqtt": {"kind": "mqtt", "values": published, **ledger}},
        "sites": {
            name: {"received": received, "doubles": doubles, "forgotten": forgotten}
            for name, (received, doubles, forgotten) in (sites or {}).items()
        },
    }


def look(url: str, **given: Any) -> Look:
    """Return a look at a gateway where nothing moves."""
    found = status(**given)
    return Look(url=url, first=found, now=found, after=found)


def chunk(number: int, *values: tuple[int, int, int], following: str | None = None) -> dict[str, Any]:
    """Return a page with one chunk; numbers below 128 are varints of one byte."""
    frame, encoded = 0, b""
    for at, point, field in values:
        encoded += bytes((at - frame, point, field))
        frame = at
    return {"chunks": [{"run": "r", "number": number, "values": encoded.hex()}], "next": following}


def test_a_value_that_two_workers_have_is_a_double_and_one_that_none_has_is_missing() -> None:
    """Of six published values one came to both workers, one came twice to one of them, and one came to none."""
    looks = [
        look("http://site", origin="s", published=6, queued=2),
        look("http://a", origin="a", sites={"s": (4, 1, 0)}, accepted=4),
        look("http://b", origin="b", sites={"s": (3, 0, 0)}, accepted=3),
    ]
    has = {
        ("http://a", None): chunk(2, (0, 0, 0), (0, 0, 1), following="r.2"),
        ("http://a", "r.2"): chunk(3, (1, 0, 0)),
        ("http://b", None): chunk(3, (1, 0, 0), (2, 0, 0), (3, 0, 0)),
    }

    sites, workers = add_up(looks, lambda url, _origin, after: has[url, after])

    (site,) = sites
    assert (site.published, site.received, site.doubles, site.missing, site.queued) == (6, 7, 2, 1, 2)
    assert [(worker.url, worker.accepted, worker.unbalanced) for worker in workers] == [("http://a", 4, ()), ("http://b", 3, ())]


def test_more_than_was_published_and_a_ledger_that_does_not_balance_are_told() -> None:
    """A journal that was put back publishes again under other runs."""
    broken = look("http://a", origin="a", sites={"s": (5, 0, 0)}, accepted=5)
    broken.now["sinks"]["mqtt"]["delivered"] = 1
    sites, workers = add_up([look("http://site", origin="s", published=3), broken], lambda *_: {"chunks": [], "next": None})
    assert sites[0].missing == -2
    assert workers[0].unbalanced == ("mqtt",)


def test_what_is_known_by_its_number_only_may_have_come_twice() -> None:
    """More than was published can only be that, as long as it is no more than that."""
    site = look("http://site", origin="s", published=10)
    for received, missing, doubles in [(13, 0, 3), (16, -2, 4), (9, 1, 0)]:
        sites, _ = add_up([site, look("http://a", origin="a", sites={"s": (received, 0, 4)})], lambda *_: {"chunks": [], "next": None})
        assert (sites[0].missing, sites[0].doubles, sites[0].forgotten) == (missing, doubles, 4)


def test_one_gateway_under_two_addresses_is_refused() -> None:
    """It would be counted twice."""
    with pytest.raises(GatewayError, match="http://a and http://b are one gateway"):
        add_up([look("http://a", origin="x"), look("http://b", origin="x")], lambda *_: {})


@pytest.mark.parametrize("document", ["[]", "{}", '{"journal": {"bytes": 1}, "sinks": {}}'])
def test_what_is_no_gateway_is_named(document: str) -> None:
    """Another program, or an older gateway; and where an address leads elsewhere the token does not follow."""
    with answering(document) as url:
        with pytest.raises(GatewayError, match="not as a gateway of this version does"):
            status_of(url, {}, None)
        with pytest.raises(GatewayError, match="answered 302"):
            asked(url, {"": "secret"}, path="elsewhere")


@contextmanager
def answering(document: str) -> Iterator[str]:
    """Give the URL of a server that answers with this, and sends whoever asks for `elsewhere` to nowhere."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            if self.path.endswith("elsewhere"):
                self.send_response(302)
                self.send_header("location", "http://127.0.0.1:9/")
                self.end_headers()
                return
            self.send_response(200)
            self.end_headers()
            self.wfile.write(document.encode())

        def log_message(self, *_arguments: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_address[1]}"
        server.shutdown()


def test_a_worker_without_anything_of_a_site_is_listed(capsys: pytest.CaptureFixture[str]) -> None:
    """It may store devices' messages; and without any site the sum says nothing, which the table says."""
    found = status(origin="w", accepted=5)
    found["sinks"] = {"postgresql": {**found["sinks"]["mqtt"], "kind": "postgresql"}}
    worker = Look(url="http://w", first=found, now=found, after=found)

    with answering(json.dumps(found)) as url:
        assert main(["fleet", "status", url, "--wait", "0"]) == 0
        table = capsys.readouterr().out
    assert f"{url:<34}{5:>13}" in table
    assert "no site: none of these gateways has published values" in table
    assert "published =" not in table

    sites, workers = add_up([worker, look("http://site", origin="s", published=0)], lambda *_asked: {})
    assert (sites, [row.url for row in workers]) == ([], ["http://w"])


@pytest.mark.parametrize(
    ("given", "code", "said"),
    [
        ({"published": 3, "dropped": 2}, 1, "x: 2 frames of {url} were dropped before they were published"),
        ({"sites": {}, "rejected": 2}, 0, "{url}: its sinks could not store 2 frames; `iiot-gateway rejects` shows them there"),
        ({"sites": {}, "dropped": 2}, 1, "{url}: 2 frames were dropped before its sinks had stored them"),
    ],
)
def test_what_was_accepted_and_is_in_no_database_is_named(
    capsys: pytest.CaptureFixture[str], given: dict[str, Any], code: int, said: str
) -> None:
    """What a database refused is kept; what is lost makes the command fail."""
    found = status(origin="x", **given)
    if "published" in given:
        found["sites"] = {"x": {"received": 3, "doubles": 0, "forgotten": 0}}
    else:
        found["sinks"]["mqtt"]["kind"] = "postgresql"
    with answering(json.dumps(found)) as url:
        assert main(["fleet", "status", url, "--wait", "0"]) == code
        assert said.format(url=url) in capsys.readouterr().out.splitlines()


def test_what_alerts_left_out_is_no_loss() -> None:
    """They store nothing, and let frames go while the journal is full."""
    found = status(origin="w", dropped=2)
    found["sinks"] = {"alerts": {**found["sinks"]["mqtt"], "kind": "alerts"}}
    _, (worker,) = add_up([Look(url="http://w", first=found, now=found, after=found)], lambda *_asked: {})
    assert (worker.dropped, worker.unbalanced) == (0, ())
