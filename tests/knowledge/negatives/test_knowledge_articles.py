"""The indefinite article by sound, worked by hand, and against what captioners wrote."""

from __future__ import annotations

import re
from collections import Counter
from pathlib import Path

import pytest

from knowclip.knowledge.negatives.articles import article
from knowclip.knowledge.negatives.caption_editing import Edit, Edited

AN = (
    "unidentified man|MRI|SUV|SUVs|18-wheeler|hour|FBI agent|8|80s car|800|8,000|11-year-old|11th"
    "|18,000|1800s house|1100|1800|LED|led lamp|suv|X-ray|x-ray|S-shaped|F-16|NBA player|RV|ATV|mp3 player"
    "|HDTV|iPod|ID|uninhabited|unimpressed|umbrella|upside-down|urn|urban|usher|ugly|heirloom|herb"
    '|honest|only|oncoming|NHL|LCD|r.v.|"eight"|MS|MRS|MRIs'
).split("|")
A = (
    "US flag|us flag|USB|UFO|ufo|UK|one-way street|one|once-white|European|eucalyptus|ewe|ukulele"
    "|unicycle|uniform|university|union|unique|user|used|utility|utensil|urinal|U-turn|u-shaped"
    "|T-shirt|BMX|TV|DJ|K2|NASA|NASCAR|SMALL|STOP sign|MAN|Mr. Potato|7|10|110|1|100|111|1,118|118,000"
    "|180000|dog|house|yellow|UW|unanimous|ubiquitous|Ugandan|hotel|'stop' sign|Ms.|Mrs. Smith|NASAs"
    "|Ups truck|DVDs|"
).split("|")


@pytest.mark.parametrize(("expected", "words"), [("an", AN), ("a", [*A, "", "-", "\u201c"])], ids=["an", "a"])
def test_article_by_sound(expected: str, words: list[str]) -> None:
    assert [word for word in words if article(word) != expected] == []


@pytest.mark.parametrize(
    ("caption", "edits", "text"),
    [
        ("A tall unidentified man", [Edit((2, 7), "")], "An unidentified man"),
        ("an old SUV", [Edit((3, 6), "")], "an  SUV"),
        ("An old, big dog", [Edit((3, 6), ""), Edit((6, 8), "")], "A big dog"),
        ("a man and an old dog", [Edit((2, 5), "SUV"), Edit((13, 16), "US")], "an SUV and a US dog"),
        ("a", [Edit((0, 1), "b")], "b"),
        ("A tall, old dog", [Edit((2, 6), ""), Edit((6, 8), "")], "An old dog"),
        ("A tall dog", [Edit((2, 7), ""), Edit((7, 10), "owl")], "An owl"),
        ("A tall old dog by a hen", [Edit((2, 7), ""), Edit((20, 23), "cow")], "An old dog by a cow"),
        ("a dog", [Edit((2, 5), " owl")], "an  owl"),
        ("a dog by an owl", [Edit((2, 5), "owl"), Edit((12, 15), "dog")], "an owl by a dog"),
    ],
)  # fmt: skip
def test_an_article_goes_with_what_follows_it_after_the_edits(
    caption: str, edits: list[Edit], text: str
) -> None:
    assert Edited(caption, edits).text == text


@pytest.mark.conformance
def test_captioners_agree(real_data: Path) -> None:
    """Of Flickr8k's words behind "a" or "an", the article is what most captioners wrote."""
    lines = (real_data / "flickr8k" / "Flickr8k.token.txt").read_text(encoding="utf-8").splitlines()
    written: dict[str, Counter[str]] = {}
    for line in lines:
        for found, word in re.findall(r"\b(an?)\s+([\w'\u2019-]+)", line.split("\t")[1], re.IGNORECASE):
            written.setdefault(word, Counter())[found.lower()] += 1
    wrong = sum(
        n for word, counts in written.items() for found, n in counts.items() if found != article(word)
    )
    assert wrong < 0.004 * sum(counts.total() for counts in written.values())
