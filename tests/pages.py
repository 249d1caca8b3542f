"""The page in a browser: Debian's Chromium, and what a page asked for and complained of."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, expect, sync_playwright

import iiot_gateway
from servers import find_program

WAIT_MS = 15_000
expect.set_options(timeout=WAIT_MS)


@contextmanager
def chromium() -> Iterator[Browser]:
    """Debian's Chromium without a window."""
    program = find_program("chromium")
    built = (Path(iiot_gateway.__file__).parent / "web" / "index.html").is_file()
    if program is None or not built:
        message = "chromium is not installed" if built else "the page is not built; scripts/build-web.sh builds it"
        if os.environ.get("CI"):
            pytest.fail(message)
        pytest.skip(message)
    with sync_playwright() as playwright:
        # A browser as root has no sandbox of its own.
        started = playwright.chromium.launch(executable_path=program, args=["--no-sandbox"] if os.geteuid() == 0 else [])
        yield started
        started.close()


class Seen:
    """A page, with what it asked for and what it complained of."""

    def __init__(self, browser: Browser, url: str, **settings: object) -> None:
        self.context = browser.new_context(**settings)  # type: ignore[arg-type]
        self.context.set_default_timeout(WAIT_MS)
        self.complaints: list[str] = []
        self.asked: set[str] = set()
        self.page: Page = self.context.new_page()
        self.page.on("console", lambda message: self.complaints.append(message.text) if message.type in ("error", "warning") else None)
        self.page.on("pageerror", lambda error: self.complaints.append(str(error)))
        self.context.on("request", lambda request: self.asked.add(re.sub(r"^(\w+://[^/]*).*", r"\1", request.url)))
        self.page.goto(url)

    def live(self) -> Page:
        """Wait until it is connected."""
        expect(self.page.get_by_test_id("connection")).to_have_text("Live")
        return self.page
