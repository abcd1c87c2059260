"""Chromium for the tests that look at a page; where it is missing they are skipped."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from visits import CHROMIUM, OPTIONS, Visit


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    playwright = pytest.importorskip("playwright.sync_api", reason="needs playwright: pip install 'qalign[dev]'")
    if CHROMIUM is None:
        pytest.skip("needs Chromium: apt-get install chromium")
    with playwright.sync_playwright() as started:
        chromium = started.chromium.launch(executable_path=CHROMIUM, args=list(OPTIONS))
        yield chromium
        chromium.close()


@pytest.fixture
def visit(browser: Any, page_path: Path) -> Iterator[Any]:
    """Opens the module's page; at the end of the test, nothing may have gone wrong in it."""
    made: list[Visit] = []

    def opened(after: str = "", path: Path = page_path, **settings: Any) -> Visit:
        made.append(Visit(browser, path, after, **settings))
        return made[-1]

    yield opened
    for one in made:
        one.context.close()
    assert [fault for one in made for fault in one.faults] == []
