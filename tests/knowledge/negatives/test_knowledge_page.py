"""The page of negatives to browse."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest

from knowclip.knowledge.negatives import html_page
from knowclip.knowledge.negatives.html_page import write_page
from knowclip.knowledge.records import NegativeRecord
from knowclip.types import Negative


def record(caption: str, negative: str, kind: str, *changed: tuple[int, int]) -> NegativeRecord:
    return NegativeRecord("k", caption, Negative(negative, kind, changed))


def test_each_kind_has_its_link_its_heading_and_its_rows_in_order(tmp_path: Path) -> None:
    records = [
        record("a dog <1>", "a cat & a \u00e9mu", "swap", (0, 5), (8, 13)),
        record("two", "2 \ud800", "<shuffle>"),
        record("three", "3", "swap", (0, 1)),
    ]
    write_page(tmp_path / "page.html", records)
    page = (tmp_path / "page.html").read_bytes().decode("utf-8")
    head, body = page.split("<h1>Hard negatives</h1>\n")
    assert head.startswith('<!doctype html><html lang="en"><meta charset="utf-8">')
    assert body.split("\n") == [
        '<nav><a href="#swap">swap (2)</a><a href="#&lt;shuffle&gt;">&lt;shuffle&gt; (1)</a></nav>',
        '<h2 id="swap">swap (2)</h2><table>',
        "<tr><td>a dog &lt;1&gt;<td><mark>a cat</mark> &amp; <mark>a \u00e9mu</mark>",
        "<tr><td>three<td><mark>3</mark>",
        "</table>",
        '<h2 id="&lt;shuffle&gt;">&lt;shuffle&gt; (1)</h2><table>',
        "<tr><td>two<td>2 ?",
        "</table>",
    ]


def test_of_many_negatives_a_fair_sample_is_shown_drawn_by_the_seed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(html_page, "SHOWN", 2)
    records = [record(f"caption {n:,}", "x", "swap") for n in range(1_234)]

    def shown(most: int, **seed: int) -> tuple[int, ...]:
        write_page(tmp_path / "page.html", records[:most], **seed)
        page = (tmp_path / "page.html").read_text(encoding="utf-8")
        assert page.count(f"swap (2 of {most:,})") == 2
        return tuple(n for n in range(most) if f"<td>caption {n:,}<td>" in page)

    drawn = Counter(shown(4, seed=seed) for seed in range(60))
    # 6 pairs, each 10 times in 60 draws, give or take 3
    assert set(drawn) == {(a, b) for b in range(4) for a in range(b)}
    assert min(drawn.values()) > 2 and max(drawn.values()) < 18
    assert shown(1_234) == shown(1_234, seed=0) != shown(1_234, seed=1)
