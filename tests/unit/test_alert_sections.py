"""What `check` says of alerts: each fault with its key, its line and the remedy; and which rules there are."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from iiot_gateway.backup.contents import configuration_files
from iiot_gateway.cli.main import main
from iiot_gateway.config.load import load_text
from iiot_gateway.errors import ConfigError, ProfileInvalid
from iiot_gateway.sinks.alerts.given import OF_GATEWAY, rules_in
from iiot_gateway.sinks.alerts.section import active_rules, queued_receivers, receivers
from iiot_gateway.sinks.alerts.webhook_section import WebhookSection

GOOD = '[[alert]]\nname = "warm"\nmeasurement = "temperature"\nfield = "value"\nabove = 30\n'
SILENT = '[[alert]]\nname = "quiet"\nsilent_s = 60\n'
PROFILES = Path(OF_GATEWAY).parents[2] / "profiles"


def faults(text: str) -> list[str]:
    """Return every fault of a configuration, without the place."""
    try:
        load_text(text)
    except ConfigError as error:
        return [str(fault).partition("config.toml:")[2] for fault in error.faults]
    return []


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        (GOOD.replace("warm", "too warm"), "3: alert.name: expected 1 to 64 letters, digits, _ and -"),
        (GOOD + "abvoe = 4\n", '7: alert.abvoe: unknown key; did you mean "above"?'),
        (GOOD.replace("above = 30\n", ""), "2: alert.above: is needed, or below, or silent_s: when is there an alert?"),
        (GOOD + "below = 40\n", "6: alert.above: must be above `below`, by twice the hysteresis at least, or no value would end the alert"),
        (GOOD.replace('field = "value"\n', ""), "2: alert.field: is needed: which values are compared?"),
        (GOOD + 'of = "mean"\n', '2: alert.window_s: is needed beside of = "mean"'),
        (GOOD + "window_s = 60\n", '7: alert.window_s: has no meaning beside of = "value"'),
        (GOOD + 'per = "day"\n', '7: alert.per: has no meaning without of = "rate"'),
        (GOOD + 'hours = "Mon 06:00-07:00"\n', "7: alert.hours: has no meaning without silent_s"),
        (GOOD + 'message = "{value"\n', '7: alert.message: "{value": a brace is not closed'),
        (GOOD.replace('field = "value"', 'gateway = "queue_age_s"'), "4: alert.measurement: has no meaning beside gateway"),
        (
            '[[alert]]\nname = "q"\ngateway = "queue_age"\nabove = 1\n',
            "4: alert.gateway: expected one of queue_age_s, journal_hours, dropped_frames, source_silent_s, found 'queue_age'",
        ),
        (SILENT + "above = 3\n", "5: alert.above: has no meaning beside silent_s"),
        (SILENT + 'hours = "Mon-Fri 6-22"\nzone = "UTC"\n', '5: alert.hours: "Mon-Fri 6-22": expected days and times'),
        (SILENT + 'hours = "Mon-Fri 06:00-22:00"\n', '2: alert.zone: is needed beside hours, like "Europe/Vienna" or "UTC"'),
        (SILENT + 'hours = "Mon 06:00-07:00"\nzone = "Vienna"\n', '6: alert.zone: there is no time zone "Vienna"'),
        (GOOD + GOOD, "8: alert.name: another rule is called 'warm'; each needs a name of its own"),
        (
            GOOD + 'receivers = ["mial"]\n[mail]\nhost = "h"\nsender = "a@b.c"\nto = ["d@e.f"]\n',
            "7: alert.receivers: there is no receiver 'mial'",
        ),
        (GOOD + 'severity = "bad"\n', '7: alert.severity: expected one of "warning", "critical", found \'bad\''),
        ("[alert]\n", "2: alert: expected tables, each under [[alert]]"),
        ('off = ["journal_shrot"]\n', "2: alerts.off: there is no rule 'journal_shrot'; did you mean \"journal_short\"?"),
        ("log = false\n", "2: alerts.log: nobody is told of any alert"),
        ('[webhook]\nurl = "ftp://x"\n', "3: webhook.url: expected a URL that begins with http:// or https://"),
        ('[webhook]\nform = "ntfy"\nurl = "https://ntfy.sh"\n', "4: webhook.url: expected the topic behind the server's address"),
        ('[webhook]\nurl = "hooks.example.org/kept"\n', "3: webhook.url: expected a URL that begins with http:// or https://"),
        ('[webhook]\nurl = "https://example.org/x#kept"\n', "3: webhook.url: expected nothing behind the path: the gateway adds"),
        ('[webhook]\nurl = "https://example.org/kept here"\n', "3: webhook.url: expected a URL without spaces and without letters beyond"),
        ('[webhook.a]\nurl = "http://example.org/x"\ntoken = "t"\n', "4: webhook.a.token: would travel in the clear: use https://"),
        ('[mail]\nhost = "h"\nsender = "me"\nto = ["a@b.c"]\n', "4: mail.sender: expected an address like gateway@example.org"),
        (
            '[mail]\nhost = "h"\nsender = "a@b.c"\nto = ["a@b.c"]\ntls = "none"\nusername = "u"\npassword = "p"\n',
            "6: mail.tls: the password would travel in the clear: use starttls or tls",
        ),
    ],
)
def test_what_is_wrong_is_said_with_key_line_and_remedy(text: str, fault: str) -> None:
    """One fault each."""
    found = faults(f"[alerts]\n{text}")

    assert len(found) == 1, found
    assert found[0].startswith(fault)
    assert "kept" not in found[0]


def test_nothing_is_judged_until_somebody_is_told() -> None:
    """A rule alone has no effect, and `check` says so; any receiver turns rules on."""
    alone = load_text(f'[serial]\nport = "/dev/null"\n{GOOD}')
    told = load_text(f'{GOOD}[webhook.phone]\nurl = "https://example.org/"\n[mqtt]\n')

    assert active_rules(alone) == []
    assert any("[[alert]] has no effect" in note for note in alone.notes)
    assert "alerts" not in alone.sinks()
    assert "alerts" in told.sinks()
    assert receivers(told) == ["log", "topics", "webhook.phone"]
    assert queued_receivers(told) == ["log", "webhook.phone"]
    names = {given.rule.name for given in active_rules(told)}
    assert {"warm", "queue_old", "journal_short", "frames_dropped", "source_silent", "node_silent"} <= names


def test_a_webhook_takes_its_url_from_a_file_or_from_one_place_only(tmp_path: Path) -> None:
    """The file is a secret as a password's is, for a backup too; a fault does not repeat what stands in it."""
    (tmp_path / "phone.url").write_text("https://ntfy.sh/my-plant\n")
    (tmp_path / "no.url").write_text("ntfy.sh/kept-to-ourselves\n")
    text = '[webhook.phone]\nform = "ntfy"\nurl_file = "phone.url"\n'

    config = load_text(text, base=tmp_path)

    assert config.of(WebhookSection)["webhook.phone"].url.reveal() == "https://ntfy.sh/my-plant"
    assert [(file.path.name, file.is_secret) for file in configuration_files(config, str(tmp_path / "config.toml"))] == [
        ("config.toml", False),
        ("phone.url", True),
    ]
    beside = load_text(text.replace("url_file", "url").replace('"phone.url"', '"https://ntfy.sh/my-plant"'), base=tmp_path)
    assert [(file.path.name, file.is_secret) for file in configuration_files(beside, "config.toml")] == [("config.toml", True)]
    with pytest.raises(ConfigError, match=r"webhook\.phone\.url_file: url is set as well; keep one of the two"):
        load_text(text + 'url = "https://ntfy.sh/my-plant"\n', base=tmp_path)
    with pytest.raises(ConfigError, match=r"webhook\.phone\.url: expected a URL that begins with http:// or https://$"):
        load_text(text.replace("phone.url", "no.url"), base=tmp_path)


