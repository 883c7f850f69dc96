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

Modality = Literal["text", "image", "random"]
Shown = Literal["text", "image"]
"""How an entity that has words and images is shown where nothing is drawn."""
LinkSide = Literal["tail", "head", "relation"]
Among = Literal["all", "split"]


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
    preprocess: str | None = None
    """For a bare file of weights: the pretrained tag whose preprocessing it was trained with."""
    lock_image: bool = False
    """Freeze the image trunk and keep it in eval mode."""
    trunk_dropout: Annotated[float, Field(ge=0, lt=1)] = 0.0
    """Dropout on the cached features of a locked trunk."""
    freeze_batch_norm: bool = False
    """Leave BatchNorm's running statistics as they are: else crops of regions shift those of whole images."""
    unlocked_text_layers: NonNegativeInt | None = None
    """Train only so many of the text tower's last layers, and its head; the whole tower when null."""


CaptionFormat = Literal[
    "coco", "karpathy", "flickr8k", "csv", "lavis", "imagefolder", "jsonl", "parquet", "folder", "webdataset",
    "huggingface",
]  # fmt: skip
"""Those of ``data.formats.registry`` that name images."""


class SourceConfig(Section):
    """Image-caption pairs (``data.captions.read_captions``)."""

    path: Path
    """Captions file, a folder that holds one, or ``hf-hub:`` and the name of a data set."""
    format: CaptionFormat | None = None
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
    kinds: tuple[str, ...] | None = None
    """Which kinds of ``knowclip.knowledge.negatives.generate.KINDS`` to make; null: the paper's swaps."""
    parser: str = "spacy"
    """Parser of the captions: ``spacy`` or ``factual`` (a T5), with ``:MODEL`` for another model."""
    graphs: Path | None = None
    """Your own scene graphs (``graphs.jsonl``), in place of parsing."""
    processes: PositiveInt = 1
    """Local processes that parse."""


class GraphConfig(Section):
    """Triplets of a knowledge graph (``data.triplets``), beside the pairs of each step or alone."""

    path: Path
    """Folder that ``knowclip graph import`` made."""
    batch_size: PositiveInt
    """Triplets of one optimiser step, over all processes."""
    proportions: dict[str, NonNegativeFloat] | None = None
    """Source -> share of a batch; null: by number of triplets."""
    temperature: PositiveFloat | None = None
    """Shares by triplets^(1 / temperature): above 1 is more even."""
    modality: Modality | dict[str, Modality] = "random"
    """Words or images of entities that have both; for all, or source -> modality."""
    context_margin: NonNegativeFloat = 0.0
    """Share of its size by which a region grows on every side."""
    same_image: PositiveInt = 4
    """Triplets of one image that come together: else a shared background gives the tail away."""
    inverse: bool = False
    """Turn half of the triplets around."""
    neighbours: PositiveInt = 3
    """Triplets drawn, for each entity of G2E's neighbourhood, of those that end in it."""
    shuffle_neighbours: bool = False
    """G2E's control: neighbours that are not the entity's own."""
    image_roots: dict[str, Path] = {}
    """Source -> folder of its images, where they are not where the import found them."""
    cache: bool = False
    """Keep its images and regions, preprocessed, in ``data.cache_dir``."""


class DataConfig(Section):
    """What to train on, and what to select on."""

    train: SourceConfig | None = None
    """Image-caption pairs; knowledge_clip can do without, on a graph alone."""
    graph: GraphConfig | None = None
    """Knowledge graph; null: none."""
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
    cache_dir: Path | None = None
    """Of images, graphs and negatives; null: ``$KNOWCLIP_CACHE``, else ``~/.cache/knowclip``."""
    max_unreadable: Annotated[float, Field(ge=0, lt=1)] = 0.01
    """Share of the images that may be unreadable: they are left out and named; more end the run."""
    max_overlap: Annotated[float, Field(ge=0, le=1)] = 0.01
    """Share of the validation images that may be among those of training: more are refused."""


class ClipConfig(Section):
    """``methods/clip.py``."""

    name: Literal["clip"]


