"""Typed recipes: YAML plus ``key=value`` overrides, with every default declared here and nowhere else.

A recipe holds only differences from these defaults. Unknown keys are refused with the nearest name. Paths are
relative to the working directory. ``build.py`` is the only reader of these models besides the commands.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from difflib import get_close_matches
from pathlib import Path
from typing import Annotated, Any, Literal

import yaml
from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    NonNegativeFloat,
    NonNegativeInt,
    PositiveFloat,
    PositiveInt,
    PrivateAttr,
    ValidationError,
    model_validator,
)

RECIPES = Path(__file__).parent / "recipes"


class Section(BaseModel):
    """A part of a recipe: unknown keys are errors that name the nearest one."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    @model_validator(mode="before")
    @classmethod
    def _refuse_unknown_keys(cls, values: Any) -> Any:
        if isinstance(values, Mapping):
            for key in values:
                if key not in cls.model_fields:
                    near = get_close_matches(str(key), cls.model_fields, n=1, cutoff=0.5)
                    hint = f"did you mean {near[0]!r}? " if near else ""
                    raise ValueError(f"unknown key {key!r}; {hint}allowed: {', '.join(cls.model_fields)}")
        return values


class ModelConfig(Section):
    """What to train: an architecture and weights, or a checkpoint."""

    name: str
    """Architecture, checkpoint file or folder, or ``hf-hub:`` name (``models.loading.load``)."""
    pretrained: str | None = None
    """Pretrained tag or file of weights for an architecture's name; ``random`` for fresh ones."""
    activation: Literal["gelu", "quick_gelu"] | None = None
    """For weights that do not say which they need."""
    lock_image: bool = False
    """Freeze the image trunk and keep it in eval mode."""


class SourceConfig(Section):
    """Image-caption pairs (``data.captions.read_captions``)."""

    path: Path
    """Captions file, or a folder that holds one."""
    format: Literal["coco", "karpathy", "flickr8k", "csv", "folder"] | None = None
    """Found out from the file when null."""
    images: Path | None = None
    """Folder that image names are relative to; looked for beside the file when null."""
    split: str | None = None
    """All splits when null."""
    image_column: str | None = None
    """Column of image names, in a table that leaves it open."""
    caption_column: str | None = None
    """Column of captions, likewise."""


class NegativesConfig(Section):
    """Hard negatives of the training captions, made by parsing them."""

    per_caption: NonNegativeInt = 0
    """Drawn anew for each caption in each epoch; 0 makes none."""
    kinds: tuple[str, ...] = ("relation_swap", "attribute_swap")
    """Which kinds to make."""
    parser: str = "spacy"
    """Parser of the captions."""
    graphs: Path | None = None
    """Your own scene graphs (``graphs.jsonl``), in place of parsing."""
    processes: PositiveInt = 1
    """Local processes that parse."""


class DataConfig(Section):
    """What to train on, and what to select on."""

    train: SourceConfig
    val: SourceConfig | None = None
    """Validation pairs; nothing is selected on anything else."""
    val_images: NonNegativeInt = 0
    """Without ``val``: so many training images, always the same ones, are held out for it."""
    captions_per_image: Literal["all", "one"] = "all"
    """In an epoch: every caption of an image, or one of them drawn anew."""
    negatives: NegativesConfig = NegativesConfig()
    group_share: Annotated[float, Field(ge=0, le=1)] = 0.0
    """Share of each batch made of captions that name the same objects: in-batch hard negatives."""
    cache: Literal["none", "pixels", "trunk"] = "none"
    """Keep decoded images, or the outputs of a locked image trunk, on disk."""
    cache_dir: Path = Path("~/.cache/knowclip")
    """Where caches of images, graphs and negatives live."""


class ClipConfig(Section):
    """``methods/clip.py``."""

    name: Literal["clip"]


class NegClipConfig(Section):
    """``methods/negclip.py``."""

    name: Literal["negclip"]
    own_negative_weight: NonNegativeFloat = 0.0
    """Weight of the choice between a caption and its own negatives; 0 is NegCLIP as published."""


