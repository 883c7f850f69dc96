"""Protocols worked by hand: several false captions, two by two, true or false, text only."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from knowclip.evaluation.benchmarks.card import Card
from knowclip.evaluation.benchmarks.choices import Choice, ChoiceBenchmark, hardest_pairs
from knowclip.evaluation.benchmarks.protocols import (
    ImageChoice,
    ImageChoiceBenchmark,
    Paraphrase,
    ParaphraseBenchmark,
    Statement,
    StatementBenchmark,
    TwoByTwo,
    TwoByTwoBenchmark,
)
from knowclip.evaluation.metrics import NoDataError, binary_correct, group_correct, roc_auc
from knowclip.evaluation.scoring import Scorer
from knowclip.types import ImageRef


def card(main: str) -> Card:
    return Card("toy", "Toy", "paper", "address", "licence", main, "protocol", "layout")


def refs(*names: str) -> tuple[ImageRef, ...]:
    return tuple(ImageRef(Path(f"{name}.jpg")) for name in names)


class Table:
    """A scorer whose cosines are looked up; text features are one number."""

    def __init__(self, scores: dict[tuple[str, str], float]) -> None:
        self.scores = scores
        self.missing: dict[ImageRef, str] = {}

    def pair_scores(self, images: Any, texts: Any) -> Any:
        pairs = zip(images, texts, strict=True)
        return np.array([self.scores[ref.path.stem, text] for ref, text in pairs], dtype=np.float32)


def test_a_case_with_several_false_captions_is_one_item() -> None:
    image = refs("x")[0]
    cases = (
        Choice("0", image, "t", "a", "g", "x", (("t", "b"), ("t", "c"))),
        Choice("1", image, "t", "a", "g", "x"),
    )
    benchmark = ChoiceBenchmark(card("toy"), cases)
    assert (benchmark.true, benchmark.false) == (["t"] * 4, ["a", "b", "c", "a"])
    result = benchmark.grade([1, 1, 1, 1], [0.2, 1.5, 0.1, 0.2])
    assert result.items["correct"].tolist() == [False, True]
    assert result.items["false_score"].tolist() == pytest.approx([1.5, 0.2])
    assert result.metrics == {"toy": 0.5, "toy_macro": 0.5, "toy_micro": 0.5}
    assert result.n == 2


@given(
    st.lists(st.tuples(st.integers(0, 4), st.floats(-1, 1, width=32), st.floats(-1, 1, width=32)), min_size=1)
)
def test_hardest_pairs_are_the_smallest_margins(rows: list[tuple[int, float, float]]) -> None:
    owners = sorted(owner for owner, _, _ in rows)
    owners = [sorted(set(owners)).index(owner) for owner in owners]
    true, false = (np.array([row[k] for row in rows]) for k in (1, 2))
    hardest = np.subtract(*hardest_pairs(true, false, owners))
    for owner in set(owners):
        mine = [t - f for t, f, o in zip(true, false, owners, strict=True) if o == owner]
        assert hardest[owner] == min(mine)


def test_group_scores_by_hand() -> None:
    # rows: images, columns: texts. all right; text right only; image right only; a tie
    scores = [
        [[0.9, 0.1], [0.2, 0.8]],
        [[0.5, 0.4], [0.6, 0.7]],
        [[0.5, 0.6], [0.4, 0.7]],
        [[0.5, 0.5], [0.4, 0.7]],
    ]
    found = group_correct(scores)
    assert found["text"].tolist() == [True, True, False, False]
    assert found["image"].tolist() == [True, False, True, True]
    assert found["group"].tolist() == [True, False, False, False]
    with pytest.raises(ValueError, match=r"expected \[n, 2, 2\]"):
        group_correct(np.zeros((3, 4)))


def test_two_by_two_names_both_averages() -> None:
    cases = tuple(
        TwoByTwo(str(i), (refs(f"a{i}")[0], refs(f"b{i}")[0]), ("p", "q"), group)
        for i, group in enumerate("ggh")
    )
    good, bad = {"ap": 1.0, "aq": 0.0, "bp": 0.0, "bq": 1.0}, {"ap": 0.0, "aq": 1.0, "bp": 0.0, "bq": 1.0}
    cells = {
        (f"{cell[0]}{i}", cell[1]): score
        for i, table in enumerate((good, bad, good))
        for cell, score in table.items()
    }
    result = TwoByTwoBenchmark(card("toy_group_macro"), cases).run(Table(cells))  # type: ignore[arg-type]
    assert result.metrics == pytest.approx(
        {f"toy_{part}": 2 / 3 for part in ("text", "image", "group")}
        | {f"toy_{part}_macro": 0.75 for part in ("text", "image", "group")}
    )
    assert result.items["group"].tolist() == ["g", "g", "h"]
    assert result.items["score_image1_text0"].tolist() == [0, 0, 0]
    micro = TwoByTwoBenchmark(card("toy_text"), cases).run(Table(cells))  # type: ignore[arg-type]
    assert micro.metrics["toy_text"] == pytest.approx(2 / 3)
    assert "group" not in micro.items


def test_true_or_false_by_hand() -> None:
    scores, labels = [0.9, 0.8, 0.7, 0.1], [True, False, True, False]
    assert binary_correct(scores, labels).tolist() == [True, False, False, True]
    assert roc_auc(scores, labels) == pytest.approx(3 / 4)
    assert binary_correct([0.5] * 4, labels).tolist() == [False] * 4
    assert roc_auc([0.5] * 4, labels) == 0.5
    with pytest.raises(NoDataError, match="all of one label"):
        binary_correct([0.1, 0.2], [True, True])


@given(st.lists(st.tuples(st.integers(-50, 50), st.booleans()), min_size=2, max_size=30))
def test_auc_is_the_share_of_pairs(rows: list[tuple[int, bool]]) -> None:
    labels = [label for _, label in rows]
    if len(set(labels)) < 2:
        return
    wins = [(a > b) + 0.5 * (a == b) for a, p in rows if p for b, q in rows if not q]
    assert roc_auc([score for score, _ in rows], labels) == pytest.approx(np.mean(wins))


def test_statements_and_image_choices_run() -> None:
    x, y, z = refs("x", "y", "z")
    statements = (Statement("0", x, "p", True, "r"), Statement("1", y, "p", False, "s"))
    table = Table({("x", "p"): 0.9, ("y", "p"): 0.1, ("z", "p"): 0.95})
    result = StatementBenchmark(card("toy"), statements).run(table)  # type: ignore[arg-type]
    assert result.metrics == {"toy": 1, "toy_micro": 1, "toy_macro": 1, "toy_auc": 1}
    choice = ImageChoice("0", "p", x, (y, z), "g")
    lost = ImageChoiceBenchmark(card("toy"), (choice,)).run(table)  # type: ignore[arg-type]
    assert lost.metrics["toy"] == 0
    assert lost.items["false_score"].tolist() == pytest.approx([0.95])


def test_text_only_needs_both_sides_and_no_image() -> None:
    import torch

    class Encoder:
        def encode_image(self, images: Any, *, normalize: bool = False) -> Any:
            raise AssertionError("no image is needed")

        def encode_text(self, texts: Any, *, normalize: bool = False) -> Any:
            rows = {"p": (1.0, 0.0), "q": (0.8, 0.6), "near q": (0.6, 0.8), "far": (0.0, 1.0)}
            return torch.tensor([rows[text] for text in texts])

    cases = (Paraphrase("0", "p", "q", "far", "g"), Paraphrase("1", "p", "q", "near q", "g"))
    result = ParaphraseBenchmark(card("toy"), cases).run(Scorer(Encoder()))
    assert result.items["correct"].tolist() == [True, False]
    assert result.items["true_score"].tolist() == pytest.approx([0.8, 0.8])
    assert result.items["false_score"].tolist() == pytest.approx([0.6, 0.96])


def test_no_cases_and_repeated_keys_are_refused() -> None:
    with pytest.raises(NoDataError, match="toy: no cases"):
        TwoByTwoBenchmark(card("toy_group"), ())
    with pytest.raises(ValueError, match="keys repeat"):
        ParaphraseBenchmark(card("toy"), (Paraphrase("0", "a", "b", "c", "g"),) * 2)
