"""Structure-CLIP: semantic negatives and the Knowledge-Enhanced Encoder (Huang et al., AAAI 2024)."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Literal

import torch

from knowclip.losses.distillation import folding_loss, own_folding_loss
from knowclip.losses.hard_negative import own_negative_loss
from knowclip.losses.hinge import batch_hard_loss, hinge_loss
from knowclip.losses.knowledge_distillation import distillation_loss
from knowclip.methods.clip import batch_report
from knowclip.methods.method import Losses, Report
from knowclip.methods.negclip import NegClip, contrastive_loss, masks, own_choice, own_report
from knowclip.models.knowledge_encoder import KnowledgeEncoder
from knowclip.models.text_length import word_embedding
from knowclip.models.with_knowledge import WithKnowledge
from knowclip.types import Batch, Features

if TYPE_CHECKING:
    from jaxtyping import Bool
    from torch import Tensor

    from knowclip.knowledge.parsing.triple_phrases import PhraseIds
    from knowclip.models.clip import DualEncoder

TextFeatures = Literal["plain", "with_kee", "both"]

BATCH_HARD_MARGIN = 0.2
MEAN_STEPS = 100
"""Of the released code, which begins with the mean over images in place of the hardest."""

_SETTINGS = (
    "parser", "contrastive", "contrastive_features", "negatives_in_softmax", "hinge_weight", "hinge_margin",
    "hinge_features", "own_negative_weight", "fold", "fold_weight",
)  # fmt: skip


class StructureClip(NegClip):
    """Contrastive training and a hinge on semantic negatives, on embeddings that know their triples (S3, S4).

    The paper's ``L_ITC + L_hinge`` by default. The released code's objective is ``contrastive="batch_hard"``,
    ``hinge_features="plain"``, ``hinge_weight=5`` and a KEE with ``renormalize=False``.

    Deviations from the paper: false negatives are masked; a caption may have several negatives, which get the
    triples of their own graphs.

    Choose it to compare with the paper, or where texts may be parsed when they are encoded: what the KEE adds
    lies outside the towers unless it is folded. Without one (``kee=null``) it is contrastive training with a
    hinge; :class:`~knowclip.methods.negclip.NegClip` puts the same negatives into the softmax.
    :class:`~knowclip.methods.joint.Joint` adds a knowledge graph.

    Args:
        model: The towers to train.
        kee: Options of :class:`~knowclip.models.knowledge_encoder.KnowledgeEncoder`; None: there is none.
        parser: Name of the parser that the triples come from, in training and ever after.
        contrastive: "infonce" (the sigmoid loss for models with a ``logit_bias``), or "batch_hard".
        contrastive_features: Texts of the contrastive term: "plain" ``t``, "with_kee" ``t~``, or the mean of
            the term on "both". None: "with_kee" where there is a KEE.
        negatives_in_softmax: InfoNCE as in NegCLIP, against the negatives of the batch too.
        hinge_weight: Of :func:`~knowclip.losses.hinge.hinge_loss`; 0 leaves it out.
        hinge_margin: ``gamma``.
        hinge_features: Texts of the hinge, and of the own-negative term.
        own_negative_weight: Of :func:`~knowclip.losses.hard_negative.own_negative_loss`; 0 leaves it out.
        fold: How the plain text tower learns from the KEE: "features", each embedding by itself, "own",
            the choice between a caption and its own negatives, or "similarities", in-batch softmaxes over
            captions and negatives. The images only judge, whichever it is.
        fold_weight: Of that; 0 leaves it out.
    """

    def __init__(
        self,
        model: DualEncoder,
        *,
        kee: Mapping[str, Any] | None,
        parser: str,
        contrastive: Literal["infonce", "batch_hard"],
        contrastive_features: TextFeatures | None,
        negatives_in_softmax: bool,
        hinge_weight: float,
        hinge_margin: float,
        hinge_features: TextFeatures | None,
        own_negative_weight: float,
        fold: Literal["features", "own", "similarities"],
        fold_weight: float,
    ) -> None:
        super().__init__(model, own_negative_weight=own_negative_weight)
        default: TextFeatures = "plain" if kee is None else "with_kee"
        self.kee = None if kee is None else KnowledgeEncoder(model, **kee)
        self.parser = parser
        self.contrastive = contrastive
        self.contrastive_features = contrastive_features or default
        self.negatives_in_softmax = negatives_in_softmax
        self.hinge_weight = hinge_weight
        self.hinge_margin = hinge_margin
        self.hinge_features = hinge_features or default
        self.fold = fold
        self.fold_weight = fold_weight
        if contrastive == "batch_hard":
            # a buffer, so that a resumed run does not begin with the mean again
            self.register_buffer("steps", torch.zeros((), dtype=torch.int64))

    def settings(self) -> dict[str, Any]:
        """Its keyword arguments."""
        kee = None if self.kee is None else self.kee.options
        return {"kee": kee, **{name: getattr(self, name) for name in _SETTINGS}}

    @property
    def phrase_ids(self) -> PhraseIds | None:
        """Of the KEE's words."""
        return super().phrase_ids if self.kee is None else self.kee.phrase_ids

    def with_knowledge(self) -> WithKnowledge | None:
        """The model with its KEE."""
        return None if self.kee is None else WithKnowledge(self.model, self.kee, parser=self.parser)

    def encode(self, batch: Batch) -> Features:
        """Encode images once, captions and filled negative slots in one forward of text tower and of KEE."""
        features = super().encode(batch)
        if self.kee is None:
            return features
        mask = batch.negative_mask
        plain = torch.cat([features.text_features, features.negative_features[mask]])
        triples = torch.cat([batch.triples, batch.negative_triples[mask]])
        enhanced = self.kee(plain, triples, words=word_embedding(self.model.model).weight)
        text_features, filled = enhanced.split([len(mask), len(enhanced) - len(mask)])
        negative_features = torch.zeros_like(features.negative_features).index_put((mask,), filled)
        return dataclasses.replace(
            features, enhanced_text_features=text_features, enhanced_negative_features=negative_features
        )

    def losses(self, features: Features) -> tuple[Losses, Report]:
        """Give ``contrastive_loss`` and, where they have a weight, hinge, own-negative and folding loss."""
        false, usable, own = masks(features)
        losses = {"contrastive_loss": self._contrastive(features, false, usable)}
        if self.hinge_weight:
            hinges = [
                hinge_loss(**own_choice(view, own), margin=self.hinge_margin)
                for view in _views(features, self.hinge_features)
            ]
            losses["hinge_loss"] = self.hinge_weight * _mean(hinges)
        if self.own_negative_weight:
            choices = [
                own_negative_loss(**own_choice(view, own), logit_scale=features.logit_scale)
                for view in _views(features, self.hinge_features)
            ]
            losses["own_negative_loss"] = self.own_negative_weight * _mean(choices)
        if self.fold_weight:
            losses["folding_loss"] = self.fold_weight * self._folding(features, own)
        return losses, self._report(features, false, own)

    def _contrastive(
        self, features: Features, false: Bool[Tensor, "B B"], usable: Bool[Tensor, "B B N"]
    ) -> Tensor:
        views = _views(features, self.contrastive_features)
        if self.contrastive == "infonce":
            # with no usable negative NegCLIP's loss is CLIP's own
            usable = usable & self.negatives_in_softmax
            return _mean([contrastive_loss(view, false, usable) for view in views])
        pairs = {"image_features": features.image_features, "false_negatives": false}
        options = {"margin": BATCH_HARD_MARGIN, "mean_of_images": bool(self.steps < MEAN_STEPS)}
        # a validation is no step of the hundred
        self.steps += self.training
        return _mean(
            [batch_hard_loss(**pairs, text_features=view.text_features, **options) for view in views]
        )

    def _folding(self, features: Features, own: Bool[Tensor, "B N"]) -> Tensor:
        """The plain text tower's distance from what it says with the KEE, on captions and negatives."""
        if self.fold == "own":
            return own_folding_loss(
                **own_choice(features, own) | {"image_features": features.image_features.detach()},
                teacher_text_features=features.enhanced_text_features.detach(),
                teacher_negative_features=features.enhanced_negative_features.detach(),
                logit_scale=features.logit_scale.detach(),
            )
        plain, enhanced = (
            torch.cat([view.text_features, view.negative_features[features.negative_mask]])
            for view in _views(features, "both")
        )
        if self.fold == "features":
            return folding_loss(text_features=plain, teacher_text_features=enhanced.detach())
        return distillation_loss(
            image_features=features.image_features.detach(),
            text_features=plain,
            logit_scale=features.logit_scale.detach(),
            teacher_image_features=features.image_features.detach(),
            teacher_text_features=enhanced.detach(),
            teacher_logit_scale=features.logit_scale.detach(),
        )

    def _report(self, features: Features, false: Bool[Tensor, "B B"], own: Bool[Tensor, "B N"]) -> Report:
        """What NegCLIP reports, of the plain features; the accuracies also ``_with_kee``."""
        plain, *enhanced = _views(features, "plain" if self.kee is None else "both")
        report = batch_report(plain, false) | own_report(plain, own)
        for view in enhanced:
            again = batch_report(view, false) | own_report(view, own)
            report |= {f"{k}_with_kee": value for k, value in again.items() if k.endswith("_accuracy")}
        return report


def _views(features: Features, which: TextFeatures) -> list[Features]:
    """The features, plain, with those of the KEE as texts and negatives, or one after the other."""
    if which == "plain":
        return [features]
    enhanced = dataclasses.replace(
        features,
        text_features=features.enhanced_text_features,
        negative_features=features.enhanced_negative_features,
    )
    return [enhanced] if which == "with_kee" else [features, enhanced]


def _mean(terms: list[Tensor]) -> Tensor:
    return sum(terms) / len(terms)
