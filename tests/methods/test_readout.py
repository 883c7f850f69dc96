"""The triple read-out: one head for both towers, thrown away in the end."""

from __future__ import annotations

import dataclasses

import pytest
import torch

from knowclip.export.method import SETTINGS, own_tensors, save_method
from knowclip.knowledge.parsing.triple_phrases import PADDING
from knowclip.methods.clip import Clip
from knowclip.methods.method import Method
from knowclip.methods.readout import Readout, _hashes
from tiny import tiny_batch, tiny_model


def method(*, weight: float = 1.0) -> Method:
    built = Clip(tiny_model())
    torch.manual_seed(1)
    built.terms.append(Readout(built.model, weight=weight, width=16))
    return built


def triples(*texts: list[tuple[int, int, int]]) -> torch.Tensor:
    """Triples of phrases of one token, filled up."""
    most = max(map(len, texts))
    rows = [[*text, *[(PADDING,) * 3] * (most - len(text))] for text in texts]
    return torch.tensor(rows)[..., None]


def test_contract() -> None:
    built, batch = method(), tiny_batch(6)
    losses, report = built.objective(built(batch))
    assert report["readout_triples"] == (batch.triples >= 0).flatten(2).any(dim=2).sum()
    sum(losses.values()).backward()
    for name, parameter in built.named_parameters():
        assert parameter.grad is not None and parameter.grad.isfinite().all(), name
    for part in (built.model.model.visual, built.model.model.transformer, built.terms[0]):
        assert any(p.grad.abs().sum() > 0 for p in part.parameters())


def test_the_weight_and_the_words_that_stand_still() -> None:
    values = []
    for weight in (1.0, 3.0):
        built = method(weight=weight)
        losses, _ = built.objective(built(tiny_batch(6)))
        values.append(losses["readout_loss"].item())
    assert values[1] == pytest.approx(3 * values[0])
    # the images alone: nothing of the text tower, the words of the phrases included, may feel them
    batch = tiny_batch(6)
    features = built.encode(batch)
    image_side = dataclasses.replace(features, text_features=features.text_features.detach())
    found = built.terms[0].features(built.model, batch, image_side)
    found["readout_image_queries"].sum().backward()
    assert built.model.model.token_embedding.weight.grad is None


def test_it_learns_who_has_what_from_either_side() -> None:
    """Two captions of the same words: (dog, is, red), (cat, is, blue), and the other way round."""
    built = method()
    batch = tiny_batch(2, distinct=True)
    given = triples([(5, 6, 7), (8, 6, 9)], [(5, 6, 9), (8, 6, 7)])
    batch = dataclasses.replace(batch, triples=given)
    optimizer = torch.optim.Adam(built.parameters(), lr=1e-2)
    for _ in range(40):
        losses, report = built.objective(built(batch))
        optimizer.zero_grad()
        losses["readout_loss"].backward()
        optimizer.step()
    assert report["readout_text_accuracy"] == report["readout_image_accuracy"] == 1
    assert losses["readout_loss"].item() < 0.1


def test_other_true_tails_are_no_mistakes() -> None:
    """A dog that chases a cat and a ball: either is right, and with no third there is nothing to learn."""
    built, batch = method(), tiny_batch(1, distinct=True)
    batch = dataclasses.replace(batch, triples=triples([(5, 6, 7), (5, 6, 8)]))
    losses, _ = built.objective(built(batch))
    assert losses["readout_loss"].item() == pytest.approx(0, abs=1e-6)


def test_captions_without_triples() -> None:
    built, batch = method(), tiny_batch(4)
    batch = dataclasses.replace(batch, triples=torch.full_like(batch.triples, PADDING))
    losses, report = built.objective(built(batch))
    sum(losses.values()).backward()
    assert losses["readout_loss"].item() == 0 and report["readout_triples"] == 0
    assert all(p.grad.isfinite().all() for p in built.parameters())


def test_the_head_is_no_part_of_a_checkpoint(tmp_path) -> None:
    built = method()
    assert not own_tensors(built)
    assert any(name.startswith("terms.0.head") for name in built.state_dict()), "resuming needs it"
    save_method(built, tmp_path / "out", name="clip")
    assert not (tmp_path / "out" / SETTINGS).exists()


def test_hashes_do_not_see_padding() -> None:
    ids = torch.tensor([[3, 4, PADDING], [4, 3, PADDING], [3, 4, 5]])
    assert torch.equal(_hashes(ids)[:2], _hashes(ids[:2, :2]))
    assert len(_hashes(ids).unique()) == 3
