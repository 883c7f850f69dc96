"""Each row of docs/weights.md: one set of tiny weights in every form that people have, or its refusal."""

from __future__ import annotations

import argparse
import json
import re
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import save_file
from torch import nn

from knowclip.export.huggingface import save_transformers
from knowclip.export.open_clip import save_pretrained
from knowclip.models.clip import DualEncoder
from knowclip.models.loading.load import build, load
from knowclip.models.loading.transformers_clip import weights_to_transformers
from tiny_models import CAPTIONS, TEXT, VIT, make, pixels

CFG = {
    "embed_dim": 16,
    "quick_gelu": True,
    "vision_cfg": VIT,
    "text_cfg": {**TEXT, "context_length": 77, "vocab_size": 49408},
}
DOC = Path(__file__).parents[3] / "docs" / "weights.md"
State = dict[str, torch.Tensor]
Model = DualEncoder


def from_file(content: object, folder: Path, name: str = "w.pt") -> DualEncoder:
    """Load content as a bare file of weights of the tiny architecture."""
    (folder / "tiny.json").write_text(json.dumps({"model_cfg": CFG}))
    if name.endswith(".safetensors"):
        save_file({key: tensor.clone() for key, tensor in content.items()}, folder / name)
    else:
        torch.save(content, folder / name)
    return load(folder / "tiny.json", pretrained=folder / name)


def prefixed(state: State, prefix: str) -> State:
    return {f"{prefix}{name}": tensor for name, tensor in state.items()}


def other(state: State) -> State:
    return {name: tensor + 1 if tensor.ndim > 1 else tensor for name, tensor in state.items()}


def published(state: State, folder: Path) -> Model:
    settings = [{"lr": np.float64(1e-6), "betas": (0.9, np.float32(0.98)), "params": [0]}]
    optimizer = {"state": {0: {"exp_avg": torch.ones(2, 2)}}, "param_groups": settings}
    content = {"epoch": 5, "name": "run", "state_dict": prefixed(state, "module."), "optimizer": optimizer}
    return from_file(content, folder)


def lightning(state: State, folder: Path) -> Model:
    content = {
        "pytorch-lightning_version": "2.5.0",
        "state_dict": {**prefixed(state, "model.clip."), "loss.weight": torch.ones(3, 3)},
        "hyper_parameters": argparse.Namespace(lr=np.float64(1e-3), out=Path("runs")),
        "optimizer_states": [{"state": {0: {"exp_avg": torch.ones(2, 2)}}}],
    }
    with pytest.warns(UserWarning, match=r"1 tensors beside the model \(model.clip.\).*loss.weight"):
        return from_file(content, folder, "last.ckpt")


def under_keys(state: State, folder: Path) -> Model:
    for key in ("model_state_dict", "model", "module", "net", "weights", "something"):
        model = from_file({"epoch": 3, key: state, "loss": torch.tensor(0.1)}, folder)
    return model


def with_prefixes(state: State, folder: Path) -> Model:
    for prefix in ("_orig_mod.module.", "module._orig_mod.", "clip_model.", "net.model.module."):
        model = from_file({"model": prefixed(state, prefix)}, folder)
    inside = {name.replace("visual.", "visual._orig_mod."): tensor for name, tensor in state.items()}
    return from_file(inside, folder) if inside.keys() != state.keys() else model


def with_average(state: State, folder: Path) -> Model:
    average = {"n_averaged": torch.tensor(3), **prefixed(state, "module.")}
    for key in ("model_ema", "ema", "state_dict_ema"):
        with pytest.warns(UserWarning, match=f"moving average \\({key}\\): the average is taken"):
            model = from_file({"model": other(state), key: average, "epoch": 1}, folder)
    return model


