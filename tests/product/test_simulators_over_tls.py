"""`simulate dosing` and `simulate devices` reach a broker over TLS whose certificate a plant's own authority has signed."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
import trustme

from gateways import Gateway
from servers import Mosquitto, until


@pytest.fixture
def secure(launch: Callable[..., Mosquitto], tmp_path: Path) -> Mosquitto:
    """A broker that speaks TLS alone; the authority's certificate is `ca.pem` beside."""
    authority = trustme.CA()
    authority.cert_pem.write_to_path(str(tmp_path / "ca.pem"))
    authority.issue_cert("localhost").private_key_and_cert_chain_pem.write_to_path(str(tmp_path / "server.pem"))
    return launch(Mosquitto, extra=f"cafile {tmp_path}/ca.pem\ncertfile {tmp_path}/server.pem\nkeyfile {tmp_path}/server.pem")


@pytest.mark.parametrize("what", ["dosing", "devices"])
def test_the_named_authority_is_trusted(gateway: Gateway, secure: Mosquitto, tmp_path: Path, what: str) -> None:
    """With `--ca-file` every message is taken; without it the broker is a stranger, and none goes out."""
    keys, ledger = tmp_path / "keys.csv", tmp_path / "ledger.json"
    keys.write_text("id,api_key\nd1,k1\n")
    more = ("--keys-file", str(keys)) if what == "devices" else ()
    command = ("simulate", what, "--broker", f"mqtts://localhost:{secure.port}", "--rate", "400", "--ledger", str(ledger), *more)

    trusting = gateway.run(*command, "--count", "20", "--ca-file", str(tmp_path / "ca.pem"))
    assert trusting.returncode == 0, trusting.stderr
    taken = secure.log_path.read_text().count("Received PUBLISH from")
    gateway.start(*command)
    until(lambda: "unknown ca" in secure.log_path.read_text() or "SSL error" in secure.log_path.read_text(), "the refusal")
    gateway.stop()

    written = json.loads(ledger.read_text())
    assert taken >= 20
    assert secure.log_path.read_text().count("Received PUBLISH from") == taken
    assert "tls" in gateway.log()
    assert written.get("answered", 0) == 0


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("--broker", "mqtt://127.0.0.1:1", "--ca-file", "ca.pem"), "--ca-file has no meaning without mqtts:// or https://"),
        (("--broker", "mqtts://127.0.0.1:1", "--ca-file", "ca.pem"), "--ca-file: there is no file ca.pem"),
        (("--broker", "http://127.0.0.1:1"), "--broker: expected a URL that begins with mqtt:// or mqtts://, found 'http'"),
        (("--broker", "mqtt://127.0.0.1:1/plant"), "--broker: expected nothing behind host and port, found '/plant'"),
    ],
)
@pytest.mark.parametrize("what", ["dosing", "devices"])
def test_what_leads_to_no_broker_is_said_at_once(gateway: Gateway, what: str, arguments: tuple[str, ...], words: str) -> None:
    """By both commands in the same words."""
    (gateway.folder / "keys.csv").write_text("id,api_key\nd1,k1\n")
    more = ("--keys-file", str(gateway.folder / "keys.csv")) if what == "devices" else ()

    done = gateway.run("simulate", what, *arguments, *more)

    assert (done.returncode, done.stdout) == (1, "")
    assert words in done.stderr
