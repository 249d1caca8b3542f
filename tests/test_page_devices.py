"""The page's section "Devices" in a real browser: nothing without a key, and everything with an administrator's."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Page, expect

from fleets import Fleet
from pages import Seen
from servers import until

pytestmark = [pytest.mark.native, pytest.mark.slow]

PHONE = {"viewport": {"width": 390, "height": 844}, "is_mobile": True, "has_touch": True}


class Tended(Fleet):
    """A gateway with the device "boiler", and keys for the people who look at it."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self.administrator = self.command_key("keys", "create", "--type", "administrator")
        self.reader = self.command_key("keys", "create", "--type", "reader")
        self.boiler = self.add("boiler", "--location", "Building 2", "--tag", "floor=3")
        self.url = f"http://127.0.0.1:{self.port}"

    def send(self, key: str, **data: float) -> int:
        """Post what a device measured; return the status."""
        return self.api("POST", "devices/telemetry", key, {"type": "climate", "data": data})[0]

    def device(self, device_id: str) -> dict[str, Any]:
        """Return a device."""
        found: dict[str, Any] = self.api("GET", f"devices/{device_id}", self.administrator)[1]["device"]
        return found


@pytest.fixture
def fleet(tmp_path: Path) -> Iterator[Tended]:
    """A running gateway."""
    gateway = Tended(tmp_path / "gateway")
    gateway.begin()
    yield gateway
    gateway.end()


def unlock(page: Page, key: str) -> None:
    """Give a key."""
    page.get_by_label("Key for devices").fill(key)
    page.get_by_role("button", name="Show the devices").click()
    expect(page.get_by_test_id("devices-count")).to_be_visible()


def opened(page: Page, device_id: str) -> Any:
    """Open a device of the list, from the keyboard."""
    page.get_by_test_id(f"device-{device_id}").get_by_role("button").focus()
    page.keyboard.press("Enter")
    panel = page.get_by_test_id("device")
    expect(panel.get_by_role("heading", level=3)).to_be_focused()
    return panel


def test_nothing_is_shown_without_a_key_and_a_wrong_one_is_told(fleet: Tended, visit: Callable[..., Seen]) -> None:
    """The gateway's own words say what is wrong; a key is kept for the tab, and in no address."""
    seen = visit(fleet.url)
    page = seen.live()
    addresses: list[str] = []
    page.on("request", lambda request: addresses.append(request.url))

    expect(page.get_by_label("Key for devices")).to_be_visible()
    assert page.get_by_text("Building 2").count() == 0
    page.get_by_label("Key for devices").fill("not-a-key")
    page.get_by_role("button", name="Show the devices").click()
    expect(page.get_by_role("alert")).to_contain_text("No valid key")
    page.get_by_label("Key for devices").fill(fleet.boiler)
    page.get_by_role("button", name="Show the devices").click()
    expect(page.get_by_role("alert")).to_contain_text("A device's key may not do this")
    assert page.evaluate("() => sessionStorage.length") == 0

    unlock(page, fleet.administrator)
    expect(page.get_by_test_id("device-boiler")).to_contain_text("Building 2")
    page.reload()
    expect(page.get_by_test_id("device-boiler")).to_be_visible()
    page.get_by_role("button", name="Forget the key").click()
    expect(page.get_by_label("Key for devices")).to_be_visible()

    assert page.evaluate("() => [sessionStorage.length, localStorage.length]") == [0, 0]
    assert not any(fleet.administrator in address for address in addresses)
    assert [complaint for complaint in seen.complaints if "401" not in complaint and "403" not in complaint] == []


def test_a_gateway_without_devices_has_no_such_section(tmp_path: Path, visit: Callable[..., Seen]) -> None:
    """Nobody is asked for a key that opens nothing."""
    from watched import Watched

    watched = Watched(tmp_path)
    watched.begin()
    try:
        page = visit(watched.url).live()
        expect(page.get_by_text("No value has come yet")).to_be_visible()
        assert page.get_by_label("Key for devices").count() == 0
    finally:
        watched.end()