class Tree(nn.Module):
    """Modules with the names of a state dict, and nothing to compute."""

    def __init__(self, state: State) -> None:
        super().__init__()
        children: dict[str, State] = {}
        for name, tensor in state.items():
            head, _, rest = name.partition(".")
            if rest:
                children.setdefault(head, {})[rest] = tensor
            elif tensor.is_floating_point():
                self.register_parameter(head, nn.Parameter(tensor.clone()))
            else:
                self.register_buffer(head, tensor)
        self.attribute = torch.ones(2, 2)  # in the archive, and no weight
        for head, below in children.items():
            self.add_module(head, Tree(below))

    def forward(self) -> torch.Tensor:
        return self.attribute


NUMBERS = {
    "input_resolution": torch.tensor(32),
    "context_length": torch.tensor(77),
    "vocab_size": torch.tensor(49408),
}


@pytest.mark.filterwarnings("ignore::FutureWarning", "ignore::DeprecationWarning")
def torchscript(state: State, folder: Path) -> Model:
    torch.jit.script(Tree({**state, **NUMBERS})).save(folder / "ViT.pt")
    (folder / "tiny.json").write_text(json.dumps({"model_cfg": CFG}))
    return load(folder / "tiny.json", pretrained=folder / "ViT.pt")


def open_clip_folder(state: State, folder: Path) -> Model:
    save_pretrained(plain(state), folder / "oc")
    return load(folder / "oc")


def run_folder(state: State, folder: Path) -> Model:
    save_pretrained(plain(state), folder / "run" / "best")
    return load(folder / "run")


def plain(state: State) -> DualEncoder:
    model = build(CFG).eval()
    model.model.load_state_dict(state)
    return model


def transformers_folder(state: State, folder: Path) -> Model:
    save_transformers(plain(state), folder / "hf")
    return load(folder / "hf")


def sharded(state: State, folder: Path) -> Model:
    from transformers import CLIPModel

    save_transformers(plain(state), folder / "whole")
    CLIPModel.from_pretrained(folder / "whole").save_pretrained(folder / "s", max_shard_size="2MB")
    for file in ("preprocessor_config.json", "vocab.json", "merges.txt", "tokenizer_config.json"):
        shutil.copy(folder / "whole" / file, folder / "s")
    assert len(list((folder / "s").glob("*.safetensors"))) > 1
    indexed = load(folder / "s")
    (folder / "s" / "model.safetensors.index.json").unlink()
    assert torch.equal(load(folder / "s").model.visual.proj, indexed.model.visual.proj)
    return indexed


def sentence_transformers(state: State, folder: Path) -> Model:
    save_transformers(plain(state), folder / "st" / "0_CLIPModel")
    modules = [
        {"idx": 0, "name": "0", "path": "0_CLIPModel", "type": "sentence_transformers.models.CLIPModel"}
    ]
    (folder / "st" / "modules.json").write_text(json.dumps(modules))
    return load(folder / "st")


def peft_adapter(state: State, folder: Path) -> Model:
    """The base lacks what the adapter adds: merged they are the weights."""
    layer, name = "vision_model.encoder.layers.0.mlp.fc1", "visual.transformer.resblocks.0.mlp.c_fc.weight"
    generator = torch.Generator().manual_seed(3)
    a, b = torch.randn(4, 32, generator=generator), torch.randn(128, 4, generator=generator)
    save_transformers(plain({**state, name: state[name] - 8 / 4 * b @ a}), folder / "base")
    (folder / "adapter").mkdir()
    config = {"peft_type": "LORA", "r": 4, "lora_alpha": 8, "base_model_name_or_path": "../base"}
    (folder / "adapter" / "adapter_config.json").write_text(json.dumps(config))
    factors = {f"base_model.model.{layer}.lora_A.weight": a, f"base_model.model.{layer}.lora_B.weight": b}
    save_file(factors, folder / "adapter" / "adapter_model.safetensors")
    return load(folder / "adapter")


@pytest.fixture
def another_base(tmp_path, monkeypatch):
    """A folder that ``../base`` leads to from where the command runs."""
    (tmp_path / "here" / "work").mkdir(parents=True)
    (tmp_path / "here" / "base").mkdir()
    monkeypatch.chdir(tmp_path / "here" / "work")
    return tmp_path / "here" / "base"


