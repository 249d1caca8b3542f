"""The configuration: every fault at once, with its place; defaults, environment, secrets."""

from __future__ import annotations

import dataclasses
import math
import re
import tomllib
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from iiot_gateway.cli.influxdb_access import secret_of
from iiot_gateway.config.load import load, load_text
from iiot_gateway.config.locate import nearest_line, places
from iiot_gateway.config.schema import Config, GatewaySection, HttpSection, JournalSection, LogSection
from iiot_gateway.config.secret import Secret
from iiot_gateway.config.sections import SECTIONS
from iiot_gateway.config.template import template
from iiot_gateway.config.wiring import profile_name, source_rules
from iiot_gateway.downlink.section import DownlinkSection
from iiot_gateway.errors import ConfigError
from iiot_gateway.profile import read_profile
from iiot_gateway.sinks.influxdb.section import InfluxdbSection
from iiot_gateway.sinks.mqtt.section import MqttSection
from iiot_gateway.sources.probe_rs.section import probes
from iiot_gateway.sources.serial.section import SerialSection

ORIGINAL = """\
# Week 7 MQTT + InfluxDB Gateway Configuration

[mqtt]
broker_url = "mqtt://localhost:1883"
client_id = "iiot-gateway"
topic_prefix = "iiot"
qos = 1

[influxdb]
url = "http://localhost:8086"
org = "my-org"
bucket = "telemetry"
token = "my-super-secret-auth-token"

[gateway]
probe_id = "0483:374b:066DFF3833584B3043115433"
chip = "STM32F446RETx"
firmware_path = "firmware/target/thumbv7em-none-eabihf/release/node2-firmware"
channel_capacity = 100
"""


def faults_of(text: str, environ: dict[str, str] | None = None) -> list[str]:
    """Return the faults of a configuration as text."""
    with pytest.raises(ConfigError) as caught:
        load_text(text, environ=environ)
    return [str(fault) for fault in caught.value.faults]


def test_the_file_of_the_original_gateway_loads_unchanged() -> None:
    """Its keys mean the same here, and the one without meaning is noted."""
    config = load_text(ORIGINAL)

    assert config.of(MqttSection) == {"mqtt": MqttSection()}
    assert config.of(InfluxdbSection) == {"influxdb": InfluxdbSection(org="my-org", token=Secret("my-super-secret-auth-token"))}
    assert list(probes(config)) == ["probe_rs"]
    assert config.gateway.chip == "STM32F446RETx"
    assert len(config.notes) == 1
    assert "channel_capacity" in config.notes[0]


def test_the_template_loads_equal_to_the_defaults() -> None:
    """What `config template` prints changes nothing."""
    config = load_text(template())

    assert config == Config(sections={MqttSection: {"mqtt": MqttSection()}, InfluxdbSection: {"influxdb": InfluxdbSection()}})
    assert (config.gateway, config.journal, config.http, config.log) == (GatewaySection(), JournalSection(), HttpSection(), LogSection())


def test_the_commented_part_of_the_template_loads_too() -> None:
    """Taking the comment marks away leaves only the port, the topics and whom to tell to be named."""
    uncommented = re.sub(r"^# (\[\[?\w+\]\]?|\w+ =)", r"\1", template(), flags=re.MULTILINE)

    assert [fault.partition(": ")[2] for fault in faults_of(uncommented)] == [
        "serial.port: is needed: a device, or VID:PID[:SERIAL]",
        'mqtt_consumer.topics: is needed: topic filters, like ["factory/#"]',
        "webhook.url: expected a URL that begins with http:// or https://",
        "mail.host: is needed: the mail server",
        "mail.sender: expected an address like gateway@example.org",
        "mail.to: is needed: who gets the mails?",
    ]