def test_a_reader_sees_devices_and_what_they_send_and_changes_nothing(fleet: Tended, visit: Callable[..., Seen]) -> None:
    """Presence and values come by themselves."""
    page = visit(fleet.url).live()
    unlock(page, fleet.reader)
    row = page.get_by_test_id("device-boiler")
    expect(row).to_contain_text("never heard")

    assert fleet.send(fleet.boiler, water=61.5) == 201

    expect(row).to_contain_text("online")
    panel = opened(page, "boiler")
    expect(panel.locator(".newest")).to_contain_text("61.5")
    expect(panel.locator(".facts")).to_contain_text("floor = 3")
    for name in ("Register a device", "Rotate its key", "Disable", "Send", "Save"):
        assert page.get_by_role("button", name=name).count() == 0
    page.get_by_role("button", name="Close the device").click()
    expect(row.get_by_role("button")).to_be_focused()
    expect(page.get_by_test_id("banner")).to_contain_text("Data flows")


def test_a_person_registers_a_device_and_its_key_is_shown_once(fleet: Tended, visit: Callable[..., Seen]) -> None:
    """The key works; a name that is taken is said at the form."""
    page = visit(fleet.url).live()
    unlock(page, fleet.administrator)
    page.get_by_role("button", name="Register a device").click()
    page.get_by_label("Name").fill("name of boiler")
    page.get_by_label("Type").fill("esp32")
    page.get_by_label("Id (optional)").fill("pump-1")
    page.get_by_role("button", name="Register", exact=True).click()
    expect(page.get_by_role("alert")).to_contain_text("Choose another one")

    page.get_by_label("Name").fill("Pump 1")
    page.keyboard.press("Enter")

    shown = page.get_by_test_id("new-key").get_by_label("Key of Pump 1")
    expect(shown).to_be_focused()
    key = shown.input_value()
    page.get_by_role("button", name="Copy").click()
    expect(page.get_by_role("status").filter(has_text="Copied.")).to_be_visible()
    assert fleet.send(key, speed=3) == 201
    expect(page.get_by_test_id("device-pump-1")).to_contain_text("online")
    page.get_by_role("button", name="Done").click()
    assert page.get_by_test_id("new-key").count() == 0
    expect(page.get_by_role("button", name="Register a device")).to_be_focused()
    assert key not in page.content()


def test_a_key_is_rotated_and_a_device_disabled_and_enabled(fleet: Tended, visit: Callable[..., Seen]) -> None:
    """Both keys are valid for a while; a disabled device is refused at once."""
    page = visit(fleet.url).live()
    unlock(page, fleet.administrator)
    panel = opened(page, "boiler")
    panel.get_by_role("button", name="Rotate its key").click()
    expect(panel.get_by_role("button", name="Give it a new key")).to_be_focused()
    page.keyboard.press("Enter")
    key = panel.get_by_label("Key of name of boiler").input_value()
    expect(panel).to_contain_text("The old one stays valid until")
    assert [fleet.send(each, water=60 + number) for number, each in enumerate((key, fleet.boiler))] == [201, 201]
    panel.get_by_role("button", name="Done").click()
    expect(panel.get_by_role("button", name="Rotate its key")).to_be_focused()

    panel.get_by_role("button", name="Disable").click()
    expect(page.get_by_test_id("device-boiler")).to_contain_text("disabled")
    assert fleet.send(key, water=62) == 403
    expect(panel.get_by_role("button", name="Rotate its key")).to_be_disabled()
    panel.get_by_role("button", name="Enable").click()
    expect(page.get_by_test_id("device-boiler")).to_contain_text("online")
    assert fleet.send(key, water=63) == 201


