"""What ``knowclip train`` says: of the negatives it made, of what chose the best, of how to measure it."""

from __future__ import annotations

import io
from collections import Counter
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from rich.console import Console

from knowclip.api.trained_on import HELD_OUT
from knowclip.commands.train_report import chosen_by, negatives_told, tell_measuring
from knowclip.recipe.data import NegativesConfig, SourceConfig


def told(found: dict[str, int], without: dict[str, int], **negatives: Any) -> list[str]:
    recipe = SimpleNamespace(data=SimpleNamespace(negatives=NegativesConfig(**negatives)))
    return negatives_told(recipe, SimpleNamespace(kinds=Counter(found), without=Counter(without)))  # type: ignore[arg-type]


def test_kinds_are_named_and_counted_in_one_order() -> None:
    kinds = {"relation_swap": 30, "attribute_swap": 1}
    lines = told(kinds, {"no valid negative": 2})
    assert lines == told(dict(reversed(kinds.items())), {"no valid negative": 2})
    assert lines == [
        "kinds of negatives (data.negatives.kinds): relation_swap, attribute_swap",
        "1 training caption with a negative of kind attribute_swap",
        "30 training captions with a negative of kind relation_swap",
        "2 training captions without a negative of these kinds: no valid negative",
    ]


def test_kinds_that_were_asked_for_are_named_though_none_was_made() -> None:
    assert told({}, {"no valid negative": 2}, kinds=("object_replacement",))[0].endswith("object_replacement")
    assert told({}, {}) == []


def test_what_chose_best_is_called_a_mean_where_it_is_one() -> None:
    assert chosen_by(("swaps",)) == "swaps"
    assert chosen_by(("swaps", "text_to_image_R@1")) == "mean of swaps, text_to_image_R@1"


def test_the_line_that_measures_a_run_is_given_whole(tmp_path: Path) -> None:
    console = Console(record=True, width=80, file=io.StringIO())
    source = SourceConfig(path="our photos.csv", split="val", caption_column="what you see")
    for val in (None, source.model_copy(update={"format": "csv"}), source):
        recipe = SimpleNamespace(data=SimpleNamespace(val=val), output=SimpleNamespace(folder=tmp_path))
        tell_measuring(console, recipe)  # type: ignore[arg-type]
    line = f"knowclip evaluate {tmp_path} --data 'our photos.csv' --split val --caption-column 'what you see'"
    assert console.export_text().splitlines() == [
        "measure it on its validation data, by which its best was chosen:",
        line,
    ]
    (tmp_path / HELD_OUT).touch()
    tell_measuring(console, recipe)  # type: ignore[arg-type]
    assert console.export_text().endswith(f"--data {tmp_path / HELD_OUT}\n")