def test_the_base_of_an_adapter_is_a_model(another_base, reference, tmp_path):
    state = {name: tensor.clone() for name, tensor in reference.model.state_dict().items()}
    loaded = peft_adapter(state, tmp_path).model.state_dict()
    torch.testing.assert_close(loaded["visual.conv1.weight"], state["visual.conv1.weight"])


def test_an_adapter_with_two_bases_is_refused(another_base, reference, tmp_path):
    (another_base / "config.json").write_text("{}")
    with pytest.raises(ValueError, match=r"its base \.\./base is .* as well as .*write the whole path"):
        peft_adapter(dict(reference.model.state_dict()), tmp_path)


def long_clip(state: State, folder: Path) -> Model:
    positions = state["positional_embedding"]
    kept, others = positions.clone(), positions.clone()
    kept[20:], others[:20] = 9.0, 9.0
    return from_file({**state, "positional_embedding": kept, "positional_embedding_res": others}, folder)


def other_sizes(state: State, folder: Path) -> Model:
    larger = {
        **state,
        "visual.positional_embedding": torch.randn(10, 32),
        "positional_embedding": torch.randn(248, 32),
    }
    with pytest.warns(UserWarning, match="image_size 48 for 32, context_length 248 for 77"):
        model = from_file(larger, folder)
    assert (model.image_size, model.context_length) == ((48, 48), 248)
    assert torch.equal(model.model.positional_embedding, larger["positional_embedding"])
    assert model.tokenizer(["a"]).shape == (1, 248)
    return from_file(state, folder)


def sigmoid(state: State, folder: Path) -> Model:
    model = from_file({**state, "logit_bias": torch.tensor(-12.5)}, folder)
    assert model.logit_bias.item() == -12.5
    save_pretrained(model, folder / "kept")
    assert load(folder / "kept").logit_bias.item() == -12.5
    return model


LOADS: dict[str, Callable[[State, Path], DualEncoder]] = {
    "a bare state dict, `.pt`": lambda s, f: [
        from_file(s, f, f"w{end}") for end in (".pth", ".bin", ".ckpt", ".pt")
    ][-1],
    "a bare state dict, `.safetensors`": lambda s, f: from_file(s, f, "w.safetensors"),
    "open_clip's own training checkpoint": published,
    "a Lightning checkpoint": lightning,
    "the weights under `model_state_dict`": under_keys,
    "`module.`, `_orig_mod.`": with_prefixes,
    "weights and their moving average": with_average,
    "a TorchScript archive": torchscript,
    "OpenAI's three numbers": lambda s, f: from_file({**s, **NUMBERS}, f),
    "transformers' names in a bare file": lambda s, f: from_file(
        prefixed(weights_to_transformers(s), "net."), f
    ),
    "a folder of open_clip": open_clip_folder,
    "a run folder of knowclip": run_folder,
    "a folder of transformers' `CLIPModel`": transformers_folder,
    "the same in shards": sharded,
    "a sentence-transformers folder": sentence_transformers,
    "a PEFT adapter (LoRA) whose base": peft_adapter,
    "weights of another image size": other_sizes,
    "Long-CLIP's two positional embeddings": long_clip,
    "weights with a sigmoid loss's `logit_bias`": sigmoid,
}


@pytest.fixture(scope="module")
def reference() -> DualEncoder:
    return make("vit_quickgelu", Path())


@pytest.mark.parametrize("row", LOADS)
def test_the_same_weights_in_every_form_give_equal_embeddings(row, reference, tmp_path):
    state = {name: tensor.clone() for name, tensor in reference.model.state_dict().items()}
    loaded = LOADS[row](state, tmp_path)
    images = pixels(reference)
    with torch.no_grad():
        torch.testing.assert_close(
            loaded.encode_image(images), reference.encode_image(images), atol=1e-5, rtol=0
        )
        torch.testing.assert_close(
            loaded.encode_text(CAPTIONS), reference.encode_text(CAPTIONS), atol=1e-5, rtol=0
        )


class Foreign:
    """A class of somebody's trainer."""


