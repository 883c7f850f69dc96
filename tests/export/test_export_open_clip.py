from __future__ import annotations

import errno
import json
import os
import resource
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from knowclip.export import open_clip as export
from knowclip.export.open_clip import save_pretrained
from knowclip.models.loading.load import load
from tiny_models import CAPTIONS, FAMILIES, make, pixels

STOCK = sorted(set(FAMILIES) - {"timm_cnn_bert"})

READ_WITH_STOCK_OPEN_CLIP = """
import sys
import numpy, open_clip, torch
from PIL import Image

root, *families = sys.argv[1:]
for family in families:
    name = f"local-dir:{root}/{family}"
    model, _, preprocess = open_clip.create_model_and_transforms(name)
    tokenizer = open_clip.get_tokenizer(name)
    model.eval()
    pixels = torch.from_numpy(numpy.load(f"{root}/{family}.pixels.npy"))
    captions = open(f"{root}/captions.txt").read().splitlines()
    with torch.no_grad():
        numpy.savez(
            f"{root}/{family}.npz",
            image=model.encode_image(pixels),
            text=model.encode_text(tokenizer(captions)),
            preprocessed=preprocess(Image.open(f"{root}/image.png")),
            scale=model.logit_scale.detach(),
            bias=numpy.nan if model.logit_bias is None else model.logit_bias.detach(),
        )
assert not any(module.startswith("knowclip") for module in sys.modules)
"""


def environment() -> dict[str, str]:
    return {**os.environ, "OMP_NUM_THREADS": "1", "HF_HUB_OFFLINE": "1"}


@pytest.fixture(scope="module")
def stock(tmp_path_factory) -> Path:
    """Every family that open_clip can express, saved by us and read by stock open_clip in its own process."""
    root = tmp_path_factory.mktemp("stock")
    noise = np.random.default_rng(0).integers(0, 256, (50, 70, 3), dtype=np.uint8)
    Image.fromarray(noise).save(root / "image.png")
    (root / "captions.txt").write_text("\n".join(CAPTIONS))
    for family in STOCK:
        model = make(family, root)
        assert save_pretrained(model, root / family) == "open_clip"
        np.save(root / f"{family}.pixels.npy", pixels(model).numpy())
    subprocess.run(
        [sys.executable, "-c", READ_WITH_STOCK_OPEN_CLIP, str(root), *STOCK], check=True, env=environment()
    )
    return root


@pytest.mark.parametrize("family", STOCK)
def test_stock_open_clip_gives_equal_embeddings(family, stock, tmp_path):
    model = make(family, tmp_path)
    read = np.load(stock / f"{family}.npz")
    with torch.no_grad():
        image, text = model.encode_image(pixels(model)), model.encode_text(CAPTIONS)
    assert np.allclose(read["image"], image, atol=1e-5, rtol=0)
    assert np.allclose(read["text"], text, atol=1e-5, rtol=0)
    assert np.array_equal(read["preprocessed"], model.preprocess(Image.open(stock / "image.png")).numpy())
    assert read["scale"] == model.logit_scale.item()
    bias = model.logit_bias
    assert np.array_equal(read["bias"], np.nan if bias is None else bias.item(), equal_nan=True)


@pytest.mark.parametrize("family", STOCK)
def test_our_load_gives_the_same_model(family, stock, tmp_path):
    model, loaded = make(family, tmp_path), load(stock / family)
    assert loaded.config["quick_gelu"] == (family == "vit_quickgelu")
    assert loaded.tokenize(CAPTIONS).equal(model.tokenize(CAPTIONS))
    state = loaded.state_dict()
    for name, tensor in model.state_dict().items():
        assert torch.equal(state[name], tensor), name
    assert save_pretrained(loaded, tmp_path / "again") == "open_clip"
    folders = (stock / family, tmp_path / "again")
    first, second = (json.loads((path / "open_clip_config.json").read_text()) for path in folders)
    assert first == second


def test_the_activation_matters_to_the_parity(stock):
    """With GELU the same weights give other embeddings: the parity above rests on the stored activation."""
    read = np.load(stock / "vit_quickgelu.npz")
    wrong = load(stock / "vit_quickgelu", activation="gelu")
    with torch.no_grad():
        assert np.abs(read["text"] - wrong.encode_text(CAPTIONS).numpy()).max() > 1e-3


def test_a_local_text_tower_becomes_a_folder_of_ours_that_can_move(tmp_path):
    model = make("timm_cnn_bert", tmp_path)
    assert save_pretrained(model, tmp_path / "saved") == "knowclip"
    (tmp_path / "bert").rename(tmp_path / "gone")
    (tmp_path / "saved").rename(tmp_path / "moved")
    assert "knowclip.load" in (tmp_path / "moved" / "README.md").read_text()
    assert not (tmp_path / "moved" / "open_clip_config.json").exists()
    loaded = load(tmp_path / "moved")
    with torch.no_grad():
        assert torch.equal(loaded.encode_text(CAPTIONS), model.encode_text(CAPTIONS))
        assert torch.equal(loaded.encode_image(pixels(model)), model.encode_image(pixels(model)))
    assert save_pretrained(loaded, tmp_path / "again") == "knowclip"
    assert load(tmp_path / "again").tokenize(CAPTIONS).equal(model.tokenize(CAPTIONS))


def test_a_full_disk_leaves_the_previous_checkpoint(tmp_path, monkeypatch):
    old, new = make("word_level", tmp_path), make("word_level", tmp_path, seed=1)
    save_pretrained(old, tmp_path / "best")

    def full_disk(*args: object, **options: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(export, "save_file", full_disk)
    with pytest.raises(OSError, match=r"best failed: .*No space left on device.* untouched"):
        save_pretrained(new, tmp_path / "best")
    assert [path.name for path in tmp_path.iterdir()] == ["best"]
    assert torch.equal(load(tmp_path / "best").model.visual.proj, old.model.visual.proj)


def test_a_real_failure_to_write_leaves_the_previous_checkpoint(tmp_path):
    model = make("word_level", tmp_path)
    save_pretrained(model, tmp_path / "best")
    before = (tmp_path / "best" / "open_clip_model.safetensors").read_bytes()
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, hard))  # bytes; the weights take some 6 million
    try:
        with pytest.raises(OSError, match=r"saving the checkpoint .*best failed"):
            save_pretrained(model, tmp_path / "best")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert (tmp_path / "best" / "open_clip_model.safetensors").read_bytes() == before
    assert [path.name for path in tmp_path.iterdir()] == ["best"]


SAVE_AND_HANG = """
import sys, time
from knowclip.export import open_clip as export
from knowclip.models.loading.load import load
save_file = export.save_file
def save_then_hang(tensors, path, metadata):
    save_file(tensors, path, metadata=metadata)
    print("half", flush=True)
    time.sleep(60)
export.save_file = save_then_hang
model = load(sys.argv[1])
model.model.visual.proj.data.zero_()
export.save_pretrained(model, sys.argv[1])
"""


@pytest.mark.slow
def test_a_kill_in_mid_save_leaves_the_previous_checkpoint(tmp_path):
    model = make("word_level", tmp_path)
    save_pretrained(model, tmp_path / "best")
    command = [sys.executable, "-c", SAVE_AND_HANG, str(tmp_path / "best")]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment()) as writer:
        assert writer.stdout is not None
        assert writer.stdout.readline() == "half\n"
        os.kill(writer.pid, signal.SIGKILL)
    assert torch.equal(load(tmp_path / "best").model.visual.proj, model.model.visual.proj)
    save_pretrained(model, tmp_path / "best")
    assert [path.name for path in tmp_path.iterdir()] == ["best"]
