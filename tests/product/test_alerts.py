"""Alerts from accepted frames to people: one message per change, the same id at every attempt, through kills and absent receivers."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from gateways import Gateway, assert_balanced
from peers.alert_receivers import MailServer, WebService
from plants import Plant
from servers import Mosquitto, until
from subscribers import Subscriber

LEVELS = "factory/inventory/levels"
CONSUMER = """
[mqtt_consumer]
broker_url = "{broker}"
topics = ["factory/#"]
profile = "factory-dosing"
client_id = "gateway-in"
"""


@pytest.fixture
def service() -> Iterator[WebService]:
    """A web service."""
    it = WebService()
    yield it
    it.stop()


@pytest.fixture
def mail() -> Iterator[MailServer]:
    """A mail server on this machine."""
    it = MailServer().start()
    yield it
    it.stop()


def configure(gateway: Gateway, broker: Mosquitto, more: str, *, alerts: str = "group_s = 0") -> None:
    """Let the gateway listen to the plant, publish to the same broker, and tell the given receivers."""
    gateway.configure(f'{CONSUMER.format(broker=broker.url)}\n[mqtt]\nbroker_url = "{broker.url}"\n[alerts]\n{alerts}\n{more}')


def level(plant: Plant, percent: float, chemical: str = "acid", **more: Any) -> None:
    """Publish how full a container is, and wait until the broker has it."""
    document = {"device_id": "m1", "chemical": chemical, "container_id": "t1", "percent_full": percent, "timestamp": int(time.time())}
    plant.client.publish(LEVELS, json.dumps({**document, **more}), qos=1).wait_for_publish(10)


def listening(gateway: Gateway) -> None:
    """Wait until nothing that the plant publishes is missed."""
    gateway.until(
        lambda s: s["source"]["mqtt_consumer"]["state"] == "subscribed" and s["sinks"]["alerts"]["state"] == "connected", "the start"
    )


def test_a_level_that_falls_is_told_once_and_its_end_too(
    gateway: Gateway,
    mosquitto: Mosquitto,
    plant: Plant,
    service: WebService,
    mail: MailServer,
    subscribe: Callable[..., Subscriber],
) -> None:
    """One post, one mail and the retained topic; after the refill another one of each, and the ledger balances."""
    configure(
        gateway,
        mosquitto,
        f'[webhook]\nurl = "{service.url}"\ntoken = "secret-token"\n'
        f'[mail]\nhost = "127.0.0.1"\nport = {mail.port}\ntls = "none"\nsender = "gateway@example.org"\nto = ["operator@example.org"]\n',
    )
    gateway.start("run")
    listening(gateway)
    topics = subscribe(mosquitto, "iiot/gateway/alerts/#")
    topics.wait(lambda s: s.last("iiot/gateway/alerts/inventory_low") is not None, "the topic")

    for percent in (60.0, 21.0, 19.5, 18.0, 12.25):
        level(plant, percent)
    (fired,) = service.wait(1)
    (first,) = mail.wait(1)
    topics.wait(lambda s: json.loads(s.last("iiot/gateway/alerts/inventory_low") or "{}").get("state") == "firing", "firing")
    for percent in (21.5, 95.0, 94.0):
        level(plant, percent)
    posts, mails = service.wait(2), mail.wait(2)
    topics.wait(lambda s: json.loads(s.last("iiot/gateway/alerts/inventory_low") or "{}").get("state") == "ok", "the end")

    (alert,) = fired["alerts"]
    assert (fired["rule"], fired["severity"], alert["state"]) == ("inventory_low", "critical", "firing")
    assert alert["text"] == "Low inventory: acid at 19.5 %"
    assert alert["labels"] == {"chemical": "acid", "container_id": "t1", "device_id": "m1"}
    assert posts[1]["alerts"][0] == {**posts[1]["alerts"][0], "id": alert["id"], "state": "resolved", "value": "95.0"}
    assert len({post["id"] for post in posts}) == 2
    assert set(service.authorizations) == {"Bearer secret-token"}
    assert first["Subject"] == "[FIRING] Low inventory: acid at 19.5 %"
    assert (first["To"], first["From"]) == ("operator@example.org", "gateway@example.org")
    assert [m["Subject"].partition("]")[0] for m in mails] == ["[FIRING", "[RESOLVED"]
    assert (len(service.posts), len(mail.mails)) == (2, 2)
    told = {"log": 2, "mail": 2, "webhook": 2}
    gateway.until(lambda s: s["sinks"]["alerts"]["delivered"] == 8 and s["sinks"]["alerts"]["notifications_sent"] == told, "all told")
    assert gateway.stop() == 0
    assert_balanced(gateway.status())
    log = gateway.log()
    assert log.count('"alert_firing"') == 1
    assert log.count('"alert_resolved"') == 1
    assert "secret-token" not in log


@pytest.mark.slow
def test_a_kill_between_the_judgement_and_the_delivery_gives_the_same_id_again(
    gateway: Gateway, mosquitto: Mosquitto, plant: Plant, service: WebService
) -> None:
    """The post that was never answered comes again as it was, and nothing else comes."""
    configure(gateway, mosquitto, f'[webhook]\nurl = "{service.url}"\n')
    service.hangs = True
    gateway.start("run")
    listening(gateway)
    level(plant, 60.0)
    level(plant, 15.0)
    (first,) = service.wait(1)

    gateway.kill9()
    service.hangs = False
    gateway.start("run")
    posts = service.wait(2)
    level(plant, 15.0)
    level(plant, 80.0)
    posts = service.wait(3)

    assert posts[1] == first
    assert posts[2]["alerts"][0] == {**posts[2]["alerts"][0], "id": first["alerts"][0]["id"], "state": "resolved"}
    gateway.until(lambda s: s["sinks"]["alerts"]["notifications_sent"]["webhook"] == 2, "both told")
    assert len(service.posts) == 3
    assert gateway.stop() == 0
    assert_balanced(gateway.status())


@pytest.mark.slow
def test_a_receiver_that_is_away_is_told_what_is_and_not_all_that_was(
    gateway: Gateway, mosquitto: Mosquitto, plant: Plant, service: WebService
) -> None:
    """Its queue holds one change for each series; what comes of the same series takes the place of what waits."""
    configure(gateway, mosquitto, f'[webhook]\nurl = "{service.url}"\n', alerts="group_s = 0\nmax_waiting = 3")
    service.status = 503
    gateway.start("run")
    listening(gateway)
    for round_ in range(4):
        level(plant, 15.0, timestamp=int(time.time()), n=2 * round_)
        level(plant, 80.0, timestamp=int(time.time()), n=2 * round_ + 1)
    for chemical in ("b", "c", "d", "e"):
        level(plant, 10.0, chemical)
    status = gateway.until(lambda s: s["sinks"]["alerts"]["delivered"] == 12, "all judged")
    until(lambda: len(service.posts) >= 2, "some attempts")

    status = gateway.ask()["sinks"]["alerts"]
    assert status["changes_waiting"]["webhook"] == 3
    assert status["changes_coalesced"]["webhook"] >= 6
    assert status["changes_dropped"]["webhook"] >= 1
    assert "503" in status["receiver_errors"]["webhook"]
    assert len({post["id"] for post in service.posts}) == 1
    service.status = 200
    gateway.until(lambda s: s["sinks"]["alerts"]["changes_waiting"]["webhook"] == 0, "everything told", 90)
    assert gateway.ask()["sinks"]["alerts"]["receiver_errors"] == {}
    told = [alert["labels"]["chemical"] for alert in service.posts[-1]["alerts"]]
    assert told[-1] == "e"
