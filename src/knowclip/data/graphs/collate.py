"""Steps of a TripletSampler as tensors: every distinct entity once, neighbourhoods, known truths.

Shape legend: M triplets of a step on all processes, T of this one, L tokens, V images, H height, W width.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch.utils.data import Dataset

from knowclip.data.captions.token_identity import Reading
from knowclip.data.graphs.checks import REMEDY, refuse_undescribed, relation_words
from knowclip.data.graphs.negatives import known_true
from knowclip.data.graphs.neighbourhood import Neighbourhood, sample_neighbourhood
from knowclip.data.graphs.queries import Queries
from knowclip.data.graphs.rows import Links, narrow
from knowclip.data.graphs.sampler import TripletBatch, TripletSampler
from knowclip.data.images.decoding import image_name
from knowclip.knowledge.graph.knowledge_graph import KnowledgeGraph
from knowclip.types import GraphBatch, ImageRef

if TYPE_CHECKING:
    from jaxtyping import Bool, Float, Int
    from torch import Tensor

Entity = str | ImageRef


@dataclass(frozen=True, slots=True)
class Neighbours:
    """How to draw the neighbourhood of a step's tails (K6).

    Args:
        hops: Layers of propagation.
        fanout: Triplets drawn of those that end in an entity.
        shuffled: The control: the heads of each hop change places, so that nothing true travels.
    """

    hops: int
    fanout: int
    shuffled: bool = False


class GraphDataset(Dataset[GraphBatch]):
    """Item k is step k of the epoch, this process's rows of it; the same for any number of processes.

    For an image that cannot be read its entity shows another one, or its words; the batch tells of it. What
    the tokenizer gives equal ids is one entity, as far as known truths go.

    Args:
        sampler: Draws the triplets of all processes.
        tokenize: Texts -> ids, cut to what they need (``DualEncoder.tokenize``).
        load_images: Images -> preprocessed pixels.
        neighbours: None draws no neighbourhood.
        sentences: Also give each triplet as a caption of its head: the control of Knowledge-CLIP.
        queries: Also give what plain CLIP is asked for the triplets' ends; None does not.
        unreadable: Images that are known to be unreadable, and why: they are not shown.
        max_unreadable: Further ones that one process may meet before it raises.
        rank: Of this process.
        world_size: Number of processes.

    Raises:
        ValueError: Fewer triplets a step than processes, or an entity with neither text nor image.
    """

    def __init__(
        self,
        sampler: TripletSampler,
        *,
        tokenize: Callable[[list[str]], Int[Tensor, "X L"]],
        load_images: Callable[[Sequence[ImageRef]], Float[Tensor, "V 3 H W"]],
        neighbours: Neighbours | None = None,
        sentences: bool = False,
        queries: Queries | None = None,
        unreadable: Mapping[ImageRef, str] | None = None,
        max_unreadable: int = 0,
        rank: int = 0,
        world_size: int = 1,
    ) -> None:
        if not 0 <= rank < world_size <= sampler.batch_size:
            raise ValueError(
                f"a step of {sampler.batch_size} triplets cannot be shared by {world_size} processes "
                f"(rank {rank}): raise data.graph.batch_size"
            )
        refuse_undescribed(sampler.graph)
        self.sampler = sampler
        self.neighbours = neighbours
        self._tokenize = tokenize
        self._reading = Reading(tokenize)
        self._load_images = load_images
        self._with_sentences = sentences
        self.queries = queries
        self._unreadable = dict(unreadable or {})
        self._limit = len(self._unreadable) + max_unreadable
        self._share = tuple(sampler.batch_size * r // world_size for r in (rank, rank + 1))
        self._epoch = 0

    def set_epoch(self, epoch: int) -> None:
        """Choose the epoch; worker processes must be started after it."""
        self._epoch = epoch

    def __len__(self) -> int:
        return len(self.sampler)

    def __getitem__(self, step: int) -> GraphBatch:
        met: dict[ImageRef, str] = {}
        while True:  # an image that proves unreadable changes what the step shows
            made = self._step(step, met)
            if made is not None:
                return made

    def _step(self, step: int, met: dict[ImageRef, str]) -> GraphBatch | None:
        """Make a step; None if an image was met that cannot be read: ``met`` then has it."""
        graph = self.sampler.graph
        # the 1: another stream than the sampler's own of [seed, epoch, step]
        rng = np.random.default_rng([self.sampler.seed, self._epoch, step, 1])
        drawn = self._readable(mixed(self.sampler.batch(self._epoch, step), rng))
        ends = [*drawn.head, *drawn.tail]
        inputs = _Numbered(ends, self._keys(ends))
        heads, tails = np.split(inputs.numbers, 2)
        links, phrases = self._links(drawn, inputs, rng)
        said = links.triplets[:, 1].numpy()  # relations by their words
        rows = slice(*self._share)
        links, entities, relations = narrow(links, rows)
        used = [inputs.distinct[number] for number in entities.tolist()]
        texts = [entity for entity in used if isinstance(entity, str)]
        images = [entity for entity in used if isinstance(entity, ImageRef)]
        pixels = self._pixels(images, met) if images else None
        if images and pixels is None:
            return None
        known = {
            "known_tails": known_true(graph, drawn) | _said(heads, said, tails),
            "known_heads": known_true(graph, drawn, side="head") | _said(tails, said, heads),
        }
        return GraphBatch(
            keys=tuple(" ".join(_ids(graph, drawn, row)) for row in range(*self._share)),
            texts=self._tokenize(texts) if texts else torch.zeros(0, 1, dtype=torch.long),
            images=pixels,
            relation_texts=self._tokenize([phrases[number] for number in relations.tolist()]),
            relation_labels=torch.from_numpy(drawn.relations[rows]),
            image_groups=torch.from_numpy(_groups(graph, drawn)[rows]),
            unreadable={image_name(image): reason for image, reason in met.items()},
            **{name: torch.from_numpy(_off_diagonal(mask)[rows]) for name, mask in known.items()},
            **_texts_first(links, used, with_graph=self.neighbours is not None),
            **(self._sentences(drawn, heads, rows) if self._with_sentences else {}),
            **(self.queries.fields(drawn, rows, self._tokenize) if self.queries else {}),
        )

    def _sentences(self, drawn: TripletBatch, heads: Int[np.ndarray, " M"], rows: slice) -> dict[str, Tensor]:
        """``h r t`` in words, what has none left out; true as well of what reads or looks the same."""
        text = self.sampler.graph.arrays.entity_text
        said = [
            " ".join(words for words in (text[head], relation, text[tail]) if words)
            for head, relation, tail in zip(drawn.heads, drawn.relation, drawn.tails, strict=True)
        ]
        numbers = _Numbered(said, self._reading(said)).numbers
        same = numbers[:, None] == numbers
        known = _off_diagonal((heads[:, None] == heads) | same)[rows]
        return {"sentences": self._tokenize(said[rows]), "known_sentences": torch.from_numpy(known)}

    def _links(
        self, drawn: TripletBatch, inputs: _Numbered, rng: np.random.Generator
    ) -> tuple[Links, list[str]]:
        """Number everything of the step; nodes that are no triplet's end join ``inputs``."""
        phrases = _Numbered(drawn.relation, self._reading(drawn.relation))
        heads, tails = np.split(inputs.numbers, 2)
        triplets = torch.from_numpy(np.stack([heads, phrases.numbers, tails], axis=1))
        if self.neighbours is None:
            none = triplets.new_zeros(0)
            return Links(triplets, none, none.view(0, 2), none, 0), phrases.distinct
        near = self._neighbourhood(drawn, rng)
        ends = np.concatenate([drawn.heads, drawn.tails]).tolist()
        # reversed, so that the first drawing of an entity shows it in its neighbourhood too
        shown = dict(zip(reversed(ends), reversed([*drawn.head, *drawn.tail]), strict=True))
        nodes = [shown.get(entity) or self._draw(entity, rng) for entity in near.entities.tolist()]
        keys = self._keys(nodes)
        place = {entity: number for number, entity in enumerate(near.entities.tolist())}
        return Links(
            triplets,
            torch.tensor([inputs.add(node, key) for node, key in zip(nodes, keys, strict=True)]),
            torch.from_numpy(np.stack([near.heads, near.tails], axis=1)),
            torch.tensor([place[tail] for tail in drawn.tails.tolist()]),
            self.neighbours.hops,
        ), phrases.distinct

    def _neighbourhood(self, drawn: TripletBatch, rng: np.random.Generator) -> Neighbourhood:
        near = sample_neighbourhood(
            self.sampler.graph,
            drawn.tails,
            hops=self.neighbours.hops,
            fanout=self.neighbours.fanout,
            rng=rng,
        )
        if not self.neighbours.shuffled:
            return near
        heads = near.heads.copy()
        for hop in np.unique(near.hops):
            heads[near.hops == hop] = rng.permutation(heads[near.hops == hop])
        return replace(near, heads=heads)

    def _draw(self, entity: int, rng: np.random.Generator) -> Entity:
        """Words or an image of a neighbour, by the odds of the source that its image comes from."""
        graph, a = self.sampler.graph, self.sampler.graph.arrays
        first, last = a.image_indptr[entity : entity + 2]
        text = a.entity_text[entity]
        if last > first:
            image = int(rng.integers(first, last))
            if text is None or rng.random() < self.sampler.image_odds[a.image_source[image]]:
                return self._instead(entity, graph.image(image, margin=self.sampler.context_margin))
        return text

    def _readable(self, drawn: TripletBatch) -> TripletBatch:
        """The same triplets, with nothing to show that cannot be read."""
        if not self._unreadable:
            return drawn
        head, tail = (
            [self._instead(entity, shown) for entity, shown in zip(ends.tolist(), drawing, strict=True)]
            for ends, drawing in ((drawn.heads, drawn.head), (drawn.tails, drawn.tail))
        )
        return replace(drawn, head=head, tail=tail)

    def _instead(self, entity: int, shown: Entity) -> Entity:
        """What shows an entity: ``shown``; where that cannot be read its next image, else its words."""
        if shown not in self._unreadable:
            return shown
        graph, a = self.sampler.graph, self.sampler.graph.arrays
        for image in range(*a.image_indptr[entity : entity + 2]):
            other = graph.image(image, margin=self.sampler.context_margin)
            if other not in self._unreadable:
                return other
        if a.entity_text[entity] is None:
            raise self._error(self._unreadable[shown])
        return a.entity_text[entity]

    def _keys(self, entities: Sequence[Entity]) -> list[bytes | ImageRef]:
        """What tells entities apart: images by themselves, texts by what is read of them."""
        texts = [entity for entity in entities if isinstance(entity, str)]
        read = dict(zip(texts, self._reading(texts), strict=True))
        return [read[entity] if isinstance(entity, str) else entity for entity in entities]

    def _pixels(self, images: list[ImageRef], met: dict[ImageRef, str]) -> Float[Tensor, "V 3 H W"] | None:
        """Load images; None where one cannot be read: those are then known."""
        try:
            return self._load_images(images)
        except ValueError as error:
            broken = {image: reason for image in images if (reason := self._reason(image)) is not None}
            self._unreadable |= broken
            if not broken or len(self._unreadable) > self._limit:
                raise self._error(str(error)) from error
        met |= broken
        return None

    def _reason(self, image: ImageRef) -> str | None:
        try:
            self._load_images([image])
        except ValueError as error:
            return str(error)
        return None

    def _error(self, reason: str) -> ValueError:
        return ValueError(f"knowledge graph {self.sampler.graph.path}: {reason}; {REMEDY}")


