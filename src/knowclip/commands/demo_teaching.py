"""A tower is taught what scenes say: at its tokens, which learn it at once, and in its pooled embedding.

Told of the pooled embedding alone, a text tower stays for hundreds of steps at "these two colours, not
whose", and an image tower longer; told at the tokens too, both go on. The heads read one tower only and are
thrown away, so nothing here says how a picture's embedding and a caption's belong together.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import nn
from torch.nn import functional as F

from knowclip.console.progress import counting
from knowclip.data.scenes.labels import UNSAID, Labels
from knowclip.data.scenes.nouns import COLOURS, NOUNS, RELATIONS

if TYPE_CHECKING:
    from jaxtyping import Float, Int64
    from torch import Tensor

    Encode = Callable[[Int64[np.ndarray, " B"]], tuple[Float[Tensor, "B D"], Float[Tensor, "B S W"]]]
    """Rows -> embeddings of any length, and the tower's output at the spots."""

BATCH = 256
TWO_COLOURED = 0.75
"""Share of a batch drawn from scenes of two unlike colours: the others teach no binding of them."""
SHARPNESS = 20.0
"""The embedding is a unit vector; labels are read from it at this length."""
WEIGHTS = {"colours": 2.0, "nouns": 0.5}
"""Of the losses; 1 where none is given."""


class Heads(nn.Module):
    """Read labels from one tower: linear in the embedding, but for what asks a colour of a noun.

    ``colour(noun) = (U z * a_noun) . b_colour``: no weight belongs to one (noun, colour), so what is learned
    of the pairs that train shows holds of those that it never shows.

    Args:
        dim: Of the pooled embedding.
        width: Of the spots.
    """

    def __init__(self, dim: int, width: int) -> None:
        super().__init__()
        self.asked = nn.Linear(dim, dim)
        self.noun_factors = nn.Parameter(torch.randn(len(NOUNS), dim) / dim**0.25)
        self.colour_factors = nn.Parameter(torch.randn(len(COLOURS), dim) / dim**0.25)
        self.nouns = nn.Linear(dim, len(NOUNS))
        self.subject, self.relation, self.object = (
            nn.Linear(dim, size) for size in (len(NOUNS), len(RELATIONS), len(NOUNS))
        )
        self.spot_noun, self.spot_colour = nn.Linear(width, len(NOUNS)), nn.Linear(width, len(COLOURS))

    def losses(
        self, pooled: Float[Tensor, "B D"], spots: Float[Tensor, "B S W"], labels: Labels
    ) -> dict[str, Float[Tensor, ""]]:
        """Nats: a noun with its colour, a role, a spot; for ``nouns`` an image or caption."""
        features = SHARPNESS * F.normalize(pooled, dim=-1)
        colours = torch.from_numpy(labels.colours)
        row, noun = (colours != UNSAID).nonzero(as_tuple=True)
        asked = self.asked(features)[row] * self.noun_factors[noun]
        present = torch.from_numpy(labels.nouns).float()
        noun_losses = F.binary_cross_entropy_with_logits(self.nouns(features), present, reduction="sum")
        roles = torch.from_numpy(labels.roles).T
        said = torch.from_numpy(labels.spots[:, : spots.shape[1]])
        named = said[..., 0] != UNSAID
        return {
            "colours": F.cross_entropy(asked @ self.colour_factors.T, colours[row, noun]),
            "nouns": noun_losses / len(features),
            "subject": F.cross_entropy(self.subject(features), roles[0], ignore_index=UNSAID),
            "relation": F.cross_entropy(self.relation(features), roles[1], ignore_index=UNSAID),
            "object": F.cross_entropy(self.object(features), roles[2], ignore_index=UNSAID),
            "spot_nouns": F.cross_entropy(self.spot_noun(spots[named]), said[named][:, 0]),
            "spot_colours": F.cross_entropy(
                self.spot_colour(spots[named]), said[named][:, 1], ignore_index=UNSAID
            ),
        }


def teach(
    encode: Encode,
    parameters: Iterable[nn.Parameter],
    labels: Labels,
    *,
    sizes: tuple[int, int],
    steps: int,
    lr: float,
    seed: int,
    doing: str,
) -> dict[str, float]:
    """Train a tower on labels of its scenes, and return the last batch's losses.

    Args:
        encode: Of these scenes.
        parameters: The tower's.
        labels: Of all scenes.
        sizes: ``dim`` and ``width`` of the heads that are trained beside the tower.
        steps: Of ``BATCH`` scenes; the rate falls to 0 as a cosine.
        lr: The highest rate, after 50 steps.
        seed: Of the heads and of the order of the scenes.
        doing: Said beside the bar.
    """
    torch.manual_seed(seed)
    heads, trained = Heads(*sizes), list(parameters)
    optimizer = torch.optim.AdamW([*trained, *heads.parameters()], lr=lr, weight_decay=0.05)
    schedule = torch.optim.lr_scheduler.LambdaLR(
        optimizer, lambda s: min(1, (s + 1) / 50) * (0.5 + 0.5 * math.cos(math.pi * s / steps))
    )
    rng, two_coloured = np.random.default_rng(seed), labels.two_coloured
    last: dict[str, float] = {}
    with counting(doing, total=steps) as progress:
        for step in range(steps):
            rows = _draw(len(labels.nouns), two_coloured, rng)
            losses = heads.losses(*(output.float() for output in encode(rows)), _rows(labels, rows))
            loss = torch.stack([WEIGHTS.get(name, 1.0) * part for name, part in losses.items()]).sum()
            optimizer.zero_grad()
            loss.backward()
            nn.utils.clip_grad_norm_(trained, 1.0)
            optimizer.step()
            schedule.step()
            last = {name: part.item() for name, part in losses.items()}
            progress(step + 1)
    return last


def _draw(
    scenes: int, two_coloured: Int64[np.ndarray, " m"], rng: np.random.Generator
) -> Int64[np.ndarray, " B"]:
    size = min(BATCH, scenes)
    often = rng.choice(two_coloured, min(len(two_coloured), round(TWO_COLOURED * size)), replace=False)
    return np.concatenate([often, rng.choice(scenes, size - len(often), replace=False)])


def _rows(labels: Labels, rows: Int64[np.ndarray, " B"]) -> Labels:
    return Labels(labels.nouns[rows], labels.colours[rows], labels.roles[rows], labels.spots[rows])
