"""Preprocessing of weights that bring none: published, the tower's own, or a question."""

from __future__ import annotations

import json

import numpy as np
import pytest
import torch
from open_clip import factory, list_models, list_pretrained_tags_by_model, pretrained

from knowclip.export.open_clip import save_pretrained
from knowclip.models import preprocessing
from knowclip.models.interpolation import interpolate
from knowclip.models.loading.load import build, load
from tiny_models import TEXT, VIT, make

TINY = {"embed_dim": 16, "vision_cfg": VIT, "text_cfg": {**TEXT, "vocab_size": 49408}}
TIMM = {"timm_model_name": "test_vit", "timm_pool": "", "timm_proj": "linear", "image_size": 160}
HALF = (0.5, 0.5, 0.5)


@pytest.fixture
def weights(monkeypatch, tmp_path):
    """A bare file of a registered architecture ``Tiny`` without tags."""
    monkeypatch.setattr(factory, "_MODEL_CONFIGS", {"Tiny": TINY})
    model = build(TINY)
    torch.save(model.model.state_dict(), tmp_path / "w.pt")
    return tmp_path / "w.pt"


def tags(monkeypatch, **published):
    monkeypatch.setitem(
        pretrained._PRETRAINED, "Tiny", {k: pretrained._pcfg(**v) for k, v in published.items()}
    )


def test_published_checkpoints_that_agree_decide(weights, monkeypatch):
    tags(
        monkeypatch, one={"mean": HALF, "resize_mode": "squash"}, two={"mean": HALF, "resize_mode": "squash"}
    )
    for model in (load("Tiny", pretrained=weights), load(weights), load("Tiny/random")):
        assert model.model.visual.preprocess_cfg["mean"] == HALF
        assert model.model.visual.preprocess_cfg["resize_mode"] == "squash"


def test_published_checkpoints_that_differ_are_a_question(weights, monkeypatch):
    tags(monkeypatch, one={"mean": HALF}, two={"interpolation": "bilinear"})
    with pytest.raises(
        ValueError, match=r"differ in preprocessing.*mean 0.5/0.5/0.5.*: one; .*preprocess='one'"
    ):
        load("Tiny", pretrained=weights)
    chosen = load("Tiny", pretrained=weights, preprocess="two").model.visual.preprocess_cfg
    assert chosen["interpolation"] == "bilinear"
    given = load("Tiny", pretrained=weights, preprocess={"mean": [0.1] * 3}).model.visual.preprocess_cfg
    assert (given["mean"], given["interpolation"]) == ([0.1] * 3, "bicubic")


@pytest.mark.parametrize(
    ("preprocess", "message"),
    [
        ("three", "'three' is no tag of Tiny; its tags are one, two"),
        ({"average": 1}, "keys mean, std, .*got average"),
        ({"mean": [0.5, 0.5]}, "one number a channel"),
        ({"mean": "half"}, "one number a channel"),
        ({"mean": [123.7, 116.3, 103.5]}, "between 0 and 1, got .*: divide it by 255"),
        ({"std": [0, 0, 0]}, r"std is that of pixels between 0 and 1, got \[0, 0, 0\]$"),
        ({"interpolation": "lanczos"}, "one of bicubic, bilinear"),
    ],
)
def test_what_is_given_is_checked(weights, monkeypatch, preprocess, message):
    tags(monkeypatch, one={"mean": HALF}, two={})
    with pytest.raises(ValueError, match=message):
        load("Tiny", pretrained=weights, preprocess=preprocess)


@pytest.mark.parametrize(
    ("preprocess_cfg", "message"),
    [
        ({"mean": [123.7, 116.3, 103.5]}, "divide it by 255"),
        ({"interpolation": "nearest"}, "one of bicubic, bilinear"),
        ({"resize_mode": "stretch"}, "one of shortest, longest, squash"),
        ({"std": [0.5, 0.5]}, "one number a channel"),
    ],
)
def test_what_a_folder_or_an_architecture_says_is_checked_too(tmp_path, preprocess_cfg, message):
    save_pretrained(build(TINY), tmp_path / "m")
    for path in (tmp_path / "m" / "open_clip_config.json", tmp_path / "tiny.json"):
        path.write_text(json.dumps({"model_cfg": TINY, "preprocess_cfg": preprocess_cfg}))
    with pytest.raises(ValueError, match=rf"open_clip_config.json: preprocess: .*{message}"):
        load(tmp_path / "m")
    with pytest.raises(ValueError, match=message):
        load(tmp_path / "tiny.json")


