"""The records that flow through knowclip: frozen dataclasses, no logic.

``file -> Example -> Batch -> Features -> losses -> weights -> Result``

Shape legend: B batch, N negatives per caption, K triples of a caption, P tokens of a phrase, L tokens,
D embedding width, E that of a teacher, O object prompts, S sub-graphs, C channels, H height, W width;
T triplets of a graph on this process and M on all, S (of KnowledgeFeatures) those and the ones made of pairs,
R relations, X texts, V images, Q relation phrases, n nodes, e edges.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy as np
    from jaxtyping import Bool, Float, Int, UInt8
    from torch import Tensor

Span = tuple[int, int]
"""Start and end character offsets in a text, end exclusive."""

Box = tuple[int, int, int, int]
"""``(x, y, width, height)`` in pixels, origin at the top left."""


@dataclass(frozen=True, slots=True)
class SceneObject:
    """An object of a scene graph: its lemma, where the caption says it, where the image shows it."""

    name: str
    span: Span | None = None
    box: Box | None = None


@dataclass(frozen=True, slots=True)
class Attribute:
    """An attribute of the object at index ``object``."""

    object: int
    name: str
    span: Span | None = None


@dataclass(frozen=True, slots=True)
class Relation:
    """``objects[subject] --name--> objects[object]``; ``span`` covers the words that state it."""

    subject: int
    name: str
    object: int
    span: Span | None = None


@dataclass(frozen=True, slots=True)
class SceneGraph:
    """Structure-CLIP's S1: objects, attribute pairs and relations of one caption or image."""

    objects: tuple[SceneObject, ...] = ()
    attributes: tuple[Attribute, ...] = ()
    relations: tuple[Relation, ...] = ()


@dataclass(frozen=True, slots=True)
class Negative:
    """A hard-negative caption (S2): same image, false text.

    ``changed`` are the spans *in this caption* that differ from the caption it was made from; ``graph`` is
    what this caption claims (``data.prepare`` says whether read in it or edited), so that a negative which is
    true of another image can be recognised; ``seed`` is that of the draw it came from.
    """

    caption: str
    kind: str
    changed: tuple[Span, ...] = ()
    graph: SceneGraph | None = None
    seed: int = 0


@dataclass(frozen=True, slots=True)
class Triplet:
    """A fact ``(head, relation, tail)`` by identifier (knowledge graph) or by text (KEE)."""

    head: str
    relation: str
    tail: str


@dataclass(frozen=True, slots=True)
class ImageRef:
    """An image file, or the region ``box`` of it."""

    path: Path
    box: Box | None = None


@dataclass(frozen=True, slots=True)
class Example:
    """One image-caption pair.

    ``key`` is unique in its set and names the pair in messages and results. ``image_id`` is shared by all
    captions of one image, so that they are never taken for each other's negatives.
    """

    key: str
    image_id: str
    image: ImageRef
    caption: str
    graph: SceneGraph | None = None
    negatives: tuple[Negative, ...] = ()


