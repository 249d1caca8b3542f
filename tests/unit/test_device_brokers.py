"""What `check` says about the broker of devices: which section cannot keep their accounts, and where nobody keeps devices apart."""

from __future__ import annotations

import pytest

from iiot_gateway.config.load import load_text
from iiot_gateway.device_mqtt.brokers import account_broker
from iiot_gateway.errors import ConfigError

CONSUMER = '[mqtt_consumer]\nbroker_url = "{url}"\nprofile = "iotflow"\ntopics = ["iotflow/devices/+/telemetry/+"]\n'


def notes(text: str) -> list[str]:
    """Return what is said about devices and their keys."""
    return [note for note in load_text(text).notes if note.startswith("[devices]")]


@pytest.mark.parametrize(
    ("named", "sections", "words"),
    [
        ("nowhere", '[mqtt]\nbroker_url = "mqtt://127.0.0.1"', "there is no section [nowhere] with a broker; expected one of: mqtt"),
        ("mqtt", '[mqtt]\nbroker_url = "embedded"', "the built-in broker needs no accounts"),
        ("mqtt", '[mqtt]\nbroker_url = "mqtt://127.0.0.1"', "[mqtt] needs a username"),
    ],
)
def test_a_section_that_cannot_keep_accounts_is_a_fault(named: str, sections: str, words: str) -> None:
    """With what to write instead."""
    with pytest.raises(ConfigError) as raised:
        load_text(f'[devices]\nmosquitto = "{named}"\n{sections}\n')

    assert words in str(raised.value)


def test_a_broker_that_keeps_no_device_apart_is_noted() -> None:
    """Unless it is the built-in one, or has the accounts."""
    consumer = CONSUMER.format(url="mqtt://127.0.0.1:1884")
    with_name = f'{consumer}username = "gateway"\n'

    (note,) = notes(f"[devices]\n{consumer}")

    assert "nothing here keeps anybody from publishing for every device at mqtt://127.0.0.1:1884" in note
    assert notes(f'[devices]\nmosquitto = "mqtt_consumer"\n{with_name}') == []
    embedded = CONSUMER.format(url="embedded")
    assert notes(f'[devices]\n{embedded}[mqtt]\nbroker_url = "embedded"\n[broker]\nusername = "g"\npassword = "p"\n') == []
    config = load_text(f'[devices]\nmosquitto = "mqtt_consumer"\n{with_name}')
    broker = account_broker(config)
    assert broker is not None
    assert broker.broker_url == "mqtt://127.0.0.1:1884"


def test_accounts_at_another_broker_and_keys_in_plain_text_are_noted() -> None:
    """Both do not do what their author expects."""
    consumer = CONSUMER.format(url="mqtt://127.0.0.1:1884")

    found = notes(f'[devices]\nmosquitto = "mqtt"\n{consumer}[mqtt]\nbroker_url = "mqtt://192.0.2.1"\nusername = "gateway"\n')

    assert [("in plain text" in note, "accounts are kept at mqtt://192.0.2.1, and messages" in note) for note in found] == [
        (True, False),
        (False, True),
    ]