class NegClipConfig(Section):
    """``methods/negclip.py``."""

    name: Literal["negclip"]
    own_negative_weight: NonNegativeFloat = 0.0
    """Weight of the choice between a caption and its own negatives; 0 is NegCLIP as published."""


TextFeatures = Literal["plain", "with_kee", "both"]


class KnowledgeEncoderConfig(Section):
    """``models/knowledge_encoder.py``: Structure-CLIP's KEE."""

    layers: PositiveInt = 6
    """Of its Transformer."""
    composition: Literal["minus", "sum", "concatenation"] = "minus"
    """How a triple becomes one vector; "minus" is ``w_h + w_r - w_t``."""
    scale: PositiveFloat = 0.2
    """Lambda: ``t + lambda k``."""
    renormalize: bool = True
    """Whether the sum is of length 1 again; false in the released code."""
    pretrained: Path | None = None
    """Folder of a BERT to start from; null: random weights over the text tower's word embeddings."""


class StructureClipConfig(Section):
    """``methods/structure_clip.py``."""

    name: Literal["structure_clip"]
    kee: KnowledgeEncoderConfig | None = KnowledgeEncoderConfig()
    """Null: semantic negatives alone."""
    contrastive: Literal["infonce", "batch_hard"] = "infonce"
    """The paper's, or the released code's."""
    contrastive_features: TextFeatures | None = None
    """Texts of the contrastive term, "both" for the mean of two; null: with the KEE where there is one."""
    negatives_in_softmax: bool = False
    """InfoNCE as in NegCLIP, against the negatives too."""
    hinge_weight: NonNegativeFloat = 1.0
    """Of the hinge between a caption and its own negatives."""
    hinge_margin: PositiveFloat = 0.1
    """Gamma, in units of cosine."""
    hinge_features: TextFeatures | None = None
    """Texts of the hinge and of the own-negative term; null: with the KEE where there is one."""
    own_negative_weight: NonNegativeFloat = 0.0
    """Weight of the softmax between a caption and its own negatives, ours."""
    fold: Literal["features", "similarities"] = "features"
    """How the plain text tower learns what the KEE adds: by single embeddings, or by in-batch softmaxes."""
    fold_weight: NonNegativeFloat = 0.0
    """Weight of that."""

    @property
    def learns_from_negatives(self) -> bool:
        """Whether any term reads negatives."""
        return bool(self.hinge_weight or self.own_negative_weight or self.negatives_in_softmax)

    @model_validator(mode="after")
    def _fits_together(self) -> StructureClipConfig:
        features = (self.contrastive_features, self.hinge_features)
        if self.kee is None and (self.fold_weight or {"with_kee", "both"} & set(features)):
            raise ValueError(
                "kee=null leaves no features with a KEE: leave out fold_weight, and features other than plain"
            )
        hinge_plain = self.hinge_features == "plain" or not (self.hinge_weight or self.own_negative_weight)
        if self.kee is not None and self.contrastive_features == "plain" and hinge_plain:
            raise ValueError("no term reads the features with the KEE, so it learns nothing: set kee=null")
        if self.contrastive == "batch_hard" and self.negatives_in_softmax:
            raise ValueError("contrastive=batch_hard has no softmax: set negatives_in_softmax=false")
        return self


class FusionConfig(Section):
    """``models/fusion.py``: Knowledge-CLIP's fusion encoder; the paper's size."""

    width: PositiveInt = 1024
    layers: PositiveInt = 4
    heads: PositiveInt = 16
    drop_path: Annotated[float, Field(ge=0, lt=1)] = 0.1
    """Stochastic depth of the last layer; the others have less."""