def test_a_rule_of_the_configuration_takes_the_place_of_another_and_off_takes_rules_out() -> None:
    """Those of the plant come with its profile. [gateway] names another profile, which no source uses, and brings none."""
    plant = '[mqtt_consumer]\nbroker_url = "mqtt://127.0.0.1"\ntopics = ["factory/#"]\nprofile = "factory-dosing"\n'
    own = GOOD.replace("warm", "inventory_low")
    config = load_text(f'[alerts]\noff = ["dose_off", "queue_old"]\n{plant}{own}')

    rules = {given.rule.name: given for given in active_rules(config)}

    of_gateway = {"frames_dropped", "journal_short", "source_silent"}
    of_plant = {"dosing_inaccurate", "inventory_low", "plant_silent", "temperature_high", "vibration_high"}
    assert rules.keys() == of_gateway | of_plant
    assert (rules["inventory_low"].rule.above, rules["inventory_low"].profiles) == (30, ())
    assert rules["vibration_high"].profiles == ("factory-dosing",)


def test_a_rule_of_a_profile_that_no_source_uses_cannot_be_turned_off() -> None:
    """There is none: it would be neither listed nor judged. Without a source the profile of [gateway] counts, because `replay` has it."""
    plant = '[mqtt_consumer]\nbroker_url = "mqtt://127.0.0.1"\ntopics = ["factory/#"]\nprofile = "factory-dosing"\n'

    assert faults(f'[alerts]\noff = ["node_silent"]\n{plant}') == [
        "2: alerts.off: there is no rule 'node_silent'; did you mean \"source_silent\"?"
    ]
    assert faults('[alerts]\noff = ["node_silent"]\n') == []
    assert faults('[gateway]\nprofile = "factory-dosing"\n[alerts]\noff = ["node_silent"]\n') != []


