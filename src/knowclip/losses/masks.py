"""Which pairs of a batch are no true negatives: captions of the same image, equal texts, true negatives.

In a small or balanced world they are common: with every relation in both orders, the swap of one
caption is often the caption of another picture of the same batch.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

from knowclip.losses.blocks import blocks

if TYPE_CHECKING:
    from jaxtyping import Bool, Int
    from torch import Tensor


def known_true(
    *, image_ids: Int[Tensor, " B"], caption_ids: Int[Tensor, " B"], text_ids: Int[Tensor, " M"]
) -> Bool[Tensor, "B M"]:
    """Where text ``m`` equals a caption that some row of the batch gives to the image of row ``b``."""
    return listed(torch.stack([image_ids, caption_ids], dim=1), rows=image_ids, columns=text_ids)


def listed(
    pairs: Int[Tensor, "E 2"], *, rows: Int[Tensor, " R"], columns: Int[Tensor, " C"]
) -> Bool[Tensor, "R C"]:
    """Where ``(rows[i], columns[j])`` is one of the pairs."""
    firsts, first = torch.cat([pairs[:, 0], rows]).unique(return_inverse=True)  # type: ignore[no-untyped-call]
    seconds, second = torch.cat([pairs[:, 1], columns]).unique(return_inverse=True)  # type: ignore[no-untyped-call]
    # a table, looked up: a product of booleans costs as many times more as there are rows
    table = torch.zeros(len(firsts), len(seconds), dtype=torch.bool, device=rows.device)
    table[first[: len(pairs)], second[: len(pairs)]] = True
    found = table.new_empty(len(rows), len(columns))
    first, second = first[len(pairs) :], second[len(pairs) :]
    for part in blocks(len(rows), len(seconds)):
        found[part] = table[first[part]][:, second]
    return found


def false_negatives(*, image_ids: Int[Tensor, " B"], caption_ids: Int[Tensor, " B"]) -> Bool[Tensor, "B B"]:
    """Off-diagonal pairs that must not be pushed apart: same image, or a text known to be true of it.

    Returns:
        ``mask[i, j]``: caption ``j`` is true of image ``i``, ``i != j``. The diagonal is False.
    """
    mask = known_true(image_ids=image_ids, caption_ids=caption_ids, text_ids=caption_ids)
    return mask.fill_diagonal_(False)


def usable_negatives(
    *,
    image_ids: Int[Tensor, " B"],
    caption_ids: Int[Tensor, " B"],
    negative_ids: Int[Tensor, "B N"],
    negative_mask: Bool[Tensor, "B N"],
) -> Bool[Tensor, "B B N"]:
    """Which hard negatives are negatives for which image.

    Returns:
        ``usable[i, j, n]``: slot ``n`` of caption ``j`` is filled, and is no known caption of image ``i``.
    """
    true = known_true(image_ids=image_ids, caption_ids=caption_ids, text_ids=negative_ids.flatten())
    # in place: these are the largest masks of a batch
    return true.view(len(image_ids), *negative_ids.shape).logical_not_().logical_and_(negative_mask)


def first_of_each(ids: Int[Tensor, " M"]) -> Int[Tensor, " U"]:
    """Rows at which each of U different ids stands first, in ascending order of rows."""
    distinct, number = ids.unique(return_inverse=True)  # type: ignore[no-untyped-call]
    rows = torch.arange(len(ids), device=ids.device)
    first = torch.full_like(distinct, len(ids)).scatter_reduce(0, number, rows, "amin")
    return first.sort().values
