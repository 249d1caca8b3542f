"""How notifications are written for each kind of receiver, what an answer means, and which figures the gateway has."""

from __future__ import annotations

import json
import ssl
from collections.abc import Iterator
from typing import Any
from urllib.parse import unquote

import pytest
import trustme

from iiot_gateway.config.load import load_text
from iiot_gateway.config.secret import Secret
from iiot_gateway.errors import SettingUnusable
from iiot_gateway.sinks.alerts.doctor import receivers as tried
from iiot_gateway.sinks.alerts.figures import figures
from iiot_gateway.sinks.alerts.mail import Mail
from iiot_gateway.sinks.alerts.mail_section import MailSection
from iiot_gateway.sinks.alerts.receiver import Notification, read_notification
from iiot_gateway.sinks.alerts.webhook import Webhook
from iiot_gateway.sinks.alerts.webhook_section import WebhookSection
from peers.alert_receivers import MailServer, WebService
from servers import free_port

SINCE_MS = 1_764_432_000_000


def notification(*states: str, severity: str = "critical", **more: Any) -> Notification:
    """Return a notification of alerts in these states, as the extension gives it."""
    alerts = [
        {
            "id": f"a{number}",
            "state": state,
            "repeated": False,
            "labels": {"chemical": "<acid> & more"},
            "value": "19.5",
            "text": f"Low inventory: <acid> & more at {number} %",
            "since_ms": SINCE_MS,
            "at_ms": SINCE_MS + 60_000,
            "reason": None,
            **more,
        }
        for number, state in enumerate(states)
    ]
    return read_notification({"id": "n1", "rule": "inventory_low", "severity": severity, "alerts": alerts})


@pytest.fixture
def service() -> Iterator[WebService]:
    """A web service."""
    it = WebService()
    yield it
    it.stop()


def section(service: WebService, **more: Any) -> WebhookSection:
    """Return the section that names it."""
    return WebhookSection(**{"url": Secret(service.url), **more})


def test_people_read_state_text_and_times() -> None:
    """One alert stands in the title; of several, how many began and ended."""
    assert notification("firing").title() == "[FIRING] Low inventory: <acid> & more at 0 %"
    assert notification("firing", "resolved", "firing").title() == "[2 FIRING, 1 RESOLVED] inventory_low"
    assert notification("firing", repeated=True).lines() == ["Low inventory: <acid> & more at 0 % (since 2025-11-29 16:00:00 UTC, still)"]
    assert notification("resolved", reason="rule_removed").lines() == [
        "Resolved: Low inventory: <acid> & more at 0 % (from 2025-11-29 16:00:00 UTC to 2025-11-29 16:01:00 UTC: rule removed)"
    ]


def test_plain_json_has_everything(service: WebService) -> None:
    """Times are RFC 3339, and the id is the notification's."""
    assert Webhook(section(service)).send(notification("firing", "resolved")) is None
    (posted,) = service.posts

    assert (posted["id"], posted["rule"], posted["severity"], posted["state"], posted["test"]) == (
        "n1",
        "inventory_low",
        "critical",
        "firing",
        False,
    )
    assert posted["alerts"][1] == {
        "id": "a1",
        "state": "resolved",
        "repeated": False,
        "labels": {"chemical": "<acid> & more"},
        "value": "19.5",
        "text": "Low inventory: <acid> & more at 1 %",
        "since": "2025-11-29T16:00:00Z",
        "at": "2025-11-29T16:01:00Z",
        "reason": None,
    }


def test_slack_gets_one_text_with_its_characters_escaped(service: WebService) -> None:
    """So that no text becomes a link or calls a channel."""
    Webhook(section(service, form="slack")).send(notification("firing"))
    (posted,) = service.posts

    assert list(posted) == ["text"]
    assert posted["text"].startswith(":rotating_light: *[FIRING] Low inventory: &lt;acid&gt; &amp; more at 0 %*\n")
    assert "n1" in posted["text"]


def test_ntfy_gets_the_topic_in_the_document_at_the_root() -> None:
    """Priorities follow the severity; an end is never urgent."""
    webhook = Webhook(WebhookSection(url=Secret("http://127.0.0.1:1/my-plant"), form="ntfy"))

    fired, ended = webhook.body(notification("firing")), webhook.body(notification("resolved"))

    assert (fired["topic"], fired["priority"], fired["tags"]) == ("my-plant", 5, ["rotating_light"])
    assert fired["title"] == "[FIRING] Low inventory: <acid> & more at 0 %"
    assert (ended["priority"], ended["tags"]) == (3, ["white_check_mark"])
    assert webhook.body(notification("firing", severity="warning"))["priority"] == 4


def test_ntfy_is_posted_to_the_root(service: WebService) -> None:
    """The topic of the URL is no part of the address."""
    url = service.url.replace("/alerts", "/my-plant")
    assert Webhook(WebhookSection(url=Secret(url), form="ntfy", token=Secret("tk_1"))).send(notification("firing")) is None

    assert service.paths == ["/"]
    assert service.authorizations == ["Bearer tk_1"]


