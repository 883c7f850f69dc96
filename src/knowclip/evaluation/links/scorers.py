"""What link prediction asks of a model, and who answers: plain CLIP, or Knowledge-CLIP's fusion encoder.

Shape legend: Q queries, E entities, R relations, D width of the answers.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Collection, Sequence
from copy import copy
from typing import Any, Literal, Protocol, cast, runtime_checkable

import numpy as np

from knowclip.console.counts import some
from knowclip.evaluation.feature_cache import Features
from knowclip.evaluation.scoring import Scorer, model_hash
from knowclip.models.triplet_encoder import LinkPredictor
from knowclip.types import ImageRef

Side = Literal["tail", "head", "relation"]
View = str | ImageRef
"""An entity as a model sees it: its words, or an image (or region) of it."""
BATCH = 256
TAUGHT = "E2E teaches tails, and heads with head_side; E2R relations, those of its training graph"
"""Why a method may not have learned to answer a side."""


class LinkScorer(Protocol):
    """Completes triplets: what fits best has the largest dot product with the query; rows of norm 1."""

    description: str

    def answers(self, side: Side, relations: Collection[str]) -> bool:
        """Whether it has learned to answer this side of triplets with these relations."""

    @property
    def model_hash(self) -> str:
        """Hash of everything that decides the answers; see ``scoring.model_hash``."""

    def tail_queries(self, heads: Sequence[View], relations: Sequence[str]) -> Features:
        """What should stand at ``(h, r, ?)``, ``[Q, D]``."""

    def head_queries(self, relations: Sequence[str], tails: Sequence[View]) -> Features:
        """What should stand at ``(?, r, t)``, ``[Q, D]``."""

    def tail_candidates(self, entities: Sequence[View]) -> Features:
        """Entities as tails, ``[E, D]``."""

    def head_candidates(self, entities: Sequence[View]) -> Features:
        """Entities as heads, ``[E, D]``."""

    def relation_scores(
        self, heads: Sequence[View], tails: Sequence[View], relations: Sequence[str]
    ) -> Features:
        """How well each relation fits between h and t, ``[Q, R]``."""


@runtime_checkable
class ReadsOnce(Protocol):
    """A link scorer to which an entity is dear to read: it gives it in several roles at once."""

    def candidates(self, entities: Sequence[View], sides: Sequence[Side]) -> dict[Side, Features]:
        """Of each of the sides, tail or head, the entities as its answers, ``[E, D]``."""


@runtime_checkable
class TellsReading(Protocol):
    """A link scorer that reads entities for long, and tells how many it has, and of how many."""

    progress: Callable[[str, int, int], None] | None


class PlainClip:
    """Plain CLIP as a link predictor: the baseline.

    ``(h, r, ?)``: the text "h r" if the head is text; the normalised sum of the image's and the relation's
    embedding if it is an image. ``(?, r, t)``: likewise "r t". An entity is its own embedding, and
    ``(h, ?, t)`` ranks r by the tail score of ``(h, r, t)``. All by cosine.
    """

    description = (
        'plain CLIP: cos(encode("h r"), encode(t)); of an image head, the normalised sum of its embedding '
        "and the relation's"
    )

    def __init__(self, scorer: Scorer) -> None:
        self.scorer = copy(scorer)
        self.scorer.max_missing = 0.0  # zeros in place of an unreadable image would beat negative cosines

    @property
    def progress(self) -> Callable[[str, int, int], None] | None:
        """Of its towers."""
        return self.scorer.progress

    @progress.setter
    def progress(self, progress: Callable[[str, int, int], None] | None) -> None:
        self.scorer.progress = progress

    def answers(self, side: Side, relations: Collection[str]) -> bool:
        """Every side, of any words."""
        return True

    @property
    def model_hash(self) -> str:
        """The model's."""
        return self.scorer.model_hash

    def tail_queries(self, heads: Sequence[View], relations: Sequence[str]) -> Features:
        """``encode("h r")``, or the sum for an image."""
        return self._queries(heads, relations, lambda head, relation: f"{head} {relation}")

    def head_queries(self, relations: Sequence[str], tails: Sequence[View]) -> Features:
        """``encode("r t")``, or the sum for an image."""
        return self._queries(tails, relations, lambda tail, relation: f"{relation} {tail}")

    def tail_candidates(self, entities: Sequence[View]) -> Features:
        """Embeddings of texts and images."""
        texts = [entity for entity in entities if isinstance(entity, str)]
        images = [entity for entity in entities if isinstance(entity, ImageRef)]
        parts = [self.scorer.texts(texts)] if texts else []
        parts += [self.scorer.images(images)] if images else []
        is_image = np.array([isinstance(entity, ImageRef) for entity in entities])
        # the argsort of an argsort is its inverse: back to the order given
        order = np.argsort(np.argsort(is_image, kind="stable"), kind="stable")
        return np.concatenate(parts)[order]

    def head_candidates(self, entities: Sequence[View]) -> Features:
        """The same: plain CLIP knows no roles."""
        return self.tail_candidates(entities)

    def relation_scores(
        self, heads: Sequence[View], tails: Sequence[View], relations: Sequence[str]
    ) -> Features:
        """Tail score of every ``(h, r, t)``."""
        ends = self.tail_candidates(tails)
        columns = [
            np.sum(self.tail_queries(heads, [relation] * len(heads)) * ends, axis=1) for relation in relations
        ]
        return np.stack(columns, axis=1)

    def _queries(
        self, entities: Sequence[View], relations: Sequence[str], sentence: Callable[[str, str], str]
    ) -> Features:
        pairs = list(zip(entities, relations, strict=True))
        said = [entity if isinstance(entity, ImageRef) else sentence(entity, r) for entity, r in pairs]
        found = self.tail_candidates(said)
        shown = [number for number, (entity, _) in enumerate(pairs) if isinstance(entity, ImageRef)]
        if shown:
            found[shown] = _normalised(found[shown] + self.scorer.texts([relations[n] for n in shown]))
        return found


