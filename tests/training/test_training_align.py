"""The fit of a text map: towers turned apart come together, own negatives separate, the best is kept."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import pytest
import torch
from torch.nn import functional as F

from knowclip.models.projection import LinearMap
from knowclip.training.align import AlignSettings, EncodedPairs, Fitted, fit_alignment
from tiny import tiny_model

WIDTH, TRAIN, HELD = 8, 300, 100


def unit(*shape: int, seed: int = 0) -> torch.Tensor:
    return F.normalize(torch.randn(*shape, generator=torch.Generator().manual_seed(seed)), dim=-1)


def pairs_of(
    images: torch.Tensor, captions: torch.Tensor, negatives: torch.Tensor | None = None
) -> EncodedPairs:
    """A caption an image, a negative a caption or none."""
    n = len(images)
    return EncodedPairs(
        image_features=images,
        text_features=captions if negatives is None else torch.cat([captions, negatives]),
        images=torch.arange(n),
        captions=torch.arange(n),
        negatives=torch.zeros(n, 1, dtype=torch.long) if negatives is None else n + torch.arange(n)[:, None],
        negative_mask=torch.full((n, 1), negatives is not None),
        image_ids=torch.arange(n),
        caption_ids=torch.arange(n),
    )


@torch.no_grad()
def recall(mapped: LinearMap, images: torch.Tensor, captions: torch.Tensor) -> float:
    found = (images @ mapped(captions).T).argmax(dim=1)
    return (found == torch.arange(len(images))).float().mean().item()


@torch.no_grad()
def own_choice(
    mapped: LinearMap, images: torch.Tensor, captions: torch.Tensor, negatives: torch.Tensor
) -> float:
    margins = (images * (mapped(captions) - mapped(negatives))).sum(dim=1)
    return (margins > 1e-6).float().mean().item()


def fitted(
    pairs: EncodedPairs,
    *,
    siglip: bool = False,
    measure: Callable[[LinearMap], float],
    progress: Callable[[int, int], None] = lambda done, total: None,
    **changed: Any,
) -> Fitted:
    settings = AlignSettings(**{"steps": 200, "batch_size": 128, "lr": 0.05} | changed)
    return fit_alignment(tiny_model(siglip=siglip), pairs, settings, measure=measure, progress=progress)


@pytest.mark.parametrize("siglip", [False, True])
def test_a_text_tower_that_was_turned_is_turned_back(siglip: bool) -> None:
    images = unit(TRAIN + HELD, WIDTH)
    turn = torch.linalg.qr(unit(WIDTH, WIDTH, seed=1))[0]
    captions = images @ turn
    measure = partial(recall, images=images[TRAIN:], captions=captions[TRAIN:])
    assert measure(LinearMap(WIDTH)) < 0.1
    pairs = pairs_of(images[:TRAIN], captions[:TRAIN])
    found = fitted(pairs, siglip=siglip, measure=measure, steps=800 if siglip else 200)
    assert found.score == measure(found.alignment.map) == 1.0
    assert found.step > 0
    back = found.alignment.map.matrix.detach()
    assert F.cosine_similarity(back.flatten(), turn.T.flatten(), dim=0) > 0.95
    assert found.alignment.logit_scale.item() <= torch.tensor(100.0).log() or siglip
    assert (found.alignment.logit_bias is not None) == siglip


def test_own_negatives_separate() -> None:
    """Both towers know the side, each in a direction of its own: the cosine does not see it."""
    n = TRAIN + HELD
    objects, side = unit(n, WIDTH - 2), torch.arange(n)[:, None] % 2 * 0.4 - 0.2
    nothing = torch.zeros(n, 1)
    images = F.normalize(torch.cat([objects, side, nothing], dim=1), dim=1)
    captions, negatives = (
        F.normalize(torch.cat([objects, nothing, sign * side], dim=1), dim=1) for sign in (1, -1)
    )
    measure = partial(
        own_choice, images=images[TRAIN:], captions=captions[TRAIN:], negatives=negatives[TRAIN:]
    )
    assert measure(LinearMap(WIDTH)) == 0
    found = fitted(pairs_of(images[:TRAIN], captions[:TRAIN], negatives[:TRAIN]), measure=measure)
    assert found.score == 1.0
    assert recall(found.alignment.map, images[TRAIN:], captions[TRAIN:]) > 0.9


def test_the_identity_stays_where_no_map_is_better() -> None:
    images = unit(TRAIN, WIDTH)
    pairs = pairs_of(images, unit(TRAIN, WIDTH, seed=1))
    scores, steps = [], []
    found = fitted(
        pairs,
        measure=lambda mapped: scores.append(mapped.matrix.detach().clone()) or 0.5,
        progress=lambda done, total: steps.append((done, total)),
        steps=120,
        batch_size=1000,
    )
    assert (found.step, found.score) == (0, 0.5)
    assert torch.equal(found.alignment.map.matrix, torch.eye(WIDTH))
    assert len(scores) == 3 and not torch.equal(scores[-1], torch.eye(WIDTH))  # at 0, 100 and 120
    assert steps[-1] == (120, 120)


def test_a_seed_gives_one_map() -> None:
    pairs = pairs_of(unit(TRAIN, WIDTH), unit(TRAIN, WIDTH, seed=1))
    maps = [
        fitted(pairs, seed=seed, steps=3, measure=lambda mapped: mapped.matrix.norm().item()).alignment.map
        for seed in (0, 0, 1)
    ]
    assert torch.equal(maps[0].matrix, maps[1].matrix)
    assert not torch.equal(maps[0].matrix, maps[2].matrix)


def test_a_loss_that_is_no_number_is_refused() -> None:
    pairs = pairs_of(unit(TRAIN, WIDTH), unit(TRAIN, WIDTH, seed=1))
    with pytest.raises(ValueError, match="at step 2: take a lower lr than inf"):
        fitted(pairs, lr=float("inf"), measure=lambda mapped: 0.0)
