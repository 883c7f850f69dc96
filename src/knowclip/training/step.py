"""One backward pass of a contrastive batch, whole or in micro-batches with the same gradients."""

from __future__ import annotations

import dataclasses

import torch
from accelerate import Accelerator
from torch import Tensor, nn

from knowclip.methods.method import Losses, Method, Report
from knowclip.training.batches import map_tensors, micro_batches, split
from knowclip.training.distributed import gather, smallest, unsynchronized
from knowclip.training.rng import rng_state, set_rng_state
from knowclip.types import Batch, Features


def backward(
    wrapped: nn.Module, batch: Batch, *, accelerator: Accelerator, accumulate: int
) -> tuple[Losses, Report]:
    """Add the gradients of one batch (this rank's rows of it) to the parameters.

    A contrastive loss of micro-batches is not the loss of the batch: the negatives of the others are missing.
    So with ``accumulate`` > 1 the features of all micro-batches are computed without gradient, the loss
    and its gradient on the joined features, and a second forward of each micro-batch takes that gradient
    on to the parameters (Gao et al. 2021, GradCache; open_clip's ``accum_freq``). Memory falls to that of
    a micro-batch, time grows by the extra forward, the gradient is the same. Dropout draws the same in
    both forwards; BatchNorm in training mode sees micro-batches, twice.

    Towers run in the accelerator's precision; features are gathered, and losses computed, in float32. With a
    gradient scaler (float16) gradients are scaled.

    Args:
        wrapped: The Method as Accelerate prepared it, or its shards.
        batch: On the right device.
        accelerator: Knows the precision, and how to unwrap.
        accumulate: Number of micro-batches.

    Returns:
        The method's losses (detached) and report, of the batch of all ranks.
    """
    method = accelerator.unwrap_model(wrapped)
    if accumulate == 1:
        with accelerator.autocast():
            features = wrapped(batch)
        return _backward(method, features, accelerator)

    # as many on each rank: where parameters are sharded, each takes part in the forwards of the others
    parts = split(batch, smallest(micro_batches(batch, accumulate), device=accelerator.device))
    with torch.no_grad(), accelerator.autocast():
        states, cached = zip(*[(rng_state(), wrapped(part)) for part in parts], strict=True)
    joined = map_tensors(_join(list(cached)), _leaf)
    del cached
    losses, report = _backward(method, joined, accelerator)
    starts = {field.name: 0 for field in dataclasses.fields(joined)}
    for number, (part, state) in enumerate(zip(parts, states, strict=True), start=1):
        set_rng_state(state)
        # the gradient exchange between processes waits for the last micro-batch
        with unsynchronized(wrapped, number < len(parts)):
            with accelerator.autocast():
                features = wrapped(part)
            # as it is: the gradient of the features has the scaler's factor already
            _surrogate(features, joined, starts, parts=len(parts)).backward()
    return losses, report


def _backward(method: Method, features: Features, accelerator: Accelerator) -> tuple[Losses, Report]:
    """Go back from the losses of the features of all ranks, which no autocast may round."""
    with torch.autocast(accelerator.device.type, enabled=False):
        losses, report = method.objective(gather(features))
    total = sum(losses.values())
    # not accelerator.backward, which divides by the launcher's own accumulation steps
    (total if accelerator.scaler is None else accelerator.scaler.scale(total)).backward()
    return {name: loss.detach() for name, loss in losses.items()}, report


def _leaf(value: Tensor) -> Tensor:
    # hashes and masks are gathered as well, and have no gradient
    return value.detach().requires_grad_(value.is_floating_point())


def _join(cached: list[Features]) -> Features:
    rows = {
        field.name: torch.cat([getattr(features, field.name) for features in cached])
        for field in dataclasses.fields(cached[0])
        if field.metadata["gather"] == "rows" and getattr(cached[0], field.name) is not None
    }
    return dataclasses.replace(cached[0], **rows)


def _surrogate(features: Features, joined: Features, starts: dict[str, int], *, parts: int) -> Tensor:
    """Give a scalar whose gradient in the features is the one of the loss, for the rows of one micro-batch.

    A shared field comes out of every micro-batch, and takes its part of the gradient from each. ``starts``,
    where this micro-batch's rows of each field begin, is moved on to the next one's.
    """
    total = torch.zeros((), device=features.image_features.device)
    for field in dataclasses.fields(features):
        value, leaf = getattr(features, field.name), getattr(joined, field.name)
        if leaf is None or leaf.grad is None:
            continue
        if field.metadata["gather"] == "rows":
            start = starts[field.name]
            starts[field.name] = stop = start + len(value)
            gradient = leaf.grad[start:stop]
        else:
            gradient = leaf.grad / parts
        total = total + (value * gradient).sum()
    return total