class KnowledgeConfig(Section):
    """``methods/knowledge_terms.py``: Knowledge-CLIP's terms; a weight of 0 leaves one out."""

    e2e_weight: NonNegativeFloat = 1.0
    """Entity-entity: the tail of (head, relation), among those of the step."""
    e2r_weight: NonNegativeFloat = 1.0
    """Entity-relation: the relation of (head, tail)."""
    g2e_weight: NonNegativeFloat = 1.0
    """Graph-entity: an entity and what its neighbours say of it."""
    kd_weight: NonNegativeFloat = 1.0
    """Distillation from the model it starts from."""
    sentence_weight: NonNegativeFloat = 0.0
    """The control, "knowledge graph as captions": a head, crop or text, and the sentence "h r t"."""
    teacher: str | None = None
    """Model to distil from, in place of the one it starts from."""
    head_side: bool = False
    """Entity-entity for heads too."""
    graph_layers: PositiveInt = 2
    """Layers of propagation, and hops of the neighbourhood."""
    fusion: FusionConfig = FusionConfig()

    @model_validator(mode="after")
    def _has_effect(self) -> KnowledgeConfig:
        if self.teacher is not None and not self.kd_weight:
            raise ValueError("kd_weight=0 distils from no teacher: leave teacher out")
        if self.head_side and not self.e2e_weight:
            raise ValueError("head_side is a side of E2E: leave it out with e2e_weight=0")
        return self

    @property
    def fuses(self) -> bool:
        """Whether any term needs the fusion encoder."""
        return bool(self.e2e_weight or self.e2r_weight or self.g2e_weight)

    @property
    def reads_graph(self) -> bool:
        """Whether any term learns from triplets."""
        return self.fuses or bool(self.sentence_weight)


class KnowledgeClipConfig(KnowledgeConfig):
    """``methods/knowledge_clip.py``."""

    name: Literal["knowledge_clip"]
    captions_as_triplets: bool = True
    """Pairs are triplets too: (image, image of, caption) or (caption, caption of, image)."""


class JointConfig(StructureClipConfig):
    """``methods/joint.py``: structure_clip's options, and those of Knowledge-CLIP's terms."""

    name: Literal["joint"]
    knowledge: KnowledgeConfig = KnowledgeConfig()


MethodConfig = Annotated[
    ClipConfig | NegClipConfig | StructureClipConfig | KnowledgeClipConfig | JointConfig,
    Field(discriminator="name"),
]


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
    batch_size: PositiveInt | None = None
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


class LinksConfig(Section):
    """Link prediction on validation triplets; the test triplets of the graph are never opened."""

    path: Path
    """Folder that ``knowclip graph split`` made; train on its ``train``."""
    sides: tuple[LinkSide, ...] = Field(("tail",), min_length=1)
    """What is to be found; each gives metrics of its own: ``link_tail_mrr``, ``link_head_hits@10``."""
    modality: Shown = "text"
    """How entities that have words and images are shown."""
    among: Among = "all"
    """Rank all entities of train and val, or those of val alone: sooner done, and an easier question."""
    limit: PositiveInt | None = None
    """At most so many triplets, always the same ones."""


