from __future__ import annotations

import copy
from pathlib import Path

import numpy as np
import open_clip
import pytest
import torch
from PIL import Image
from torch import nn

from knowclip.models.clip import DualEncoder
from knowclip.types import ImageRef
from tiny_models import CAPTIONS, FAMILIES, make, pixels

TOKENS = {"resnet": (4, 256), "timm_cnn_bert": (9, 256), "timm_vit": (100, 64), "word_level": (64, 128)}


def picture(size: tuple[int, int] = (48, 40)) -> Image.Image:
    noise = np.random.default_rng(0).integers(0, 256, (size[1], size[0], 3), dtype=np.uint8)
    return Image.fromarray(noise)


@pytest.mark.parametrize("family", FAMILIES)
def test_image_embeddings_are_the_stock_model_s(family, tmp_path):
    model = make(family, tmp_path)
    images = pixels(model)
    expected = model.model.encode_image(images)
    torch.testing.assert_close(model.encode_image(images), expected)
    assert expected.shape == (3, model.embed_dim)
    normalized = model.encode_image(images, normalize=True)
    torch.testing.assert_close(normalized, model.model.encode_image(images, normalize=True))
    assert torch.allclose(normalized.norm(dim=-1), torch.ones(3))


@pytest.mark.parametrize("family", FAMILIES)
def test_towers_get_pixels_with_channels_last(family, tmp_path):
    model = make(family, tmp_path)
    seen = []
    model.model.visual.register_forward_pre_hook(lambda tower, inputs: seen.append(inputs[0]))
    images = pixels(model)
    model.encode_image(images)
    model.encode_image([picture()])
    assert len(seen) == 2
    assert all(given.is_contiguous(memory_format=torch.channels_last) for given in seen)
    assert torch.equal(seen[0], images)


@pytest.mark.parametrize("family", FAMILIES)
def test_trunk_and_head_make_the_image_tower(family, tmp_path):
    model = make(family, tmp_path)
    images = pixels(model)
    features = model.trunk_features(images)
    assert torch.equal(
        model.encode_trunk(features, normalize=True), model.encode_image(images, normalize=True)
    )
    assert features.shape[1:] == {"timm_cnn_bert": (256, 3, 3), "timm_vit": (64,)}.get(
        family, (model.embed_dim,)
    )


@pytest.mark.parametrize("family", ["resnet", "timm_cnn_bert", "word_level"])
def test_a_locked_trunk_stands_still_while_the_rest_trains(family, tmp_path):
    model = make(family, tmp_path)
    model.lock_image_trunk()
    model.train()
    assert model.training
    visual = model.model.visual
    trunk = visual.trunk if family == "timm_cnn_bert" else visual
    assert not any(part.training for part in trunk.modules())
    before = {name: tensor.clone() for name, tensor in trunk.state_dict().items()}
    optimizer = torch.optim.SGD([p for p in model.parameters() if p.requires_grad], lr=0.1)
    (model.encode_image(pixels(model)).sum() + model.encode_text(CAPTIONS).sum()).backward()
    optimizer.step()
    for name, tensor in trunk.state_dict().items():  # BatchNorm's running statistics included
        assert torch.equal(tensor, before[name]), name
    head_has_gradients = [p.grad is not None for p in visual.parameters() if p.requires_grad]
    assert head_has_gradients == [True] * len(head_has_gradients)
    assert bool(head_has_gradients) == (family == "timm_cnn_bert")


def test_an_unlocked_trunk_updates_batch_norm(tmp_path):
    model = make("timm_cnn_bert", tmp_path).train()
    norm = next(part for part in model.modules() if isinstance(part, nn.BatchNorm2d))
    before = norm.running_mean.clone()
    model.encode_image(pixels(model))
    assert not torch.equal(norm.running_mean, before)


@pytest.mark.parametrize("family", FAMILIES)
def test_image_tokens(family, tmp_path):
    model = make(family, tmp_path)
    images = pixels(model)
    pooled, tokens = model.encode_image_tokens(images)
    assert torch.allclose(pooled, model.encode_image(images), atol=1e-6)
    assert tokens.shape == (3, *TOKENS.get(family, (4, 32)))
    assert tokens.requires_grad


def test_images_come_as_files_regions_and_pil_images(tmp_path):
    model = make("word_level", tmp_path)
    image = picture()
    image.save(tmp_path / "image.png")
    region = image.crop((8, 4, 28, 34))
    with torch.no_grad():
        whole = model.encode_image(torch.stack([model.preprocess(image)]))
        part = model.encode_image(torch.stack([model.preprocess(region)]))
        given = [tmp_path / "image.png", str(tmp_path / "image.png"), image]
        given.append(ImageRef(tmp_path / "image.png", box=(8, 4, 20, 30)))
        features = model.encode_image(given)
        assert torch.allclose(features, torch.cat([whole, whole, whole, part]), atol=1e-5)
        assert torch.allclose(model.encode_image(tmp_path / "image.png"), whole, atol=1e-5)
    assert not torch.allclose(whole, part, atol=1e-2)


