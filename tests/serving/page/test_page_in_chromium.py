"""The whole page in a real browser, at two widths and by keyboard; it asks nothing of another machine."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from concurrent.futures import Future
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

import knowclip
from browser import DESKTOP, PHONE, browsing, needs_chromium, overflow
from knowclip.evaluation.benchmarks.choices import Choice
from knowclip.evaluation.runs import Run
from knowclip.serving.page.contents import Contents
from knowclip.serving.page.fence import LOOPBACK
from knowclip.types import ImageRef, Result
from tiny import tiny_model
from tiny_graph import make_graph

for extra in ("gradio", "usearch", "duckdb"):
    pytest.importorskip(extra)
pytestmark = [pytest.mark.slow, needs_chromium]
SMALL_PHONE = (375, 667)
SECONDS = 60_000  # milliseconds: the machine may be busy


def photos(folder: Path) -> list[Path]:
    folder.mkdir()
    paths = [folder / f"{number}.png" for number in range(8)]
    for number, path in enumerate(paths):
        pixels = np.random.default_rng(number).integers(0, 256, (4, 5, 3), dtype=np.uint8)
        Image.fromarray(pixels).resize((50, 40), Image.Resampling.NEAREST).save(path)
    return paths


def stored(paths: list[Path]) -> dict[str, Run]:
    """Two runs: A is right on the first four pictures, B on the last four."""
    cases = tuple(
        Choice(p.stem, ImageRef(p), f"a red dog {p.stem}", f"a blue dog {p.stem}", "swap", p.stem)
        for p in paths
    )
    margins = np.where(np.arange(8) < 4, 0.1, -0.1)
    items = {"key": np.array([c.key for c in cases]), "true_score": margins, "false_score": np.zeros(8)}
    result = Result("swaps", "swaps", 8, {"swaps": 0.5}, {**items, "correct": margins > 0})
    other = replace(result, items={**items, "true_score": -margins, "correct": margins < 0})
    return {
        "runs/one": Run("one", "1", Path("one"), "test", results=[result], cases={"swaps": cases}),
        "runs/two": Run("two", "2", Path("two"), "test", results=[other], cases={"swaps": cases}),
    }


@pytest.fixture(scope="module")
def address(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    import uvicorn

    folder = tmp_path_factory.mktemp("page")
    with pytest.MonkeyPatch.context() as environment:
        environment.setenv("GRADIO_TEMP_DIR", str(folder / "uploads"))
        environment.setenv("GRADIO_ANALYTICS_ENABLED", "False")
        from knowclip.commands.serve import bound
        from knowclip.serving.page.gradio_page import create_page

        paths = photos(folder / "photos")
        models = {"one": tiny_model(seed=0), "two": tiny_model(seed=1)}
        index = knowclip.Index.build(folder / "photos", folder / "index", model=models["one"])
        loading: dict[str, Future[Any]] = {name: Future() for name in models}
        parts: list[Future[Any]] = [Future() for _ in range(3)]
        contents = Contents(loading, *parts, folders=(folder / "photos",))
        with bound("127.0.0.1", 0) as listening:
            server = uvicorn.Server(
                uvicorn.Config(create_page(contents, hosts=LOOPBACK), log_level="warning")
            )
            thread = threading.Thread(target=server.run, kwargs={"sockets": [listening]}, daemon=True)
            thread.start()
            while not server.started:
                time.sleep(0.05)
            # the page is up before its models and parts are, as with the command
            made = (*models.values(), index, make_graph(folder / "graph"), stored(paths))
            for part, result in zip((*loading.values(), *parts), made, strict=True):
                part.set_result(result)
            yield f"http://127.0.0.1:{listening.getsockname()[1]}"
            server.should_exit = True
            thread.join(timeout=20)


LINES = "elements => elements.map(element => [...new Set([...element.getClientRects()].map(box => box.top))])"
"""Where the lines of each element's text begin."""


@pytest.mark.parametrize("size", [DESKTOP, PHONE, SMALL_PHONE])
def test_every_tab_works_and_fits(address: str, size: tuple[int, int], tmp_path: Path) -> None:
    (picture,) = photos(tmp_path / "mine")[:1]
    with browsing(size) as (page, asked):
        page.set_default_timeout(SECONDS)
        page.goto(address)
        page.set_input_files("input[type=file] >> nth=0", picture)
        page.locator("img[src*='/gradio_api/file=']").first.wait_for()
        page.get_by_label("Captions, one a line").fill("a red dog beside a cat\nan astronaut riding a horse")
        page.get_by_role("button", name="Compare").click()
        page.locator("svg.scene").nth(1).wait_for()
        assert "a horse riding an astronaut" in page.locator(".kc-card").nth(1).inner_text()
        assert overflow(page) == 0
        page.get_by_role("tab", name="Search").click()
        page.get_by_label("What photos are to show").fill("a red dog beside a cat")
        page.get_by_role("button", name="Search").click()
        page.locator(".kc-hit").nth(7).wait_for()
        assert overflow(page) == 0
        page.get_by_role("tab", name="Results").click()
        page.get_by_text("page 1 of 1, 4 cases").wait_for()
        assert page.locator(".kc-frame img:visible").count() == 4
        numbers = page.locator(".kc-small b:visible")
        assert numbers.count() and {len(lines) for lines in numbers.evaluate_all(LINES)} == {1}
        assert overflow(page) == 0
        page.get_by_role("tab", name="Graph").click()
        page.get_by_label("Entity: its id or its text").fill("/c/en/dog")
        page.get_by_role("button", name="Show").click()
        page.get_by_text("dog is a living thing").wait_for()
        assert overflow(page) == 0
        assert {url for url in asked if not url.startswith((address, "data:", "blob:"))} == set()


def test_the_page_is_used_by_keyboard_and_mistakes_are_told(address: str) -> None:
    from playwright.sync_api import TimeoutError as NotYetError

    with browsing(DESKTOP) as (page, _):
        page.set_default_timeout(SECONDS)
        page.goto(address)
        captions = page.get_by_label("Captions, one a line")
        captions.wait_for()
        captions.focus()
        told = page.get_by_text("drop a picture first")
        for _ in range(10):  # Gradio shows its fields before it listens to them
            page.keyboard.press("Shift+Enter")
            with suppress(NotYetError):
                told.wait_for(timeout=SECONDS / 10)
                break
        assert told.is_visible()
        page.get_by_role("tab", name="Compare").focus()
        page.keyboard.press("Tab")
        page.keyboard.press("Enter")
        query = page.get_by_label("What photos are to show")
        query.wait_for()
        for _ in range(6):
            if query.evaluate("element => element === document.activeElement"):
                break
            page.keyboard.press("Tab")
        page.keyboard.type("a red dog beside a cat")
        page.keyboard.press("Enter")
        page.locator(".kc-hit").nth(7).wait_for()
