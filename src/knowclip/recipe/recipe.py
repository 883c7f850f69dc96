"""Everything a training run depends on, and what its sections ask of each other.

Unknown keys are refused with the nearest name; every default is declared in its section and nowhere else.
Paths are relative to the working directory.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from pydantic import BeforeValidator, Field, PrivateAttr, SerializeAsAny, model_validator

from knowclip.recipe.data import DataConfig
from knowclip.recipe.losses import LossSection, read_losses
from knowclip.recipe.methods.registry import read_method
from knowclip.recipe.methods.section import MethodSection
from knowclip.recipe.model import ModelConfig
from knowclip.recipe.optimizer import OptimizerConfig, ScheduleConfig
from knowclip.recipe.output import OutputConfig
from knowclip.recipe.section import Section
from knowclip.recipe.selection import SelectionConfig
from knowclip.recipe.train import TrainConfig


class Recipe(Section):
    """Everything a training run depends on."""

    model: ModelConfig
    data: DataConfig
    method: Annotated[SerializeAsAny[MethodSection], BeforeValidator(read_method)]
    losses: Annotated[dict[str, SerializeAsAny[LossSection]], BeforeValidator(read_losses)] = Field(
        default_factory=dict
    )
    """Terms of other packages beside those of the method, each with its weight and options."""
    train: TrainConfig
    output: OutputConfig
    optimizer: OptimizerConfig = OptimizerConfig()
    schedule: ScheduleConfig = ScheduleConfig()
    selection: SelectionConfig = SelectionConfig()
    seed: int = 0
    """Of weights that are new, of the order of the pairs, of what is drawn of their negatives."""
    _source: Path | None = PrivateAttr(default=None)

    @property
    def source(self) -> Path | None:
        """The file it was read from."""
        return self._source

    @model_validator(mode="after")
    def _fits_together(self) -> Recipe:
        self.method.check_data(self.data)
        self._fits_graph()
        self._fits_optimizer()
        self._fits_data()
        return self

    def _is_validated(self) -> bool:
        data, selection = self.data, self.selection
        return any((data.val, data.val_images, selection.suite, selection.links))

    def _fits_graph(self) -> None:
        terms, graph = self.method.knowledge_terms, self.data.graph
        reads_graph = terms is not None and terms.reads_graph
        if reads_graph != (graph is not None):
            raise ValueError(
                f"method {self.method.name} learns from a knowledge graph: set data.graph.path and "
                "data.graph.batch_size"
                if reads_graph
                else f"method {self.method.name} learns from no triplets: leave data.graph out"
            )
        if graph is not None and graph.shuffle_neighbours and not terms.g2e_weight:
            raise ValueError("data.graph.shuffle_neighbours is G2E's control: leave it out with g2e_weight=0")
        if graph is not None and graph.hierarchy is not None and not terms.pooled_weight:
            raise ValueError("data.graph.hierarchy is the pooled term's: leave it out with pooled_weight=0")
        if self.data.train is None and self.method.needs_pairs:
            raise ValueError(
                "data.train is missing: set it in the recipe or as data.train.path=VALUE (only "
                "knowledge_clip with kd_weight=0 learns from a graph alone)"
            )
        if (self.data.train is None) != (self.train.batch_size is None):
            raise ValueError(
                "train.batch_size counts pairs: set it with data.train, leave it out (null) without"
            )

    def _fits_optimizer(self) -> None:
        terms = self.method.knowledge_terms
        beside = terms is not None and terms.learns_beside_towers
        parts = {"kee.": self.method.reads_triples, "knowledge.": beside}
        for prefix, there in parts.items():
            if not there and any(key.startswith(prefix) for key in self.optimizer.lr_multipliers):
                raise ValueError(
                    f"optimizer.lr_multipliers has {prefix!r}, a part that {self.method.name} has not with "
                    "these options: leave it out"
                )

    def _fits_data(self) -> None:
        data, model = self.data, self.model
        if data.group_share and not data.negatives.per_caption:
            raise ValueError("data.group_share needs parsed captions: set data.negatives.per_caption, or 0")
        if data.group_share and data.shard_window is not None:
            raise ValueError(
                "data.group_share makes batches of captions from any shard: set data.shard_window=null, or "
                "data.group_share=0"
            )
        if model.text_cache and model.unlocked_text_layers is None and not model.lock_text:
            raise ValueError(
                "model.text_cache is for text layers that stay as they are: set model.unlocked_text_layers, "
                "or model.lock_text=true"
            )
        if model.lock_text and model.unlocked_text_layers is not None:
            raise ValueError(
                "model.lock_text locks the whole text tower: leave model.unlocked_text_layers out (null), or "
                "set model.lock_text=false (with 0 unlocked layers the tower's head alone learns)"
            )
        if data.cache == "trunk" and not model.lock_image:
            raise ValueError("data.cache=trunk is for a trunk that stays as it is: set model.lock_image=true")
        distillation = getattr(self.method, "distillation", None)
        if data.cache == "trunk" and distillation is not None and distillation.crops:
            raise ValueError(
                "method.distillation.crops are cut out of images, and data.cache=trunk keeps none: set "
                "data.cache=pixels, or crops=0"
            )
        if model.trunk_dropout and data.cache != "trunk":
            raise ValueError(
                "model.trunk_dropout is for cached features of a locked trunk: set data.cache=trunk"
            )
        if self.selection.patience and not self._is_validated():
            raise ValueError(
                "selection.patience counts validations, and there is nothing to validate on: set data.val, "
                "data.val_images, selection.suite or selection.links, or leave it out"
            )
        if data.val is not None and data.val_images:
            raise ValueError(
                "data.val and data.val_images both say what to validate on: set data.val=null to hold out "
                "images of data.train, or data.val_images=0"
            )
