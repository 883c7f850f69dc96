"""A real Chromium for slow tests of pages; they skip only where there is none."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from playwright.sync_api import Page

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
needs_chromium = pytest.mark.skipif(CHROMIUM is None, reason="Chromium is not installed")
DESKTOP, PHONE = (1400, 900), (390, 844)


@contextmanager
def browsing(size: tuple[int, int]) -> Iterator[tuple[Page, list[str]]]:
    """A tab of this width and height, and the addresses of all it asks for."""
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        # without its sandbox, which root may not use; the pages are our own
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        page = browser.new_page(viewport={"width": size[0], "height": size[1]})
        asked: list[str] = []
        page.on("request", lambda request: asked.append(request.url))
        yield page, asked
        browser.close()


def overflow(page: Page) -> int:
    """Pixels that the page is wider than the window: what is cut off, or has to be scrolled to."""
    return page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth")
