"""What the other library makes of a picture and a text, measured on the exported folder."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from PIL import Image
from transformers import AutoTokenizer

from knowclip.export.huggingface import save_transformers
from knowclip.export.open_clip import save_pretrained
from knowclip.export.parity import MENDED, PLAIN, measure, sample_picture, stock_open_clip, stock_transformers
from knowclip.models.loading.load import load
from tiny_models import make


@pytest.fixture(scope="module")
def exported(tmp_path_factory):
    """A model and its transformers folder."""
    folder = tmp_path_factory.mktemp("exported")
    model = make("vit_quickgelu", folder)
    save_transformers(model, folder / "hf")
    return model, folder / "hf"


def test_equal_inputs_give_equal_embeddings_and_own_preprocessing_does_not(exported):
    model, folder = exported
    found = measure(model, stock_transformers(folder))
    assert found.equal_inputs < 1e-6
    assert found.own_plain_texts < 1e-6
    assert found.own_pixels > 1e-4  # one column of 32
    assert found.own_mended_texts > 1e-3
    assert [line.split(":")[0] for line in found.lines()] == [
        "transformers, equal pixels and token ids",
        "transformers, its own preprocessing of a 640x427 picture",
        "transformers, its own tokenizer",
    ]


@pytest.mark.parametrize(("size", "apart"), [((640, 427), True), ((640, 480), False), ((427, 640), True)])
def test_a_crop_of_an_odd_rest_is_one_column_apart(exported, size, apart):
    model, folder = exported
    picture = sample_picture().resize(size)
    ours, theirs = model.preprocess(picture), stock_transformers(folder).preprocess(picture)
    assert ((ours - theirs).abs().max() > 0.5) == apart
    if apart:  # moved back by a row or column they agree but for rounding
        shifted = theirs[:, :, 1:] if size[0] > size[1] else theirs[:, 1:]
        kept = ours[:, :, :-1] if size[0] > size[1] else ours[:, :-1]
        assert (shifted - kept).abs().max() < 0.2


def test_texts_that_open_clip_mends_have_other_tokens_in_transformers(exported):
    model, folder = exported
    theirs = AutoTokenizer.from_pretrained(folder)
    for text in [*PLAIN, *MENDED, "cafe\u0301  and   bar"]:
        ours = [token for token in model.tokenizer([text])[0].tolist() if token]
        assert (ours == theirs(text).input_ids) == (text not in MENDED), text
    assert torch.equal(
        load(folder).tokenizer(list(MENDED))[:, :8], _padded(model.tokenizer(list(MENDED)))[:, :8]
    )


def _padded(ids: torch.Tensor) -> torch.Tensor:
    """transformers pads with the end of text, where open_clip pads with 0."""
    return ids.masked_fill(ids == 0, 49407)


def test_stock_open_clip_agrees_in_everything(tmp_path):
    model = make("word_level", tmp_path)
    save_pretrained(model, tmp_path / "oc")
    found = measure(model, stock_open_clip(tmp_path / "oc"))
    assert max(found.equal_inputs, found.own_pixels, found.own_plain_texts, found.own_mended_texts) < 1e-6


def test_a_folder_of_other_weights_is_told_apart(exported, tmp_path):
    _, folder = exported
    assert measure(make("vit_quickgelu", tmp_path, seed=1), stock_transformers(folder)).equal_inputs > 0.01


def test_the_picture_is_the_same_at_every_call():
    assert isinstance(sample_picture(), Image.Image)
    assert np.array_equal(np.asarray(sample_picture()), np.asarray(sample_picture()))
    assert sample_picture().size == (640, 427)
