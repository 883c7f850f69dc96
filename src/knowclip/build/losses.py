"""Section ``losses`` -> terms that any method's are joined by."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from torch import Tensor

from knowclip.methods.method import ExtraLoss
from knowclip.plugins import known
from knowclip.recipe.losses import LossSection, loss_section


def build_losses(config: Mapping[str, LossSection]) -> tuple[ExtraLoss, ...]:
    """Build the extra losses; the keys of their sections are their functions' arguments.

    Raises:
        ValueError: One cannot be imported.
    """
    return tuple(
        ExtraLoss(name, section.weight, loss_function(name), section.model_dump(exclude={"weight"}))
        for name, section in config.items()
    )


def loss_function(name: str) -> Callable[..., Tensor]:
    """Import the function that a loss's section names.

    Raises:
        ValueError: There is no such loss, several, or it cannot be imported.
    """
    place, plugin = loss_section(name).implementation, known("loss", name, ())
    assert plugin is not None  # else it would have no section
    return plugin.load_function(place)