MethodConfig = Annotated[ClipConfig | NegClipConfig, Field(discriminator="name")]


class OptimizerConfig(Section):
    """AdamW."""

    lr: PositiveFloat = 1e-5
    weight_decay: NonNegativeFloat = 0.1
    betas: tuple[float, float] = (0.9, 0.98)
    eps: PositiveFloat = 1e-6
    lr_multipliers: dict[str, NonNegativeFloat] = {}
    """Prefix of parameter names, as open_clip has them (``visual.``) -> factor on ``lr``."""


class ScheduleConfig(Section):
    """Linear warm-up, then a cosine, in optimiser steps."""

    warmup: NonNegativeInt = 0
    """Optimiser steps."""
    final: Annotated[float, Field(ge=0, le=1)] = 0.0
    """Where the cosine ends, as a share of ``lr``."""


class TrainConfig(Section):
    """How long and how."""

    epochs: PositiveInt | None = None
    steps: PositiveInt | None = None
    """Optimiser steps, in place of epochs."""
    batch_size: PositiveInt
    """Pairs of one optimiser step, over all processes: the pool of in-batch negatives."""
    accumulate: PositiveInt = 1
    """Micro-batches that fit the memory; the gradients stay those of the whole batch."""
    precision: Literal["fp32", "bf16"] = "fp32"
    clip_grad: PositiveFloat | None = 1.0
    """Largest global norm of the gradient."""
    num_workers: NonNegativeInt = 0
    """Processes that load data, for each training process."""
    log_every: PositiveInt = 10
    validate_every: PositiveInt | None = None
    """Optimiser steps; null: every epoch."""
    save_every: PositiveInt | None = None
    """Optimiser steps between writings of ``last``; null: every epoch."""

    @model_validator(mode="after")
    def _one_length(self) -> TrainConfig:
        if (self.epochs is None) == (self.steps is None):
            raise ValueError(f"give either epochs or steps, got epochs={self.epochs} and steps={self.steps}")
        return self


class SelectionConfig(Section):
    """Which checkpoint is ``best``."""

    metrics: tuple[str, ...] = Field(("text_to_image_R@1",), min_length=1)
    """Validation metrics; the highest mean of them wins."""
    suite: Path | None = None
    """Folder of benchmarks whose validation split is measured beside the validation pairs."""


class OutputConfig(Section):
    """Where results go."""

    folder: Path
    """The run's folder."""
    wandb: str | None = None
    """Project on Weights & Biases."""


class Recipe(Section):
    """Everything a training run depends on."""

    model: ModelConfig
    data: DataConfig
    method: MethodConfig
    train: TrainConfig
    output: OutputConfig
    optimizer: OptimizerConfig = OptimizerConfig()
    schedule: ScheduleConfig = ScheduleConfig()
    selection: SelectionConfig = SelectionConfig()
    seed: int = 0
    _source: Path | None = PrivateAttr(default=None)

    @property
    def source(self) -> Path | None:
        """The file it was read from."""
        return self._source

    @model_validator(mode="after")
    def _fits_together(self) -> Recipe:
        if self.method.name == "negclip" and not self.data.negatives.per_caption:
            raise ValueError(
                "method negclip learns from negatives: set data.negatives.per_caption to 1 or more"
            )
        if self.method.name == "clip" and self.data.negatives.per_caption:
            raise ValueError("method clip uses no negatives: set data.negatives.per_caption to 0")
        if self.data.group_share and not self.data.negatives.per_caption:
            raise ValueError("data.group_share needs parsed captions: set data.negatives.per_caption, or 0")
        if self.data.cache == "trunk" and not self.model.lock_image:
            raise ValueError("data.cache=trunk is for a trunk that stays as it is: set model.lock_image=true")
        if self.data.val is not None and self.data.val_images:
            raise ValueError("data.val and data.val_images both say what to validate on: give one of them")
        return self