class FusionLinks:
    """Knowledge-CLIP's answers: ``Y(h, r, -)`` against ``Y(-, -, t)`` (K3, K4), K5's logits for relations.

    Args:
        predictor: the trained model, in evaluation mode.
        vocabulary: relation in words of each of its relation logits; relations of several graphs may share
            their words, and then their probability.
        head_side: whether E2E was trained with the head masked too.
    """

    description = "fusion encoder: cos(Y(h, r, -), Y(-, -, t)); relations by its classifier on R(h, -, t)"

    def __init__(self, predictor: LinkPredictor, vocabulary: Sequence[str], *, head_side: bool) -> None:
        self.predictor, self.head_side = predictor, head_side
        self.progress: Callable[[str, int, int], None] | None = None
        self.columns: dict[str, list[int]] = {}
        for number, relation in enumerate(vocabulary):
            self.columns.setdefault(relation, []).append(number)

    def answers(self, side: Side, relations: Collection[str]) -> bool:
        """Tails if E2E was among its terms, heads if on both sides; relations of its graph if E2R was."""
        if side == "relation":
            return self.predictor.triplets.classifier is not None and set(relations) <= set(self.columns)
        return self.predictor.triplets.e2e_logit_scale is not None and (side == "tail" or self.head_side)

    @property
    def model_hash(self) -> str:
        """Of the towers and the fusion encoder."""
        parts = model_hash(self.predictor.model), model_hash(self.predictor.triplets)
        return hashlib.sha256(" ".join(parts).encode()).hexdigest()[:16]

    def tail_queries(self, heads: Sequence[View], relations: Sequence[str]) -> Features:
        """``Y(h, r, -)``."""

        def ask(start: int, end: int) -> Any:
            entities, phrases, rows = self._inputs(heads[start:end], relations[start:end])
            return self.predictor.tail_queries(entities, phrases, heads=rows, relation=rows)

        return _batched(ask, len(heads))

    def head_queries(self, relations: Sequence[str], tails: Sequence[View]) -> Features:
        """``Y(-, r, t)``."""

        def ask(start: int, end: int) -> Any:
            entities, phrases, rows = self._inputs(tails[start:end], relations[start:end])
            return self.predictor.head_queries(entities, phrases, relation=rows, tails=rows)

        return _batched(ask, len(tails))

    def tail_candidates(self, entities: Sequence[View]) -> Features:
        """``Y(-, -, t)``."""
        return self.candidates(entities, ["tail"])["tail"]

    def head_candidates(self, entities: Sequence[View]) -> Features:
        """``Y(h, -, -)``."""
        return self.candidates(entities, ["head"])["head"]

    def candidates(self, entities: Sequence[View], sides: Sequence[Side]) -> dict[Side, Features]:
        """Both of these, or one, of one reading by the towers, which takes longer than the fusion encoder."""
        import torch

        roles = {"tail": self.predictor.tail_candidates, "head": self.predictor.head_candidates}

        def ask(start: int, end: int) -> Any:
            read = self.predictor.encode_entities(entities[start:end])
            if self.progress is not None:
                self.progress("entities", end, len(entities))
            return torch.stack([roles[side](read) for side in sides])

        found = _batched(ask, len(entities), axis=1)
        return dict(zip(sides, found, strict=True))

    def relation_scores(
        self, heads: Sequence[View], tails: Sequence[View], relations: Sequence[str]
    ) -> Features:
        """K5's logits of the relations asked for; of those in the same words, the logarithm of their sum.

        Raises:
            ValueError: the classifier does not know one of them, or there is no classifier.
        """
        if unknown := [relation for relation in relations if relation not in self.columns]:
            known = some([*self.columns], most=5)
            raise ValueError(
                f"trained without the relations {some(unknown, most=5)}: the model knows {known}"
            )

        def ask(start: int, end: int) -> Any:
            entities = self.predictor.encode_entities([*heads[start:end], *tails[start:end]])
            rows = _arange(end - start)
            return self.predictor.relation_logits(entities, heads=rows, tails=rows + (end - start))

        logits = _batched(ask, len(heads))
        asked = [np.logaddexp.reduce(logits[:, self.columns[relation]], axis=1) for relation in relations]
        return np.stack(asked, axis=1)

    def _inputs(self, entities: Sequence[View], relations: Sequence[str]) -> tuple[Any, Any, Any]:
        phrases = self.predictor.encode_relations(relations)
        return self.predictor.encode_entities(entities), phrases, _arange(len(entities))


def _arange(n: int) -> Any:
    import torch

    return torch.arange(n)


def _batched(ask: Callable[[int, int], Any], n: int, *, axis: int = 0) -> Features:
    import torch

    with torch.no_grad():
        parts = [ask(start, min(start + BATCH, n)).float().cpu().numpy() for start in range(0, n, BATCH)]
    return cast(Features, np.concatenate(parts, axis=axis))


def _normalised(features: Features) -> Features:
    norms = np.linalg.norm(features, axis=1, keepdims=True)
    return np.divide(features, norms, out=np.zeros_like(features), where=norms > 0)
