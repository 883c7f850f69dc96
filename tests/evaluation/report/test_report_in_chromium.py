"""The report page in a real browser: many runs at both widths, and its filters by keyboard."""

from __future__ import annotations

import io
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from browser import DESKTOP, PHONE, browsing, needs_chromium, overflow
from knowclip.evaluation.benchmarks.aro import read_vg_attribution, read_vg_relation
from knowclip.evaluation.report.plots import LIGHT, TURNED, turned
from knowclip.evaluation.report.summary import Report
from knowclip.evaluation.report.write import write_report

RUNS = [f"runs/a-model-with-quite-a-long-name-{number}/best" for number in range(6)]


@pytest.fixture(scope="module")
def address(data_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> str:
    benchmarks = [read_vg_relation(data_folder), read_vg_attribution(data_folder)]
    rng = np.random.default_rng(0)
    runs = {
        run: [
            benchmark.grade(rng.normal(0.1, 0.2, len(benchmark.cases)), np.zeros(len(benchmark.cases)))
            for benchmark in benchmarks
        ]
        for run in RUNS
    }
    cases = {benchmark.card.name: benchmark.cases for benchmark in benchmarks}
    folder = tmp_path_factory.mktemp("six-runs")
    write_report(replace(Report("Six runs", runs, RUNS[0]), choices=cases), folder)
    return (folder / "report.html").as_uri()


@pytest.mark.slow
@needs_chromium
@pytest.mark.parametrize("size", [DESKTOP, PHONE])
def test_six_runs_fit_the_window_and_nothing_is_fetched(address: str, size: tuple[int, int]) -> None:
    with browsing(size) as (page, asked):
        page.goto(address)
        assert overflow(page) == 0
        for place in page.locator(".scroll").all():
            assert place.evaluate("e => e.scrollWidth - e.clientWidth") <= 0
        assert [url for url in asked if not url.startswith("data:")] == [address]
        told = page.locator(".scores").first.inner_text() if size == DESKTOP else page.content()
        assert all(run in told for run in RUNS)
        page.evaluate("document.querySelectorAll('details').forEach(each => each.open = true)")
        shown = page.locator("figure:visible img:visible")
        assert shown.count()
        for picture in shown.all():  # nothing of a plot has to be scrolled to
            assert picture.evaluate("e => e.getBoundingClientRect().right") <= size[0]


@pytest.mark.slow
@needs_chromium
def test_a_dark_page_shows_the_plots_in_the_colours_that_its_text_has(address: str) -> None:
    colours = (LIGHT.ink, LIGHT.faint, *LIGHT.runs)
    squares = "".join(f"<i style='background:{c};filter:{TURNED}'></i>" for c in colours)
    with browsing(DESKTOP) as (page, _):
        page.emulate_media(color_scheme="dark")
        page.goto(address)
        assert page.locator(".plot img").first.evaluate("e => getComputedStyle(e).filter") == TURNED
        last = page.evaluate("getComputedStyle(document.documentElement).getPropertyValue('--run5')")
        assert last == turned(LIGHT.runs[2])
        page.set_content(f"<style>body{{margin:0}}i{{display:block;width:9px;height:9px}}</style>{squares}")
        shot = np.asarray(Image.open(io.BytesIO(page.screenshot())).convert("RGB")).astype(int)
    for row, colour in enumerate(colours):
        expected = [int(turned(colour)[place : place + 2], 16) for place in (1, 3, 5)]
        assert abs(shot[9 * row + 4, 4] - expected).max() <= 1, colour


@pytest.mark.slow
@needs_chromium
def test_the_filters_narrow_the_page_by_keyboard(address: str) -> None:
    with browsing(DESKTOP) as (page, _):
        page.goto(address)
        cases = page.locator("article.case")
        every = cases.count()
        assert page.locator("output").inner_text() == f"{every} of {every} cases shown"
        page.keyboard.press("Tab")
        assert page.evaluate("document.activeElement.name") == "benchmark"
        page.keyboard.type("VG-Rel")
        assert page.locator("section[data-benchmark=vg_attribution]").is_hidden()
        assert page.locator("section[data-benchmark=vg_relation]").is_visible()
        page.locator("select[name=outcome]").select_option("wrong")
        assert page.locator("[data-outcome=mended]:visible").count() == 0
        shown = cases.locator("visible=true").count()
        assert 0 < shown < every
        assert page.locator("output").inner_text() == f"{shown} of {every} cases shown"