def load_recipe(name_or_path: str | Path, overrides: Sequence[str] = ()) -> Recipe:
    """Read a recipe that ships with knowclip (by name) or a YAML file, and apply overrides.

    Args:
        name_or_path: ``negclip``, or ``my/recipe.yaml``.
        overrides: ``section.key=value``, the value as YAML writes it (``null``, ``[a, b]``, ``1e-5``).

    Raises:
        ValueError: Naming the recipe, and the key, what was got and what is allowed.
    """
    path = find_recipe(name_or_path)
    try:
        values = yaml.safe_load(path.read_text(encoding="utf-8"))
    except yaml.YAMLError as error:
        raise ValueError(f"{path} is no valid YAML: {error}") from error
    if not isinstance(values, dict):
        raise ValueError(f"{path} should hold sections ({', '.join(Recipe.model_fields)}), got {values!r}")
    for override in overrides:
        _apply(values, override)
    try:
        recipe = Recipe.model_validate(values)
    except ValidationError as error:
        problems = "; ".join(_describe(problem) for problem in error.errors())
        raise ValueError(f"recipe {path}: {problems}") from error
    recipe._source = path
    return recipe


def find_recipe(name_or_path: str | Path) -> Path:
    """Locate a recipe: a path that exists, or the name of one that ships with knowclip.

    Raises:
        ValueError: If there is none.
    """
    path = Path(name_or_path)
    if path.is_file():
        return path
    shipped = {recipe.stem: recipe for recipe in sorted(RECIPES.glob("*.yaml"))}
    if str(name_or_path) in shipped:
        return shipped[str(name_or_path)]
    near = get_close_matches(str(name_or_path), shipped, n=1)
    hint = f"did you mean {near[0]!r}? " if near else ""
    raise ValueError(f"no recipe {str(name_or_path)!r}: no such file; {hint}shipped: {', '.join(shipped)}")


def save_recipe(recipe: Recipe, path: Path) -> None:
    """Write every value of a recipe, defaults included, so that it can be loaded again."""
    values = recipe.model_dump(mode="json")
    path.write_text(yaml.safe_dump(values, sort_keys=False, allow_unicode=True), encoding="utf-8")


def differences(old: Recipe, new: Recipe) -> dict[str, tuple[Any, Any]]:
    """Name the dotted keys whose values differ: ``{key: (old, new)}``."""
    before, after = _flat(old.model_dump(mode="json")), _flat(new.model_dump(mode="json"))
    keys = [*before, *(key for key in after if key not in before)]
    return {k: (before.get(k), after.get(k)) for k in keys if before.get(k) != after.get(k)}


def _flat(values: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    flat: dict[str, Any] = {}
    for key, value in values.items():
        flat |= _flat(value, f"{prefix}{key}.") if isinstance(value, Mapping) else {f"{prefix}{key}": value}
    return flat


def _apply(values: dict[str, Any], override: str) -> None:
    """Set one dotted key in nested dictionaries."""
    key, equals, text = override.partition("=")
    if not equals or not key:
        raise ValueError(f"an override reads section.key=value, got {override!r}")
    try:
        value = yaml.safe_load(text)
    except yaml.YAMLError as error:
        raise ValueError(f"override {override!r}: {text!r} is no valid YAML value") from error
    *parents, last = key.split(".")
    for depth, parent in enumerate(parents):
        if values.get(parent) is None:
            values[parent] = {}
        values = values[parent]
        if not isinstance(values, dict):
            raise ValueError(f"override {override!r}: {'.'.join(parents[: depth + 1])} has no keys in it")
    values[last] = value


def _describe(problem: Mapping[str, Any]) -> str:
    """``optimizer.lr: got 'fast'; input should be a valid number``."""
    parts = [str(part) for part in problem["loc"]]
    if parts[:1] == ["method"] and len(parts) > 1:
        del parts[1]  # pydantic puts the name of the method in between
    key = ".".join(parts)
    if problem["type"] == "value_error":
        message = str(problem["ctx"]["error"])
        return f"{key}: {message}" if key else message
    if problem["type"] == "missing":
        return f"{key} is missing: set it in the recipe or as {key}=VALUE"
    message = problem["msg"][0].lower() + problem["msg"][1:]
    return f"{key}: got {problem['input']!r}; {message}"