def test_a_rule_that_can_never_fire_is_noted() -> None:
    """No profile of a source gives what it watches."""
    config = load_text(f'[alerts]\n[serial]\nport = "/dev/null"\n{GOOD.replace("temperature", "temprature")}')

    assert "the alert warm never fires: no profile of a source gives value of temprature" in config.notes
    assert not [note for note in load_text(f'[alerts]\n[serial]\nport = "/dev/null"\n{GOOD}').notes if "never fires" in note]


@pytest.mark.parametrize("file", [OF_GATEWAY, *sorted(PROFILES.glob("*.toml"))], ids=lambda file: file.name)
def test_every_shipped_rule_has_a_message_and_a_runbook(file: Path) -> None:
    """And the rules that there should be are there."""
    runbooks = Path(__file__).parents[2] / "docs" / "runbooks"
    rules = [given.rule for given in rules_in(file)]

    assert len(rules) == {"gateway.toml": 4, "factory-dosing.toml": 6, "lora-bridge.toml": 4}.get(file.name, 0)
    for rule in rules:
        assert rule.message
        page = (runbooks / f"{rule.name.replace('_', '-')}.md").read_text()
        assert f"`{rule.name}`, {rule.severity}." in page, rule.name
        said = re.search(r"“(.*)”", page)
        assert said is not None
        # What is in capitals there is in braces here.
        words = re.split(r"\{[^}]*\}", rule.message)
        assert all(word.strip(" ,") in said[1] for word in words if word.strip()), (rule.message, said[1])


def test_faults_of_a_profiles_rules_are_found_by_check(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """With the line in the profile; receivers are no affair of a profile. Both profiles and the configuration are reported at once."""
    profile = (PROFILES / "factory-dosing.toml").read_text()
    lines = len(profile.splitlines())
    (tmp_path / "own.toml").write_text(profile + '[[alert]]\nname = "x"\nabove = 1\nreceivers = ["log"]\n')
    config = tmp_path / "config.toml"
    config.write_text('[gateway]\nprofile = "own.toml"\n[journal]\npaht = "x"\n')

    assert main(["check", "--config", str(config)]) == 1

    said = capsys.readouterr().err
    assert f"own.toml:{lines + 1}: alert.measurement: is needed: which values are compared?" in said
    assert f"own.toml:{lines + 4}: alert.receivers: belongs into the configuration, which knows who is told" in said
    assert 'unknown key; did you mean "path"?' in said


def test_two_profiles_may_share_a_rule_and_not_a_name(tmp_path: Path) -> None:
    """An equal rule is judged for the frames of both."""
    text = (PROFILES / "factory-dosing.toml").read_text()
    (tmp_path / "b.toml").write_text(text.replace('name = "factory-dosing"', 'name = "b"', 1))
    (tmp_path / "c.toml").write_text(text.replace('name = "factory-dosing"', 'name = "c"', 1).replace("below = 20", "below = 30"))
    sources = '[alerts]\n[serial]\nport = "/dev/null"\nprofile = "factory-dosing"\n[serial.b]\nport = "/dev/zero"\nprofile = "OTHER.toml"\n'

    shared = load_text(sources.replace("OTHER", "b"), base=tmp_path)
    given = {each.rule.name: each for each in active_rules(shared)}
    assert given["inventory_low"].profiles == ("factory-dosing", "b")
    with pytest.raises(ProfileInvalid, match="another profile has another rule called 'inventory_low'"):
        active_rules(load_text(sources.replace("OTHER", "c"), base=tmp_path))
