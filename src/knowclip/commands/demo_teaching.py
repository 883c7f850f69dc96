"""A tower is taught what scenes say: at its tokens, which learn it at once, and in its pooled embedding.

Told of the pooled embedding alone, a text tower stays for hundreds of steps at "these two colours, not
whose", and an image tower longer; told at the tokens too, both go on. The heads read one tower only and are
thrown away, so nothing here says how a picture's embedding and a caption's belong together.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import nn
from torch.nn import functional as F

from knowclip.console.progress import counting
from knowclip.data.scenes.labels import ROLES, UNSAID, Labels
from knowclip.data.scenes.nouns import COLOURS, NOUNS, RELATIONS
from knowclip.training.optim import warmup_cosine

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
WARMUP = 50
WEIGHTS = {"colours": 2.0, "roles": 2.0, "nouns": 0.5}
"""Of the losses; 1 where none is given."""
_SPOT_ANSWERS = (len(NOUNS), len(COLOURS), len(ROLES))


class Asked(nn.Module):
    """Answers about one noun of an embedding: ``answer(noun) = (U z * a_noun) . b_answer``.

    No weight belongs to one (noun, answer), so what is learned of the pairs that train shows holds of those
    that it never shows; and no direction of ``z`` is one noun's in one role, which plain contrastive training
    would align as it aligns nouns.
    """

    def __init__(self, dim: int, answers: int) -> None:
        super().__init__()
        self.projection = nn.Linear(dim, dim)
        self.nouns = nn.Parameter(torch.randn(len(NOUNS), dim) / dim**0.25)
        self.answers = nn.Parameter(torch.randn(answers, dim) / dim**0.25)

    def loss(self, features: Float[Tensor, "B D"], labels: Int64[np.ndarray, "B N"]) -> Float[Tensor, ""]:
        """Nats a noun of which something is said."""
        said = torch.from_numpy(labels)
        row, noun = (said != UNSAID).nonzero(as_tuple=True)
        logits = (self.projection(features)[row] * self.nouns[noun]) @ self.answers.T
        return F.cross_entropy(logits, said[row, noun])


class Heads(nn.Module):
    """Read labels from one tower: which nouns and which relation, linearly; of a noun its colour and role.

    Args:
        dim: Of the pooled embedding.
        width: Of the spots.
        names_roles: Also ask, linearly, which noun is the subject and which the object. It teaches an image
            tower nouns and roles sooner. Told both towers, plain contrastive training aligns these directions
            as it aligns nouns, and the cosine knows roles before anything asked it to.
    """

    def __init__(self, dim: int, width: int, *, names_roles: bool) -> None:
        super().__init__()
        self.named = nn.ModuleList(nn.Linear(dim, len(NOUNS)) for _ in ROLES if names_roles)
        self.colours, self.roles = Asked(dim, len(COLOURS)), Asked(dim, len(ROLES))
        self.nouns, self.relations = nn.Linear(dim, len(NOUNS)), nn.Linear(dim, len(RELATIONS))
        self.spots = nn.Linear(width, sum(_SPOT_ANSWERS))

    def losses(
        self, pooled: Float[Tensor, "B D"], spots: Float[Tensor, "B S W"], labels: Labels
    ) -> dict[str, Float[Tensor, ""]]:
        """Nats: a noun with its colour or role, a relation, a spot; for ``nouns`` an image or caption."""
        features = SHARPNESS * F.normalize(pooled, dim=-1)
        present = torch.from_numpy(labels.nouns).float()
        nouns = F.binary_cross_entropy_with_logits(self.nouns(features), present, reduction="sum")
        relations = torch.from_numpy(labels.relations)
        told = torch.from_numpy(labels.spots[:, : spots.shape[1]])
        named = (
            F.cross_entropy(head(features), holders(labels.roles, role), ignore_index=UNSAID)
            for role, head in enumerate(self.named)
        )
        answers = self.spots(spots).split(_SPOT_ANSWERS, dim=-1)
        at_spots = (
            F.cross_entropy(logits.flatten(0, 1), said.flatten(), ignore_index=UNSAID)
            for logits, said in zip(answers, told.unbind(-1), strict=True)
        )
        return {
            "nouns": nouns / len(features),
            "colours": self.colours.loss(features, labels.colours),
            "relations": F.cross_entropy(self.relations(features), relations, ignore_index=UNSAID),
            "roles": self.roles.loss(features, labels.roles),
            **{f"{name}s": loss for name, loss in zip(ROLES, named, strict=False)},
            **dict(zip(("spot_nouns", "spot_colours", "spot_roles"), at_spots, strict=True)),
        }


def holders(roles: Int64[np.ndarray, "B N"], role: int) -> Int64[Tensor, " B"]:
    """The noun that has a role in each scene; ``UNSAID`` where none is said to."""
    holds = roles == role
    return torch.from_numpy(np.where(holds.any(axis=1), holds.argmax(axis=1), UNSAID))


def teach(
    encode: Encode,
    parameters: Iterable[nn.Parameter],
    labels: Labels,
    *,
    sizes: tuple[int, int],
    names_roles: bool,
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
        names_roles: Of the heads.
        steps: Of ``BATCH`` scenes; the rate falls to 0 as a cosine.
        lr: The highest rate, after ``WARMUP`` steps.
        seed: Of the heads and of the order of the scenes.
        doing: Said beside the bar.
    """
    torch.manual_seed(seed)
    heads, trained = Heads(*sizes, names_roles=names_roles), list(parameters)
    optimizer = torch.optim.AdamW([*trained, *heads.parameters()], lr=lr, weight_decay=0.05)
    schedule = warmup_cosine(optimizer, warmup=min(WARMUP, steps - 1), steps=steps, final=0.0)
    rng, two_coloured = np.random.default_rng(seed), labels.two_coloured
    last: dict[str, float] = {}
    with counting(doing, total=steps) as progress:
        for step in range(steps):
            rows = _draw(len(labels.nouns), two_coloured, rng)
            losses = heads.losses(*(output.float() for output in encode(rows)), labels[rows])
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
