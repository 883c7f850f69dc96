"""Section ``train``: how long and how."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, NonNegativeInt, PositiveFloat, PositiveInt, model_validator

from knowclip.recipe.section import Section


class TrainConfig(Section):
    """How long and how."""

    epochs: PositiveInt | None = None
    """Passes over the training pairs."""
    steps: PositiveInt | None = None
    """Optimiser steps, in place of epochs."""
    batch_size: PositiveInt | None = None
    """Pairs of one optimiser step, over all processes: the pool of in-batch negatives."""
    accumulate: PositiveInt = 1
    """Micro-batches that fit the memory; the gradients stay those of the whole batch."""
    precision: Literal["fp32", "bf16", "fp16"] = "fp32"
    """Of the towers; features, losses, weights and optimiser stay in fp32. ``knowclip doctor`` says where
    bf16 pays; fp16 is for GPUs without it."""
    grad_checkpointing: bool = False
    """Keep what goes into each layer of the towers, and compute the rest again in the backward pass."""
    compile: str | None = None
    """Backend of torch.compile for the layers of the towers ("inductor"); null: none."""
    clip_grad: PositiveFloat | None = 1.0
    """Largest global norm of the gradient."""
    ema: Annotated[float, Field(gt=0, lt=1)] | None = None
    """Decay of an exponential moving average of the weights, about the last ``1 / (1 - ema)`` steps: that is
    what is then validated, selected and saved."""
    num_workers: NonNegativeInt = 0
    """Processes that load data, for each training process."""
    log_every: PositiveInt = 10
    """Optimiser steps between lines of the log."""
    validate_every: PositiveInt | None = None
    """Optimiser steps; null: every epoch."""
    validate_start: bool = True
    """Whether the model it starts from is validated too, and may prove the best."""
    save_every: PositiveInt | None = None
    """Optimiser steps between writings of ``last``; null: every epoch."""
    max_nonfinite: PositiveInt = 10
    """Steps whose loss or gradient is not finite are skipped; so many in a row end the run."""

    @model_validator(mode="after")
    def _one_length(self) -> TrainConfig:
        if (self.epochs is None) == (self.steps is None):
            raise ValueError(
                f"give either epochs or steps, got epochs={self.epochs} and steps={self.steps}: set one to "
                "null, as with train.epochs=null train.steps=100"
            )
        return self