def test_every_fault_is_reported_at_once_with_line_and_nearest_key() -> None:
    """One run of `check` shows all that must be mended."""
    text = """\
[mqtt]
borker_url = "mqtt://localhost"
qos = 3
password = 7
[mqtt.backup]
keep_alive_s = "long"
[influxdb]
url = "mqtts://localhost"
gzip = 1
tags = { a = 1 }
[jurnal]
[gateway]
tags = { site = 1 }
profile = "lora-brigde"
firmware_path = "node.elf"
"""

    assert faults_of(text, {"IIOT_HTTP__LISTEN": "5000"}) == [
        "IIOT_HTTP__LISTEN: http.listen: expected ADDRESS:PORT",
        'config.toml:2: mqtt.borker_url: unknown key; did you mean "broker_url"?',
        "config.toml:3: mqtt.qos: expected one of 0, 1, 2, found 3",
        "config.toml:4: mqtt.password: expected text in quotes, found a int",
        "config.toml:5: mqtt.backup.client_id: the same as that of [mqtt] on the same broker; they would throw each other out",
        "config.toml:6: mqtt.backup.keep_alive_s: expected a number from 1 to 65535, found 'long'",
        "config.toml:8: influxdb.url: expected a URL that begins with http:// or https://, found 'mqtts'",
        "config.toml:9: influxdb.gzip: expected true or false, found 1",
        'config.toml:10: influxdb.tags.a: unknown key; did you mean "api"?',
        'config.toml:11: jurnal: unknown section; did you mean "journal"?',
        "config.toml:12: gateway.chip: is needed beside firmware_path",
        "config.toml:13: gateway.tags.site: expected text in quotes, found 1",
        "config.toml:14: gateway.profile: there is no profile 'lora-brigde'; built in are " + built_in() + "; a path ends in .toml",
    ]


def built_in() -> str:
    """Return the names of the profiles in the package."""
    from iiot_gateway.config.wiring import BUILT_IN_PROFILES

    return ", ".join(BUILT_IN_PROFILES)


def test_text_that_is_not_toml_is_reported_with_its_line() -> None:
    """A missing quote is found by its line."""
    (fault,) = faults_of('[mqtt]\nbroker_url = "mqtt://x\n')

    assert fault.startswith("config.toml:2: not valid TOML")


