"""Steps that hold triplets of a knowledge graph beside image-caption pairs."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator

import torch

from knowclip.data.graphs.collate import GraphDataset
from knowclip.training.batches import EpochLoader, loaded
from knowclip.types import Batch, GraphBatch


class MixedLoader:
    """Puts step k of the graph's epoch beside batch k of the pairs' epoch.

    Their sizes are the proportions of the mixture. Both are functions of epoch and step, so skipping the same
    number of both resumes exactly.

    Args:
        pairs: None trains on triplets alone.
        graph: As many steps an epoch as ``pairs`` has batches.
        num_workers: Processes that load triplets; 0 loads in this one.
    """

    def __init__(self, pairs: EpochLoader | None, graph: GraphDataset, *, num_workers: int) -> None:
        if pairs is not None and len(pairs) != len(graph):
            raise ValueError(f"{len(pairs)} batches of pairs an epoch and {len(graph)} steps of triplets")
        self.pairs = pairs
        self.graph = graph
        self.num_workers = num_workers

    def __len__(self) -> int:
        return len(self.graph)

    def epoch(self, number: int, *, skip: int = 0) -> Iterator[Batch]:
        """Load epoch ``number`` from step ``skip`` on."""
        graphs = self._graphs(number, skip)
        if self.pairs is None:
            yield from (dataclasses.replace(_NO_PAIRS, graph=graph) for graph in graphs)
            return
        for batch, graph in zip(self.pairs.epoch(number, skip=skip), graphs, strict=True):
            yield dataclasses.replace(batch, graph=graph)

    def _graphs(self, number: int, skip: int) -> Iterator[GraphBatch]:
        self.graph.set_epoch(number)
        # an item is a whole step already
        options = {"batch_size": None, "sampler": range(skip, len(self.graph))}
        yield from loaded(self.graph, epoch=number, num_workers=self.num_workers, **options)


_NO_PAIRS = Batch(
    keys=(),
    texts=torch.zeros(0, 1, dtype=torch.long),
    negatives=torch.zeros(0, 0, 1, dtype=torch.long),
    negative_mask=torch.zeros(0, 0, dtype=torch.bool),
    image_ids=torch.zeros(0, dtype=torch.long),
    caption_ids=torch.zeros(0, dtype=torch.long),
    negative_ids=torch.zeros(0, 0, dtype=torch.long),
)