class SelectionConfig(Section):
    """Which checkpoint is ``best``."""

    metrics: tuple[str, ...] = Field(("text_to_image_R@1",), min_length=1)
    """Validation metrics; the highest mean of them wins."""
    suite: Path | None = None
    """Folder of benchmarks whose validation split is measured beside the validation pairs."""
    links: LinksConfig | None = None
    """Triplets that the model has to complete, by the method's fusion encoder where it has one."""


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
        if isinstance(self.method, StructureClipConfig):
            self._fits_structure_clip(self.method)
        self._fits_graph()
        self._fits_optimizer()
        if self.data.group_share and not self.data.negatives.per_caption:
            raise ValueError("data.group_share needs parsed captions: set data.negatives.per_caption, or 0")
        if self.data.cache == "trunk" and not self.model.lock_image:
            raise ValueError("data.cache=trunk is for a trunk that stays as it is: set model.lock_image=true")
        if self.model.trunk_dropout and self.data.cache != "trunk":
            raise ValueError(
                "model.trunk_dropout is for cached features of a locked trunk: set data.cache=trunk"
            )
        if self.data.val is not None and self.data.val_images:
            raise ValueError("data.val and data.val_images both say what to validate on: give one of them")
        return self

    @property
    def knowledge(self) -> KnowledgeConfig | None:
        """Knowledge-CLIP's terms of the method, if it has them."""
        if isinstance(self.method, JointConfig):
            return self.method.knowledge
        return self.method if isinstance(self.method, KnowledgeClipConfig) else None

    def _fits_graph(self) -> None:
        terms, data = self.knowledge, self.data
        reads_graph = terms is not None and terms.reads_graph
        if reads_graph != (data.graph is not None):
            raise ValueError(
                f"method {self.method.name} learns from a knowledge graph: set data.graph.path and "
                "data.graph.batch_size"
                if reads_graph
                else f"method {self.method.name} learns from no triplets: leave data.graph out"
            )
        if data.graph is not None and data.graph.shuffle_neighbours and not terms.g2e_weight:
            raise ValueError("data.graph.shuffle_neighbours is G2E's control: leave it out with g2e_weight=0")
        if data.graph is not None and data.graph.proportions and data.graph.temperature:
            raise ValueError("data.graph: give proportions or temperature, not both")
        if data.train is None and (terms is None or terms.kd_weight or self.method.name == "joint"):
            raise ValueError(
                "data.train is missing: set it in the recipe or as data.train.path=VALUE (only "
                "knowledge_clip with kd_weight=0 learns from a graph alone)"
            )
        if (data.train is None) != (self.train.batch_size is None):
            raise ValueError(
                "train.batch_size counts pairs: set it with data.train, leave it out (null) without"
            )

    def _fits_optimizer(self) -> None:
        terms = self.knowledge
        parts = {
            "kee.": getattr(self.method, "kee", None) is not None,
            "knowledge.": terms is not None
            and bool(terms.e2e_weight or terms.e2r_weight or terms.g2e_weight),
        }
        for prefix, there in parts.items():
            if not there and any(key.startswith(prefix) for key in self.optimizer.lr_multipliers):
                raise ValueError(
                    f"optimizer.lr_multipliers has {prefix!r}, a part that {self.method.name} has not with "
                    "these options: leave it out"
                )

    def _fits_structure_clip(self, method: StructureClipConfig) -> None:
        if method.learns_from_negatives != bool(self.data.negatives.per_caption):
            raise ValueError(
                f"data.negatives.per_caption is {self.data.negatives.per_caption}, but structure_clip "
                f"has {'a' if method.learns_from_negatives else 'no'} term that learns from negatives: set "
                "it to 1 or more with hinge_weight, own_negative_weight or negatives_in_softmax, else to 0"
            )
        if method.kee is not None and self.data.negatives.graphs is not None:
            raise ValueError(
                "data.negatives.graphs would train the KEE on triples that no parser gives later: leave it "
                "out, or set method.kee=null"
            )


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
        recipe = Recipe.model_validate(read_sections(path, Recipe, overrides))
    except ValidationError as error:
        problems = "; ".join(describe_problem(problem) for problem in error.errors())
        raise ValueError(f"recipe {path}: {problems}") from error
    recipe._source = path
    return recipe


def read_sections(path: Path, kind: type[Section], overrides: Sequence[str]) -> dict[str, Any]:
    """Read the YAML file of a recipe, or of another ``kind``, with overrides applied and nothing validated.

    Raises:
        ValueError: It is no YAML, holds no sections, or an override is not of the form ``section.key=value``.
    """
    try:
        values = yaml.safe_load(path.read_text(encoding="utf-8"))
    except yaml.YAMLError as error:
        raise ValueError(f"{path} is no valid YAML: {error}") from error
    if not isinstance(values, dict):
        raise ValueError(f"{path} should hold sections ({', '.join(kind.model_fields)}), got {values!r}")
    for override in overrides:
        _apply(values, override)
    return values


def find_recipe(name_or_path: str | Path, *, folder: Path = RECIPES, kind: str = "recipe") -> Path:
    """Locate a recipe: a path that exists, or the name of one that ships with knowclip in ``folder``.

    Raises:
        ValueError: If there is none.
    """
    path = Path(name_or_path)
    if path.is_file():
        return path
    shipped = {recipe.stem: recipe for recipe in sorted(folder.glob("*.yaml"))}
    if str(name_or_path) in shipped:
        return shipped[str(name_or_path)]
    near = get_close_matches(str(name_or_path), shipped, n=1)
    hint = f"did you mean {near[0]!r}? " if near else ""
    raise ValueError(f"no {kind} {str(name_or_path)!r}: no such file; {hint}shipped: {', '.join(shipped)}")


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


def describe_problem(problem: Mapping[str, Any]) -> str:
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
