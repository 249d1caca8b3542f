"""Alerts from accepted frames to people: one message per change, the same id at every attempt, through kills and absent receivers."""

from __future__ import annotations

import json
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from gateways import Gateway, assert_balanced
from peers.alert_receivers import MailServer, WebService
from plants import Plant
from servers import Mosquitto, free_port, until
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
    (gateway.folder / "url").write_text(f"{service.url}/kept-to-ourselves")
    configure(gateway, mosquitto, '[webhook]\nurl_file = "url"\n', alerts="group_s = 0\nmax_waiting = 3")
    service.status, service.said = 503, b"Cannot POST /alerts/kept-to-ourselves"
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
    assert status["receiver_errors"]["webhook"] == "answered 503: Cannot POST ***"
    for place in (str(gateway.ask("alerts")), gateway.run("alerts", "test", "webhook").stdout, gateway.log()):
        assert "Cannot POST ***" in place
        assert "ourselves" not in place
    assert len({post["id"] for post in service.posts if not post["test"]}) == 1
    service.status = 200
    gateway.until(lambda s: s["sinks"]["alerts"]["changes_waiting"]["webhook"] == 0, "everything told", 90)
    assert gateway.ask()["sinks"]["alerts"]["receiver_errors"] == {}
    told = [alert["labels"]["chemical"] for alert in service.posts[-1]["alerts"]]
    assert told[-1] == "e"


