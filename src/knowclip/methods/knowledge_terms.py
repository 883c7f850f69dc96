"""The terms of Knowledge-CLIP (K4..K8): what they compute from a step, and what they make of it.

A module that a method holds beside its CLIP: :mod:`knowclip.methods.knowledge_clip` alone,
:mod:`knowclip.methods.joint` together with Structure-CLIP's terms.

Shape legend: B pairs, S triplets of graph and pairs, T of the graph, M masked triplets, E entities,
Q relation phrases, D embedding width.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import torch
from torch import nn
from torch.nn import functional as F

from knowclip.methods.knowledge_losses import TERMS, pair_directions
from knowclip.methods.method import Losses, Report
from knowclip.methods.pooled_triplets import PooledTriplets
from knowclip.methods.teacher import Teacher
from knowclip.models.clip import DualEncoder
from knowclip.models.fusion import Entities, joined
from knowclip.models.triplet_encoder import TripletEncoder, masked_rows
from knowclip.types import Batch, GraphBatch, KnowledgeFeatures

if TYPE_CHECKING:
    from jaxtyping import Float, Int
    from torch import Tensor

PAIR_RELATIONS = ("image of", "caption of")
"""The made-up relations by which image-caption pairs are triplets (K1)."""


class KnowledgeTerms(nn.Module):
    """``L_E2E + L_E2R + L_G2E + L_KD`` (K8), each with a weight; what has weight 0 is not computed.

    Args:
        model: The towers, for their widths; not kept.
        relations: The graph's relation vocabulary, in words, inverses included.
        teacher: For distillation; None only to evaluate.
        e2e_weight: Entity-entity (K4).
        e2r_weight: Entity-relation (K5).
        g2e_weight: Graph-entity (K6).
        kd_weight: Distillation (K7).
        sentence_weight: The control: CLIP's loss between each head, crop or text, and the sentence "h r t".
        pooled_weight: Ours: "h r" against t as the towers alone embed them
            (:func:`~knowclip.losses.pooled.pooled_loss`).
        self_negatives: The pooled term tells each query from the end that it says itself.
        head_side: E2E and the pooled term ask for heads too; their loss is then the mean of both sides.
        captions_as_triplets: Pairs take part in E2E and E2R as "image of" and "caption of" (K1).
        graph_layers: L of K6.
        fusion: ``width``, ``layers``, ``heads``, ``drop_path`` of the fusion encoder.

    Raises:
        ValueError: Every weight is 0, or the relation vocabulary is empty.
    """

    def __init__(
        self,
        model: DualEncoder,
        *,
        relations: Sequence[str],
        teacher: DualEncoder | None = None,
        e2e_weight: float,
        e2r_weight: float,
        g2e_weight: float,
        kd_weight: float,
        head_side: bool,
        captions_as_triplets: bool,
        graph_layers: int,
        fusion: dict[str, Any],
        sentence_weight: float = 0.0,
        pooled_weight: float = 0.0,
        self_negatives: bool = False,
    ) -> None:
        super().__init__()
        self.weights = {
            "e2e": e2e_weight, "e2r": e2r_weight, "g2e": g2e_weight, "kd": kd_weight,
            "sentence": sentence_weight, "pooled": pooled_weight,
        }  # fmt: skip
        if not any(self.weights.values()):
            names = ", ".join(f"{name}_weight" for name in self.weights)
            raise ValueError(f"{names} are all 0: nothing to learn")
        self.relations = tuple(relations)
        self.head_side = head_side
        self.self_negatives = self_negatives
        self.captions_as_triplets = captions_as_triplets
        self._shape = {"graph_layers": graph_layers, "fusion": dict(fusion)}
        self._teacher = Teacher(teacher) if teacher is not None and kd_weight else None
        self.pooled = None
        if pooled_weight:
            self.pooled = PooledTriplets(heads=head_side, self_negatives=self_negatives)
        self.triplets = None
        if e2e_weight or e2r_weight or g2e_weight:
            if not self.relations:
                raise ValueError("the relation vocabulary is empty: give a knowledge graph with triplets")
            self.triplets = TripletEncoder(
                model,
                relations=len(self.vocabulary) if e2r_weight else None,
                graph_layers=graph_layers if g2e_weight else None,
                contrastive=bool(e2e_weight),
                fusion=fusion,
            )

    @property
    def pairs_join(self) -> bool:
        """Whether pairs are triplets too: of the terms, E2E and E2R read them."""
        return self.captions_as_triplets and bool(self.weights["e2e"] or self.weights["e2r"])

    @property
    def vocabulary(self) -> tuple[str, ...]:
        """Relations in the order of the classifier's logits; those of pairs last."""
        return self.relations + (PAIR_RELATIONS if self.captions_as_triplets else ())

    def settings(self) -> dict[str, Any]:
        """All arguments but the towers."""
        weights = {f"{name}_weight": weight for name, weight in self.weights.items()}
        names = ("self_negatives", "head_side", "captions_as_triplets")
        sides = {name: getattr(self, name) for name in names}
        return {"relations": list(self.relations)} | weights | sides | self._shape

    def features(self, model: DualEncoder, batch: Batch, pairs: Entities | None) -> dict[str, Tensor]:
        """What :class:`~knowclip.types.KnowledgeFeatures` has beyond Features, as far as weights ask for it.

        Every distinct text, image and relation is encoded once, and all maskings of all triplets in one call.

        Args:
            model: The towers.
            batch: With its triplets.
            pairs: Captions, then images of the pairs, to join as triplets; None: they do not.
        """
        features: dict[str, Tensor] = {}
        if self.weights["kd"]:
            features |= self._distilled(batch)
        if self.triplets is None and self.pooled is None and not self.weights["sentence"]:
            return features
        if batch.graph is None:
            raise ValueError("these terms learn from triplets and the batch has none: see training.mixed")
        if self.weights["sentence"]:
            features |= _sentences(model, batch.graph)
        embedded = None
        if self.triplets is not None:
            embedded, entities = self._graph_entities(model, batch.graph)
            features |= self._fused(model, batch, batch.graph, entities, pairs)
        if self.pooled is not None:
            features |= self.pooled.features(model, batch.graph, embedded)
        return features

    def losses(self, features: KnowledgeFeatures) -> tuple[Losses, Report]:
        """``e2e_loss``, ``e2r_loss`` and the others, those with a weight; numbers for the log."""
        losses: Losses = {}
        report: Report = {}
        for name, weight in self.weights.items():
            if weight:
                loss, numbers = TERMS[name](features)
                losses[f"{name}_loss"] = weight * loss
                report |= numbers
        return losses, report

    def _distilled(self, batch: Batch) -> dict[str, Tensor]:
        if self._teacher is None:
            raise ValueError("kd_weight needs a teacher, which a method that was loaded to evaluate has not")
        return self._teacher(batch)

    def _fused(
        self, model: DualEncoder, batch: Batch, graph: GraphBatch, entities: Entities, pairs: Entities | None
    ) -> dict[str, Tensor]:
        """Outputs of the fusion encoder, as the losses compare them."""
        triplets, labels, entities, relations = self._everything(model, batch, graph, entities, pairs)
        asked = self._maskings(triplets, graph)
        outputs = self.triplets.fusion(entities, relations, torch.cat(list(asked.values())))
        sizes = [len(rows) for rows in asked.values()]
        Y, R = (dict(zip(asked, output.split(sizes), strict=True)) for output in outputs)
        features = {name: F.normalize(Y[name], dim=-1) for name in _COMPARED if name in asked}
        features |= {
            "from_pairs": torch.arange(len(labels), device=labels.device) >= len(graph.triplets),
            "image_groups": graph.image_groups,
            "known_tails": graph.known_tails,
            "known_heads": graph.known_heads,
        }
        if self.weights["e2e"]:
            features["e2e_logit_scale"] = self.triplets.e2e_logit_scale.exp()
        if self.weights["e2r"]:
            features["relation_logits"] = self.triplets.classifier(R["relations"]).float()
            features["relation_labels"] = labels
        if self.weights["g2e"]:
            propagated = self.triplets.propagation(Y["nodes"], R["edges"], graph.edges)
            is_tail = torch.bincount(graph.edges[:, 1], minlength=len(graph.nodes)) > 0
            features["graph_features"] = F.normalize(propagated[graph.seeds].float(), dim=-1)
            features["graph_mask"] = is_tail[graph.seeds]
            features["g2e_logit_scale"] = self.triplets.g2e_logit_scale.exp()
        return features

    def _everything(
        self, model: DualEncoder, batch: Batch, graph: GraphBatch, entities: Entities, pairs: Entities | None
    ) -> tuple[Int[Tensor, "S 3"], Int[Tensor, " S"], Entities, Float[Tensor, "Q D"]]:
        """Triplets of graph and pairs, their labels, and the entities and relations they number."""
        relations = model.encode_text(graph.relation_texts)
        if pairs is None:
            return graph.triplets, graph.relation_labels, entities, relations
        number = pair_directions(batch.caption_ids)
        caption = len(entities.start) + torch.arange(len(number), device=number.device)
        image = caption + len(number)
        heads, tails = torch.where(number == 0, image, caption), torch.where(number == 0, caption, image)
        made = torch.stack([heads, len(relations) + number, tails], dim=1)
        return (
            torch.cat([graph.triplets, made]),
            torch.cat([graph.relation_labels, len(self.relations) + number]),
            joined(entities, pairs),
            torch.cat([relations, model.encode_text(PAIR_RELATIONS)]),
        )

    def _graph_entities(self, model: DualEncoder, graph: GraphBatch) -> tuple[Float[Tensor, "E D"], Entities]:
        """The graph's texts and images as the towers embed them, and as entities of the fusion encoder."""
        pooled = []
        text_tokens = text_mask = image_tokens = None
        if len(graph.texts):
            embedded, text_tokens, text_mask = model.encode_text_tokens(graph.texts)
            pooled.append(embedded)
        if graph.images is not None and len(graph.images):
            embedded, image_tokens = model.encode_image_tokens(graph.images)
            pooled.append(embedded)
        return torch.cat(pooled), self.triplets.fusion.entities(
            text_tokens=text_tokens, text_mask=text_mask, image_tokens=image_tokens
        )

    def _maskings(self, triplets: Int[Tensor, "S 3"], graph: GraphBatch) -> dict[str, Int[Tensor, "M 3"]]:
        """What the losses with a weight ask of the fusion encoder."""
        heads, relations, tails = triplets.unbind(dim=1)
        asked = {}
        if self.weights["e2e"]:
            asked["tail_queries"] = masked_rows(heads, relations, None)
        if self.weights["e2e"] or self.weights["g2e"]:
            asked["tail_candidates"] = masked_rows(None, None, tails)
        if self.weights["e2e"] and self.head_side:
            asked["head_queries"] = masked_rows(None, relations, tails)
            asked["head_candidates"] = masked_rows(heads, None, None)
        if self.weights["e2r"]:
            asked["relations"] = masked_rows(heads, None, tails)
        if self.weights["g2e"]:
            edge_heads, edge_tails = graph.nodes[graph.edges].unbind(dim=1)
            asked["nodes"] = masked_rows(None, None, graph.nodes)
            asked["edges"] = masked_rows(edge_heads, None, edge_tails)
        return asked


def _sentences(model: DualEncoder, graph: GraphBatch) -> dict[str, Tensor]:
    """Heads and sentences by the towers alone, each distinct head once."""
    heads, place = graph.triplets[:, 0].unique(return_inverse=True)  # ascending: texts, then images
    texts = heads[heads < len(graph.texts)]
    images = heads[len(texts) :] - len(graph.texts)
    parts = [model.encode_text(graph.texts[texts], normalize=True)] if len(texts) else []
    parts += [model.encode_image(graph.images[images], normalize=True)] if len(images) else []
    return {
        "head_features": torch.cat([part.float() for part in parts])[place],
        "sentence_features": model.encode_text(graph.sentences, normalize=True).float(),
        "known_sentences": graph.known_sentences,
    }


_COMPARED = ("tail_queries", "tail_candidates", "head_queries", "head_candidates")
