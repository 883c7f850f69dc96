"""KnowledgeGraph -> batches of triplets for training: mixed over sources, in words or images.

Every batch is a function of (seed, epoch, step) alone, so a run resumes at any step without replaying the
ones before. Memory does not grow with the graph: an epoch's order is a keyed permutation, computed entry by
entry.

Shape legend: T triplets of a batch, E entities, R relations of the graph.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from knowclip.data.graphs.checks import relation_words
from knowclip.data.graphs.mixture import Modality, image_odds, source_shares
from knowclip.data.permutation import permute
from knowclip.knowledge.graph.knowledge_graph import KnowledgeGraph
from knowclip.types import ImageRef

if TYPE_CHECKING:
    from jaxtyping import Int


@dataclass(frozen=True, slots=True)
class TripletBatch:
    """T triplets: indices into the graph, and what the encoders read.

    An inverse triplet has its ends exchanged and ``relations`` raised by R, the graph's number of relations.
    """

    rows: Int[np.ndarray, " T"]
    heads: Int[np.ndarray, " T"]
    relations: Int[np.ndarray, " T"]
    tails: Int[np.ndarray, " T"]
    sources: Int[np.ndarray, " T"]
    head: list[str | ImageRef]
    relation: list[str]
    tail: list[str | ImageRef]


class TripletSampler:
    """Draws batches of triplets (K1), deterministic per seed and epoch.

    Each source is gone through in a random order without repetition, then in another. Batch k takes
    ``batch_size`` triplets, of each source its share, the fractions carried over to later batches. With
    ``same_image`` above 1 the first of them bring companions, in whose favour the others are left out: a
    triplet may then come twice in an order, or not at all.

    Args:
        graph: What to draw from.
        batch_size: T.
        seed: Of order, modalities, images, companions.
        steps_per_epoch: Batches an epoch; default: as many as hold the graph's number of triplets.
        proportions: Source name -> share of a batch; sources not named are not drawn. Exclusive with
            ``temperature``.
        temperature: Shares proportional to triplets^(1 / temperature): 1 is by size, more is more even.
        modality: For entities with both text and images: ``text``, ``image`` or ``random`` (even odds per
            drawing); one for all, or source name -> modality (sources not named: ``random``). K1: Visual
            Genome ``image``, VisualSem ``random``.
        context_margin: Share of its size by which a region grows on every side, for context.
        same_image: Triplets of one image and source that go into a batch together, where there are so many.
            Otherwise E2E (K4) is solved by the background that two regions of one image share.
        inverse: Turn half of the triplets around.

    Raises:
        ValueError: An argument out of range, a source that the graph does not have, or a relation without
            words.
    """

    def __init__(
        self,
        graph: KnowledgeGraph,
        *,
        batch_size: int,
        seed: int = 0,
        steps_per_epoch: int | None = None,
        proportions: Mapping[str, float] | None = None,
        temperature: float | None = None,
        modality: Modality | Mapping[str, Modality] = "random",
        context_margin: float = 0.0,
        same_image: int = 1,
        inverse: bool = False,
    ) -> None:
        if min(batch_size, same_image) < 1 or context_margin < 0 or (steps_per_epoch or 1) < 1:
            raise ValueError(
                f"batch_size={batch_size}, same_image={same_image}, steps_per_epoch={steps_per_epoch} must "
                f"be at least 1 and context_margin={context_margin} at least 0"
            )
        self.graph = graph
        self.batch_size = batch_size
        self.seed = seed
        self.context_margin = context_margin
        self.same_image = same_image
        self.inverse = inverse
        self.names = [source.name for source in graph.sources]
        self.shares = source_shares(graph, proportions=proportions, temperature=temperature)
        self.image_odds = image_odds(self.names, modality)
        self._relations = relation_words(graph)
        self._steps = steps_per_epoch or max(graph.counts["triplets"] // batch_size, 1)
        self._largest = int(np.argmax(self.shares))
        drawn = int(np.count_nonzero(self.shares))
        if batch_size * self.shares[self._largest] < drawn - 1:
            raise ValueError(f"batch_size={batch_size} is too small to mix {drawn} sources")

    def __len__(self) -> int:
        """Batches an epoch."""
        return self._steps

    def epoch(self, epoch: int, *, start: int = 0) -> Iterator[TripletBatch]:
        """The batches of ``epoch`` from step ``start`` on."""
        for step in range(start, self._steps):
            yield self.batch(epoch, step)

    def batch(self, epoch: int, step: int) -> TripletBatch:
        """Batch ``step`` of ``epoch``."""
        rng = np.random.default_rng([self.seed, epoch, step])
        first = self._taken(epoch * self._steps + step)
        last = self._taken(epoch * self._steps + step + 1)
        parts = [
            self._rows(source, np.arange(first[source], last[source]), rng)
            for source in range(len(self.names))
        ]
        rows = np.concatenate(parts)
        sources = np.repeat(np.arange(len(parts)), [len(part) for part in parts])
        return self._assemble(rows, sources, rng)

    def _taken(self, batches: int) -> Any:
        """Triplets of each source in the first ``batches`` batches; the largest share takes what is left."""
        taken = np.floor(self.shares * self.batch_size * batches).astype(np.int64)
        # floors lose a little of every share; the largest feels it least
        taken[self._largest] += batches * self.batch_size - taken.sum()
        return taken

    def _rows(self, source: int, positions: Int[np.ndarray, " n"], rng: np.random.Generator) -> Any:
        """The n triplets at ``positions`` of the endless order of ``source``, or they and companions."""
        a = self.graph.arrays
        start, end = a.source_indptr[source : source + 2]
        size = int(end - start)
        passes, offsets = np.divmod(positions, max(size, 1))
        rows = np.empty(len(positions), np.int64)
        for number in np.unique(passes):
            here = passes == number
            # another order each time the source has been gone through
            shuffled = permute(offsets[here], size, [self.seed, source, int(number)])
            rows[here] = a.source_order[start + shuffled]
        if self.same_image == 1:
            return rows
        return self._with_companions(rows, a.source_order[start:end], rng)

    def _with_companions(
        self, rows: Int[np.ndarray, " n"], source: Int[np.ndarray, " m"], rng: np.random.Generator
    ) -> Any:
        """The first of ``rows``, each followed by others of its image and ``source``, n in all."""
        a = self.graph.arrays
        groups = np.maximum(a.group[a.head[rows]], a.group[a.tail[rows]])
        chosen: dict[int, None] = {}
        for row, group in zip(rows.tolist(), groups, strict=True):
            room = min(self.same_image, len(rows) - len(chosen))
            if room == 0:
                break
            if row in chosen:
                continue
            chosen[row] = None
            if group >= 0:
                inside = a.group_order[a.group_indptr[group] : a.group_indptr[group + 1]]
                own = inside[_is_in(inside, source)]  # several sources may tell of one image
                mates = [mate for mate in rng.permutation(own).tolist() if mate not in chosen]
                chosen.update(dict.fromkeys(mates[: room - 1]))
        taken = list(chosen)  # fewer than wanted only where a small source repeats itself
        return np.array(taken + rng.choice(rows, len(rows) - len(taken)).tolist(), np.int64)

    def _assemble(
        self, rows: Int[np.ndarray, " T"], sources: Int[np.ndarray, " T"], rng: np.random.Generator
    ) -> TripletBatch:
        a = self.graph.arrays
        heads, relations, tails = (np.asarray(x[rows], np.int64) for x in (a.head, a.relation, a.tail))
        texts = [self._relations[relation] for relation in relations]
        if self.inverse:
            turned = rng.random(len(rows)) < 0.5
            heads, tails = np.where(turned, tails, heads), np.where(turned, heads, tails)
            relations = relations + turned * self.graph.counts["relations"]
            texts = [f"inverse of {text}" if turn else text for text, turn in zip(texts, turned, strict=True)]
        odds = self.image_odds[sources]
        return TripletBatch(
            rows, heads, relations, tails, sources,
            head=self._entities(heads, odds, rng), relation=texts, tail=self._entities(tails, odds, rng),
        )  # fmt: skip

    def _entities(self, entities: Any, odds: Any, rng: np.random.Generator) -> list[str | ImageRef]:
        """An image of each entity with probability ``odds``, else its text, as far as it has both."""
        a = self.graph.arrays
        first, images = a.image_indptr[entities], a.image_indptr[entities + 1] - a.image_indptr[entities]
        as_image = (images > 0) & (rng.random(len(entities)) < odds)
        which = first + (rng.random(len(entities)) * images).astype(np.int64)
        drawn: list[str | ImageRef] = []
        for entity, image, index, count in zip(entities, as_image, which, images, strict=True):
            text = None if image else a.entity_text[entity]
            if text is None and count:
                drawn.append(self.graph.image(index, margin=self.context_margin))
            else:
                drawn.append(text if text is not None else str(a.entity_id[entity]))
        return drawn


def _is_in(rows: Int[np.ndarray, " k"], ascending: Int[np.ndarray, " m"]) -> Any:
    """Which of k rows are among m ascending ones: by binary search, for the m are mapped from disk."""
    places = np.minimum(np.searchsorted(ascending, rows), len(ascending) - 1)
    return ascending[places] == rows
