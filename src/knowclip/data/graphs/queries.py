"""Triplets as plain CLIP is asked for their ends: "head relation" for a tail, "relation tail" for a head.

As :class:`knowclip.evaluation.links.scorers.PlainClip` asks: a phrase where what is given is words; of an
image, its embedding and the relation's, so that the phrase is the relation alone.

Shape legend: M triplets of a step on all processes, T of this one, L tokens.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import torch

from knowclip.data.graphs.hierarchy import Hierarchy
from knowclip.data.graphs.sampler import TripletBatch

if TYPE_CHECKING:
    from jaxtyping import Int
    from torch import Tensor


@dataclass(frozen=True, slots=True)
class Queries:
    """How a step's triplets are asked for.

    Args:
        hierarchy: What relates their ends.
        heads: For heads too.
    """

    hierarchy: Hierarchy
    heads: bool = False

    def fields(
        self, drawn: TripletBatch, rows: slice, tokenize: Callable[[list[str]], Int[Tensor, "X L"]]
    ) -> dict[str, Tensor]:
        """``tail_phrases``, ``related_tails`` and, with ``heads``, the same of heads, of a GraphBatch."""
        sides = ("tail", "head") if self.heads else ("tail",)
        fields = {}
        for side in sides:
            related = self.hierarchy.related(drawn, heads=side == "head")
            np.fill_diagonal(related, False)
            fields[f"{side}_phrases"] = tokenize(phrases(drawn, heads=side == "head")[rows])
            fields[f"related_{side}s"] = torch.from_numpy(related[rows])
        return fields


def phrases(drawn: TripletBatch, *, heads: bool = False) -> list[str]:
    """What asks for each tail in words, or for each head; the relation alone beside an image."""
    if heads:
        return [
            f"{relation} {tail}" if isinstance(tail, str) else relation
            for relation, tail in zip(drawn.relation, drawn.tail, strict=True)
        ]
    return [
        f"{head} {relation}" if isinstance(head, str) else relation
        for head, relation in zip(drawn.head, drawn.relation, strict=True)
    ]