def test_preprocessing_is_the_configuration_s(tmp_path):
    model = make("word_level", tmp_path)  # mean .5, std .25
    white = model.preprocess(Image.new("L", (10, 20), 255))
    assert white.shape == (3, 64, 64)
    assert torch.allclose(white, torch.full_like(white, 2.0))


@pytest.mark.parametrize(
    ("content", "box", "message"),
    [
        (b"not an image", None, "image .*broken.png cannot be decoded: it is no image of a known format$"),
        (b"", None, "image .*broken.png cannot be decoded: it is empty$"),
        (None, None, "image .*broken.png does not exist"),
        (b"truncated", None, "image .*broken.png cannot be decoded"),
        (b"whole", (50, 0, 5, 5), r"broken.png is .*\(50, 0, 5, 5\) shows none"),
        (b"whole", (0, 0, 0, 5), r"broken.png is .*\(0, 0, 0, 5\) shows none"),
    ],
)
def test_unreadable_images_are_named(tmp_path, content, box, message):
    path = tmp_path / "broken.png"
    if content in (b"truncated", b"whole"):
        picture().save(path)
        content = path.read_bytes()[: 500 if content == b"truncated" else None]
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(ValueError, match=message):
        make("word_level", tmp_path).encode_image([picture(), ImageRef(path, box=box)])


@pytest.mark.parametrize("family", ["vit_quickgelu", "class_token_text", "timm_cnn_bert"])
def test_locked_text_layers_stand_still_while_the_last_one_and_the_head_train(family, tmp_path):
    model = make(family, tmp_path)
    text = getattr(model.model, "text", model.model)
    layers = text.transformer.encoder.layer if family == "timm_cnn_bert" else text.transformer.resblocks
    with pytest.raises(ValueError, match=rf"the text tower has {len(layers)} layers"):
        model.lock_text_layers(unlocked=len(layers) + 1)
    model.lock_text_layers(unlocked=1)
    model.encode_text(CAPTIONS).square().sum().backward()
    moving = {name for name, p in text.named_parameters() if p.grad is not None and p.grad.any()}
    last = {name for name in moving if f".{len(layers) - 1}." in name}
    assert last
    assert not [name for name in moving - last if "embed" in name or "cls_emb" in name or ".0." in name]
    head = "proj" if family == "timm_cnn_bert" else "text_projection"
    assert any(name.startswith(head) for name in moving)


@pytest.mark.parametrize(
    "images",
    [torch.zeros(2, 3, 32, 32), torch.zeros(2, 3, 64, 64, dtype=torch.uint8), torch.zeros(3, 64, 64)],
)
def test_tensors_of_another_shape_or_type_are_refused(tmp_path, images):
    with pytest.raises(ValueError, match=r"float tensor \[B, 3, 64, 64\]"):
        make("word_level", tmp_path).encode_image(images)


def test_score(tmp_path):
    model = make("timm_cnn_bert", tmp_path)
    images = [picture((40, 40)), picture((96, 50)), Image.new("RGB", (30, 30), "red")]
    model.lock_image_trunk()
    model.train()
    model.model.text.eval()  # a mode of a part must survive too
    modes = [part.training for part in model.modules()]
    scores = model.score(images, [*CAPTIONS, "a horse"], batch_size=2)
    assert [part.training for part in model.modules()] == modes
    assert scores.shape == (3, 4)
    assert scores.dtype == np.float32
    model.eval()
    with torch.no_grad():
        one = (
            model.encode_image([images[1]], normalize=True) @ model.encode_text(CAPTIONS[2], normalize=True).T
        )
    assert scores[1, 2] == pytest.approx(one.item(), abs=1e-5)
    assert np.allclose(model.score(images[0], CAPTIONS[0]), scores[:1, :1], atol=1e-5)
    assert not any(p.grad is not None for p in model.parameters())


