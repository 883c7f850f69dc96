"""What the demo compares: known before torch is imported."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from knowclip.console.counts import counted

if TYPE_CHECKING:
    from knowclip.recipe.recipe import Recipe

PLAIN = "clip"
METHODS = (PLAIN, "negclip")
"""Plain training first: the baseline, and the teacher of what the other might forget."""


def trained_told(recipes: Sequence[Recipe]) -> dict[str, str]:
    """How long and in what batches each method is trained, by its recipe; the plain one's comes first."""
    plain, *_ = recipes
    return {recipe.method.name: _told(recipe, plain) for recipe in recipes}


def _told(recipe: Recipe, plain: Recipe) -> str:
    size, plain_size = recipe.train.batch_size or 0, plain.train.batch_size or 0
    number, unit = _length(recipe)
    told = f"{counted(number, unit)} of {counted(size, 'pair')}"
    if unit == "epoch":
        return f"{counted(number, unit)} in batches of {counted(size, 'pair')}"
    if recipe is plain or number * size != _length(plain)[0] * plain_size:
        return told
    told += f": as many pairs as {plain.method.name}"
    return told if size == plain_size else f"{told}, in batches that serve it better"


def _length(recipe: Recipe) -> tuple[int, str]:
    """How many steps or epochs: a recipe has the one or the other."""
    steps, epochs = recipe.train.steps, recipe.train.epochs
    return (steps, "step") if steps is not None else (epochs or 0, "epoch")