def relation_vocabulary(graph: KnowledgeGraph, *, inverse: bool) -> list[str]:
    """Relations in words, in the order of a GraphBatch's ``relation_labels``.

    Raises:
        ValueError: A relation has none.
    """
    words = relation_words(graph)
    return words + [f"inverse of {word}" for word in words if inverse]


def graph_images(graph: KnowledgeGraph, *, margin: float) -> list[ImageRef]:
    """Every image and region of a graph, as steps show them."""
    return [graph.image(index, margin=margin) for index in range(len(graph.arrays.image_source))]


class _Numbered:
    """Numbers things by first appearance; things of equal keys have one number."""

    def __init__(self, things: Sequence[Any], keys: Sequence[Any]) -> None:
        self._number: dict[Any, int] = {}
        self.distinct: list[Any] = []
        added = [self.add(thing, key) for thing, key in zip(things, keys, strict=True)]
        self.numbers = np.array(added, np.int64)

    def add(self, thing: Any, key: Any) -> int:
        if key not in self._number:
            self._number[key] = len(self.distinct)
            self.distinct.append(thing)
        return self._number[key]


def mixed(drawn: TripletBatch, rng: np.random.Generator) -> TripletBatch:
    """The same triplets in random order: else one process would have all images, another all words."""
    order = rng.permutation(len(drawn.rows))
    arrays = {name: getattr(drawn, name)[order] for name in _ARRAYS}
    return replace(drawn, **arrays, **{name: [getattr(drawn, name)[i] for i in order] for name in _LISTS})


