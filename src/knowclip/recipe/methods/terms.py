"""What a recipe may add to a contrastive method: the section of each term."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import (
    Field,
    NonNegativeFloat,
    NonNegativeInt,
    PositiveFloat,
    PositiveInt,
    field_validator,
    model_validator,
)

from knowclip.recipe.section import Section


class DistillationConfig(Section):
    """``methods/distillation.py``: the similarities of the model that the run starts from are kept."""

    pairs_weight: NonNegativeFloat = 0.0
    """Each image's softmax over the captions of the batch, and the other way round."""
    objects_weight: NonNegativeFloat = 0.0
    """Each image's softmax over the names of the objects in the captions' graphs: naming is kept."""
    crops: Annotated[float, Field(ge=0, le=1)] = 0.0
    """Share of a batch's images of which a random crop is named too: what is small or alone there is kept."""
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
        if self.crops and not self.objects_weight:
            raise ValueError("crops are for objects to be named in: give an objects_weight, or set crops=0")
        return self


class SubgraphsConfig(Section):
    """``methods/subgraphs.py``: parts of the captions' graphs are texts too, true ones and edited ones."""

    weight: PositiveFloat = 1.0
    """Of the term."""
    positives: PositiveInt = 2
    """Drawn anew for each caption in each epoch; fewer where it says less."""
    negatives: NonNegativeInt = 2
    """Edited ones, likewise; 0: the sub-graphs of other images are all there is against them."""
    kinds: tuple[Literal["object", "attribute", "pair", "relation"], ...] = Field(
        ("object", "attribute", "pair", "relation"), min_length=1
    )
    """"a dog"; "a red dog"; "a red dog and a blue cat"; "a dog chasing a cat"."""
    against: Literal["batch", "own"] = "batch"
    """What a positive is chosen among: every text of the batch that is false of the image, or the edited ones
    of the image alone."""
    shared: bool = True
    """Whether the positives of an image are in one softmax, as in the paper; false: each is alone against
    what is false."""
    curriculum: NonNegativeInt = 0
    """Steps in which each caption has one positive and one negative, before it has all."""

    @model_validator(mode="after")
    def _has_effect(self) -> SubgraphsConfig:
        if self.against == "own" and not self.negatives:
            raise ValueError("against=own is the choice among edited sub-graphs: set negatives to 1 or more")
        if self.curriculum and self.positives == 1 and self.negatives <= 1:
            raise ValueError("curriculum goes from one positive and one negative to more: ask for more")
        return self


class ReadoutConfig(Section):
    """``methods/readout.py``: one head tells a triple's tail from the caption's vector and the image's."""

    weight: PositiveFloat = 1.0
    """Of the term."""
    width: PositiveInt = 128
    """Of the head, and of the space in which it names tails."""