@pytest.mark.slow
def test_a_simulated_plant_runs_low_and_is_refilled_over_kills(
    gateway: Gateway, mosquitto: Mosquitto, service: WebService, mail: MailServer, subscribe: Callable[..., Subscriber]
) -> None:
    """Inventory falls below 20 % and is refilled; each change reaches web service and mail under one id, whatever was killed in between."""
    people = f'[mail]\nhost = "127.0.0.1"\nport = {mail.port}\ntls = "none"\nsender = "a@example.org"\nto = ["b@example.org"]\n'
    alerts = 'group_s = 0\noff = ["plant_silent", "dose_off", "dosing_inaccurate", "vibration_high", "temperature_high", "source_silent"]'
    configure(gateway, mosquitto, f'[webhook]\nurl = "{service.url}"\n{people}', alerts=alerts)
    gateway.start("run")
    listening(gateway)
    topics = subscribe(mosquitto, "iiot/gateway/alerts/inventory_low")
    command = [sys.executable, "-m", "iiot_gateway", "simulate", "dosing", "--broker", mosquitto.url, "--rate", "300"]
    with subprocess.Popen([*command, "--config", str(gateway.config)], stdout=subprocess.DEVNULL) as simulator:
        try:
            (first,) = service.wait(1, 60)
            gateway.kill9()
            gateway.start("run")
            until(lambda: any(alert["state"] == "resolved" for post in service.posts for alert in post["alerts"]), "a refill", 120)
            gateway.kill9()
            gateway.start("run")
            until(lambda: len({post["id"] for post in service.posts}) >= 4, "further alerts", 120)
        finally:
            simulator.send_signal(signal.SIGTERM)
            simulator.wait(30)
    gateway.until(lambda s: s["sinks"]["alerts"]["queued"] == 0 and not any(s["sinks"]["alerts"]["changes_waiting"].values()), "the end")

    by_id = {post["id"]: post for post in service.posts}
    assert all(post == by_id[post["id"]] for post in service.posts), "an id always says the same"
    course: dict[str, list[tuple[str, str]]] = {}
    for post in by_id.values():
        for alert in post["alerts"]:
            course.setdefault(alert["labels"]["container_id"], []).append((alert["state"], alert["id"]))
    assert first["alerts"][0]["state"] == "firing"
    for states in course.values():
        # They alternate, and an end has the id of its beginning.
        assert [state for state, _ in states] == ["firing", "resolved"] * (len(states) // 2) + ["firing"] * (len(states) % 2)
        for (_, begun), (_, ended) in zip(states[::2], states[1::2], strict=False):
            assert begun == ended
    told = {str(message["X-Iiot-Notification"]): message["Subject"] for message in mail.mails}
    assert sorted(told.values()) == sorted(post["title"] for post in by_id.values())
    (rule,) = [rule for rule in gateway.ask("alerts")["rules"] if rule["name"] == "inventory_low"]
    topics.wait(lambda s: json.loads(s.last("iiot/gateway/alerts/inventory_low") or "{}").get("firing") == rule["firing"], "the topic")
    assert gateway.stop() == 0
    assert_balanced(gateway.status())
    print(f"\n{len(service.posts)} posts, {len(by_id)} notifications, {len(mail.mails)} mails, {sum(map(len, course.values()))} changes")


@pytest.mark.slow
def test_late_data_fires_nothing_and_a_restart_keeps_what_fires(
    gateway: Gateway, mosquitto: Mosquitto, plant: Plant, service: WebService
) -> None:
    """An old value that comes now, and one that was overtaken; the alert goes on over stop and start, and ends with the next value."""
    configure(gateway, mosquitto, f'[webhook]\nurl = "{service.url}"\n')
    gateway.start("run")
    listening(gateway)
    now = int(time.time())
    # With decimals they are dates without a doubt; whole numbers may be uptimes.
    level(plant, 5.0, "old", timestamp=now - 3600.5)
    level(plant, 60.0, "overtaken", timestamp=now - 1.5)
    level(plant, 5.0, "overtaken", timestamp=now - 30.5)
    level(plant, 15.0, "acid", timestamp=now - 1.5)
    (post,) = service.wait(1)
    assert post["alerts"][0]["labels"]["chemical"] == "acid"
    gateway.until(lambda s: s["sinks"]["alerts"]["delivered"] == 4 and s["sinks"]["alerts"]["late_values"] == 2, "all judged")
    gateway.until(lambda s: s["sinks"]["alerts"]["notifications_sent"]["webhook"] == 1, "the first told")
    assert gateway.stop() == 0

    gateway.start("run")
    listening(gateway)
    document = gateway.ask("alerts")
    (rule,) = [rule for rule in document["rules"] if rule["name"] == "inventory_low"]
    assert [alert["id"] for alert in rule["alerts"]] == [post["alerts"][0]["id"]]
    level(plant, 80.0, "acid")
    posts = service.wait(2)
    assert (posts[1]["alerts"][0]["state"], len(service.posts)) == ("resolved", 2)


@pytest.mark.slow
def test_the_gateway_warns_of_itself_and_of_who_is_silent(
    gateway: Gateway, mosquitto: Mosquitto, plant: Plant, service: WebService
) -> None:
    """A database that is away lets a queue grow old; a machine that stops is missed; both end by themselves."""
    silent = '[[alert]]\nname = "plant_silent"\nsilent_s = 2\nby = ["device_id"]\nmessage = "{device_id} is silent"\n'
    old = '[[alert]]\nname = "queue_old"\ngateway = "queue_age_s"\nabove = 1\nmessage = "{sink} waits"\n'
    away = f'[influxdb]\nurl = "http://127.0.0.1:{free_port()}"\norg = "o"\nbucket = "b"\ntoken = "t"\n'
    configure(gateway, mosquitto, f'{away}[webhook]\nurl = "{service.url}"\n{silent}{old}')
    gateway.start("run")
    listening(gateway)
    level(plant, 60.0)

    def told(rule: str, state: str) -> list[str]:
        return [alert["text"] for post in service.posts if post["rule"] == rule for alert in post["alerts"] if alert["state"] == state]

    until(lambda: told("plant_silent", "firing") == ["m1 is silent"], "the silence", 30)
    until(lambda: told("queue_old", "firing") == ["influxdb waits"], "the queue", 60)
    level(plant, 61.0)
    until(lambda: told("plant_silent", "resolved") == ["m1 is silent"], "the end of the silence", 30)
    assert gateway.stop() == 0


@pytest.mark.slow
def test_the_built_in_broker_has_the_topics_and_the_commands_tell(gateway: Gateway, service: WebService) -> None:
    """Without Mosquitto; `alerts` lists a running and a stopped gateway, and `alerts test` sends without one."""
    port = free_port()
    rule = '[[alert]]\nname = "warm"\nmeasurement = "temperature"\nfield = "value"\nabove = -100\nmessage = "{node} is warm"\n'
    gateway.configure(
        f'[simulate]\nrate_per_s = 20\n[mqtt]\nbroker_url = "embedded"\n[broker]\nlisten = "127.0.0.1:{port}"\n'
        f'[alerts]\ngroup_s = 0\n[webhook.phone]\nurl = "{service.url}"\n{rule}'
    )
    gateway.start("run")
    gateway.until(lambda s: s["sinks"]["mqtt"]["state"] == "connected", "the broker")
    topics = Subscriber(port, "iiot/gateway/alerts/#").start()
    topics.wait(lambda s: json.loads(s.last("iiot/gateway/alerts/warm") or "{}").get("state") == "firing", "the topic")
    topics.stop()
    service.wait(1)

    running = gateway.run("alerts")
    assert gateway.stop() == 0
    stopped = gateway.run("alerts", "--json")
    listed = gateway.run("alerts", "list")
    tried = gateway.run("alerts", "test", "webhook.phone")
    of_rule = gateway.run("alerts", "test", "warm")
    service.status = 500
    failed = gateway.run("alerts", "test", "webhook.phone")
    unknown = gateway.run("alerts", "test", "phone")

    assert (running.returncode, stopped.returncode, listed.returncode) == (0, 0, 0), running.stderr + stopped.stderr + listed.stderr
    for text in (running.stdout, listed.stdout):
        assert "node1 is warm" in text
        assert "webhook.phone" in text
    (warm,) = [found for found in json.loads(stopped.stdout)["rules"] if found["name"] == "warm"]
    assert warm["state"] == "firing"
    assert (tried.returncode, tried.stdout) == (0, "webhook.phone: took the test\n")
    assert of_rule.stdout.splitlines() == ["log: took the test", "webhook.phone: took the test"]
    assert [post["test"] for post in service.posts[-3:]] == [True, True, True]
    assert service.posts[-2]["alerts"][0]["text"] == "This is a test of the rule warm, without values: [node] is warm"
    assert (failed.returncode, failed.stdout) == (1, "webhook.phone: answered 500: said\n")
    assert "-> check [webhook.phone]: url or url_file, form, token and ca_file" in failed.stderr
    assert "there is no receiver and no rule 'phone'" in unknown.stderr


@pytest.mark.slow
def test_a_stop_does_not_wait_for_receivers_that_hang(gateway: Gateway, mosquitto: Mosquitto, plant: Plant, service: WebService) -> None:
    """Neither for a web service nor for a mail server that says nothing; what was under way comes again."""
    with socket.create_server(("127.0.0.1", 0)) as deaf:
        people = '[mail]\nhost = "127.0.0.1"\ntls = "none"\nsender = "a@example.org"\nto = ["b@example.org"]\ntimeout_s = 60\n'
        port = f"port = {deaf.getsockname()[1]}\n"
        configure(gateway, mosquitto, f'[webhook]\nurl = "{service.url}"\ntimeout_s = 60\n{people}{port}')
        service.hangs = True
        gateway.start("run")
        listening(gateway)
        level(plant, 5.0)
        service.wait(1)
        deaf.settimeout(20)
        connection, _ = deaf.accept()
        began_s = time.monotonic()
        assert gateway.stop() == 0
        connection.close()

    assert time.monotonic() - began_s < 9
    assert gateway.status()["sinks"]["alerts"]["delivered"] == 1
