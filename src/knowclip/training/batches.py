"""Batches on their way to the model: an epoch of them, on the right device, cut for accumulation."""

from __future__ import annotations

import atexit
import dataclasses
import signal
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, nullcontext
from itertools import pairwise
from multiprocessing.util import Finalize
from types import FrameType
from typing import Any, Protocol, TypeVar

import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from knowclip.data.graphs.rows import take
from knowclip.training.stopping import HANGUP
from knowclip.types import Batch, Features, GraphBatch, Phrases, SubgraphTexts

Record = TypeVar("Record", Batch, GraphBatch, Phrases, SubgraphTexts, Features)
Texts = TypeVar("Texts", Phrases, SubgraphTexts)


class Epochs(Protocol):
    """Where the loop gets its batches: the same epoch number always gives the same batches."""

    def __len__(self) -> int:
        """Batches in an epoch."""

    def epoch(self, number: int, *, skip: int = 0) -> Iterator[Batch]:
        """Batches of this process in epoch ``number``, without the first ``skip``."""


class EpochLoader:
    """Batches of a dataset by a batch sampler that knows epochs, ranks and where it was interrupted.

    Accelerate must not prepare it: the sampler shards already, and Accelerate would shard again, duplicate
    samples to even out the last batch, and leave a dataclass on the CPU.

    Args:
        dataset: With ``set_epoch``.
        sampler: Batch sampler with ``set_epoch`` and ``skip``.
        collate: List of the dataset's items -> Batch.
        num_workers: Processes that load; 0 loads in this one.
    """

    def __init__(
        self,
        dataset: Dataset,
        sampler: Any,
        *,
        collate: Callable[[Sequence], Batch],
        num_workers: int,
    ) -> None:
        self.dataset = dataset
        self.sampler = sampler
        self.collate = collate
        self.num_workers = num_workers

    def __len__(self) -> int:
        return len(self.sampler)

    def epoch(self, number: int, *, skip: int = 0) -> Iterator[Batch]:
        """Load epoch ``number`` from batch ``skip`` on."""
        self.dataset.set_epoch(number)
        self.sampler.set_epoch(number)
        self.sampler.skip(skip)
        options = {"batch_sampler": self.sampler, "collate_fn": self.collate}
        yield from loaded(self.dataset, epoch=number, num_workers=self.num_workers, **options)


def loaded(dataset: Dataset, *, epoch: int, num_workers: int, **options: Any) -> Iterator[Any]:
    """Load an epoch; what is wrong with the data is told in its own words, also where a worker found it.

    Args:
        dataset: It and what is in ``options`` must be picklable, for processes that are not forked.
        epoch: Its number.
        num_workers: Processes that load; 0 loads in this one.
        options: Of torch's DataLoader.

    Raises:
        ValueError: As the dataset raised it, without the worker's traceback that torch puts before it.
    """
    batches = _started(
        dataset,
        num_workers=num_workers,
        worker_init_fn=_leave_signals,
        # a generator of its own: else starting to load would move the global one, and resuming not be exact
        generator=torch.Generator().manual_seed(epoch),
        **options,
    )
    with _ended(batches) if num_workers else nullcontext():
        try:
            yield from batches
        except ValueError as error:
            words = str(error).rpartition("\nValueError: ")[-1]
            raise ValueError(words.rstrip()) from error


def _started(dataset: Dataset, **options: Any) -> Iterator[Any]:
    """Begin to load, without torch's warnings of too many workers: it warns of them here twice an epoch."""
    with warnings.catch_warnings():  # told once, before training (preflight.pairs.tell_workers)
        warnings.filterwarnings("ignore", message="This DataLoader will create")
        return iter(DataLoader(dataset, **options))


@contextmanager
def _ended(batches: Iterator[Any]) -> Iterator[None]:
    """End the workers after it, or when this process ends within it.

    Python itself would send each one SIGTERM, which they let pass, and wait for them without end.
    """
    end = Finalize(None, batches._shutdown_workers, exitpriority=100)  # before the queues that tell them
    atexit.register(end)  # before torch's own hook, after which it ends none
    try:
        yield
    finally:
        atexit.unregister(end)
        end()


def _leave_signals(worker: int) -> None:
    """In a worker: signals reach the whole group, and the trainer needs one more batch to end its step.

    So the first SIGTERM passes by; the trainer ends its workers by another way, and by a second one.
    """
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    if HANGUP is not None:
        signal.signal(HANGUP, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, _heed_the_next)


def _heed_the_next(number: int, frame: FrameType | None) -> None:
    signal.signal(number, signal.SIG_DFL)


def to_device(batch: Batch, device: torch.device) -> Batch:
    """Move the tensors of a batch; Accelerate does not do it for a dataclass."""
    return map_tensors(batch, lambda value: value.to(device))


def micro_batches(batch: Batch, parts: int) -> int:
    """Into how many of ``parts`` a batch can be cut: each has a pair, and a triplet, where there are any."""
    return min(parts, *[size for size in _sizes(batch) if size])


def split(batch: Batch, parts: int) -> list[Batch]:
    """Cut a batch into at most ``parts`` contiguous ones of nearly equal size.

    So are its triplets, and the phrases of its captions: which part encodes one does not matter.
    """
    pairs, triplets = _sizes(batch)
    parts = micro_batches(batch, parts)
    if batch.graph is None:
        graphs = [None] * parts
    else:
        graphs = [take(batch.graph, rows) for rows in _slices(triplets, parts)]
    return [
        dataclasses.replace(
            map_tensors(batch, lambda value, rows=rows: value[rows]),
            keys=batch.keys[rows],
            graph=graph,
            objects=_part(batch.objects, part, parts),
            subgraphs=_part(batch.subgraphs, part, parts),
        )
        for part, (rows, graph) in enumerate(zip(_slices(pairs, parts), graphs, strict=True))
    ]


def _part(texts: Texts | None, part: int, parts: int) -> Texts | None:
    """A share of every tensor, each by its own rows."""
    return texts and map_tensors(texts, lambda value: value[_slices(len(value), parts)[part]])


def _sizes(batch: Batch) -> tuple[int, int]:
    return len(batch.keys), len(batch.graph.keys) if batch.graph else 0


def _slices(size: int, parts: int) -> list[slice]:
    return [slice(*edges) for edges in pairwise(size * part // parts for part in range(parts + 1))]


def map_tensors(record: Record, function: Callable[[Tensor], Tensor]) -> Record:
    """Apply ``function`` to every tensor field of a record, and of the records in a Batch."""
    changed = {}
    for field in dataclasses.fields(record):
        value = getattr(record, field.name)
        if isinstance(value, Tensor):
            changed[field.name] = function(value)
        elif isinstance(value, GraphBatch | Phrases | SubgraphTexts):
            changed[field.name] = map_tensors(value, function)
    return dataclasses.replace(record, **changed)
