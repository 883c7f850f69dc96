"""Features of every process on every process, with gradients.

Each rank computes the loss of the whole batch from gathered features, and DistributedDataParallel averages
the gradients of the ranks. So for the average to be the gradient of the whole batch, what flows back into a
rank's own rows is multiplied by the number of ranks; what flows into ``shared`` fields is not, being equal on
all of them. No second collective is needed for it.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from contextlib import contextmanager

import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.nn import functional as F

from knowclip.types import Features


def gather(features: Features) -> Features:
    """Concatenate the ``rows`` fields over processes in rank order; leave ``shared`` ones.

    Ranks may have different numbers of rows, fields too: they are padded to the longest and trimmed. A field
    that is None must be None on every rank. With one process this does nothing.
    """
    if alone():
        return features
    rows = {
        field.name: value
        for field in dataclasses.fields(features)
        if field.metadata["gather"] == "rows" and (value := getattr(features, field.name)) is not None
    }
    counts = _row_counts(list(rows.values()))
    gathered = {
        name: _GatherRows.apply(value, count)
        for (name, value), count in zip(rows.items(), counts, strict=True)
    }
    return dataclasses.replace(features, **gathered)


def alone() -> bool:
    """Whether there is no other process."""
    return not (dist.is_available() and dist.is_initialized()) or dist.get_world_size() == 1


def smallest(number: int, *, device: torch.device) -> int:
    """The smallest of the numbers that all processes give."""
    if alone():
        return number
    numbers = torch.tensor(number, device=device)
    dist.all_reduce(numbers, op=dist.ReduceOp.MIN)
    return int(numbers)


@contextmanager
def unsynchronized(wrapped: nn.Module, wanted: bool) -> Iterator[None]:
    """Within it, gradients of a module that several processes train are kept, not exchanged, if so wanted."""
    if alone() or not wanted:
        yield
    elif isinstance(wrapped, nn.parallel.DistributedDataParallel):
        with wrapped.no_sync():
            yield
    else:  # a FSDPModule: what it gathered is kept too, for the next micro-batch
        for switch in (wrapped.set_requires_gradient_sync, wrapped.set_reshard_after_backward):
            switch(False)
        yield
        for switch in (wrapped.set_requires_gradient_sync, wrapped.set_reshard_after_backward):
            switch(True)


def _row_counts(fields: list[Tensor]) -> list[list[int]]:
    """For each field its number of rows on every rank."""
    mine = torch.tensor([len(rows) for rows in fields], device=fields[0].device)
    counts = [torch.empty_like(mine) for _ in range(dist.get_world_size())]
    dist.all_gather(counts, mine)
    return torch.stack(counts, dim=1).tolist()


class _GatherRows(torch.autograd.Function):
    """``[b_rank, ...]`` on each rank -> ``[sum b, ...]`` on all; backward keeps this rank's rows, scaled."""

    @staticmethod
    def forward(ctx: torch.autograd.function.FunctionCtx, rows: Tensor, counts: list[int]) -> Tensor:
        ctx.counts = counts
        # F.pad counts axes from the last; the rows are the first
        padding = [0, 0] * (rows.ndim - 1) + [0, max(counts) - len(rows)]
        padded = F.pad(rows, padding).contiguous()
        everyone = [torch.empty_like(padded) for _ in counts]
        dist.all_gather(everyone, padded)
        return torch.cat([part[:count] for part, count in zip(everyone, counts, strict=True)])

    @staticmethod
    def backward(ctx: torch.autograd.function.FunctionCtx, gradient: Tensor) -> tuple[Tensor, None]:
        mine = gradient.split(ctx.counts)[dist.get_rank()]
        return mine * len(ctx.counts), None