def test_a_command_is_sent_and_its_state_followed(fleet: Tended, visit: Callable[..., Seen]) -> None:
    """Long numbers of its payload arrive as they were written."""
    page = visit(fleet.url).live()
    unlock(page, fleet.administrator)
    panel = opened(page, "boiler")
    panel.get_by_label("Type of the command").fill("restart")
    panel.get_by_label("Payload of the command, JSON").fill("{after")
    panel.get_by_role("button", name="Send").click()
    expect(panel.get_by_role("alert")).to_contain_text("The payload is no JSON")
    panel.get_by_label("Payload of the command, JSON").fill('{"after_ns": 12345678901234567890}')
    panel.get_by_role("button", name="Send").click()
    entry = panel.locator(".commands li")
    expect(entry).to_contain_text("queued")

    (command,) = fleet.api("GET", "devices/commands", fleet.boiler)[1]["commands"]
    assert (command["type"], command["payload"]) == ("restart", {"after_ns": 12345678901234567890})
    expect(entry).to_contain_text("sent")
    assert fleet.api("POST", f"devices/commands/{command['id']}/acknowledge", fleet.boiler)[0] == 200
    expect(entry).to_contain_text("acknowledged")
    expect(panel.get_by_role("status").filter(has_text="restart is acknowledged")).to_be_attached()


def test_a_configuration_is_checked_and_saved(fleet: Tended, visit: Callable[..., Seen]) -> None:
    """What somebody else saves meanwhile is told, and not overwritten on the screen."""
    page = visit(fleet.url).live()
    unlock(page, fleet.administrator)
    panel = opened(page, "boiler")
    field = panel.get_by_label("Configuration, JSON")
    expect(field).to_have_value("{}")
    for wrong in ('{"interval_s": }', "[1]"):
        field.fill(wrong)
        panel.get_by_role("button", name="Save").click()
        expect(panel.get_by_role("alert")).to_contain_text("This is no configuration")
    assert fleet.device("boiler")["configuration_version"] == 0

    field.fill('{"interval_s": 30}')
    panel.get_by_role("button", name="Save").click()
    expect(panel.get_by_role("status").filter(has_text="Saved as version 1.")).to_be_visible()
    assert fleet.api("GET", "devices/config", fleet.boiler)[1]["configuration"] == {"interval_s": 30}

    field.fill('{"interval_s": 31}')
    assert fleet.api("PUT", "devices/boiler/config", fleet.administrator, {"interval_s": 2**60})[0] == 200
    expect(panel).to_contain_text("Version 2 was saved meanwhile.")
    expect(field).to_have_value('{"interval_s": 31}')
    panel.get_by_role("button", name="Show it").click()
    expect(panel).to_contain_text("longer than a browser keeps")
    assert panel.get_by_role("button", name="Save").count() == 0


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_the_section_fits_a_phone(fleet: Tended, visit: Callable[..., Seen], scheme: str) -> None:
    """Nothing is wider than the screen, and what appears by itself moves nothing."""
    page = visit(fleet.url, color_scheme=scheme, **PHONE).live()
    assert page.evaluate("() => document.documentElement.scrollWidth <= innerWidth")
    unlock(page, fleet.administrator)
    page.get_by_test_id("device-boiler").get_by_role("button").tap()
    panel = page.get_by_test_id("device")
    panel.get_by_role("button", name="Rotate its key").tap()
    panel.get_by_role("button", name="Give it a new key").tap()
    expect(panel.get_by_test_id("new-key")).to_be_visible()
    page.get_by_role("button", name="Register a device").tap()
    place = panel.bounding_box()

    assert fleet.send(fleet.boiler, water=61.5) == 201
    expect(page.get_by_test_id("device-boiler")).to_contain_text("online")

    assert panel.bounding_box() is not None
    assert page.evaluate("() => document.documentElement.scrollWidth <= innerWidth")
    assert place is not None
    until(lambda: (panel.bounding_box() or {}).get("x") == place["x"], "the panel in its place")
    expect(page.locator(".devices .fault")).to_have_count(0)
    assert re.match(r"\d", page.get_by_test_id("devices-count").inner_text())
