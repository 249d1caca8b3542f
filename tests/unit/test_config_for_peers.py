"""What a configuration may not say to its peers: text that MQTT does not allow, and parts of URLs that nobody would use."""

from __future__ import annotations

from pathlib import Path

import pytest

from iiot_gateway.config.load import load_text
from iiot_gateway.errors import ConfigError


def faults_of(text: str, environ: dict[str, str] | None = None) -> list[str]:
    """Return the faults of a configuration as text."""
    with pytest.raises(ConfigError) as caught:
        load_text(text, environ=environ)
    return [str(fault) for fault in caught.value.faults]


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ('[mqtt]\nclient_id = "a\\u0007"\n', "config.toml:2: mqtt.client_id: holds U+0007, a control character"),
        (f'[mqtt]\nclient_id = "{"a" * 65526}"\n', "config.toml:2: mqtt.client_id: is longer than 65525 bytes"),
        ('[mqtt]\nusername = "a\\u0085"\n', "config.toml:2: mqtt.username: holds U+0085, a control character"),
        (f'[mqtt]\nusername = "a"\npassword = "{"b" * 65536}"\n', "config.toml:3: mqtt.password: is longer than 65535 bytes"),
        ('[mqtt]\ntopic_prefix = "a\\uFFFF"\n', "config.toml:2: mqtt.topic_prefix: holds U+FFFF, no character of Unicode"),
        ('[gateway]\ntopic_prefix = "a\\u001f"\n', "config.toml:2: gateway.topic_prefix: holds U+001F, a control character"),
        (f'[mqtt]\ntopic_prefix = "{"ü" * 16001}"\n', "config.toml:2: mqtt.topic_prefix: is longer than 32000 bytes"),
        ('[home_assistant]\nstatus_topic = "a\\uFDD0"\n', "config.toml:2: home_assistant.status_topic: holds U+FDD0"),
        (
            '[mqtt]\nbroker_url = "embedded"\n[broker]\nusername = "a\\u007f"\npassword = "b"\n',
            "config.toml:4: broker.username: holds U+007F, a control character",
        ),
        (
            '[mqtt]\ntopic_prefix = "plant"\n[gateway]\ntopic_prefix = "plant/gateway"\n',
            "config.toml:4: gateway.topic_prefix: no value could be published: plant/gateway/# belongs to the gateway itself",
        ),
    ],
)
def test_what_mqtt_does_not_allow_is_refused_where_it_is_written(text: str, fault: str) -> None:
    """A broker would close each connection for it."""
    assert [found[: len(fault)] for found in faults_of(text)] == [fault]


@pytest.mark.parametrize(
    "section",
    ['[mqtt]\nbroker_url = "embedded"\n[broker]\n', '[log]\n[mail]\nhost = "h"\nsender = "a@b.c"\nto = ["a@b.c"]\n'],
)
def test_a_file_without_a_password_is_one_fault(section: str, tmp_path: Path) -> None:
    """Nobody is told that a password is missing whose file cannot be read; a password without a user is still a fault."""
    file = tmp_path / "password"
    named = f'password_file = "{file}"\n'

    (unread,) = faults_of(f'{section}username = "u"\n{named}')
    file.write_text("secret")
    (alone,) = faults_of(f"{section}{named}")

    assert f"{file} cannot be read" in unread
    assert alone.endswith("username and password go together")
    load_text(f'{section}username = "u"\n{named}')


def test_bytes_that_are_no_text_are_refused_by_the_name_of_their_variable() -> None:
    """A variable may hold any bytes; Python gives them as halves of surrogate pairs."""
    assert faults_of("[mqtt]\n", {"IIOT_MQTT__CLIENT_ID": "a\udcff"}) == ["IIOT_MQTT__CLIENT_ID: mqtt.client_id: not UTF-8 text"]


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ('[mqtt]\nbroker_url = "mqtt://host/path"\n', "mqtt.broker_url: expected nothing behind host and port, found '/path'"),
        ('[mqtt]\nbroker_url = "mqtt://host:1883?a=b"\n', "mqtt.broker_url: expected nothing behind host and port, found '?a=b'"),
        ('[mqtt]\nbroker_url = "mqtts://[::1]:8883/a#b"\n', "mqtt.broker_url: expected nothing behind host and port, found '/a#b'"),
        ('[influxdb]\nurl = "http://host/x?db=a"\n', "influxdb.url: expected nothing behind the path, found '?db=a'"),
    ],
)
def test_a_part_of_a_url_that_nobody_would_use_is_refused(text: str, fault: str) -> None:
    """Nothing is ignored in silence; a slash at the end is no part."""
    assert [found[: len(fault) + 15] for found in faults_of(text)] == [f"config.toml:2: {fault}"]
    load_text('[mqtt]\nbroker_url = "mqtt://host:1883/"\n[influxdb]\nurl = "http://host/proxy/"\n')


def test_a_user_without_a_password_is_noted() -> None:
    """Of a sink and of a source; a certificate is as good as a password, and a client without a name needs none."""
    text = '[{section}]\n{topics}broker_url = "mqtts://127.0.0.1"\n{keys}'
    files = f'client_cert_file = "{__file__}"\nclient_key_file = "{__file__}"\n'
    for section, topics in (("mqtt.b", ""), ("mqtt_consumer", 'topics = ["a/#"]\n')):
        found = {
            keys: [note for note in load_text(text.format(section=section, topics=topics, keys=keys)).notes if "password" in note]
            for keys in ("", 'username = "u"\n', 'username = "u"\npassword = "p"\n', f'username = "u"\n{files}')
        }
        variable = f"IIOT_{section.upper().replace('.', '__')}__PASSWORD"
        said = f"[{section}] gives the user name 'u' without a password, which most brokers refuse: set password_file or {variable}"
        assert [notes for notes in found.values() if notes] == [[said]]
        assert found['username = "u"\n'] == [said]