_ARRAYS = ("rows", "heads", "relations", "tails", "sources")
_LISTS = ("head", "relation", "tail")


def _said(own: Any, phrases: Any, other: Any) -> Bool[np.ndarray, "M M"]:
    """True at (i, j) where some triplet says of ``own[i]`` and its relation what j has at the other end.

    By what the encoders read, not by id: two regions called "dog" are the same query in words, and so are the
    relations of two sources that both say "is a".
    """
    same_query = (own[:, None] == own) & (phrases[:, None] == phrases)
    same_other = other[:, None] == other
    # float32: NumPy multiplies matrices of booleans without BLAS, many times slower
    return (same_query.astype(np.float32) @ same_other.astype(np.float32)) > 0


def _off_diagonal(mask: Bool[np.ndarray, "M M"]) -> Bool[np.ndarray, "M M"]:
    return mask & ~np.eye(len(mask), dtype=bool)


def _groups(graph: KnowledgeGraph, drawn: TripletBatch) -> Int[np.ndarray, " M"]:
    heads, tails = (graph.arrays.group[ends].astype(np.int64) for ends in (drawn.heads, drawn.tails))
    return np.where(heads == tails, heads, -1)


def _ids(graph: KnowledgeGraph, drawn: TripletBatch, row: int) -> tuple[str, str, str]:
    a = graph.arrays
    return (
        str(a.entity_id[drawn.heads[row]]),
        f"--{drawn.relation[row]}-->",
        str(a.entity_id[drawn.tails[row]]),
    )


def _texts_first(links: Links, used: list[Entity], *, with_graph: bool) -> dict[str, Any]:
    """Number entities as a GraphBatch does: its texts, then its images."""
    is_image = torch.tensor([isinstance(entity, ImageRef) for entity in used])
    # the argsort of an argsort is its inverse: the place that each entity moves to
    number = is_image.int().argsort(stable=True).argsort()
    heads, relations, tails = links.triplets.unbind(dim=1)
    fields: dict[str, Any] = {"triplets": torch.stack([number[heads], relations, number[tails]], dim=1)}
    if with_graph:
        graph = {"nodes": number[links.nodes], "edges": links.edges, "seeds": links.seeds}
        fields |= graph | {"hops": links.hops}
    return fields