@pytest.mark.parametrize(
    ("status", "headers", "waits_s"), [(503, {"Retry-After": "7"}, 7.0), (404, {}, 0.0), (302, {"Location": "/x"}, 0.0)]
)
def test_only_2xx_is_a_success(service: WebService, status: int, headers: dict[str, str], waits_s: float) -> None:
    """The reason has the answer's own words, and a wish to be left alone is heard."""
    service.status, service.headers = status, headers

    failed = Webhook(section(service)).send(notification("firing"))

    assert failed is not None
    assert failed.reason.startswith(f"answered {status}")
    assert failed.reason.endswith(": said")
    assert failed.retry_after_s == waits_s


@pytest.mark.parametrize(
    ("said", "reason"),
    [
        ("Cannot POST /hooks/T0/B0/kept-to-ourselves", "Cannot POST ***"),
        ("no token kept-to-ourselves in /hooks/T0/B0", "no token *** in /hooks/T0/B0"),
        ("/hooks/T0/B0/kept-to-ourselves?key=also-kept-to-ourselves is gone", "***?*** is gone"),
        ("Bearer tk_1 is unknown", "Bearer *** is unknown"),
        # What is cut off at the end is hidden before it is cut.
        (190 * "x" + "kept-to-ourselves", 190 * "x" + "***"),
    ],
)
def test_an_answer_brings_no_secret_into_a_reason(service: WebService, said: str, reason: str) -> None:
    """Neither the URL nor the token: many servers repeat the path in their errors, and the place where a redirect leads may hold it."""
    service.status, service.said = 404, said.encode()
    url = service.url.replace("/alerts", "/hooks/T0/B0/kept-to-ourselves?key=also-kept-to-ourselves")
    service.headers = {"Location": url}

    failed = Webhook(WebhookSection(url=Secret(url), token=Secret("tk_1"))).send(notification("firing"))

    assert failed is not None
    assert failed.reason == f"answered 404 (it names ***): {reason}"
    assert "ourselves" not in repr(section(service, url=Secret(url)))


@pytest.mark.parametrize("topic", ["plant7Q", "x%2By"])
def test_the_topic_of_ntfy_is_hidden_however_short(service: WebService, topic: str) -> None:
    """Whoever knows it can read and post; some servers repeat it as it was sent, and some decode it."""
    service.status, service.said = 403, f"topic {topic} is reserved, {unquote(topic)} too".encode()
    url = service.url.replace("/alerts", f"/{topic}")

    failed = Webhook(WebhookSection(url=Secret(url), form="ntfy")).send(notification("firing"))

    assert failed is not None
    assert failed.reason == "answered 403: topic *** is reserved, *** too"


@pytest.mark.parametrize(
    ("said", "reason"),
    [
        ("/hook/abcdefgh+ijkl is gone", "*** is gone"),
        ("no hook abcdefgh+ijkl", "no hook ***"),
        ("no hook abcdefgh%2Bijkl", "no hook ***"),
        ("no key mnop qrst/uvw", "no key ***"),
        ("no key mnop+qrst%2Fuvw", "no key ***"),
    ],
)
def test_a_secret_is_hidden_when_the_server_has_decoded_it(service: WebService, said: str, reason: str) -> None:
    """The whole path and its parts, and those of the query, where + is a space."""
    service.status, service.said = 404, said.encode()
    url = service.url.replace("/alerts", "/hook/abcdefgh%2Bijkl?key=mnop+qrst%2Fuvw")

    failed = Webhook(WebhookSection(url=Secret(url))).send(notification("firing"))

    assert failed is not None
    assert failed.reason == f"answered 404: {reason}"


def test_a_url_that_cannot_be_used_is_not_repeated() -> None:
    """By the client neither."""
    with pytest.raises(SettingUnusable) as error:
        Webhook(WebhookSection(url=Secret("https://example.org/kept to ourselves")))

    assert str(error.value) == "url is no URL: invalid uri character"


def test_a_service_that_says_nothing_or_is_not_there_is_a_failure(service: WebService) -> None:
    """Within the time-out."""
    service.hangs = True

    hung = Webhook(section(service, timeout_s=0.2)).send(notification("firing"))
    absent = Webhook(WebhookSection(url=Secret(f"http://127.0.0.1:{free_port()}/"))).send(notification("firing"))

    assert hung is not None
    assert hung.reason.startswith("timeout")
    assert absent is not None
    assert absent.reason.startswith("refused")


def test_a_certificate_file_that_is_none_is_said_at_the_start(tmp_path: Any) -> None:
    """Not with the first alert."""
    file = tmp_path / "ca.pem"
    file.write_text("nothing")

    with pytest.raises(SettingUnusable, match="ca_file"):
        Webhook(WebhookSection(url=Secret("https://127.0.0.1/"), ca_file=str(file)))