def cut(state: State, folder: Path) -> None:
    save_pretrained(plain(state), folder / "oc")
    path = folder / "oc" / "open_clip_model.safetensors"
    path.write_bytes(path.read_bytes()[:10_000])
    load(folder / "oc")


def missing_shard(state: State, folder: Path) -> None:
    save_transformers(plain(state), folder / "hf")
    (folder / "hf" / "model.safetensors").rename(folder / "hf" / "model-00001-of-00002.safetensors")
    load(folder / "hf")


def lonely_adapter(state: State, folder: Path) -> None:
    (folder / "adapter_config.json").write_text(json.dumps({"base_model_name_or_path": "org/base"}))
    load(folder)


def nameless_tower(state: State, folder: Path) -> None:
    text = {"hf_model_name": "org/bert", "hf_tokenizer_name": "org/bert"}
    config = {"model_cfg": {"embed_dim": 16, "vision_cfg": VIT, "text_cfg": text}}
    (folder / "open_clip_config.json").write_text(json.dumps(config))
    load(folder)


def inexpressible(state: State, folder: Path) -> None:
    save_transformers(plain(state), folder / "hf")
    path = folder / "hf" / "preprocessor_config.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), "do_center_crop": False}))
    load(folder / "hf")


def quantised(state: State, folder: Path) -> None:
    from_file({**state, "visual.proj": state["visual.proj"].to(torch.int8)}, folder)


REFUSALS: dict[str, tuple[Callable[[State, Path], object], str]] = {
    "a pickle that names anything but": (
        lambda s, f: from_file({"model": s, "args": Foreign()}, f),
        r"w.pt: the pickle holds objects beyond tensors \(\S*Foreign\)",
    ),
    "a file that is cut off": (cut, r"open_clip_model.safetensors: no readable checkpoint, cut off"),
    "a shard that is missing": (
        missing_shard,
        r"1 of 2 shards are missing.* model-00002-of-00002.safetensors",
    ),
    "several models in one file": (
        lambda s, f: from_file({**prefixed(s, "student."), **prefixed(s, "teacher.")}, f),
        "several models, under 'student', 'teacher'",
    ),
    "weights of another architecture": (
        lambda s, f: from_file({**s, "token_embedding.weight": torch.zeros(49410, 32)}, f),
        r"token_embedding.weight is \[49410, 32\], the architecture's \[49408, 32\]",
    ),
    "whole numbers where": (quantised, "visual.proj holds torch.int8, no floating-point numbers"),
    "NaN or infinity": (
        lambda s, f: from_file({**s, "visual.proj": s["visual.proj"] * torch.inf}, f),
        "1 tensors hold NaN or infinity",
    ),
    "`logit_scale` above log 1000": (
        lambda s, f: from_file({**s, "logit_scale": torch.tensor(100.0)}, f),
        r"logit_scale is 100.*save logit_scale = log\(100\) = 4.6052",
    ),
    "a PEFT adapter without its base": (lonely_adapter, "PEFT adapter for org/base, which is no folder here"),
    "a text tower or tokenizer": (
        nameless_tower,
        "tokenizer 'org/bert'.*put the tokenizer files of org/bert",
    ),
    "a processor that open_clip": (inexpressible, "preprocessor_config.json.*do_center_crop=False"),
}


@pytest.mark.parametrize("row", REFUSALS)
def test_what_is_refused_says_what_to_do(row, reference, tmp_path, monkeypatch):
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    action, message = REFUSALS[row]
    with pytest.raises(ValueError, match=f"(?s){message}"):
        action(reference.model.state_dict(), tmp_path)


def test_the_rows_of_the_table_are_those_tested():
    rows = [
        line.split("|")[1].strip()
        for line in DOC.read_text(encoding="utf-8").splitlines()
        if line.startswith("| ")
    ]
    rows = [row for row in rows if not re.match("what you have", row)]
    tested = [*LOADS, *REFUSALS]
    assert len(rows) == len(tested)
    for row, start in zip(rows, tested, strict=True):
        assert row.startswith(start)
