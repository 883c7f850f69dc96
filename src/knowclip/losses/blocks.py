"""Losses over all pairs of a batch, some rows at a time: no matrix of all pairs is kept to go back through.

A batch of 4,096 captions with two negatives each has logits of 200 MB, of which a softmax and its gradient
hold several at once. Small batches are one block, and computed as if there were none.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

import torch
from torch.utils.checkpoint import checkpoint

if TYPE_CHECKING:
    from jaxtyping import Bool, Float
    from torch import Tensor

LARGEST = 2**21
"""Elements of a block: 8 MB in float32. 1,024 pairs, or 836 with two negatives each, are still one."""


def blocks(rows: int, columns: int) -> Iterator[slice]:
    """Cut rows so that ``rows * columns`` of a block are at most ``LARGEST``."""
    size = max(1, LARGEST // max(1, columns))
    return (slice(start, min(start + size, rows)) for start in range(0, rows, size))


def summed(term: Callable[[slice], Float[Tensor, ""]], *, rows: int, columns: int) -> Float[Tensor, ""]:
    """Sum a term over blocks of rows; of more than one each is computed again in the backward pass.

    Args:
        term: Of the rows in a slice, each of which is compared with all columns.
        rows: At least one.
        columns: How many.
    """
    parts = list(blocks(rows, columns))
    if len(parts) == 1:
        return term(parts[0])
    terms = [checkpoint(term, part, use_reentrant=False, preserve_rng_state=False) for part in parts]
    return torch.stack(terms).sum()


@torch.no_grad()
def ranked_first(
    query_features: Float[Tensor, "B D"],
    candidate_features: Float[Tensor, "B D"],
    left_out: Bool[Tensor, "B B"],
) -> tuple[Bool[Tensor, " B"], Bool[Tensor, " B"]]:
    """Which queries are strictly nearest to their own candidate, and which have anything else to choose.

    Args:
        query_features: L2-normalised.
        candidate_features: Likewise, row by row.
        left_out: Candidates that are no choice, ``[query, candidate]``.
    """
    right, choice = [], []
    for rows in blocks(*left_out.shape):
        similarities = query_features[rows] @ candidate_features.T
        own = similarities.diagonal(rows.start)
        skipped = left_out[rows].clone()
        skipped.diagonal(rows.start).fill_(True)
        others = similarities.masked_fill(skipped, float("-inf")).amax(dim=1)
        right.append(own > others)
        choice.append(others > float("-inf"))
    return torch.cat(right), torch.cat(choice)
