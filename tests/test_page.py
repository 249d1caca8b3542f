"""The web page in a real browser: values move, charts draw, trouble shows where it is, and nothing leaves the machine."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from playwright.sync_api import expect

from pages import Seen
from servers import Mosquitto, free_port, until
from watched import Watched, line

TOKEN = "a-token-of-the-tests"  # noqa: S105
TILE = "tile-iiot/node1/temperature"

pytestmark = pytest.mark.slow


@pytest.fixture
def gateway(tmp_path: Path) -> Iterator[Callable[..., Watched]]:
    """A function that starts a gateway with a history; all are ended after the test."""
    running: list[Watched] = []

    def begin(sections: str = "", *arguments: str, **settings: str) -> Watched:
        running.append(Watched(tmp_path / str(len(running)), f'{sections}\n[history]\npath = "history.db"\n', **settings))
        running[-1].begin(*arguments)
        return running[-1]

    yield begin
    for started in running:
        started.end()


def test_values_move_as_telemetry_comes_and_nothing_is_asked_of_others(gateway: Callable[..., Watched], visit: Callable[..., Seen]) -> None:
    """No reload, no word of complaint, no request that leaves the gateway."""
    watched = gateway()
    seen = visit(watched.url)
    page = seen.live()
    expect(page.get_by_text("No value has come yet")).to_be_visible()

    for seq, temperature in enumerate(("21.50", "22.75", "-3"), 1):
        watched.feed(line(seq, temperature=temperature))
        expect(page.get_by_test_id(TILE).get_by_test_id("value")).to_have_text(temperature)

    expect(page.get_by_test_id("banner")).to_contain_text("Data flows")
    expect(page.get_by_test_id("link-node1")).to_contain_text("-80 dBm")
    expect(page.get_by_test_id("intake")).to_have_text(re.compile(r"^3 received = 3 accepted \+ 0 duplicate \+ 0 rejected$"))
    assert page.get_by_test_id(TILE).locator("polyline").count() == 1
    assert seen.complaints == []
    assert seen.asked == {watched.url}


def test_what_came_twice_is_counted_with_its_node(gateway: Callable[..., Watched], visit: Callable[..., Seen]) -> None:
    """Beside what was received and what was lost on air."""
    watched = gateway()
    watched.feed(line(1), line(2), line(2), line(2), line(5))
    link = visit(watched.url).live().get_by_test_id("link-node1")

    for label, shown in (("Twice", "2"), ("Received", "3"), ("Lost on air", "2 (40.0 %)")):
        expect(link.locator(f'[data-label="{label}"]')).to_have_text(shown)


def test_a_chart_draws_what_the_history_holds(gateway: Callable[..., Watched], visit: Callable[..., Seen]) -> None:
    """From the keyboard: the tile is opened with Enter, another range chosen; the line is on the canvas."""
    began = datetime.now(UTC) - timedelta(seconds=60)
    watched = gateway("", "--start", began.strftime("%Y-%m-%dT%H:%M:%SZ"))
    watched.feed(*(line(seq, temperature=str(seq)) for seq in range(1, 40)))
    until(lambda: watched.document("status")["sinks"]["history"]["delivered"] == 39, "the history")
    page = visit(watched.url).live()

    page.get_by_test_id(TILE).focus()
    page.keyboard.press("Enter")

    chart = page.get_by_test_id("chart")
    expect(chart).to_have_attribute("data-points", "39")
    expect(page.get_by_test_id("chart-note")).to_contain_text("39 points are stored")
    drawn = """canvas => {
        const { data } = canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height);
        let coloured = 0;
        for (let at = 0; at < data.length; at += 4) coloured += data[at + 3] > 200 && Math.abs(data[at] - data[at + 1]) > 60;
        return coloured;
    }"""
    assert chart.locator("canvas").evaluate(drawn) > 100
    page.get_by_role("button", name="15 min").click()
    expect(page.get_by_role("button", name="15 min")).to_have_attribute("aria-pressed", "true")
    page.get_by_role("button", name="Close the chart").click()
    expect(chart).to_have_count(0)


def test_without_a_history_the_chart_shows_what_came_and_says_why(visit: Callable[..., Seen], tmp_path: Path) -> None:
    """The page says what to add."""
    watched = Watched(tmp_path)
    watched.begin()
    try:
        watched.feed(line(1), line(2, temperature="21"))
        seen = visit(watched.url)
        page = seen.live()
        page.get_by_test_id(TILE).click()

        expect(page.get_by_test_id("chart-note")).to_contain_text("No history is kept: add a [history] section")
        assert seen.complaints == []
    finally:
        watched.end()


def test_a_killed_gateway_shows_as_offline_and_the_page_recovers_by_itself(
    gateway: Callable[..., Watched], visit: Callable[..., Seen]
) -> None:
    """The last values stay in sight; nobody reloads anything."""
    watched = gateway()
    watched.feed(line(1, temperature="11.1"))
    page = visit(watched.url).live()
    expect(page.get_by_test_id(TILE).get_by_test_id("value")).to_have_text("11.1")

    watched.end()
    expect(page.get_by_test_id("connection")).to_have_text("Offline")
    expect(page.get_by_test_id("banner")).to_contain_text("The gateway does not answer")
    expect(page.get_by_test_id(TILE).get_by_test_id("value")).to_have_text("11.1")

    watched.begin()
    watched.feed(line(2, temperature="12.2"))
    expect(page.get_by_test_id("connection")).to_have_text("Live")
    expect(page.get_by_test_id(TILE).get_by_test_id("value")).to_have_text("12.2")


def test_the_page_names_the_place_where_data_stops(
    gateway: Callable[..., Watched], visit: Callable[..., Seen], mosquitto: Mosquitto
) -> None:
    """A broker that goes away is named, its box is marked, and both clear when it is back."""
    watched = gateway(f'[mqtt]\nbroker_url = "{mosquitto.url}"\n')
    watched.feed(line(1))
    page = visit(watched.url).live()
    expect(page.get_by_test_id("box-mqtt")).to_have_class(re.compile("good"))

    mosquitto.kill9()
    expect(page.get_by_test_id("banner")).to_contain_text("Held up at mqtt")
    expect(page.get_by_test_id("box-mqtt")).to_have_class(re.compile("bad"))
    expect(page.get_by_test_id("box-history")).to_have_class(re.compile("good"))
    expect(page).to_have_title("Held up at mqtt – iiot-gateway")  # noqa: RUF001 - a dash

    mosquitto.start()
    expect(page.get_by_test_id("banner")).to_contain_text("Data flows", timeout=30_000)


def test_rejects_appear_with_their_reason(gateway: Callable[..., Watched], visit: Callable[..., Seen]) -> None:
    """And what the device sent is shown as text, whatever it is."""
    watched = gateway()
    page = visit(watched.url).live()

    watched.feed(b'{"<img src=x onerror=alert(1)>":1}\n')

    expect(page.get_by_text("Nothing usable")).to_be_visible()
    expect(page.locator(".rejects code")).to_have_text('{"<img src=x onerror=alert(1)>":1}')


def test_a_gateway_with_a_token_asks_for_it(gateway: Callable[..., Watched], visit: Callable[..., Seen]) -> None:
    """A wrong one is said to be wrong; the right one shows the values."""
    watched = gateway(http=f'token = "{TOKEN}"')
    watched.feed(line(1, temperature="17.5"))
    page = visit(watched.url).page

    page.get_by_label("Token").fill("something-else")
    page.get_by_role("button", name="Show the gateway").click()
    expect(page.get_by_text("does not take this token")).to_be_visible()
    page.get_by_label("Token").fill(TOKEN)
    page.keyboard.press("Enter")

    expect(page.get_by_test_id(TILE).get_by_test_id("value")).to_have_text("17.5")


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_the_page_fits_a_phone_in_light_and_dark(gateway: Callable[..., Watched], visit: Callable[..., Seen], scheme: str) -> None:
    """Nothing is wider than the screen, and the colours follow the device until somebody chooses."""
    watched = gateway()
    watched.feed(*(line(seq) for seq in range(1, 5)))
    page = visit(watched.url, viewport={"width": 390, "height": 844}, color_scheme=scheme, is_mobile=True, has_touch=True).live()
    page.get_by_test_id(TILE).tap()
    expect(page.get_by_test_id("chart")).not_to_have_attribute("data-points", "0")
    luminance = "() => getComputedStyle(document.body).backgroundColor.match(/\\d+/g).map(Number)[0] < 128"

    assert page.evaluate("() => document.documentElement.scrollWidth <= innerWidth")
    assert page.evaluate(luminance) == (scheme == "dark")
    page.get_by_role("button", name="Light colours" if scheme == "dark" else "Dark colours").tap()
    assert page.evaluate(luminance) == (scheme == "light")


def test_four_thousand_series_are_shown_within_bounds(gateway: Callable[..., Watched], visit: Callable[..., Seen]) -> None:
    """The first ones, a filter over all, and a word about those beyond the limit."""
    watched = gateway()
    nodes = [f'"n{number}":{{"t":{number}}}' for number in range(5000)]
    watched.feed(*(b'{"nodes":{' + ",".join(nodes[at : at + 500]).encode() + b"}}\n" for at in range(0, 5000, 500)))
    until(lambda: len(watched.document("latest")["series"]) == 4096, "4,096 series")
    page = visit(watched.url).live()

    expect(page.get_by_text("Show all 4096")).to_be_visible()
    assert page.locator(".tile").count() < 200
    page.get_by_label("Filter the values").fill("n4000/")
    expect(page.locator(".tile")).to_have_count(1)
    expect(page.get_by_text("There are more than 4096 series")).to_be_visible()


def test_alerts_show_what_holds_and_who_cannot_be_told(gateway: Callable[..., Watched], visit: Callable[..., Seen]) -> None:
    """Firing ones first, with text and time; a receiver that is away says why; what ends goes without a reload."""
    rule = '[[alert]]\nname = "NAME"\nmeasurement = "temperature"\nfield = "value"\nabove = LIMIT\n'
    warm = rule.replace("NAME", "warm").replace("LIMIT", "30") + 'message = "{node} at {value} °C"\nseverity = "critical"\n'
    soon = rule.replace("NAME", "soon").replace("LIMIT", "25") + "for_s = 3600\n"
    watched = gateway(f'[alerts]\ngroup_s = 0\n[webhook.phone]\nurl = "http://127.0.0.1:{free_port()}/"\n{soon}{warm}')
    seen = visit(watched.url)
    page = seen.live()
    section = page.locator(".alerts")
    expect(section).to_contain_text("Nothing is out of bounds")

    watched.feed(line(1, temperature="31.5"))
    expect(section.locator("li")).to_have_count(2)
    first, second = section.locator("li").all()
    expect(first).to_contain_text("Critical")
    expect(first).to_contain_text("node1 at 31.5 °C")
    expect(second).to_contain_text("Pending")
    expect(page.get_by_test_id("receiver-webhook.phone")).to_contain_text("refused")
    expect(page.get_by_test_id("receiver-log").locator('[data-label="Told"]')).to_have_text("1")

    watched.feed(line(2, temperature="20"))
    expect(section).to_contain_text("Nothing is out of bounds")
    assert seen.complaints == []


def test_without_alerts_the_page_does_not_speak_of_them(gateway: Callable[..., Watched], visit: Callable[..., Seen]) -> None:
    """The address answers all the same."""
    watched = gateway()
    page = visit(watched.url).live()

    expect(page.get_by_test_id("banner")).to_be_visible()
    assert page.locator(".alerts").count() == 0
    assert watched.document("alerts") == {}
