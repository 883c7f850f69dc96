"""ONNX graphs give the towers' embeddings at any batch and text length; 8 bits cost what is told."""

from __future__ import annotations

import json
import logging
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from onnxruntime import InferenceSession

from knowclip.export import onnx
from knowclip.export.calibration import FEWEST
from knowclip.export.onnx import save_onnx
from knowclip.export.onnx_int8 import quantize
from knowclip.export.parity import Parity, measure, stock_onnx
from tiny_models import CAPTIONS, make, pixels


@pytest.fixture(scope="module")
def exported(tmp_path_factory: pytest.TempPathFactory) -> SimpleNamespace:
    folder = tmp_path_factory.mktemp("onnx")
    model = make("vit_quickgelu", folder)
    save_onnx(model, folder / "out")
    return SimpleNamespace(model=model, folder=folder / "out")


@pytest.mark.parametrize("size", [1, 2, 7])
def test_any_batch_and_any_text_length(exported: SimpleNamespace, size: int) -> None:
    model = exported.model
    image, text = (InferenceSession(exported.folder / f"{tower}.onnx") for tower in ("image", "text"))
    random = torch.randn(size, 3, *model.image_size, generator=torch.Generator().manual_seed(size))
    with torch.no_grad():
        (found,) = image.run(["image_embeds"], {"pixel_values": random.numpy()})
        np.testing.assert_allclose(found, model.encode_image(random), atol=1e-5)
        texts = [CAPTIONS[i % 3] for i in range(size)]
        whole = model.encode_text(texts)
        for ids in (model.tokenize(texts), model.tokenizer(texts), model.tokenizer(texts)[:, :30]):
            (found,) = text.run(["text_embeds"], {"input_ids": ids.numpy()})
            np.testing.assert_allclose(found, whole, atol=1e-5)
        ids = torch.tensor([[49406, 49407]] * size)  # the shortest text there is
        (found,) = text.run(["text_embeds"], {"input_ids": ids.numpy()})
        np.testing.assert_allclose(found, model.encode_text(ids), atol=1e-5)


def test_parity_tells_the_processors_that_lie_beside_the_graphs(exported: SimpleNamespace) -> None:
    found = measure(exported.model, stock_onnx(exported.folder))
    assert found.equal_inputs < 1e-6 and found.equal_values < 1e-5
    assert found.own_plain_texts < 1e-6 and found.own_mended_texts > 1e-3
    assert found.own_pixels is not None and found.own_pixels > 1e-4  # one column of 32
    config = json.loads((exported.folder / "onnx_config.json").read_text())
    assert config["text"]["any_length"] and config["text"]["context_length"] == 77
    assert config["preprocess_cfg"]["mean"] == list(exported.model.model.visual.preprocess_cfg["mean"])
    without = Parity("onnxruntime", 0.0, 0.0, None, 0.0, 0.0)
    assert "640x427 picture: has no counterpart" in without.lines()[1]


@pytest.mark.slow
def test_weights_of_more_than_2_gb_lie_beside_the_graph(
    exported: SimpleNamespace, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(onnx, "LARGEST", 1000)
    save_onnx(exported.model, tmp_path / "out")
    assert (tmp_path / "out/image.onnx.data").is_file()
    assert measure(exported.model, stock_onnx(tmp_path / "out")).equal_inputs < 1e-6
    with pytest.raises(ValueError, match=r"less than 2 GB, and \w+\.onnx\.data is larger"):
        quantize(exported.model, tmp_path / "out", [("no.png", "a")] * FEWEST)


def test_a_model_that_cannot_be_exported_leaves_what_stood_there(
    exported: SimpleNamespace,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    def refuse(*args: object, **options: object) -> None:
        for exporter in ("torch.onnx._internal", "onnxscript.optimizer._constant_folding"):
            logging.getLogger(exporter).warning("left as it is")
        raise torch.onnx.OnnxExporterError("no such operator")

    monkeypatch.setattr(torch.onnx, "export", refuse)
    with pytest.raises(ValueError, match="this model's image tower to ONNX: no such operator"):
        save_onnx(exported.model, tmp_path / "out")
    assert not (tmp_path / "out").exists()
    assert not caplog.records  # what exporters leave unoptimised is noise


def test_eight_bits_cost_what_is_told_and_do_not_depend_on_the_batch(
    exported: SimpleNamespace, tmp_path: Path
) -> None:
    model, out = exported.model, tmp_path / "out"
    save = {path.name: path.read_bytes() for path in exported.folder.iterdir()}
    out.mkdir()
    for name, content in save.items():
        (out / name).write_bytes(content)
    random = np.random.default_rng(0)
    pairs = [
        (random.integers(0, 256, (40, 40, 3), dtype=np.uint8), f"{caption} {number}")
        for number, caption in enumerate(CAPTIONS * 8)
    ]
    cost = quantize(model, out, pairs)
    assert cost.pairs == 12 and cost.sizes[1] < cost.sizes[0]
    assert 0 < cost.image_distance < 0.05 and 0 < cost.text_distance < 0.05
    assert set(cost.recalls) == {"image_to_text_R@1", "text_to_image_R@1"}
    assert cost.lines()[0].startswith("int8, cost on 12 other pairs: mean cosine distance")
    assert json.loads((out / "onnx_config.json").read_text())["precision"] == "int8"
    assert {path.name for path in out.iterdir()} == set(save)
    stock = stock_onnx(out)
    batch = 3 * pixels(model, 7)  # neighbours of another scale
    batch[0] /= 30
    np.testing.assert_allclose(stock.encode_image(batch)[:1], stock.encode_image(batch[:1]), atol=1e-3)
    with pytest.raises(ValueError, match=f"at least {FEWEST} captioned images .* got 3"):
        quantize(model, out, pairs[:3])
