"""Stock sentence-transformers loads the folder, and ``knowclip.load`` reads it back."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from sentence_transformers import SentenceTransformer

from knowclip.export.parity import measure, sample_picture, stock_sentence_transformers
from knowclip.export.sentence_transformers import save_sentence_transformers
from knowclip.models.loading.load import load
from tiny_models import CAPTIONS, make


def test_stock_sentence_transformers_agrees(tmp_path: Path) -> None:
    model = make("vit_quickgelu", tmp_path)
    save_sentence_transformers(model, tmp_path / "st")
    found = measure(model, stock_sentence_transformers(tmp_path / "st"))
    assert found.equal_inputs < 1e-6 and found.own_plain_texts < 1e-6
    assert found.own_pixels is not None and found.own_pixels > 1e-4  # one column of 32

    stock = SentenceTransformer(str(tmp_path / "st"), device="cpu")
    with torch.no_grad():
        ours = model.encode_text(CAPTIONS)
    theirs = stock.encode(CAPTIONS)
    np.testing.assert_allclose(theirs, ours, atol=1e-5)
    assert not np.allclose(np.linalg.norm(theirs, axis=1), 1, atol=0.01)  # the towers' own, not normalised
    similarity = stock.similarity(stock.encode([sample_picture().resize((64, 64))]), theirs)
    cosines = model.score(sample_picture().resize((64, 64)), CAPTIONS)
    np.testing.assert_allclose(similarity, cosines, atol=1e-2)

    again = load(tmp_path / "st")
    with torch.no_grad():
        torch.testing.assert_close(again.encode_text(CAPTIONS), ours, atol=1e-5, rtol=0)


def test_towers_that_a_clip_model_has_no_place_for_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="CLIPModel cannot express"):
        save_sentence_transformers(make("siglip", tmp_path), tmp_path / "st")
    assert not (tmp_path / "st").exists()
