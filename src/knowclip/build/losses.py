"""Section ``losses`` -> terms that any method's are joined by."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from torch import Tensor

from knowclip.methods.method import ExtraLoss
from knowclip.plugins import Plugin, known
from knowclip.recipe.losses import LossSection, loss_section


def build_losses(config: Mapping[str, LossSection]) -> tuple[ExtraLoss, ...]:
    """Build the extra losses; the keys of their sections are their functions' arguments.

    Raises:
        ValueError: One cannot be imported, or does not take its section's keys.
    """
    return tuple(_build(name, section) for name, section in config.items())


def _build(name: str, section: LossSection) -> ExtraLoss:
    function, options = loss_function(name), section.model_dump(exclude={"weight"})
    _plugin(name).check_call(function, None, **options)
    return ExtraLoss(name, section.weight, function, options)


def loss_function(name: str) -> Callable[..., Tensor]:
    """Import the function that a loss's section names.

    Raises:
        ValueError: There is no such loss, several, or it cannot be imported.
    """
    return _plugin(name).load_function(loss_section(name).implementation)


def _plugin(name: str) -> Plugin:
    plugin = known("loss", name, ())
    assert plugin is not None  # knowclip's own losses are terms of its methods
    return plugin
