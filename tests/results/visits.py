"""A page of results in Chromium, opened from disk: what it shows, and all that it complains of or asks the network for."""

from __future__ import annotations

import shutil
import time
from pathlib import Path
from typing import Any

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
OPTIONS = (
    "--no-sandbox", "--disable-gpu", "--disable-background-networking", "--no-first-run", "--disable-component-update",
    "--disable-sync",
)  # fmt: skip


class Visit:
    """A page that is open, and what went wrong in it: `faults`."""

    def __init__(self, browser: Any, path: Path, after: str = "", **settings: Any) -> None:
        self.context = browser.new_context(**{"viewport": {"width": 1200, "height": 800}, **settings})
        self.page = self.context.new_page()
        self.page.set_default_timeout(10_000)
        self.faults: list[str] = []
        self.page.on("console", lambda message: self.faults.append(f"{message.type}: {message.text}"))
        self.page.on("pageerror", lambda error: self.faults.append(str(error)))
        self.page.on("requestfailed", lambda request: self.faults.append(f"failed: {request.url}"))
        self.page.on("dialog", lambda dialog: (self.faults.append("dialog"), dialog.dismiss()))
        self.page.on("request", self._requested)
        self.page.goto(path.as_uri() + after)

    def _requested(self, request: Any) -> None:
        if not request.url.startswith(("file:", "data:")):
            self.faults.append(f"asked the network: {request.url}")

    def count(self) -> tuple[int, int]:
        """How many problems are listed, of how many."""
        words = self.page.inner_text("#count").replace(",", "").split()
        return int(words[0]), int(words[3])

    def until(self, condition: str) -> None:
        """Waits for a condition of the page. (Playwright's own waiting evaluates a string there, which the policy forbids.)"""
        until = time.monotonic() + 10
        while not self.page.evaluate(condition):
            assert time.monotonic() < until, f"waited in vain for {condition}"
            self.page.wait_for_timeout(30)