def test_an_unknown_key_of_a_folder_is_told(tmp_path):
    save_pretrained(build(TINY), tmp_path)
    config = {"model_cfg": TINY, "preprocess_cfg": {"image_mean": [0.5] * 3}}
    (tmp_path / "open_clip_config.json").write_text(json.dumps(config))
    with pytest.warns(UserWarning, match="image_mean is no part of it and not used; it has mean, std"):
        load(tmp_path)


def test_a_folder_takes_no_other_preprocessing(tmp_path):
    save_pretrained(build(TINY), tmp_path / "m")
    with pytest.raises(ValueError, match="says its own"):
        load(tmp_path / "m", preprocess="openai")


def test_only_checkpoints_of_the_same_activation_are_asked():
    assert len(preprocessing.published("ViT-L-14", quick_gelu=False)) == 2
    assert len(preprocessing.published("ViT-L-14", quick_gelu=True)) == 1
    assert len(preprocessing.published("ViT-H-14-quickgelu", quick_gelu=True)) == 2


def test_every_architecture_with_tags_has_an_answer_or_a_question():
    for name in list_models():
        for quick_gelu in (False, True):
            found = preprocessing.published(name, quick_gelu=quick_gelu)
            assert bool(found) >= bool(list_pretrained_tags_by_model(name))
            assert (preprocessing.agreed(name, quick_gelu=quick_gelu) is not None) == (len(found) == 1)


def test_a_timm_tower_brings_its_own_default_and_says_so(tmp_path):
    config = {"embed_dim": 16, "vision_cfg": TIMM, "text_cfg": {**TEXT, "vocab_size": 49408}}
    (tmp_path / "x.json").write_text(json.dumps({"model_cfg": config}))
    with pytest.warns(UserWarning, match="image tower's own is taken, mean 0.5/0.5/0.5.*test_vit"):
        assert load(tmp_path / "x.json").model.visual.preprocess_cfg["std"] == HALF
    (tmp_path / "x.json").write_text(json.dumps({"model_cfg": config, "preprocess_cfg": {"mean": [0.2] * 3}}))
    with pytest.warns(UserWarning, match=r"\(std, interpolation\)"):
        found = load(tmp_path / "x.json").model.visual.preprocess_cfg
    assert (found["mean"], found["std"]) == ([0.2] * 3, HALF)


@pytest.mark.parametrize(
    ("one", "other", "equal"),
    [
        ({"mean": (0.5,) * 3, "size": (32, 32)}, {"mean": [0.5] * 3, "size": 32}, True),
        ({"mean": np.full(3, 0.5), "size": [32, 32]}, {"mean": 0.5, "size": (32, 32)}, True),
        ({"size": 32}, {"size": 32, "interpolation": "bicubic", "fill_color": 255}, True),
        ({"size": 32}, {"size": (32, 48)}, False),
        ({"size": 32, "mean": (0.5,) * 3}, {"size": 32}, False),
        (
            {"size": 32, "resize_mode": "longest"},
            {"size": 32, "resize_mode": "longest", "fill_color": 1},
            False,
        ),
    ],
)
def test_equal_preprocessing_is_equal_whatever_it_is_written_in(one, other, equal):
    assert preprocessing.same(one, other) is equal


def test_a_model_and_its_saved_copy_can_be_interpolated(tmp_path):
    base = make("vit_quickgelu", tmp_path)
    save_pretrained(make("vit_quickgelu", tmp_path, seed=1), tmp_path / "tuned")
    tuned = load(tmp_path / "tuned")
    assert isinstance(base.model.visual.preprocess_cfg["mean"], tuple)
    assert isinstance(tuned.model.visual.preprocess_cfg["mean"], list)
    assert torch.equal(interpolate(base, tuned, 1.0).model.visual.proj, tuned.model.visual.proj)