def test_a_named_file_that_is_missing_is_an_error_and_the_default_is_not(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without a file the gateway has its defaults; a file that was asked for must be there."""
    monkeypatch.chdir(tmp_path)

    assert load(None, {}).of(MqttSection) == {}
    with pytest.raises(ConfigError, match=r"other\.toml: cannot be read: No such file"):
        load("other.toml", {})


def test_a_password_of_the_environment_is_named_where_no_user_goes_with_it() -> None:
    """The file may have no such section at all."""
    with pytest.raises(ConfigError, match=r"mqtt\.backup\.username: is needed beside a password, .* IIOT_MQTT__BACKUP__PASSWORD"):
        load_text("", environ={"IIOT_MQTT__BACKUP__PASSWORD": "left over"})


def test_the_environment_stands_over_the_file() -> None:
    """Every key can be set from outside, in its own kind."""
    environ = {
        "IIOT_MQTT__QOS": "2",
        "IIOT_MQTT__BACKUP__BROKER_URL": "mqtt://other",
        "IIOT_GATEWAY__TAGS": '{ site = "north" }',
        "IIOT_HTTP__ENABLED": "false",
        "INFLUXDB_TOKEN": "t1",
        "INFLUXDB_BUCKET": "b",
        "IIOT_INFLUXDB__BUCKET": "c",
        "PATH": "/bin",
    }

    config = load_text("[mqtt]\nqos = 1\n[influxdb]\n", environ=environ)

    assert config.of(MqttSection) == {"mqtt": MqttSection(qos=2), "mqtt.backup": MqttSection(broker_url="mqtt://other")}
    assert config.gateway.tags == {"site": "north"}
    assert config.http.enabled is False
    assert config.of(InfluxdbSection) == {"influxdb": InfluxdbSection(bucket="c", token=Secret("t1"))}


def test_influxdb_variables_alone_make_no_sink() -> None:
    """A token that another tool has in its environment starts nothing."""
    assert load_text("", environ={"INFLUXDB_TOKEN": "t", "INFLUXDB_URL": "http://x"}).of(InfluxdbSection) == {}


def test_influxdb_variables_are_for_the_section_that_is_there() -> None:
    """One section gets them, whatever its name; with several named ones it is said that none does."""
    environ = {"INFLUXDB_TOKEN": "t", "INFLUXDB_URL": "http://x"}
    other, wanted = '[influxdb.factory]\nbucket = "f"\n', InfluxdbSection(url="http://x", token=Secret("t"))

    assert load_text(other, environ=environ).of(InfluxdbSection) == {"influxdb.factory": dataclasses.replace(wanted, bucket="f")}
    assert load_text(other + "[influxdb]\n" + 'org = "o"\n', environ=environ).of(InfluxdbSection) == {
        "influxdb": dataclasses.replace(wanted, org="o"),
        "influxdb.factory": InfluxdbSection(bucket="f"),
    }
    assert load_text(other + "[influxdb]\n", environ=environ).of(InfluxdbSection) == {
        "influxdb": wanted,
        "influxdb.factory": InfluxdbSection(bucket="f"),
    }
    several = load_text(other + "[influxdb.office]\n", environ=environ)
    assert several.of(InfluxdbSection) == {"influxdb.factory": InfluxdbSection(bucket="f"), "influxdb.office": InfluxdbSection()}
    assert [note.partition(":")[0] for note in several.notes] == ["INFLUXDB_TOKEN, INFLUXDB_URL"]


def test_a_secret_is_read_from_its_file_and_never_shown(tmp_path: Path) -> None:
    """Neither repr nor a fault carries it."""
    (tmp_path / "token").write_text("hush\n")

    config = load_text('[influxdb]\ntoken_file = "token"\n[mqtt]\nusername = "u"\npassword = "hush"\n', base=tmp_path)

    assert config.of(InfluxdbSection)["influxdb"].token.reveal() == "hush"
    assert config.of(MqttSection)["mqtt"].password.reveal() == "hush"
    assert "hush" not in repr(config)
    assert "hush" not in "".join(faults_of('[mqtt]\npassword = ["hush"]\n'))


def test_a_secret_file_that_cannot_be_read_is_a_fault_with_its_line(tmp_path: Path) -> None:
    """The path is told."""
    with pytest.raises(ConfigError, match=r"config\.toml:3: influxdb\.token_file: .*nothing cannot be read: No such file"):
        load_text('[influxdb]\nbucket = "b"\ntoken_file = "nothing"\n', base=tmp_path)


def test_a_url_with_a_password_is_refused() -> None:
    """Such a URL would end up in logs."""
    assert "a user or password in a URL" in faults_of('[mqtt]\nbroker_url = "mqtt://u:p@localhost"\n')[0]


def test_sources_inherit_from_gateway_and_mqtt() -> None:
    """Tags join, a source's own come over the common ones; the prefix falls back to that of the broker."""
    config = load_text(
        '[gateway]\ntags = { site = "north", line = "1" }\n[mqtt]\ntopic_prefix = "plant"\n'
        '[serial.a]\nport = "/dev/ttyACM0"\ntags = { line = "2" }\n[serial.b]\nport = "0483:374b"\ntopic_prefix = "b"\n'
    )

    first, second = (source_rules(config, name, section) for name, section in config.of(SerialSection).items())

    assert (first.name, first.topic_prefix, first.tags) == ("serial.a", "plant", {"site": "north", "line": "2"})
    assert (second.name, second.topic_prefix, second.tags) == ("serial.b", "b", {"site": "north", "line": "1"})
    assert first.profile.name == "lora-bridge.toml"


def test_a_section_of_named_tables_only_is_no_sink_itself() -> None:
    """[influxdb.a] and [influxdb.b] are two sinks, not three."""
    assert list(load_text("[influxdb.a]\n[influxdb.b]\n").of(InfluxdbSection)) == ["influxdb.a", "influxdb.b"]


def test_an_empty_section_beside_named_ones_is_a_sink() -> None:
    """With every key left at its default it is wanted all the same."""
    assert list(load_text("[influxdb]\n[influxdb.b]\n").of(InfluxdbSection)) == ["influxdb", "influxdb.b"]
    assert list(load_text("[influxdb.b]\n[influxdb]\n").of(InfluxdbSection)) == ["influxdb", "influxdb.b"]


def test_lines_are_found_in_every_form_that_toml_has() -> None:
    """Dotted keys, quoted keys, inline tables, and brackets or line ends within strings mislead nobody."""
    text = '''\
a.b = "x # ] } ="   # comment = 1
"c d" = [
  1, "]", # ]
  { k = 1 },
]
[t."u v".w] # head
x = """
y = 1
[no]
"""
z = { p = 'q = 1', r.s = { t = 2 } }
[[arr]]
k = 1
'''

    lines, _headers = places(text)

    assert lines == {
        ("a",): 1,
        ("a", "b"): 1,
        ("c d",): 2,
        ("t",): 6,
        ("t", "u v"): 6,
        ("t", "u v", "w"): 6,
        ("t", "u v", "w", "x"): 7,
        ("t", "u v", "w", "z"): 11,
        ("t", "u v", "w", "z", "p"): 11,
        ("t", "u v", "w", "z", "r"): 11,
        ("t", "u v", "w", "z", "r", "s"): 11,
        ("t", "u v", "w", "z", "r", "s", "t"): 11,
        ("arr",): 12,
        ("arr", "k"): 13,
    }
    assert nearest_line(lines, ("t", "other")) == 6


@given(st.text(alphabet=st.sampled_from("ab.=[]{}\"'#\\ \n,1"), max_size=60))
def test_locating_ends_and_finds_every_top_level_key(text: str) -> None:
    """Any text ends the scan; for valid TOML each top-level key has a line that shows it."""
    lines, _headers = places(text)

    try:
        tables = tomllib.loads(text)
    except tomllib.TOMLDecodeError:
        return
    for key in tables:
        if key.isalnum():
            assert key in text.split("\n")[lines[(key,)] - 1]


@pytest.mark.parametrize(
    ("section", "setting", "expected"),
    [
        ("journal", "max_bytes = 99999999999999999999", "expected a whole number from 1048576 to 17592186044416"),
        ("journal", f"max_bytes = 1{'0' * 400}", "expected a whole number from 1048576 to 17592186044416"),
        ("journal", "max_age_h = inf", "expected a number from 0 to 876000"),
        ("journal", "max_age_h = 1e300", "expected a number from 0 to 876000"),
        ("journal", f"max_age_h = 1{'0' * 400}", "expected a number from 0 to 876000"),
        ("journal", "max_rejects = 99999999999999999999", "expected a whole number from 0 to 10000000"),
        ("journal", 'path = "~there-is-no-such-user/x.db"', "there is no home folder of ~there-is-no-such-user"),
        ("journal", 'path = "a\\u0000b"', "expected a path in quotes"),
        ("journal", 'path = ""', "must not be empty"),
        ("gateway", 'rtt_channel = "[json]"', "expected a channel's name as the firmware gives it"),
        ("gateway", f'rtt_channel = "{"x" * 33}"', "expected a channel's name as the firmware gives it"),
        ("journal", 'path = "/"', "/ is a directory: name a file in it"),
        (
            "influxdb",
            'token_file = "/nowhere.token"',
            "/nowhere.token cannot be read: No such file or directory; `iiot-gateway influxdb init` sets a server up and writes it",
        ),
        ("mqtt", "ack_timeout_s = inf", "expected a number from 1 to 3600"),
        ("mqtt", "health_interval_s = nan", "expected a number from 1 to 86400"),
        ("influxdb", "timeout_s = 1e300", "expected a number from 0.1 to 3600"),
        ("gateway", "dedup_window_s = inf", "expected a number from 0 to 31622400"),
        ("gateway", "dedup_window_s = -inf", "expected a number from 0 to 31622400"),
        ("gateway", 'profile = "~there-is-no-such-user/x.toml"', "there is no profile '~there-is-no-such-user/x.toml'"),
    ],
)
def test_a_value_that_nothing_could_use_is_a_fault(section: str, setting: str, expected: str) -> None:
    """What passes the check does not end in a traceback later."""
    (fault,) = faults_of(f"[{section}]\n{setting}\n")

    assert fault.startswith(f"config.toml:2: {section}.{setting.partition(' ')[0]}: {expected}")


def test_every_number_has_finite_limits() -> None:
    """A key that is added later cannot forget them."""
    for section in (component.section for component in SECTIONS.values()):
        for field in dataclasses.fields(section):
            key = field.metadata["key"]
            if key.kind in ("integer", "number") and not key.choices:
                assert key.low is not None, field.name
                assert key.high is not None, field.name
                assert math.isfinite(key.high), field.name


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-be-with-mark"])
def test_a_byte_order_mark_is_no_part_of_what_a_person_wrote(tmp_path: Path, encoding: str) -> None:
    """Windows writes one into configurations, profiles and secrets, and UTF-16 too; line ends and blanks around a secret go as well."""

    def write(name: str, text: str) -> None:
        text = text.replace("\n", "\r\n")
        content = b"\xfe\xff" + text.encode("utf-16-be") if encoding == "utf-16-be-with-mark" else text.encode(encoding)
        (tmp_path / name).write_bytes(content)

    key = "00112233445566778899aabbccddeeff"
    write("token", " s3cret \n\n")
    write("password", "\npäss word\n")
    write("node.key", f"{key}\n")
    write("http.token", "12345678-abcdefgh\n")
    write("mine.toml", 'name = "mine"\n[[metric]]\npath = "a"\nmeasurement = "a"\n')
    write(
        "config.toml",
        '[gateway]\nprofile = "mine.toml"\n[serial]\nport = "/dev/ttyS0"\n[influxdb]\ntoken_file = "token"\n'
        '[mqtt]\nusername = "u"\npassword_file = "password"\n[downlink]\nkey_file = "node.key"\nsource = "serial"\nsink = "mqtt"\n'
        '[http]\ntoken_file = "http.token"\n',
    )

    config = load(str(tmp_path / "config.toml"), {})

    assert config.of(InfluxdbSection)["influxdb"].token.reveal() == "s3cret"
    assert config.of(MqttSection)["mqtt"].password.reveal() == "päss word"
    assert config.one(DownlinkSection).key.reveal() == key
    assert config.http.token.reveal() == "12345678-abcdefgh"
    assert secret_of(str(tmp_path / "token")) == "s3cret"
    assert profile_name(tmp_path / "mine.toml") == read_profile(tmp_path / "mine.toml").name == "mine"


def test_a_file_that_is_no_text_is_a_fault_with_its_remedy(tmp_path: Path) -> None:
    """Half a character, also behind a mark."""
    for content in (b"\xff\xfe[", b"\xef\xbb\xbf\xe4", b"[http]\n# \xe4\n"):
        (tmp_path / "config.toml").write_bytes(content)
        with pytest.raises(ConfigError, match="not UTF-8 text"):
            load(str(tmp_path / "config.toml"), {})


def test_each_wrong_entry_of_a_table_or_list_is_named_with_its_line() -> None:
    """Among ten tags nobody wants to guess."""
    text = """\
[gateway]
tags.site = "north"
tags.floor = 2
[mqtt]
profiles = ["lora-bridge", 7]
"""
    with pytest.raises(ConfigError) as raised:
        load_text(text)
    assert [str(fault) for fault in raised.value.faults] == [
        "config.toml:3: gateway.tags.floor: expected text in quotes, found 2",
        "config.toml:5: mqtt.profiles.entry 2: expected text in quotes, found 7",
    ]

    with pytest.raises(ConfigError) as raised:
        load_text('[serial]\nport = "/dev/ttyS0"\n[serial.tags]\nline = ""\nhall = "a"\n"" = "b"\n')
    assert [str(fault) for fault in raised.value.faults] == [
        'config.toml:3: serial.tags."": a tag without a name cannot be written',
        "config.toml:4: serial.tags.line: a tag without a value cannot be written",
    ]