@dataclass(frozen=True, slots=True)
class GraphBatch:
    """Tensors of T triplets of a knowledge graph and, where wanted, of the neighbourhood of their tails.

    Every distinct entity stands once: rows ``0 .. X - 1`` are ``texts``, rows ``X .. X + V - 1`` ``images``
    (either may have no rows), so a tower sees each once a step. ``nodes`` to ``seeds`` are one sampled graph
    (K6): edges ``head -> tail`` between its nodes, which ``hops`` steps backwards from the seeds reach.
    """

    keys: tuple[str, ...]
    """``head --relation--> tail`` by ids, for messages."""
    texts: Int[Tensor, "X L"]
    images: Float[Tensor, "V 3 H W"] | None
    relation_texts: Int[Tensor, "Q L"]
    triplets: Int[Tensor, "T 3"]
    """Head, relation, tail: rows of the entities, of ``relation_texts``, of the entities."""
    relation_labels: Int[Tensor, " T"]
    """Of R relations; those past the graph's own are their inverses."""
    image_groups: Int[Tensor, " T"]
    """Number of the image that head and tail are regions of, -1 for none."""
    known_tails: Bool[Tensor, "T M"]
    """``[i, j]``: triplet i is as true with the tail of triplet j (i != j): no negative."""
    known_heads: Bool[Tensor, "T M"]
    """The same with its head."""
    nodes: Int[Tensor, " n"] | None = None
    """Row of each node's entity."""
    edges: Int[Tensor, "e 2"] | None = None
    """Head and tail node of each sampled triplet."""
    seeds: Int[Tensor, " T"] | None = None
    """Node of each triplet's tail."""
    hops: int = 0
    sentences: Int[Tensor, "T L"] | None = None
    """Each triplet as a caption of its head, in words."""
    known_sentences: Bool[Tensor, "T M"] | None = None
    """``[i, j]``: sentence j is said of the head of triplet i as well (i != j): no negative."""
    tail_phrases: Int[Tensor, "T L"] | None = None
    """What asks for each tail in words: "head relation", or the relation alone where the head is an image."""
    related_tails: Bool[Tensor, "T M"] | None = None
    """``[i, j]``: triplet i may be true with the tail of triplet j, by a hierarchy (i != j): no negative."""
    head_phrases: Int[Tensor, "T L"] | None = None
    """The same for heads: "relation tail", or the relation alone."""
    related_heads: Bool[Tensor, "T M"] | None = None
    unreadable: Mapping[str, str] = field(default_factory=dict)
    """Images that could not be read while the step was made, and why: others stand in their places."""


@dataclass(frozen=True, slots=True)
class Phrases:
    """Texts that the captions of a batch give by their graphs, each distinct one once: not one a row."""

    texts: Int[Tensor, "O L"]
    ids: Int[Tensor, " O"]
    """64-bit content hashes: the same text of another process, or of another micro-batch, has the same."""


@dataclass(frozen=True, slots=True)
class SubgraphTexts:
    """Parts of the graphs of a batch's captions, true and false ones, in words: each distinct text once.

    Of which image a text is true is told by content hashes, so that processes and micro-batches can be joined
    in any order: pairs are (image, text), or (image, claim).
    """

    texts: Int[Tensor, "S L"]
    ids: Int[Tensor, " S"]
    """Of token ids: equal where a model reads the same."""
    claims: Int[Tensor, "S 2"]
    """What each text claims, 0 where it claims less."""
    turns: Int[Tensor, " S"]
    """Place, from 0, of each among the true or the false texts that were drawn for an image."""
    positives: Int[Tensor, "n 2"]
    """(image, text) that were drawn as true."""
    negatives: Int[Tensor, "m 2"]
    """(image, text) that were made to be false of it."""
    truths: Int[Tensor, "e 2"]
    """(image, claim) that its captions make true."""


@dataclass(frozen=True, slots=True)
class Batch:
    """Tensors of B examples, each with N negative slots (masked where a caption has fewer).

    Exactly one of ``images`` (pixels) and ``trunk_features`` (cached outputs of a locked image trunk) is set.
    Pixels are preprocessed, or as a cache keeps them, resized and cropped bytes: a quarter of the memory, of
    which a micro-batch at a time is normalised.
    ``image_ids``, ``caption_ids`` and ``negative_ids`` are 64-bit content hashes: equal hash means the same
    image, or the same text or scene graph, and marks a false negative.
    """

    keys: tuple[str, ...]
    texts: Int[Tensor, "B L"]
    negatives: Int[Tensor, "B N L"]
    negative_mask: Bool[Tensor, "B N"]
    image_ids: Int[Tensor, " B"]
    caption_ids: Int[Tensor, " B"]
    negative_ids: Int[Tensor, "B N"]
    images: Float[Tensor, "B 3 H W"] | UInt8[Tensor, "B 3 H W"] | None = None
    trunk_features: Float[Tensor, "B ..."] | None = None
    triples: Int[Tensor, "B K 3 P"] | None = None
    """Token ids of head, relation and tail of what each caption claims (KEE); -1 where there is none."""
    negative_triples: Int[Tensor, "B N K 3 P"] | None = None
    objects: Phrases | None = None
    """A prompt for each object that a caption of the batch names."""
    subgraphs: SubgraphTexts | None = None
    """Parts of the captions' graphs as texts."""
    graph: GraphBatch | None = None
    """Triplets of the same step, for methods that learn from a knowledge graph."""
    unreadable: Mapping[str, str] = field(default_factory=dict)
    """Images that could not be read while the batch was made, and why: other pairs stand in their places."""


