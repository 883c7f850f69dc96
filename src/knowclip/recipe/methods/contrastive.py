"""What a recipe may add to the contrastive methods, each a section that is null where it is off."""

from __future__ import annotations

from typing import Any

from pydantic import NonNegativeFloat, field_validator, model_validator

from knowclip.recipe.methods.section import MethodSection
from knowclip.recipe.section import Section


class DistillationConfig(Section):
    """``methods/distillation.py``: the similarities of the model that the run starts from are kept."""

    pairs_weight: NonNegativeFloat = 0.0
    """Each image's softmax over the captions of the batch, and the other way round."""
    objects_weight: NonNegativeFloat = 0.0
    """Each image's softmax over the names of the objects in the captions' graphs: naming is kept."""
    prompt: str = "{a} {name}"
    """Text of an object; ``{a}`` is the article of what follows it."""
    teacher: str | None = None
    """Model to distil from, in place of the one it starts from."""

    @field_validator("prompt")
    @classmethod
    def _names_the_object(cls, prompt: str) -> str:
        try:
            prompt.format(a="a", name="dog")
        except (LookupError, ValueError) as error:
            raise ValueError("it has placeholders other than {name} and {a}") from error
        if "{name}" not in prompt:
            raise ValueError('it has no {name}, where the object stands, as in "a photo of {a} {name}"')
        return prompt

    @model_validator(mode="after")
    def _has_effect(self) -> DistillationConfig:
        if not (self.pairs_weight or self.objects_weight):
            raise ValueError(
                "pairs_weight and objects_weight are 0, so nothing is distilled: give one, or set "
                "method.distillation=null"
            )
        if "prompt" in self.model_fields_set and not self.objects_weight:
            raise ValueError("prompt is the text of an object: leave it out with objects_weight=0")
        return self


class ContrastiveSection(MethodSection):
    """Options of a contrastive method, and of the terms that may stand beside its own."""

    distillation: DistillationConfig | None = None
    """Null: the towers may forget."""

    def arguments(self) -> dict[str, Any]:
        """Those of the method alone: terms are built by themselves."""
        return {key: value for key, value in super().arguments().items() if key not in TERMS}

    @property
    def object_prompt(self) -> str | None:
        """Of the distillation."""
        terms = self.distillation
        return terms.prompt if terms is not None and terms.objects_weight else None


TERMS = tuple(ContrastiveSection.__annotations__)
"""Keys of the sections that are no arguments of a method."""
