"""Scene twins: whoever does not see who does what to whom, and whose a colour is, cannot score."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from knowclip.data.scenes.twins import bag_of_words, draw_twins, quadruples
from knowclip.evaluation.benchmarks.protocols import TwoByTwoBenchmark
from knowclip.evaluation.benchmarks.registry import SUITES
from knowclip.evaluation.benchmarks.scene_twins import read_scene_twins
from knowclip.evaluation.metrics import NoDataError
from knowclip.evaluation.scoring import Scorer
from knowclip.types import ImageRef

KINDS = ("relation", "attribute")
PARTS = ("text", "image", "group")


@pytest.fixture(scope="module")
def twins(tmp_path_factory: pytest.TempPathFactory) -> TwoByTwoBenchmark:
    out = tmp_path_factory.mktemp("scenes")
    records = quadruples(draw_twins("test", 240, 0))
    (out / "twins" / "images").mkdir(parents=True)
    (out / "twins" / "twins_test.json").write_text(json.dumps(records))
    for record in records:
        for name in (record["image_0"], record["image_1"]):
            (out / "twins" / "images" / name).touch()  # none of the readers here opens them
    return read_scene_twins(out)


class BagOfWords:
    """Images and captions as counts of the words that are true of them: it knows all but the order."""

    def __init__(self, benchmark: TwoByTwoBenchmark) -> None:
        self.true = {
            ref: text for case in benchmark.cases for ref, text in zip(case.images, case.texts, strict=True)
        }
        words = sorted({word for text in self.true.values() for word in bag_of_words(text)})
        self.columns = {word: column for column, word in enumerate(words)}

    def encode_image(self, images: Sequence[ImageRef], *, normalize: bool = False) -> Tensor:
        return self.encode_text([self.true[ref] for ref in images], normalize=normalize)

    def encode_text(self, texts: Sequence[str], *, normalize: bool = False) -> Tensor:
        rows = torch.zeros(len(texts), len(self.columns))
        for row, text in zip(rows, texts, strict=True):
            for word, count in bag_of_words(text).items():
                row[self.columns[word]] = count
        return F.normalize(rows, dim=-1)


class Random:
    """Independent scores; ``sees=False``: all images look the same, as to a reader of texts alone."""

    def __init__(self, *, sees: bool) -> None:
        self.sees = sees
        self.generator = torch.Generator().manual_seed(0)

    def encode_image(self, images: Sequence[ImageRef], *, normalize: bool = False) -> Tensor:
        return self._rows(len(images)) if self.sees else torch.ones(len(images), 256) / 16

    def encode_text(self, texts: Sequence[str], *, normalize: bool = False) -> Tensor:
        return self._rows(len(texts))

    def _rows(self, n: int) -> Tensor:
        return F.normalize(torch.randn(n, 256, generator=self.generator), dim=-1)


def test_an_oracle_scores_one_on_both_kinds(twins: TwoByTwoBenchmark, make_oracle: Any) -> None:
    truths = [pair for case in twins.cases for pair in zip(case.images, case.texts, strict=True)]
    result = twins.run(Scorer(make_oracle(truths)))
    names = {f"scene_twins_{kind}_{part}" for kind in KINDS for part in PARTS}
    names |= {f"scene_twins_{part}{average}" for part in PARTS for average in ("", "_macro")}
    assert result.metrics == dict.fromkeys(names, 1.0)
    assert {kind: row["n"] for kind, row in result.details["classes"].items()} == dict.fromkeys(KINDS, 120)


def test_a_bag_of_words_ties_and_ties_lose(twins: TwoByTwoBenchmark) -> None:
    metrics = twins.run(Scorer(BagOfWords(twins))).metrics
    assert set(metrics.values()) == {0.0}


def test_chance_is_that_of_winoground(twins: TwoByTwoBenchmark) -> None:
    metrics = twins.run(Scorer(Random(sees=True))).metrics
    assert metrics["scene_twins_text"] == pytest.approx(1 / 4, abs=0.07)
    assert metrics["scene_twins_image"] == pytest.approx(1 / 4, abs=0.07)
    assert metrics["scene_twins_group"] == pytest.approx(1 / 6, abs=0.06)


def test_a_reader_of_texts_alone_is_right_of_one_caption_and_wrong_of_the_other(
    twins: TwoByTwoBenchmark,
) -> None:
    result = twins.run(Scorer(Random(sees=False)))
    right = [
        result.items[f"score_image{i}_text{i}"] > result.items[f"score_image{i}_text{1 - i}"] for i in (0, 1)
    ]
    assert (right[0] != right[1]).all()  # so 50% of the captions, and
    assert set(result.metrics.values()) == {0.0}


def test_kinds_are_told_apart(twins: TwoByTwoBenchmark, make_oracle: Any) -> None:
    known = [case for case in twins.cases if case.group == "attribute"]
    truths = [pair for case in known for pair in zip(case.images, case.texts, strict=True)]
    blank = [(ref, f"nothing but {ref}") for case in twins.cases for ref in case.images]
    metrics = twins.run(Scorer(make_oracle([*truths, *blank]))).metrics
    assert metrics["scene_twins_attribute_group"] == 1 and metrics["scene_twins_relation_group"] == 0
    assert metrics["scene_twins_group"] == metrics["scene_twins_group_macro"] == 0.5


def test_it_is_in_the_scenes_suite_and_missing_files_are_told(tmp_path: Path) -> None:
    assert "scene_twins" in SUITES["scenes"]
    with pytest.raises(NoDataError, match=re.escape("twins/twins_val.json")):
        read_scene_twins(tmp_path, split="val")
