"""What `doctor` finds at a real broker whose access list knows some topics and not others."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from gateways import Gateway
from peers.refusing_broker import refusing_broker
from peers.unsharing_broker import unsharing_broker
from servers import Mosquitto

pytestmark = pytest.mark.slow


def test_every_prefix_of_values_is_tried(gateway: Gateway, launch: Callable[..., Mosquitto], tmp_path: Path) -> None:
    """A 3.1.1 broker acknowledges what its access list throws away: a source's own prefix is published to and read back too."""
    (tmp_path / "acl").write_text("topic readwrite iiot/#\ntopic readwrite south/#\n")
    (tmp_path / "acl").chmod(0o644)
    # Where the queue's length is 0, Mosquitto 2.0 ends the connection of a client whose publish it denies.
    broker = launch(Mosquitto, extra=f"acl_file {tmp_path}/acl\nmax_queued_messages 1000")
    gateway.configure(
        f'[mqtt]\nbroker_url = "{broker.url}"\n'
        f'[serial]\nport = "{tmp_path}/a"\n'
        f'[serial.north]\nport = "{tmp_path}/b"\ntopic_prefix = "north"\n'
        f'[serial.south]\nport = "{tmp_path}/c"\ntopic_prefix = "south"\n'
    )

    done = gateway.run("doctor", "--json")

    found = {finding["subject"]: finding for finding in json.loads(done.stdout) if finding["subject"].startswith("mqtt ")}
    assert {subject: finding["ok"] for subject, finding in found.items()} == {
        f"mqtt {broker.url}": True,
        "mqtt values under north": False,
        "mqtt values under south": True,
    }
    assert found["mqtt values under north"]["remedy"] == (
        "let the broker's ACL allow this user to write north/#; the broker took the message and threw it away"
    )
    assert done.returncode == 1


def test_a_broker_that_is_not_there_is_reported_once(gateway: Gateway, mosquitto: Mosquitto, tmp_path: Path) -> None:
    """Whoever cannot connect need not be told for each prefix."""
    mosquitto.stop()
    gateway.configure(f'[mqtt]\nbroker_url = "{mosquitto.url}"\n[serial]\nport = "{tmp_path}/a"\ntopic_prefix = "north"\n')

    done = gateway.run("doctor", "--json")

    assert [finding["ok"] for finding in json.loads(done.stdout) if finding["subject"].startswith("mqtt ")] == [False]


def consumer_finding(gateway: Gateway) -> dict[str, object]:
    """Return what `doctor` finds at the broker of the consumer."""
    done = gateway.run("doctor", "--json")
    (finding,) = [finding for finding in json.loads(done.stdout) if finding["subject"].startswith("mqtt_consumer mqtt:")]
    assert isinstance(finding, dict)
    return finding


def share_finding(gateway: Gateway, url: str) -> dict[str, object]:
    """Return what `doctor` finds of a share at a broker."""
    gateway.configure(
        f'[mqtt_consumer]\nbroker_url = "{url}"\nprotocol = "5"\ntopics = ["$share/plant/factory/#"]\nprofile = "factory-dosing"\n'
    )
    done = gateway.run("doctor", "--json")
    (finding,) = [finding for finding in json.loads(done.stdout) if finding["subject"] == f"mqtt_consumer share at {url}"]
    assert isinstance(finding, dict)
    return finding


def test_a_message_is_sent_through_a_share(gateway: Gateway, mosquitto: Mosquitto) -> None:
    """A broker that has shares, and what it loses."""
    finding = share_finding(gateway, mosquitto.url)
    assert finding["ok"] is True
    assert str(finding["detail"]).startswith("a message came through a share; Mosquitto keeps 1,000 messages per session")


@pytest.mark.parametrize(("says_so", "why"), [(True, "the broker says that it has no shared subscriptions"), (False, "no answer within")])
def test_a_broker_without_shares_is_named(gateway: Gateway, *, says_so: bool, why: str) -> None:
    """Also one that grants a shared subscription and delivers nothing."""
    with unsharing_broker(says_so=says_so) as broker:
        finding = share_finding(gateway, broker.url)
    assert finding["ok"] is False
    assert why in str(finding["detail"])
    assert "leave $share/GROUP/ out" in str(finding["remedy"])


def test_who_may_not_publish_cannot_try_a_share(gateway: Gateway, launch: Callable[..., Mosquitto], tmp_path: Path) -> None:
    """A worker that may only read is no fault."""
    (tmp_path / "acl").write_text("topic read #\n")
    (tmp_path / "acl").chmod(0o644)
    broker = launch(Mosquitto, extra=f"acl_file {tmp_path}/acl\nmax_queued_messages 1000")
    finding = share_finding(gateway, broker.url)
    assert finding["ok"] is True
    assert str(finding["detail"]).startswith("not tried, because this user may not publish to iiot/gateway/doctor/")


def test_a_consumer_is_tried_beside_the_running_gateway(gateway: Gateway, mosquitto: Mosquitto) -> None:
    """The trial is a client of its own: the consumer that runs keeps its connection, and a shared subscription all of its messages."""
    gateway.configure(f'[mqtt_consumer]\nbroker_url = "{mosquitto.url}"\ntopics = ["$share/plant/factory/#"]\nprofile = "factory-dosing"\n')
    gateway.start("run")
    gateway.until(lambda status: status["source"]["mqtt_consumer"]["state"] == "subscribed", "the subscription")

    finding = consumer_finding(gateway)

    assert (finding["ok"], finding["detail"]) == (True, "connected, and subscribed to factory/#")
    source = gateway.ask()["source"]["mqtt_consumer"]
    assert (source["state"], source["restarts"]) == ("subscribed", 0)
    assert "$share/plant" not in mosquitto.log_path.read_text().partition("iiot-gateway-doctor-")[2]


def test_what_keeps_a_consumer_from_its_messages_is_named(gateway: Gateway, mosquitto: Mosquitto) -> None:
    """A broker that is away, and one that refuses the filter."""
    mosquitto.stop()
    with refusing_broker(grants=False) as refusing:
        for url, step, remedy in [
            (mosquitto.url, "connect", "check broker_url, that the broker runs"),
            (refusing.url, "subscribe", "let the broker's ACL allow this user to read factory/#"),
        ]:
            gateway.configure(
                f'[mqtt_consumer]\nbroker_url = "{url}"\nprotocol = "5"\ntopics = ["factory/#"]\nprofile = "factory-dosing"\n'
            )
            finding = consumer_finding(gateway)
            assert finding["ok"] is False
            assert str(finding["detail"]).startswith(f"{step}: ")
            assert str(finding["remedy"]).startswith(remedy)
