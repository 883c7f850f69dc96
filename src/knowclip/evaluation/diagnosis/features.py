"""What a ladder reads: every distinct image and text encoded once, pooled and as tokens.

Shape legend: n questions, k distinct inputs, D embedding width, L tokens, W tower width.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import torch

from knowclip.evaluation.diagnosis.questions import Question, Questions
from knowclip.evaluation.scoring import Scorer
from knowclip.evaluation.tasks.sides import Tokens, image_tokens, text_tokens

if TYPE_CHECKING:
    from jaxtyping import Float, Int
    from torch import Tensor


@dataclass(frozen=True)
class Asked:
    """Which holders and properties n questions ask about, by number: holder i has property i.

    ``negated`` asks the same of the swap: holder i has the other property.
    """

    holders: Int[Tensor, "n 2"]
    properties: Int[Tensor, "n 2"]

    @classmethod
    def of(cls, questions: Sequence[Question], numbered: Questions) -> Asked:
        """Number what the questions name, all of which ``numbered`` knows."""
        holders = [[numbered.holders[name] for name in question.holders] for question in questions]
        properties = [[numbered.properties[name] for name in question.properties] for question in questions]
        shape = (len(questions), 2)
        return cls(torch.tensor(holders).reshape(shape), torch.tensor(properties).reshape(shape))

    def negated(self) -> Asked:
        """What the swaps claim."""
        return Asked(self.holders, self.properties.flip(1))

    def __getitem__(self, rows: Int[Tensor, " m"]) -> Asked:
        return Asked(self.holders[rows], self.properties[rows])

    def __len__(self) -> int:
        return len(self.holders)

    def __add__(self, other: Asked) -> Asked:
        return Asked(torch.cat([self.holders, other.holders]), torch.cat([self.properties, other.properties]))


@dataclass(frozen=True)
class Encoded:
    """n questions as a model embeds them: normalised image, caption and swap, each ``[n, D]``; and tokens."""

    asked: Asked
    images: Float[Tensor, "n D"]
    captions: Float[Tensor, "n D"]
    swaps: Float[Tensor, "n D"]
    patches: Tokens
    words: Tokens
    """Of the n captions, then of the n swaps."""
    image_ids: list[str]


def encode(questions: Sequence[Questions], scorer: Scorer) -> list[tuple[Encoded, Encoded]]:
    """Encode what several kinds ask, those to fit on and those to ask, each distinct input once for all."""
    parts = [part for each in questions for part in (each.fit, each.test)]
    every = [question for part in parts for question in part]
    captions, swaps = [q.caption for q in every], [q.swap for q in every]
    refs = [question.image for question in every]
    patches, words = image_tokens(refs, scorer), text_tokens([*captions, *swaps], scorer)
    images, true, false = (
        torch.from_numpy(rows) for rows in (scorer.images(refs), scorer.texts(captions), scorer.texts(swaps))
    )
    found, start = [], 0
    for number, part in enumerate(parts):
        rows = torch.arange(start, start + len(part))
        found.append(
            Encoded(
                Asked.of(part, questions[number // 2]),
                images[rows],
                true[rows],
                false[rows],
                replace(patches, index=patches.index[rows]),
                replace(words, index=words.index[torch.cat([rows, rows + len(every)])]),
                [question.image_id for question in part],
            )
        )
        start += len(part)
    return list(zip(found[::2], found[1::2], strict=True))
