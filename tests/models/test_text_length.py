from __future__ import annotations

import pytest
import torch

from knowclip.models import text_length
from tiny_models import CAPTIONS, FAMILIES, make

CUT = {"vit_quickgelu", "custom_text_eos", "word_level", "resnet", "timm_cnn_bert", "timm_vit"}


@pytest.mark.parametrize("family", FAMILIES)
def test_cut_texts_embed_as_the_stock_model_does_at_full_length(family, tmp_path):
    model = make(family, tmp_path)
    full = model.tokenizer(CAPTIONS)
    short = model.tokenize(CAPTIONS)
    longest = 18  # "the ... house" has 16 words, between SOT and EOT
    assert short.shape[1] == (longest if family in CUT else model.context_length)
    with torch.no_grad():
        expected = model.model.encode_text(full)
        assert torch.allclose(model.encode_text(short), expected, atol=1e-5, rtol=0)
        assert torch.allclose(model.encode_text(full), expected, atol=1e-5, rtol=0)
        assert torch.allclose(model.encode_text(CAPTIONS[2]), expected[2:], atol=1e-5, rtol=0)
    assert (expected[0] - expected[2]).abs().max() > 1e-2  # else the comparison would say nothing


@pytest.mark.parametrize("family", sorted(CUT))
def test_gradients_are_those_of_the_stock_model(family, tmp_path):
    model = make(family, tmp_path)

    def gradients(features: torch.Tensor) -> dict[str, torch.Tensor]:
        model.zero_grad()
        features.pow(2).sum().backward()
        return {name: p.grad.clone() for name, p in model.named_parameters() if p.grad is not None}

    expected = gradients(model.model.encode_text(model.tokenizer(CAPTIONS)))
    actual = gradients(model.encode_text(model.tokenize(CAPTIONS)))
    assert expected.keys() == actual.keys()
    for name, gradient in expected.items():
        assert torch.allclose(actual[name], gradient, atol=1e-4, rtol=1e-3), name


@pytest.mark.parametrize("family", sorted(CUT))
def test_texts_of_like_length_go_together_and_come_back_in_order(family, tmp_path, monkeypatch):
    model = make(family, tmp_path)
    texts = [" ".join(["horse"] * (1 + i * 7 % 16)) for i in range(80)]
    widths = []
    encode = text_length.encode_text
    monkeypatch.setattr(text_length, "encode_text", lambda m, ids: widths.append(ids.shape) or encode(m, ids))
    with torch.no_grad():
        grouped = model.encode_text(texts)
        expected = model.model.encode_text(model.tokenizer(texts))
    assert torch.allclose(grouped, expected, atol=1e-5, rtol=0)
    assert len(widths) == 4 and widths[0][1] < widths[-1][1] and sum(rows for rows, _ in widths) == 80
    with torch.no_grad():
        pooled, tokens, mask = model.encode_text_tokens(texts)
        whole = encode(model.model, model.tokenize(texts))
    assert torch.equal(pooled, grouped) and torch.equal(mask, whole.mask)
    assert tokens.shape == whole.tokens.shape
    assert torch.allclose(tokens[mask], whole.tokens[mask], atol=1e-5)


@pytest.mark.parametrize("family", ["siglip", "class_token_text"])
def test_towers_that_need_full_length_refuse_short_ids(family, tmp_path):
    model = make(family, tmp_path)
    with pytest.raises(ValueError, match="full context length 24, got 18"):
        model.encode_text(model.tokenizer(CAPTIONS)[:, :18])


def test_a_text_without_eot_and_a_truncated_one_stay_exact(tmp_path):
    model = make("word_level", tmp_path)
    ids = model.tokenizer(["a red horse " * 40, "astronaut"])
    assert model.tokenize(["a red horse " * 40, "astronaut"]).shape[1] == 48
    ids[1, ids[1] == model.tokenizer.tokenizer.eos_token_id] = 0
    with torch.no_grad():
        assert torch.allclose(model.encode_text(ids), model.model.encode_text(ids), atol=1e-5, rtol=0)


@pytest.mark.parametrize("family", FAMILIES)
def test_text_tokens(family, tmp_path):
    model = make(family, tmp_path)
    pooled, tokens, mask = model.encode_text_tokens(CAPTIONS)
    ids = model.tokenize(CAPTIONS)
    assert torch.equal(pooled, model.encode_text(CAPTIONS))
    assert tokens.shape == (3, ids.shape[1], 128 if family == "word_level" else 32)
    assert mask.shape == ids.shape
    real = [5, 18, 4] if family != "siglip" else [24, 24, 24]  # SigLIP's tower fills every position
    assert mask.sum(dim=1).tolist() == real
    assert mask[:, 0].all()
    if family in CUT:  # padding does not change the real tokens
        alone = model.encode_text_tokens(CAPTIONS[0])[1]
        assert torch.allclose(tokens[:1, :5], alone, atol=1e-5)


def test_no_text_is_refused(tmp_path):
    with pytest.raises(ValueError, match="no text"):
        make("word_level", tmp_path).encode_text([])