@pytest.fixture
def secure(tmp_path: Any) -> Iterator[tuple[MailServer, str]]:
    """A mail server that wants STARTTLS and a password, and the authority that vouches for it."""
    authority = trustme.CA()
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("127.0.0.1").configure_cert(context)
    file = tmp_path / "ca.pem"
    authority.cert_pem.write_to_path(str(file))
    server = MailServer(context, ("gateway", "right")).start()
    yield server, str(file)
    server.stop()


def mail_section(server: MailServer, **more: Any) -> MailSection:
    """Return the section that names a mail server."""
    people = {"sender": "gateway@example.org", "to": ("a@example.org", "b@example.org")}
    return MailSection(**{"host": "127.0.0.1", "port": server.port, "timeout_s": 5.0, **people, **more})


def test_a_mail_goes_encrypted_and_with_the_password(secure: tuple[MailServer, str]) -> None:
    """Its Message-ID is the notification's, at each attempt the same."""
    server, authority = secure
    mail = Mail(mail_section(server, ca_file=authority, username="gateway", password=Secret("right")))

    assert mail.try_out() is None
    assert mail.send(notification("firing")) is None
    assert mail.send(notification("firing")) is None

    first, second = server.wait(2)
    assert first["Message-ID"] == second["Message-ID"] == "<n1@iiot-gateway.invalid>"
    assert first["Subject"] == "[FIRING] Low inventory: <acid> & more at 0 %"
    assert first["To"] == "a@example.org, b@example.org"
    assert "Low inventory: <acid> & more at 0 % (since 2025-11-29 16:00:00 UTC)" in first.get_content()


def test_a_wrong_password_and_an_unknown_authority_are_failures(secure: tuple[MailServer, str]) -> None:
    """Each with its reason, and without the password in it."""
    server, authority = secure

    wrong = Mail(mail_section(server, ca_file=authority, username="gateway", password=Secret("wrong-one"))).send(notification("firing"))
    unknown = Mail(mail_section(server, username="gateway", password=Secret("right"))).send(notification("firing"))

    assert wrong is not None
    assert wrong.reason.startswith("the server answered 535")
    assert "wrong-one" not in wrong.reason
    assert unknown is not None
    assert "certificate" in unknown.reason.lower()
    assert server.mails == []


def test_addresses_that_are_refused_are_told_and_do_not_double_the_mail(events: list[dict[str, Any]]) -> None:
    """Some refused: the others have it. All refused: a failure."""
    server = MailServer().start()
    try:
        mail = Mail(mail_section(server, tls="none"))
        server.refused = {"b@example.org"}
        assert mail.send(notification("firing")) is None
        assert len(server.wait(1)) == 1
        (event,) = [event for event in events if event["event"] == "alert_not_sent"]
        assert "b@example.org (550 nobody of this name)" in str(event["error"])

        server.refused = {"a@example.org", "b@example.org"}
        failed = mail.send(notification("firing"))
        assert failed is not None
        assert "refused every address" in failed.reason
    finally:
        server.stop()


def test_figures_are_those_of_the_status_document() -> None:
    """A sink that is removed has none, and a source without documents neither."""
    now_s = SINCE_MS / 1000
    document = {
        "intake": {"lost_journal_unavailable": 2},
        "sinks": {
            "mqtt": {"state": "connected", "dropped": 5, "oldest_queued_at_ms": SINCE_MS - 301_000},
            "history": {"state": "connected", "dropped": 0, "oldest_queued_at_ms": None},
            "old": {"state": "removed", "dropped": 9, "oldest_queued_at_ms": SINCE_MS},
        },
        "journal": {"hours_left": 5.5},
        "source": {
            "serial": {"state": "running", "last_document_at": now_s - 700},
            "new": {"state": "running", "last_document_at": None},
            "replay": {"state": "finished", "last_document_at": now_s - 9000},
        },
    }

    found = {(name, json.dumps(labels)): value for name, labels, value in figures(document, now_s)}

    assert found == {
        ("dropped_frames", '[["sink", "intake"]]'): 2,
        ("dropped_frames", '[["sink", "mqtt"]]'): 5,
        ("dropped_frames", '[["sink", "history"]]'): 0,
        ("queue_age_s", '[["sink", "mqtt"]]'): 301,
        ("queue_age_s", '[["sink", "history"]]'): 0,
        ("journal_hours", "[]"): 5.5,
        ("source_silent_s", '[["source", "serial"]]'): 700,
    }


def test_doctor_tries_mail_servers_and_tells_nobody() -> None:
    """A web service has no such trial, and is said to have none."""
    server = MailServer().start()
    try:
        people = 'tls = "none"\nhost = "127.0.0.1"\nsender = "a@example.org"\nto = ["b@example.org"]\n'
        config = load_text(
            f'[mail]\n{people}port = {server.port}\n[mail.away]\n{people}port = {free_port()}\n[webhook]\nurl = "https://example.org/"\n'
        )

        there, away, web = tried(config)

        assert (there.ok, away.ok, web.ok) == (True, False, None)
        assert "Connection refused" in away.detail
        assert "alerts test webhook" in web.detail
        assert server.mails == []
    finally:
        server.stop()
