"""Which images benchmarks show, and a model that takes them from a cache."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from knowclip.data.images.cache import PixelCache
from knowclip.evaluation.images import CachedImages, images_shown
from knowclip.evaluation.scoring import Scorer
from knowclip.evaluation.suites.folder import read_suite, run_suite
from knowclip.models.clip import DualEncoder
from tiny import tiny_model


def test_an_image_is_named_once_however_often_it_is_shown(data_folder: Path) -> None:
    benchmarks, _ = read_suite(data_folder, names=["vg_relation", "text_to_image", "zero_shot_objects"])
    shown = images_shown(benchmarks)
    assert len(shown) == len(set(shown))
    assert set(shown) == {ref for benchmark in benchmarks for ref in images_shown([benchmark])}
    assert {ref.box is None for ref in shown} == {True, False}  # whole images and boxes of them


def test_a_cache_changes_no_result_and_what_it_lacks_is_decoded(
    data_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = tiny_model()
    benchmarks, _ = read_suite(data_folder, names=["vg_relation", "text_to_image"])
    shown = images_shown(benchmarks)
    whole = PixelCache.build(shown, preprocess=model.preprocess, folder=tmp_path / "whole")
    part = PixelCache.build(shown[:5], preprocess=model.preprocess, folder=tmp_path / "part")
    asked = [model, CachedImages(model, whole), CachedImages(model, part)]
    plain, *cached = (run_suite(benchmarks, Scorer(each)) for each in asked)
    for found in cached:
        assert [result.metrics for result in found] == [result.metrics for result in plain]

    decoded, own = [], DualEncoder.encode_image

    def told(model: DualEncoder, images: list, **options: bool) -> torch.Tensor:
        decoded.append(images)
        return own(model, images, **options)

    monkeypatch.setattr(DualEncoder, "encode_image", told)
    assert torch.equal(CachedImages(model, whole).encode_image(shown), model.encode_image(shown))
    CachedImages(model, part).encode_image(shown)
    assert [isinstance(images, torch.Tensor) for images in decoded] == [True, False, False]
