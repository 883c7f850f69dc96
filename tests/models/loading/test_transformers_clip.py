"""transformers' CLIPModel to open_clip and back: equal embeddings, and clear refusals."""

from __future__ import annotations

import json
from pathlib import Path

import open_clip
import pytest
import torch
from PIL import Image
from transformers import AutoTokenizer, CLIPConfig, CLIPImageProcessor, CLIPModel, CLIPProcessor

from knowclip.export.huggingface import save_transformers
from knowclip.export.open_clip import save_pretrained
from knowclip.models.loading import hub
from knowclip.models.loading.load import load
from tiny_models import CAPTIONS, make, pixels

TOWER = {"hidden_size": 32, "intermediate_size": 72, "num_hidden_layers": 2, "num_attention_heads": 2}


def embeddings(model: CLIPModel, folder: Path, images: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Features of pixels and of ``CAPTIONS`` as transformers itself computes them, tokenizer included."""
    inputs = AutoTokenizer.from_pretrained(folder)(CAPTIONS, padding=True, return_tensors="pt")
    with torch.no_grad():
        text = model.get_text_features(**inputs)
        image = model.get_image_features(pixel_values=images)
    return tuple(getattr(found, "pooler_output", found) for found in (image, text))  # a tensor before 5


def foreign(folder: Path, *, activation: str = "quick_gelu", **text: object) -> CLIPModel:
    """A random CLIPModel, saved by transformers with OpenAI's tokenizer and CLIP's preprocessing."""
    torch.manual_seed(0)
    config = CLIPConfig(
        text_config={**TOWER, "hidden_act": activation, "eos_token_id": 49407, **text},
        vision_config={**TOWER, "hidden_act": activation, "image_size": 32, "patch_size": 16},
        projection_dim=16,
    )
    model = CLIPModel(config).eval()
    with torch.no_grad():
        for parameter in model.parameters():
            if parameter.ndim > 1:
                parameter.normal_(std=0.3)
    ours = make("vit_quickgelu", folder)
    save_transformers(ours, folder)  # for the tokenizer's files
    model.save_pretrained(folder)
    crop = {"height": 32, "width": 32}
    CLIPImageProcessor(size={"shortest_edge": 32}, crop_size=crop).save_pretrained(folder)
    return model


@pytest.mark.parametrize("activation", ["quick_gelu", "gelu"])
def test_a_clip_model_folder_gives_transformers_embeddings(tmp_path: Path, activation: str) -> None:
    stock = foreign(tmp_path, activation=activation)
    model = load(tmp_path)
    assert model.config["quick_gelu"] is (activation == "quick_gelu")
    images = pixels(model)
    image, text = embeddings(stock, tmp_path, images)
    with torch.no_grad():
        torch.testing.assert_close(model.encode_image(images), image, atol=1e-5, rtol=0)
        torch.testing.assert_close(model.encode_text(CAPTIONS), text, atol=1e-5, rtol=0)
        wrong = load(tmp_path, activation="gelu" if activation == "quick_gelu" else "quick_gelu")
        assert (wrong.encode_text(CAPTIONS) - text).abs().max() > 1e-3
    assert model.logit_scale.item() == pytest.approx(stock.logit_scale.item())


@pytest.mark.parametrize("changes", [{"eos_token_id": 2}, {"layer_norm_eps": 1e-3}])
def test_old_pooling_and_another_epsilon(tmp_path: Path, changes: dict[str, float]) -> None:
    stock = foreign(tmp_path, **changes)
    model = load(tmp_path)
    with torch.no_grad():
        _, text = embeddings(stock, tmp_path, pixels(model))
        torch.testing.assert_close(model.encode_text(CAPTIONS), text, atol=1e-5, rtol=0)


def test_added_tokens_keep_the_rule_of_pooling(tmp_path: Path) -> None:
    """Pooled at the highest id, which is no longer the end of text."""
    stock = foreign(tmp_path / "H", eos_token_id=2)
    tokenizer = AutoTokenizer.from_pretrained(tmp_path / "H")
    tokenizer.add_tokens(["<a>", "<b>"])
    larger = torch.nn.Embedding(49410, 32)
    larger.weight.data[:49408] = stock.text_model.embeddings.token_embedding.weight.data
    stock.text_model.embeddings.token_embedding = larger
    stock.config.text_config.vocab_size = 49410
    stock.save_pretrained(tmp_path / "H")
    tokenizer.save_pretrained(tmp_path / "H")
    texts = ["<a> dog", "a dog <b>", "a dog"]
    model = load(tmp_path / "H")
    inputs = tokenizer(texts, padding=True, return_tensors="pt")
    with torch.no_grad():
        expected = model.encode_text(texts)
        torch.testing.assert_close(
            stock.get_text_features(**inputs).pooler_output, expected, atol=1e-5, rtol=0
        )
        save_transformers(model, tmp_path / "K")
        again = CLIPModel.from_pretrained(tmp_path / "K")
        assert again.config.text_config.eos_token_id == 2
        for found in (
            load(tmp_path / "K").encode_text(texts),
            again.get_text_features(**inputs).pooler_output,
        ):
            torch.testing.assert_close(found, expected, atol=1e-5, rtol=0)
        save_pretrained(model, tmp_path / "O")
        torch.testing.assert_close(load(tmp_path / "O").encode_text(texts), expected, atol=1e-5, rtol=0)


def test_an_end_of_text_that_clip_model_reads_otherwise_is_refused(tmp_path: Path) -> None:
    model = make("custom_text_eos", tmp_path)
    model.config["text_cfg"]["eos_id"] = 2
    with pytest.raises(ValueError, match=r"text_cfg.eos_id=2 \(CLIPModel would pool at the highest id"):
        save_transformers(model, tmp_path / "x")


def test_pixels_of_a_square_image_are_those_of_the_processor(tmp_path: Path) -> None:
    foreign(tmp_path)
    picture = Image.effect_noise((32, 32), 60).convert("RGB")
    theirs = CLIPProcessor.from_pretrained(tmp_path)(images=picture, return_tensors="pt")["pixel_values"][0]
    torch.testing.assert_close(load(tmp_path).preprocess(picture), theirs, atol=1e-5, rtol=0)


@pytest.mark.parametrize("family", ["vit_quickgelu", "word_level", "custom_text_eos"])
def test_our_export_gives_our_embeddings_in_transformers_and_comes_back(tmp_path: Path, family: str) -> None:
    model = make(family, tmp_path)
    save_transformers(model, tmp_path / "exported")
    stock = CLIPModel.from_pretrained(tmp_path / "exported").eval()
    images = pixels(model)
    image, text = embeddings(stock, tmp_path / "exported", images)
    again = load(tmp_path / "exported")
    with torch.no_grad():
        for features in (image, again.encode_image(images)):
            torch.testing.assert_close(features, model.encode_image(images), atol=1e-5, rtol=0)
        for features in (text, again.encode_text(CAPTIONS)):
            torch.testing.assert_close(features, model.encode_text(CAPTIONS), atol=1e-5, rtol=0)
    assert again.config["quick_gelu"] == model.config["quick_gelu"]
    assert list(again.model.visual.preprocess_cfg["mean"]) == list(model.model.visual.preprocess_cfg["mean"])
    assert AutoTokenizer.from_pretrained(tmp_path / "exported").model_max_length == model.context_length


def test_a_converted_model_saves_as_open_clip(tmp_path: Path) -> None:
    foreign(tmp_path / "hf")
    model = load(tmp_path / "hf")
    assert save_pretrained(model, tmp_path / "open_clip") == "open_clip"
    stock, _, _ = open_clip.create_model_and_transforms(f"local-dir:{tmp_path / 'open_clip'}")
    tokenizer = open_clip.get_tokenizer(f"local-dir:{tmp_path / 'open_clip'}")
    with torch.no_grad():
        torch.testing.assert_close(
            stock.eval().encode_text(tokenizer(CAPTIONS)), model.encode_text(CAPTIONS), atol=1e-5, rtol=0
        )


def test_long_captions_are_cut_alike(tmp_path: Path) -> None:
    model = make("vit_quickgelu", tmp_path)
    save_transformers(model, tmp_path / "x")
    text = "a very long caption " * 40
    ours, theirs = (
        model.tokenizer([text]),
        AutoTokenizer.from_pretrained(tmp_path / "x")(text, truncation=True),
    )
    assert ours[0].tolist() == theirs.input_ids


@pytest.mark.parametrize(
    ("family", "message"),
    [
        ("siglip", r"init_logit_bias=-10.*vision_cfg.pool_type='avg'.*text_cfg.pool_type='last'"),
        ("class_token_text", r"text_cfg.embed_cls=True"),
        ("resnet", r"vision_cfg.layers=\[1, 1, 1, 1\]"),
        ("timm_cnn_bert", r"timm_pool='rot_attn'.*hf_pooler_type='mean_pooler'"),
        ("timm_vit", r"vision_cfg.timm_model_name='test_vit'"),
    ],
)
def test_what_clip_model_cannot_express_is_refused_by_name(tmp_path: Path, family: str, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        save_transformers(make(family, tmp_path), tmp_path / "exported")
    assert not (tmp_path / "exported").exists()


def edit(path: Path, change: dict[str, object], *keys: str) -> None:
    content = json.loads(path.read_text())
    section = content
    for key in keys:
        section = section[key]
    section.update(change)
    path.write_text(json.dumps(content))


def test_folders_that_open_clip_cannot_express_are_refused(tmp_path: Path) -> None:
    foreign(tmp_path)
    edit(tmp_path / "preprocessor_config.json", {"size": {"shortest_edge": 40}})
    with pytest.raises(ValueError, match=r"preprocessor_config.json.*resizes to the model's 32"):
        load(tmp_path)
    edit(tmp_path / "config.json", {"hidden_act": "gelu"}, "text_config")
    with pytest.raises(ValueError, match=r"hidden_act is 'quick_gelu' \(vision\) and 'gelu'"):
        load(tmp_path)


def test_missing_parts_are_named(tmp_path: Path) -> None:
    foreign(tmp_path)
    edit(tmp_path / "config.json", {"num_hidden_layers": 3}, "vision_config")
    with pytest.raises(ValueError, match=r"model.safetensors holds no weights of the CLIPModel"):
        load(tmp_path)
    (tmp_path / "preprocessor_config.json").unlink()
    with pytest.raises(ValueError, match=r"holds no preprocessor_config\.json"):
        load(tmp_path)


def test_a_hub_name_in_transformers_format(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    stock = foreign(tmp_path)
    monkeypatch.setattr(hub, "_answers", lambda: True)
    monkeypatch.setattr(hub, "snapshot_download", lambda name, allow_patterns: str(tmp_path))
    model = load("hf-hub:openai/clip-vit-base-patch32")
    assert torch.equal(model.model.visual.proj.T, stock.visual_projection.weight)
