"""The best map: it finds what both embeddings hold in another basis, and keeps an identity that is right."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F

from knowclip.evaluation.diagnosis.alignment import best_map, margins
from knowclip.evaluation.diagnosis.fitting import Split

WIDTH, COMMON = 16, 8


def embeddings(n: int, *, turn: Tensor, seed: int) -> tuple[Tensor, Tensor, Tensor]:
    """Images, captions and swaps: half of a vector is common to all three, a small half tells them apart."""
    torch.manual_seed(seed)
    common, told = torch.randn(n, COMMON), 0.2 * torch.randn(n, WIDTH - COMMON)
    captions, swaps = torch.cat([common, told], 1), torch.cat([common, -told], 1)
    images = torch.cat([common, told @ turn], 1)
    return tuple(F.normalize(part, dim=1) for part in (images, captions, swaps))


def right(parts: tuple[Tensor, Tensor, Tensor], mapped=None) -> float:
    with torch.no_grad():
        return float((margins(*parts, mapped) > 0).float().mean())


def test_a_map_finds_what_stands_in_another_basis() -> None:
    torch.manual_seed(1)
    turn = torch.linalg.qr(torch.randn(WIDTH - COMMON, WIDTH - COMMON))[0]
    fitted, test = embeddings(2000, turn=turn, seed=2), embeddings(1000, turn=turn, seed=3)
    split = Split.of([str(i) for i in range(2000)], seed=0)
    assert right(test) < 0.8
    assert right(test, best_map(*fitted, split, seed=0)) > 0.97


def test_a_map_is_no_worse_than_none() -> None:
    fitted, test = (embeddings(300, turn=torch.eye(WIDTH - COMMON), seed=seed) for seed in (2, 3))
    split = Split.of([str(i) for i in range(300)], seed=0)
    assert right(test) == right(test, best_map(*fitted, split, seed=0)) == 1
