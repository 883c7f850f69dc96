"""The ladder on worlds whose right values are known."""

from __future__ import annotations

import json
from functools import cache

import numpy as np
import pytest
from worlds import Tower, World, asked

from knowclip.evaluation.diagnosis.ladder import (
    COSINE,
    IMAGE,
    MAP,
    PATCHES,
    TEXT,
    TITLES,
    WORDS,
    Ladder,
    climb,
)
from knowclip.evaluation.diagnosis.output import console_table, summary, to_json
from knowclip.evaluation.diagnosis.picture import draw
from knowclip.evaluation.diagnosis.verdict import fallen, sentence
from knowclip.evaluation.scoring import Scorer
from knowclip.evaluation.statistics.bootstrap import Interval


@cache
def ladder_of(*, binds: bool, turned: bool = False) -> tuple[Ladder, dict[str, float]]:
    """The ladder of an image tower that binds and of such a text tower, and what each rung has right."""
    (ladder,) = climb([asked()], Scorer(World(Tower(binds=True), Tower(binds=binds, turned=turned))))
    return ladder, {name: float(rung.correct.mean()) for name, rung in ladder.rungs.items()}


def test_towers_that_bind_in_one_space_know_on_every_rung() -> None:
    ladder, values = ladder_of(binds=True)
    assert values == dict.fromkeys(TITLES, 1.0)
    assert summary(ladder)["falls"] is None
    # twins: what text alone gets right of one, it gets wrong of the other
    assert all(abs(right.mean() - 0.5) < 0.06 for right in ladder.blind.values())


def test_towers_that_bind_in_turned_spaces_need_a_map() -> None:
    ladder, values = ladder_of(binds=True, turned=True)
    assert values[IMAGE] == values[TEXT] == 1.0
    assert values[COSINE] < 0.7
    assert values[MAP] > 0.95
    found = summary(ladder)
    assert found["falls"] == COSINE
    assert "D x D map" in found["verdict"]


def test_a_bag_of_words_is_chance_on_every_rung_that_reads_it() -> None:
    ladder, values = ladder_of(binds=False)
    assert values[PATCHES] == values[IMAGE] == 1.0
    assert values[TEXT] == values[WORDS] == 0.5  # caption and swap are one text to it
    assert values[MAP] == values[COSINE] == 0.0  # ties are wrong
    assert summary(ladder)["falls"] == WORDS


def test_a_summary_is_told_as_table_json_and_picture() -> None:
    ladder, _ = ladder_of(binds=False)
    found = summary(ladder)
    assert found["n"]["all"] == found["n"]["seen"] + found["n"]["new"] == len(ladder.new)
    assert found["rungs"][IMAGE]["all"]["n"] == found["n"]["all"]
    assert json.loads(to_json(found)) == found
    assert draw([found], title="a model").startswith(b"\x89PNG")
    table = console_table([found])
    assert [column.header for column in table.columns] == ["% right [95% interval]", "all", "new"]
    assert table.row_count == len(TITLES) + 2


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ([0.99, 1.0, 0.96, 1.0, 0.95, 0.58], COSINE),  # published CLIPs, attributes
        ([0.99, 1.0, 0.52, 1.0, 0.52, 0.52], IMAGE),  # published CLIPs, roles
        ([0.9, 0.6, 0.78, 0.49, 0.55, 0.5], WORDS),  # scenes-base, attributes
        ([0.9, 1.0, 0.9, 0.6, 0.6, 0.5], TEXT),
        ([0.6, 1.0, 0.55, 1.0, 0.5, 0.5], PATCHES),
        ([1.0, 1.0, 1.0, 1.0, 0.55, 0.5], MAP),
        ([0.7, 0.7, 0.9, 0.9, 0.6, 0.55], MAP),  # pooled vectors that know prove their tokens
        ([1.0, 1.0, 0.9, 0.9, 0.6, 0.64], None),  # a map below the cosine had too little data
        ([1.0, 1.0, 0.95, 0.97, 0.96, 0.93], None),
        ([0.537, 0.9, 0.58, 0.9, 0.6, 0.641], None),  # own photos: the probes had too little data
    ],
)
def test_the_rung_that_falls(values: list[float], expected: str | None) -> None:
    named = dict(zip((PATCHES, WORDS, IMAGE, TEXT, MAP, COSINE), values, strict=True))
    assert fallen(named) == expected


def test_the_sentence_warns_where_text_alone_answers() -> None:
    intervals = {name: Interval(0.9, 0.88, 0.92, 100, 100) for name in TITLES}
    fair, easy = Interval(0.51, 0.45, 0.57, 100, 100), Interval(0.8, 0.75, 0.85, 100, 100)
    assert "text alone" not in sentence("roles", intervals, blind=fair, fitted=100)
    assert "text alone answers 80.0%" in sentence("roles", intervals, blind=easy, fitted=100)


def test_a_probe_below_the_cosine_had_too_little_data_and_is_blamed_for_nothing() -> None:
    values = {PATCHES: 0.537, WORDS: 0.9, IMAGE: 0.58, TEXT: 0.9, MAP: 0.6, COSINE: 0.641}
    intervals = {name: Interval(value, value, value, 100, 100) for name, value in values.items()}
    said = sentence("roles", intervals, blind=Interval(0.5, 0.45, 0.55, 100, 100), fitted=1234)
    assert "patch tokens' (53.7%) reads less than 'cosine' (64.1%): too few questions (1,234)" in said
    assert "--most" in said and "do not hold it" not in said


def test_the_interval_of_no_question_is_none() -> None:
    ladder, _ = ladder_of(binds=True)
    assert ladder.rungs[IMAGE].interval(np.zeros(len(ladder.new), dtype=bool), ladder.image_ids) is None
