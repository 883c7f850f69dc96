"""WiSE-FT: exact ends, the mean in the middle, refusal of strangers, and the choice of alpha."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import cast

import numpy as np
import pytest
import torch

from knowclip.evaluation.benchmarks.card import Benchmark
from knowclip.evaluation.benchmarks.retrieval import IMAGE_TO_TEXT, TEXT_TO_IMAGE
from knowclip.evaluation.benchmarks.swaps import SWAPS
from knowclip.evaluation.statistics.gate import parse_condition
from knowclip.evaluation.statistics.wise_ft import REQUIREMENT, choose, objective_of, with_abilities
from knowclip.models.interpolation import _between, interpolate
from knowclip.types import Result
from tiny_models import CAPTIONS, make, pixels


@pytest.mark.parametrize("family", ["word_level", "resnet"])
def test_ends_are_exact_and_the_middle_is_the_mean(tmp_path: Path, family: str) -> None:
    base, tuned = make(family, tmp_path, seed=0), make(family, tmp_path, seed=1)
    images = pixels(base)
    with torch.no_grad():
        for end, alpha in ((base, 0.0), (tuned, 1.0)):
            between = interpolate(base, tuned, alpha)
            assert torch.equal(between.encode_text(CAPTIONS), end.encode_text(CAPTIONS))
            assert torch.equal(between.encode_image(images), end.encode_image(images))
    middle = interpolate(base, tuned, 0.25).model.state_dict()
    first, second = base.model.state_dict(), tuned.model.state_dict()
    key = "text_projection"
    torch.testing.assert_close(middle[key], 0.75 * first[key] + 0.25 * second[key])
    assert not interpolate(base, tuned, 0.5).training


def test_strangers_are_refused(tmp_path: Path) -> None:
    base = make("vit_quickgelu", tmp_path)
    with pytest.raises(ValueError, match=r"differ in \d+ weights \(.*and the activation \(quick_gelu\)"):
        interpolate(base, make("word_level", tmp_path), 0.5)
    with pytest.raises(ValueError, match=r"got 1\.5"):
        interpolate(base, base, 1.5)


class WithoutFloat64(torch.Tensor):
    """A tensor on a device that has no float64, as Apple's."""

    def double(self) -> torch.Tensor:
        raise TypeError("Cannot convert a MPS Tensor to float64")

    def cpu(self) -> torch.Tensor:
        return self.as_subclass(torch.Tensor)


def test_weights_are_mixed_where_float64_exists() -> None:
    base, tuned = torch.randn(4, 4), torch.randn(4, 4)
    mixed = _between(base.as_subclass(WithoutFloat64), tuned.as_subclass(WithoutFloat64), 0.3)
    torch.testing.assert_close(mixed, 0.7 * base + 0.3 * tuned, atol=1e-6, rtol=0)


def test_what_differs_in_preprocessing_is_told(tmp_path: Path) -> None:
    base, tuned = make("vit_quickgelu", tmp_path), make("vit_quickgelu", tmp_path)
    tuned.model.visual.preprocess_cfg["mean"] = (0.5, 0.5, 0.5)
    with pytest.raises(ValueError, match=r"preprocessing \(mean 0.481/.* against mean 0.5/0.5/0.5"):
        interpolate(base, tuned, 0.5)


def measured(relation: float, retrieval: float) -> list[Result]:
    keys = {"key": np.arange(200).astype(str)}
    return with_abilities(
        [
            Result("vg_relation", "vg_relation", 200, {"vg_relation": relation}, keys),
            Result("text_to_image", "text_to_image_R@1", 200, {"text_to_image_R@1": retrieval}, keys),
        ]
    )


def test_an_ability_has_the_items_of_its_own_benchmarks() -> None:
    results = {result.benchmark: result for result in measured(0.5, 0.25)}
    assert (results["compositional"].n, results["general"].n) == (200, 200)
    assert results["general"].metrics == {"general": 0.25}


SWEEP = {
    0.0: measured(0.5, 0.60),
    0.5: measured(0.7, 0.595),
    0.75: measured(0.7, 0.59),
    1.0: measured(0.9, 0.4),
}


def test_the_best_alpha_that_keeps_general_ability_is_chosen() -> None:
    chosen, rows = choose(SWEEP, conditions=[parse_condition(REQUIREMENT)])
    assert chosen == 0.5  # of equals the smallest
    assert [row["allowed"] for row in rows] == [True, True, True, False]
    assert rows[1]["metrics"] == {
        "compositional": 0.7, "general": 0.595, "vg_relation": 0.7, "text_to_image_R@1": 0.595
    }  # fmt: skip
    loose, _ = choose(SWEEP, conditions=[parse_condition("general >= -50pt vs BASE")])
    assert loose == 1.0
    other, _ = choose(SWEEP, conditions=[parse_condition(REQUIREMENT)], objective="text_to_image_R@1")
    assert other == 0.0


def test_what_is_maximised_is_known_before_anything_is_measured() -> None:
    general = [cast(Benchmark, SimpleNamespace(card=card)) for card in (IMAGE_TO_TEXT, TEXT_TO_IMAGE)]
    both = [*general, cast(Benchmark, SimpleNamespace(card=SWAPS))]
    recalls = ["image_to_text_R@1", "text_to_image_R@1"]
    conditions = [parse_condition(REQUIREMENT)]
    assert objective_of(both, None, conditions) == ("compositional", ["swaps"])
    assert objective_of(general, None, conditions) == ("general", recalls)
    assert objective_of(general, "text_to_image_R@5", conditions) == ("text_to_image_R@5", [])
    with pytest.raises(ValueError, match=r"'compositional' cannot be .* may name: general, image_to"):
        objective_of(general, "compositional", conditions)
    with pytest.raises(ValueError, match="'general' cannot be measured on this data"):
        objective_of(both[2:], None, conditions)


def test_a_choice_that_cannot_be_made_is_refused() -> None:
    with pytest.raises(ValueError, match=r"no alpha meets the conditions.*FAILS: vg_relation >= 95%"):
        choose(SWEEP, conditions=[parse_condition("vg_relation >= 95%")])
    with pytest.raises(ValueError, match="'swaps' was not measured; measured were vg_relation"):
        choose(SWEEP, conditions=[], objective="swaps")
    with pytest.raises(ValueError, match="alpha 0, the base, must be among"):
        choose({1.0: SWEEP[1.0]}, conditions=[])
