"""Methods: one forward of each tower, the right features in the right slots, losses of the right kind."""

from __future__ import annotations

import dataclasses
import math

import pytest
import torch
from PIL import Image

from knowclip.losses.contrastive import clip_loss, siglip_loss
from knowclip.losses.masks import false_negatives
from knowclip.methods.clip import Clip
from knowclip.methods.method import Method
from knowclip.methods.negclip import NegClip
from tiny import IMAGE, tiny_batch, tiny_model


def negclip(*, siglip: bool = False, weight: float = 0.5) -> NegClip:
    return NegClip(tiny_model(siglip=siglip), own_negative_weight=weight)


METHODS = [
    lambda: Clip(tiny_model()),
    lambda: Clip(tiny_model(siglip=True)),
    lambda: negclip(),
    lambda: negclip(siglip=True),
]


@pytest.mark.parametrize("make", METHODS)
def test_contract(make) -> None:
    method: Method = make()
    features = method(tiny_batch(6))
    for name in ("image_features", "text_features"):
        value = getattr(features, name)
        assert value.dtype == torch.float32
        torch.testing.assert_close(value.norm(dim=-1), torch.ones(6))
    losses, report = method.losses(features)
    assert all(name.endswith("_loss") and loss.shape == () for name, loss in losses.items())
    assert all(isinstance(value, float) and math.isfinite(value) for value in report.values())
    sum(losses.values()).backward()
    for name, parameter in method.named_parameters():
        assert parameter.grad is not None, name
        assert parameter.grad.isfinite().all(), name


def test_every_parameter_has_a_gradient_even_if_nothing_uses_it() -> None:
    method = Clip(tiny_model())
    method.spare = torch.nn.Linear(3, 3)
    losses, _ = method.losses(method(tiny_batch(4)))
    losses["contrastive_loss"].backward()
    assert torch.equal(method.spare.weight.grad, torch.zeros(3, 3))


def test_negatives_are_encoded_with_the_captions_and_put_back_in_their_slots() -> None:
    method = negclip().eval()
    batch = tiny_batch(6)
    assert 0 < batch.negative_mask.sum() < batch.negative_mask.numel()
    calls = []
    encode = method.model.encode_text
    method.model.encode_text = lambda tokens, **options: (
        calls.append(len(tokens)) or encode(tokens, **options)
    )
    features = method(batch)
    assert calls == [6 + int(batch.negative_mask.sum())]
    for caption in range(6):
        for slot in range(2):
            got = features.negative_features[caption, slot]
            if batch.negative_mask[caption, slot]:
                alone = encode(batch.negatives[caption, slot][None], normalize=True)[0]
                torch.testing.assert_close(got, alone, atol=1e-5, rtol=1e-5)
            else:
                assert torch.equal(got, torch.zeros_like(got))


@pytest.mark.parametrize("siglip", [False, True])
def test_clip_chooses_the_loss_of_its_model(siglip) -> None:
    method = Clip(tiny_model(siglip=siglip))
    features = method(tiny_batch(6))
    false = false_negatives(image_ids=features.image_ids, caption_ids=features.caption_ids)
    assert false.any()
    inputs = {name: getattr(features, name) for name in ("image_features", "text_features", "logit_scale")}
    expected = (
        siglip_loss(**inputs, logit_bias=method.model.logit_bias, false_negatives=false)
        if siglip
        else clip_loss(**inputs, false_negatives=false)
    )
    assert method.losses(features)[0]["contrastive_loss"].item() == expected.item()


@pytest.mark.parametrize("siglip", [False, True])
@pytest.mark.parametrize("slots", [0, 2])
def test_negclip_without_negatives_learns_as_clip(siglip, slots) -> None:
    batch = tiny_batch(5, negatives=slots)
    batch = dataclasses.replace(batch, negative_mask=torch.zeros(5, slots, dtype=torch.bool))
    method, plain = negclip(siglip=siglip), Clip(tiny_model(siglip=siglip))
    losses, report = method.losses(method(batch))
    expected, _ = plain.losses(plain(batch))
    torch.testing.assert_close(losses["contrastive_loss"], expected["contrastive_loss"])
    assert losses["own_negative_loss"].item() == 0
    assert report["captions_with_negative"] == 0
    assert "own_negative_accuracy" not in report


def test_weight_zero_leaves_the_own_negative_term_out() -> None:
    one, half, none = (
        method.losses(method(tiny_batch(6)))[0]
        for method in (negclip(weight=1.0), negclip(weight=0.5), negclip(weight=0.0))
    )
    assert half["own_negative_loss"].item() == pytest.approx(one["own_negative_loss"].item() / 2)
    assert none.keys() == {"contrastive_loss"}


def test_trunk_features_stand_for_images() -> None:
    method = Clip(tiny_model()).eval()
    batch = tiny_batch(4)
    with torch.no_grad():
        cached = method.model.trunk_features(batch.images)
        features = method(dataclasses.replace(batch, images=None, trunk_features=cached))
        torch.testing.assert_close(features.image_features, method(batch).image_features)


def test_images_as_bytes_are_normalised_as_the_preprocess_does() -> None:
    method = Clip(tiny_model()).eval()
    pixels = torch.randint(0, 256, (4, 3, IMAGE, IMAGE), dtype=torch.uint8)
    pictures = [Image.fromarray(picture.permute(1, 2, 0).numpy()) for picture in pixels]
    images = torch.stack([method.model.preprocess(picture) for picture in pictures])
    batch = tiny_batch(4)
    with torch.no_grad():
        of_bytes = method(dataclasses.replace(batch, images=pixels)).image_features
        torch.testing.assert_close(of_bytes, method(dataclasses.replace(batch, images=images)).image_features)
    method.model.preprocess = lambda image: image
    with pytest.raises(ValueError, match="ends in NoneType, not in Normalize"):
        method(dataclasses.replace(batch, images=pixels))


def test_report_by_hand() -> None:
    """Two images at right angles: both captions fit image 0; the negative of caption 0 ties with it."""
    method = negclip()
    features = method(tiny_batch(2, negatives=1, distinct=True))
    eye = torch.eye(8)
    features = dataclasses.replace(
        features,
        image_features=eye[[0, 1]],
        text_features=eye[[0, 0]],
        negative_features=eye[[0, 2]][:, None],
    )
    _, report = method.losses(features)
    assert report["image_to_text_accuracy"] == 0  # image 0: a tie; image 1: a tie at 0
    assert report["own_negative_accuracy"] == 0
    assert report["captions_with_negative"] == 1
    features = dataclasses.replace(features, text_features=eye[[0, 1]])
    _, report = method.losses(features)
    assert report["image_to_text_accuracy"] == 1
    assert report["own_negative_accuracy"] == 0.5
