"""Section ``losses``: terms of other packages, beside those of the method."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

from pydantic import PositiveFloat, ValidationError
from pydantic_core import InitErrorDetails

from knowclip.plugins import PluginError, known
from knowclip.recipe.section import Section


class LossSection(Section):
    """Options of a loss of another package; every key but ``weight`` is an argument of its function."""

    weight: PositiveFloat = 1.0
    """Of the term in the sum that is minimised."""
    implementation: ClassVar[str]
    """``module:function``, called as ``function(features, **options)``: Features -> scalar tensor."""


def loss_section(name: str) -> type[LossSection]:
    """Find the section of a loss by the name of its entry point.

    Raises:
        ValueError: There is none, several, or it cannot be imported.
    """
    plugin = known("loss", name, ())
    assert plugin is not None  # knowclip's own are terms of its methods
    section = plugin.load_class(LossSection)
    if not isinstance(getattr(section, "implementation", None), str):
        raise PluginError(f"{plugin} has no implementation: give its class variable as 'module:function'")
    return section


def read_losses(values: Any) -> Any:
    """Validate each loss's section as its name says.

    Raises:
        ValueError: No loss of a name.
        ValidationError: A key of one.
    """
    if not isinstance(values, Mapping):
        return values
    return {
        name: section if isinstance(section, LossSection) else _read(name, section)
        for name, section in values.items()
    }


def _read(name: str, values: Any) -> LossSection:
    section = loss_section(str(name))
    try:
        return section.model_validate({} if values is None else values)
    except ValidationError as error:  # its keys are those of a key
        problems = [
            InitErrorDetails(type=e["type"], loc=(name, *e["loc"]), input=e["input"], ctx=e.get("ctx", {}))
            for e in error.errors()
        ]
        raise ValidationError.from_exception_data(section.__name__, problems) from error