ROWS: Mapping[str, str] = {"gather": "rows"}
"""Metadata of a Features field with one row per example: gathered by concatenation over processes."""

SHARED: Mapping[str, str] = {"gather": "shared"}
"""Metadata of a Features field that is equal on every process (a temperature): not gathered."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Features:
    """What a Method computes from a batch; all that losses may see.

    Embeddings are L2-normalised. Each field says how it is gathered across processes: ``rows`` are
    concatenated in rank order (with gradients where they have any), ``shared`` are left as they are.
    """

    image_features: Float[Tensor, "B D"] = field(metadata=ROWS)
    text_features: Float[Tensor, "B D"] = field(metadata=ROWS)
    negative_features: Float[Tensor, "B N D"] | None = field(default=None, metadata=ROWS)
    enhanced_text_features: Float[Tensor, "B D"] | None = field(default=None, metadata=ROWS)
    """Captions with the knowledge of their triples, ``t~`` (S4); of another length than 1 if so wished."""
    enhanced_negative_features: Float[Tensor, "B N D"] | None = field(default=None, metadata=ROWS)
    negative_mask: Bool[Tensor, "B N"] | None = field(default=None, metadata=ROWS)
    image_ids: Int[Tensor, " B"] | None = field(default=None, metadata=ROWS)
    caption_ids: Int[Tensor, " B"] | None = field(default=None, metadata=ROWS)
    negative_ids: Int[Tensor, "B N"] | None = field(default=None, metadata=ROWS)
    logit_scale: Float[Tensor, ""] = field(metadata=SHARED)
    logit_bias: Float[Tensor, ""] | None = field(default=None, metadata=SHARED)
    object_features: Float[Tensor, "O D"] | None = field(default=None, metadata=ROWS)
    """Prompts of objects; one that several processes name stands once for each."""
    object_ids: Int[Tensor, " O"] | None = field(default=None, metadata=ROWS)
    subgraph_features: Float[Tensor, "S D"] | None = field(default=None, metadata=ROWS)
    """Sub-graphs as texts, and what SubgraphTexts says of them."""
    subgraph_ids: Int[Tensor, " S"] | None = field(default=None, metadata=ROWS)
    subgraph_claims: Int[Tensor, "S 2"] | None = field(default=None, metadata=ROWS)
    subgraph_turns: Int[Tensor, " S"] | None = field(default=None, metadata=ROWS)
    subgraph_positives: Int[Tensor, "n 2"] | None = field(default=None, metadata=ROWS)
    subgraph_negatives: Int[Tensor, "m 2"] | None = field(default=None, metadata=ROWS)
    subgraph_truths: Int[Tensor, "e 2"] | None = field(default=None, metadata=ROWS)
    readout_text_queries: Float[Tensor, "k d"] | None = field(default=None, metadata=ROWS)
    """What asks for the tail of each of k triples, by its caption's embedding, and by its image's."""
    readout_image_queries: Float[Tensor, "k d"] | None = field(default=None, metadata=ROWS)
    readout_tails: Float[Tensor, "k d"] | None = field(default=None, metadata=ROWS)
    readout_query_ids: Int[Tensor, " k"] | None = field(default=None, metadata=ROWS)
    """Hashes of image, head and relation."""
    readout_tail_ids: Int[Tensor, " k"] | None = field(default=None, metadata=ROWS)
    readout_logit_scale: Float[Tensor, ""] | None = field(default=None, metadata=SHARED)
    teacher_image_features: Float[Tensor, "B E"] | None = field(default=None, metadata=ROWS)
    """Of a frozen model, as the two below."""
    teacher_text_features: Float[Tensor, "B E"] | None = field(default=None, metadata=ROWS)
    teacher_object_features: Float[Tensor, "O E"] | None = field(default=None, metadata=ROWS)
    crop_features: Float[Tensor, "C D"] | None = field(default=None, metadata=ROWS)
    """Random crops of some of the images, as the model and, below, as the frozen one sees them."""
    teacher_crop_features: Float[Tensor, "C E"] | None = field(default=None, metadata=ROWS)
    teacher_logit_scale: Float[Tensor, ""] | None = field(default=None, metadata=SHARED)


@dataclass(frozen=True, slots=True, kw_only=True)
class KnowledgeFeatures(Features):
    """Features of a step with triplets, those that its terms need.

    ``Y`` and ``R`` are the fusion encoder's outputs (K3), ``-`` a masked element. S rows are the T triplets
    of the graph and then, where captions join as triplets (K1), one of each pair: ``from_pairs`` tells which.
    """

    tail_queries: Float[Tensor, "S D"] | None = field(default=None, metadata=ROWS)
    """``Y(h, r, -)``"""
    tail_candidates: Float[Tensor, "S D"] | None = field(default=None, metadata=ROWS)
    """``Y(-, -, t)``"""
    head_queries: Float[Tensor, "S D"] | None = field(default=None, metadata=ROWS)
    """``Y(-, r, t)``"""
    head_candidates: Float[Tensor, "S D"] | None = field(default=None, metadata=ROWS)
    """``Y(h, -, -)``"""
    relation_logits: Float[Tensor, "S R"] | None = field(default=None, metadata=ROWS)
    relation_labels: Int[Tensor, " S"] | None = field(default=None, metadata=ROWS)
    from_pairs: Bool[Tensor, " S"] | None = field(default=None, metadata=ROWS)
    image_groups: Int[Tensor, " T"] | None = field(default=None, metadata=ROWS)
    known_tails: Bool[Tensor, "T M"] | None = field(default=None, metadata=ROWS)
    known_heads: Bool[Tensor, "T M"] | None = field(default=None, metadata=ROWS)
    graph_features: Float[Tensor, "T D"] | None = field(default=None, metadata=ROWS)
    """``G^L(t)``"""
    graph_mask: Bool[Tensor, " T"] | None = field(default=None, metadata=ROWS)
    """False where no sampled triplet ends in t, so that ``G^L(t)`` says nothing."""
    head_features: Float[Tensor, "T D"] | None = field(default=None, metadata=ROWS)
    """Heads as CLIP embeds them, crop or text; for the control that pairs them with sentences."""
    sentence_features: Float[Tensor, "T D"] | None = field(default=None, metadata=ROWS)
    """``h r t`` as a text."""
    known_sentences: Bool[Tensor, "T M"] | None = field(default=None, metadata=ROWS)
    pooled_heads: Float[Tensor, "T D"] | None = field(default=None, metadata=ROWS)
    """Heads as CLIP embeds them, and tails; and what asks for either, in words or by an image and words."""
    pooled_tails: Float[Tensor, "T D"] | None = field(default=None, metadata=ROWS)
    pooled_loops: Bool[Tensor, " T"] | None = field(default=None, metadata=ROWS)
    """Whether a triplet's head is its tail, where each query is to be told from the end that it says."""
    pooled_tail_queries: Float[Tensor, "T D"] | None = field(default=None, metadata=ROWS)
    pooled_head_queries: Float[Tensor, "T D"] | None = field(default=None, metadata=ROWS)
    related_tails: Bool[Tensor, "T M"] | None = field(default=None, metadata=ROWS)
    related_heads: Bool[Tensor, "T M"] | None = field(default=None, metadata=ROWS)
    pooled_logit_scale: Float[Tensor, ""] | None = field(default=None, metadata=SHARED)
    e2e_logit_scale: Float[Tensor, ""] | None = field(default=None, metadata=SHARED)
    g2e_logit_scale: Float[Tensor, ""] | None = field(default=None, metadata=SHARED)


@dataclass(frozen=True, slots=True)
class Result:
    """What a benchmark says of a model.

    ``metrics`` are fractions in [0, 1] unless their name says otherwise; ``metrics[main]`` is the one to
    quote. ``items`` holds one array per column with one entry per item (always ``key``, then scores and
    outcomes), for intervals and paired comparisons. ``details`` holds what a reader needs to trust the
    number: drop rules applied, surviving classes, tie rate, controls. Printed are neither of the two.
    """

    benchmark: str
    main: str
    n: int
    metrics: Mapping[str, float]
    items: Mapping[str, np.ndarray] = field(default_factory=dict, repr=False)
    details: Mapping[str, Any] = field(default_factory=dict, repr=False)
