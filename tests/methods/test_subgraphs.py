"""The term of sub-graphs: which texts are true of which image, what each is against, and the curriculum."""

from __future__ import annotations

import dataclasses

import pytest
import torch

from knowclip.methods.method import Method
from knowclip.methods.negclip import NegClip
from knowclip.methods.subgraphs import Subgraphs, _masks
from knowclip.training.batches import map_tensors
from knowclip.types import Features
from tiny import tiny_batch, tiny_model


def method(**options: object) -> Method:
    built = NegClip(tiny_model(), own_negative_weight=0.0)
    built.terms.append(
        Subgraphs(**{"weight": 1.0, "against": "batch", "shared": True, "curriculum": 0} | options)
    )
    return built


def features(built: Method) -> Features:
    return built(tiny_batch(4, distinct=True))


def subgraph_loss(built: Method) -> torch.Tensor:
    return built.objective(features(built))[0]["subgraph_loss"]


@pytest.mark.parametrize("against", ["batch", "own"])
@pytest.mark.parametrize("shared", [True, False])
def test_contract(against, shared) -> None:
    built = method(against=against, shared=shared)
    losses, report = built.objective(built(tiny_batch(6)))
    assert losses["subgraph_loss"].item() > 0
    assert report["subgraphs"] == 6 and 0 <= report["subgraph_accuracy"] <= 1
    losses["subgraph_loss"].backward()
    for part in (built.model.model.visual, built.model.model.transformer):
        assert any(p.grad.abs().sum() > 0 for p in part.parameters())


def test_masks_by_hand() -> None:
    positives, true, edited = _masks(features(method()), torch.arange(6))
    assert positives.int().tolist() == [[1, 1, 0, 0, 0, 0], [0, 0, 1, 0, 0, 0], [0] * 6, [0] * 6]
    # image 0 states claims 1 and 2, image 1 claims 3 and 5; text 3 claims 2 and 3, text 5 claims 3 and 5
    assert true.int().tolist() == [[1, 1, 0, 0, 0, 0], [0, 0, 1, 0, 0, 1], [0] * 6, [0] * 6]
    assert edited.int().tolist() == [[0, 0, 0, 1, 1, 1], [0, 0, 0, 1, 0, 0], [0] * 6, [0] * 6]


def test_texts_of_other_images_are_against_it_unless_only_its_own_are() -> None:
    """Text 2 is a positive of image 1, and so a negative of image 0 in the batch alone."""
    for against, felt in (("batch", True), ("own", False)):
        built = method(against=against)
        given = features(built)
        leaf = given.subgraph_features.detach().requires_grad_()
        only_zero = dataclasses.replace(
            given, subgraph_features=leaf, subgraph_positives=given.subgraph_positives[:2]
        )
        built.objective(only_zero)[0]["subgraph_loss"].backward()
        assert bool(leaf.grad[2].abs().sum() > 0) == felt, against
        assert (leaf.grad[[0, 1, 3, 4, 5]].abs().sum(dim=1) > 0).all()


def test_the_weight() -> None:
    assert subgraph_loss(method(weight=3.0)).item() == pytest.approx(3 * subgraph_loss(method()).item())


def test_the_curriculum_begins_with_one_and_one() -> None:
    built = method(curriculum=2)
    numbers = [built.objective(features(built))[1]["subgraphs"] for _ in range(2)]
    built.eval()
    built.objective(features(built))
    assert built.terms[0].steps == 2, "a validation is no step"
    built.train()
    assert [*numbers, built.objective(features(built))[1]["subgraphs"]] == [3, 3, 6]
    again = method(curriculum=2)
    again.load_state_dict(built.state_dict())
    assert again.terms[0].steps == 3


def test_a_text_that_two_processes_have_counts_once() -> None:
    built = method()
    given = features(built)
    names = [f.name for f in dataclasses.fields(given) if f.name.startswith("subgraph_")]
    twice = {name: torch.cat([getattr(given, name)] * 2) for name in names}
    # the copy was drawn later: it is its first turn that counts
    twice["subgraph_turns"][6:] += 3
    losses, report = built.objective(dataclasses.replace(given, **twice))
    assert losses["subgraph_loss"].item() == pytest.approx(built.objective(given)[0]["subgraph_loss"].item())
    assert report["subgraphs"] == 6


def test_a_batch_without_any() -> None:
    built, batch = method(), tiny_batch(4)
    none = map_tensors(batch.subgraphs, lambda value: value[:0])
    losses, report = built.objective(built(dataclasses.replace(batch, subgraphs=none)))
    sum(losses.values()).backward()
    assert losses["subgraph_loss"].item() == 0 and report["subgraphs"] == 0
    assert "subgraph_accuracy" not in report
    assert all(p.grad.isfinite().all() for p in built.parameters())
