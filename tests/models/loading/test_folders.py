"""Folders of other tools: what each says of its weights, and messages that name model and folder."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from knowclip.export.huggingface import save_transformers
from knowclip.export.open_clip import save_pretrained
from knowclip.models.loading import adapters
from knowclip.models.loading.load import load
from tiny_models import CAPTIONS, TEXT, VIT, make

LAYER = "vision_model.encoder.layers.0.mlp.fc1"


@pytest.fixture(scope="module")
def base(tmp_path_factory) -> Path:
    """A transformers folder."""
    folder = tmp_path_factory.mktemp("base")
    save_transformers(make("vit_quickgelu", folder), folder / "hf")
    return folder / "hf"


def adapter(folder: Path, base: object, tensors: dict | None = None, **config: object) -> Path:
    """A PEFT folder with rank-4 factors of one layer."""
    generator = torch.Generator().manual_seed(0)
    factors = {
        f"base_model.model.{LAYER}.lora_A.weight": torch.randn(4, 32, generator=generator),
        f"base_model.model.{LAYER}.lora_B.weight": torch.randn(128, 4, generator=generator),
    }
    folder.mkdir()
    settings = {"peft_type": "LORA", "r": 4, "lora_alpha": 8, "base_model_name_or_path": base and str(base)}
    (folder / "adapter_config.json").write_text(json.dumps({**settings, **config}))
    save_file(factors | (tensors or {}), folder / "adapter_model.safetensors")
    return folder


@pytest.mark.parametrize(
    ("config", "scale"),
    [
        ({}, 8 / 4),
        ({"use_rslora": True}, 8 / 4**0.5),
        ({"alpha_pattern": {"fc1": 16}}, 16 / 4),
        ({"alpha_pattern": {"text_model.*fc1": 16}}, 8 / 4),
        ({"r": 2, "rank_pattern": {"mlp.fc1": 4}}, 8 / 4),
    ],
)
def test_lora_is_merged_as_peft_merges_it(base, tmp_path, config, scale):
    folder = adapter(tmp_path / "adapter", base, **config)
    state = load_file(base / "model.safetensors")
    a, b = load_file(folder / "adapter_model.safetensors").values()
    merged = adapters.merge(state, folder)
    expected = state[f"{LAYER}.weight"] + scale * b @ a
    torch.testing.assert_close(merged[f"{LAYER}.weight"], expected, atol=1e-5, rtol=1e-5)
    assert all(torch.equal(merged[name], state[name]) for name in state if name != f"{LAYER}.weight")


def test_modules_trained_whole_replace_the_base_s(base, tmp_path):
    whole = torch.ones(16, 32)
    folder = adapter(tmp_path / "x", base, {"base_model.model.visual_projection.weight": whole})
    assert torch.equal(load(folder).model.visual.proj, whole.T)


@pytest.mark.parametrize(
    ("config", "message"),
    [
        ({"peft_type": "IA3"}, "adapter of kind IA3.*merge_and_unload"),
        ({"use_dora": True}, "LoRA with use_dora"),
        ({"base_model_name_or_path": None}, "does not say its base.*base_model_name_or_path"),
        ({"r": 8}, "of rank 8, which do not make the base's"),
    ],
)
def test_what_is_no_plain_lora_is_refused(base, tmp_path, config, message):
    with pytest.raises(ValueError, match=message):
        load(adapter(tmp_path / "x", base, **config))


def test_an_adapter_of_another_base_or_alone_is_refused(base, tmp_path):
    folder = adapter(tmp_path / "x", base, {"base_model.model.encoder.q.lora_A.weight": torch.ones(4, 2)})
    with pytest.raises(ValueError, match=r"changes encoder.q.weight, which its base does not have"):
        load(folder)
    with pytest.raises(ValueError, match="a PEFT adapter, which changes a base"):
        load(folder / "adapter_model.safetensors")
    (folder / "adapter_model.safetensors").unlink()
    with pytest.raises(ValueError, match=r"without adapter_model.safetensors or adapter_model.bin"):
        load(folder)


def with_modules(base: Path, folder: Path, *kinds: str, path: str = "0_CLIPModel") -> Path:
    shutil.copytree(base, folder / path)
    modules = [
        {"idx": i, "name": str(i), "path": f"{i}_{kind}", "type": f"a.b.{kind}"}
        for i, kind in enumerate(kinds)
    ]
    modules[0]["path"] = path
    (folder / "modules.json").write_text(json.dumps(modules))
    return folder


def test_sentence_transformers_around_a_clip(base, tmp_path):
    expected = load(base).encode_text(CAPTIONS)
    assert torch.equal(load(with_modules(base, tmp_path / "a", "CLIPModel")).encode_text(CAPTIONS), expected)
    at_root = with_modules(base, tmp_path / "b", "Transformer", path=".")
    assert torch.equal(load(at_root).encode_text(CAPTIONS), expected)
    normalised = with_modules(base, tmp_path / "c", "CLIPModel", "Normalize")
    with pytest.warns(UserWarning, match="normalised by sentence-transformers.*cosines are the same"):
        load(normalised)
    with pytest.raises(ValueError, match="of CLIPModel, Dense; read is a CLIP alone"):
        load(with_modules(base, tmp_path / "d", "CLIPModel", "Dense"))


@pytest.mark.parametrize("tokenizer", [False, True])
def test_a_tower_out_of_reach_names_model_folder_and_what_to_put_there(
    base, tmp_path, monkeypatch, tokenizer
):
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    text = {"hf_model_name": "org/bert", "hf_tokenizer_name": "org/bert", "context_length": 77}
    config = {"embed_dim": 16, "vision_cfg": VIT, "text_cfg": text}
    (tmp_path / "open_clip_config.json").write_text(json.dumps({"model_cfg": config}))
    for file in ("vocab.json", "merges.txt", "tokenizer_config.json") if tokenizer else ():
        shutil.copy(base / file, tmp_path)
    part = (
        "text tower 'org/bert'.*config.json"
        if tokenizer
        else "tokenizer 'org/bert'.*tokenizer files of org/bert"
    )
    with pytest.raises(ValueError, match=f"(?s){tmp_path.name}.*{part}"):
        load(tmp_path)


@pytest.mark.parametrize(
    ("file", "message"),
    [
        ("config.json", "config.json is no readable JSON"),
        ("preprocessor_config.json", "preprocessor_config.json is no readable JSON"),
        ("vocab.json", "its tokenizer cannot be read"),
        ("model.safetensors", "model.safetensors: no readable checkpoint, cut off"),
    ],
)
def test_a_file_that_is_cut_off_is_named(base, tmp_path, file, message):
    folder = shutil.copytree(base, tmp_path / "hf")
    (folder / file).write_bytes((folder / file).read_bytes()[:30])
    with pytest.raises(ValueError, match=message):
        load(folder)


def test_a_broken_configuration_of_open_clip_is_named(tmp_path):
    save_pretrained(make("vit_quickgelu", tmp_path), tmp_path / "oc")
    newer = {"embed_dim": 16, "vision_cfg": {**VIT, "rope": True}, "text_cfg": {**TEXT, "vocab_size": 49408}}
    for content, message in (
        ('{"model_cfg": {', "is no readable JSON"),
        ("[]", "has no 'model_cfg'"),
        (json.dumps({"model_cfg": newer}), "does not know this configuration.*'rope'"),
    ):
        (tmp_path / "oc" / "open_clip_config.json").write_text(content)
        with pytest.raises(ValueError, match=rf"open_clip_config.json.*{message}"):
            load(tmp_path / "oc")


@pytest.mark.parametrize("section", ["vision_cfg", "text_cfg", "embed_dim"])
@pytest.mark.parametrize("value", [None, [], "x", 3.5, -1, {"layers": None}, "absent"])
@pytest.mark.parametrize("file", ["open_clip_config.json", "tiny.json"])
def test_a_configuration_of_other_types_is_named(tmp_path, section, value, file):
    config = {"embed_dim": 16, "vision_cfg": dict(VIT), "text_cfg": {**TEXT, "vocab_size": 49408}}
    if value == "absent":
        del config[section]
    else:
        config[section] = value
    (tmp_path / file).write_text(json.dumps({"model_cfg": config}))
    with pytest.raises(ValueError, match=rf"{file}.*") as refused:
        load(tmp_path / file)
    assert "\n" not in str(refused.value)


def test_preprocessing_that_open_clip_does_not_know_is_told_with_its_file(tmp_path):
    folder = tmp_path / "oc"
    save_pretrained(make("vit_quickgelu", tmp_path), folder)
    config = json.loads((folder / "open_clip_config.json").read_text())
    for mode in ([], "CMYK"):
        config["preprocess_cfg"]["mode"] = mode
        (folder / "open_clip_config.json").write_text(json.dumps(config))
        with pytest.raises(ValueError, match=r"open_clip_config\.json describes no model that can be built"):
            load(folder)


def test_folders_of_something_else_say_what_they_are(tmp_path):
    (tmp_path / "bert").mkdir()
    (tmp_path / "bert" / "config.json").write_text('{"model_type": "bert"}')
    with pytest.raises(ValueError, match="is of model_type 'bert', which is not read"):
        load(tmp_path / "bert")
    (tmp_path / "index").mkdir()
    (tmp_path / "index" / "photos.db").touch()
    with pytest.raises(ValueError, match=r"it is the folder of an index of photos \(photos.db\), no model"):
        load(tmp_path / "index")
    (tmp_path / "w").mkdir()
    torch.save({}, tmp_path / "w" / "weights.pt")
    with pytest.raises(ValueError, match=r"it holds weights alone: .*weights.pt"):
        load(tmp_path / "w")
