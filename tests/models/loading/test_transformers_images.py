"""A processor's settings as open_clip's, or a refusal that names them."""

from __future__ import annotations

import json

import pytest
from open_clip.transform import PreprocessCfg
from PIL import Image
from transformers import CLIPImageProcessor

from knowclip.models.clip import image_transform_v2
from knowclip.models.loading.transformers_images import read_preprocessing, write_preprocessing
from knowclip.models.preprocessing import complete

SQUARE = {"height": 32, "width": 32}
CLIP = {"image_processor_type": "CLIPImageProcessor", "size": {"shortest_edge": 32}, "crop_size": SQUARE}


def read(folder, name="preprocessor_config.json", **settings):
    (folder / name).write_text(json.dumps(settings))
    return read_preprocessing(folder, 32)


@pytest.mark.parametrize(
    ("settings", "mode"),
    [
        (CLIP, "shortest"),
        ({"size": 32, "crop_size": 32}, "shortest"),
        ({**CLIP, "size": {"shortest_edge": 32, "longest_edge": None}}, "shortest"),
        ({**CLIP, "size": SQUARE}, "squash"),
        ({"size": SQUARE, "do_center_crop": True, "crop_size": SQUARE}, "squash"),
        ({"size": SQUARE, "do_center_crop": False}, "squash"),
        ({"size": [32, 32], "do_center_crop": False, "crop_size": {"height": 224, "width": 224}}, "squash"),
        ({"feature_extractor_type": "CLIPFeatureExtractor", "size": 32, "crop_size": 32}, "shortest"),
    ],
)
def test_the_resize_is_read_as_the_processor_does_it(tmp_path, settings, mode):
    assert read(tmp_path, **settings)["resize_mode"] == mode
    processor = CLIPImageProcessor(**{k: v for k, v in settings.items() if not k.endswith("_type")})
    picture = Image.effect_noise((48, 32), 80).convert("RGB")
    theirs = processor(images=picture, return_tensors="pt")["pixel_values"][0]
    ours = image_transform_v2(PreprocessCfg(**complete(read_preprocessing(tmp_path, 32), 32)), is_train=False)
    assert (ours(picture) - theirs).abs().max() < 0.1


@pytest.mark.parametrize(
    "settings",
    [
        {**CLIP, "do_center_crop": False},
        {**CLIP, "do_resize": False},
        {**CLIP, "do_rescale": False},
        {**CLIP, "rescale_factor": 1 / 127.5},
        {**CLIP, "do_pad": True},
        {**CLIP, "size": {"shortest_edge": 40}},
        {**CLIP, "size": {"shortest_edge": 32, "longest_edge": 64}},
        {**CLIP, "size": {"longest_edge": 32}},
        {**CLIP, "size": {"height": 32, "width": 48}},
        {**CLIP, "crop_size": 28},
        {**CLIP, "size": {"height": 40, "width": 40}},
    ],
)
def test_what_open_clip_does_not_do_is_refused_by_its_settings(tmp_path, settings):
    with pytest.raises(ValueError, match=r"preprocessor_config.json: open_clip resizes to .* got size="):
        read(tmp_path, **settings)


@pytest.mark.parametrize("resample", [0, 1, 4, 5])
def test_other_resampling_is_refused(tmp_path, resample):
    with pytest.raises(ValueError, match=f"resample={resample}; known are"):
        read(tmp_path, **CLIP, resample=resample)


def test_mean_and_deviation_as_they_are_applied(tmp_path):
    assert read(tmp_path, **CLIP)["mean"] == pytest.approx((0.48145466, 0.4578275, 0.40821073))
    half = read(tmp_path, **CLIP, image_mean=0.5, image_std=[0.5] * 3, resample=2)
    assert (half["mean"], half["std"], half["interpolation"]) == ((0.5,) * 3, (0.5,) * 3, "bilinear")
    raw = read(tmp_path, **CLIP, do_normalize=False, image_mean=[0.5] * 3)
    assert (raw["mean"], raw["std"]) == ((0.0,) * 3, (1.0,) * 3)


def test_a_processor_of_another_class_must_say_everything(tmp_path):
    with pytest.raises(ValueError, match=r"a ViTImageProcessor, whose .* write .*image_mean"):
        read(tmp_path, image_processor_type="ViTImageProcessor", size=32)
    whole = {
        "size": 32, "do_center_crop": False, "resample": 2, "rescale_factor": 1 / 255, "do_resize": True,
        "do_rescale": True, "do_normalize": True, "image_mean": [0.5] * 3, "image_std": [0.5] * 3,
    }  # fmt: skip
    found = read(tmp_path, image_processor_type="ViTImageProcessor", **whole)
    assert (found["resize_mode"], found["interpolation"]) == ("squash", "bilinear")


def test_newer_folders_keep_it_inside_the_processor(tmp_path):
    found = read(tmp_path, "processor_config.json", image_processor={**CLIP, "resample": 2})
    assert found["interpolation"] == "bilinear"


@pytest.mark.parametrize("mode", ["shortest", "squash"])
def test_what_is_written_is_read_back(tmp_path, mode):
    cfg = {"mean": (0.1, 0.2, 0.3), "std": (1.0, 1.0, 1.0), "interpolation": "bilinear", "resize_mode": mode}
    assert read(tmp_path, **write_preprocessing(cfg, 32)) == cfg
    with pytest.raises(ValueError, match="no counterpart of resize_mode='longest'"):
        write_preprocessing({**cfg, "resize_mode": "longest"}, 32)