def test_every_kind_of_input_gives_the_same_embedding(tmp_path, monkeypatch):
    model = make("word_level", tmp_path)
    picture().save(tmp_path / "a.png")
    pixels, path = np.asarray(picture().convert("RGB")), tmp_path / "a.png"
    one = model.encode_image(picture())
    for images in (path, str(path), pixels, [path], (path,), np.array([str(path)]), pixels[None]):
        assert torch.allclose(model.encode_image(images), one, atol=1e-5), type(images)
    grey = np.asarray(picture().convert("L"))
    both = model.encode_image([grey, grey[:, :, None]])
    assert torch.equal(both[0], both[1]) and not torch.allclose(both[0], one[0], atol=1e-3)
    clear = np.dstack([pixels, np.full(pixels.shape[:2], 255, np.uint8)])
    monkeypatch.setattr("knowclip.models.clip.BATCH", 2)
    mixed = [path, picture(), pixels, clear, str(path)]
    several = model.encode_image(image for image in mixed)
    assert several.shape[0] == 5 and torch.allclose(several, one.expand(5, -1), atol=1e-5)
    texts = model.encode_text(text for text in CAPTIONS)
    assert torch.allclose(texts, model.encode_text(model.tokenizer(CAPTIONS)), atol=1e-5)
    assert torch.allclose(model.encode_text(np.array(CAPTIONS)), texts, atol=1e-5)
    scores = model.score((image for image in mixed), (text for text in CAPTIONS), batch_size=2)
    assert np.allclose(scores, model.score(np.stack([pixels] * 5), CAPTIONS), atol=1e-5)


@pytest.mark.parametrize(
    ("images", "message"),
    [
        (np.zeros((8, 8, 3), np.float32), r"uint8 .* got float32 \[8, 8, 3\]"),
        (np.zeros((3, 8, 8), np.uint8), r"channels last .* got uint8 \[3, 8, 8\]"),
        (np.zeros((0, 8, 3), np.uint8), r"got uint8 \[0, 8, 3\]"),
        ([b"bytes"], "an image is a path, .* got bytes"),
        (7, "images are paths, .* got int"),
        (iter(()), "got no image"),
        (np.zeros((0, 8, 8, 3), np.uint8), "got no image"),
        (torch.zeros(0, 3, 64, 64), "got no image"),
    ],
)
def test_what_is_no_image_is_refused(tmp_path, images, message):
    with pytest.raises(ValueError, match=message):
        make("word_level", tmp_path).encode_image(images)


@pytest.mark.parametrize(
    ("texts", "message"),
    [
        (["a", None], "got NoneType None at index 1"),
        (7, "texts are strings, got int"),
        (iter(()), "got no text"),
    ],
)
def test_what_is_no_text_is_refused(tmp_path, texts, message):
    with pytest.raises(ValueError, match=message):
        make("word_level", tmp_path).encode_text(texts)


@pytest.mark.parametrize(("images", "texts"), [([], ["a"]), ([picture()], [])])
def test_score_refuses_nothing(tmp_path, images, texts):
    with pytest.raises(ValueError, match="got no"):
        make("word_level", tmp_path).score(images, texts)


def test_properties(tmp_path):
    model = make("siglip", tmp_path)
    assert (model.embed_dim, model.context_length, model.image_size) == (16, 24, (32, 32))
    assert model.logit_bias is model.model.logit_bias
    assert model.logit_bias.item() == -10
    assert model.logit_scale is model.model.logit_scale
    assert make("word_level", tmp_path).logit_bias is None
    assert make("resnet", tmp_path).image_size == (64, 64)


def test_models_with_a_decoder_are_refused():
    with torch.device("meta"):
        coca = open_clip.factory.CoCa(**_coca_cfg())
    with pytest.raises(ValueError, match="got CoCa"):
        DualEncoder(coca, config=_coca_cfg(), tokenizer=open_clip.SimpleTokenizer())


def _coca_cfg() -> dict:
    cfg = open_clip.get_model_config("coca_ViT-B-32")
    cfg.pop("custom_text")
    return cfg


def test_paths_may_be_relative(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    picture().save("image.png")
    assert make("word_level", tmp_path).encode_image(Path("image.png")).shape == (1, 128)


def test_frozen_batch_norm_keeps_its_statistics_and_learns_its_weights(tmp_path) -> None:
    model = make("resnet", tmp_path)
    model.freeze_batch_norm()
    model.train()
    before = {name: value.clone() for name, value in model.named_buffers() if "running" in name}
    model.encode_image(pixels(model)).sum().backward()
    assert before and all(torch.equal(value, before[n]) for n, value in model.named_buffers() if n in before)
    assert model.model.visual.training and not model.model.visual.bn1.training
    assert model.model.visual.bn1.weight.grad is not None


def test_a_copy_has_weights_of_its_own_and_shares_the_tokenizer(tmp_path) -> None:
    model = make("vit_quickgelu", tmp_path).train()
    copied = copy.deepcopy(model)
    assert copied.tokenizer is model.tokenizer and copied.config == model.config and copied.training
    assert torch.equal(copied.encode_text("a dog"), model.encode_text("a dog"))
    assert copied.text_reader(["a dog"]).equal(model.tokenize("a dog"))
    with torch.no_grad():
        copied.logit_scale.add_(1)
    assert copied.logit_scale != model.logit_scale and copied.config is not model.config
