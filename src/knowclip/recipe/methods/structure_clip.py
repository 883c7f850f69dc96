"""Structure-CLIP's options."""

from __future__ import annotations

from pathlib import Path
from typing import ClassVar, Literal

from pydantic import NonNegativeFloat, PositiveFloat, PositiveInt, model_validator

from knowclip.recipe.data import DataConfig
from knowclip.recipe.methods.contrastive import ContrastiveSection
from knowclip.recipe.section import Section

TextFeatures = Literal["plain", "with_kee", "both"]


class KnowledgeEncoderConfig(Section):
    """``models/knowledge_encoder.py``: Structure-CLIP's KEE."""

    layers: PositiveInt = 6
    """Of its Transformer."""
    composition: Literal["minus", "sum", "concatenation"] = "minus"
    """How a triple becomes one vector; "minus" is ``w_h + w_r - w_t``."""
    scale: PositiveFloat = 0.2
    """Lambda: ``t + lambda k``."""
    renormalize: bool = True
    """Whether the sum is of length 1 again; false in the released code."""
    pretrained: Path | None = None
    """Folder of a BERT to start from; null: random weights over the text tower's word embeddings."""


class StructureClipConfig(ContrastiveSection):
    """``methods/structure_clip.py``."""

    name: Literal["structure_clip"]
    implementation: ClassVar[str] = "knowclip.methods.structure_clip:StructureClip"
    kee: KnowledgeEncoderConfig | None = KnowledgeEncoderConfig()
    """Null: semantic negatives alone."""
    contrastive: Literal["infonce", "batch_hard"] = "infonce"
    """The paper's, or the released code's."""
    contrastive_features: TextFeatures | None = None
    """Texts of the contrastive term, "both" for the mean of two; null: with the KEE where there is one."""
    negatives_in_softmax: bool = False
    """InfoNCE as in NegCLIP, against the negatives too."""
    hinge_weight: NonNegativeFloat = 1.0
    """Of the hinge between a caption and its own negatives."""
    hinge_margin: PositiveFloat = 0.1
    """Gamma, in units of cosine."""
    hinge_features: TextFeatures | None = None
    """Texts of the hinge and of the own-negative term; null: with the KEE where there is one."""
    own_negative_weight: NonNegativeFloat = 0.0
    """Weight of the softmax between a caption and its own negatives, ours."""
    fold: Literal["features", "own", "similarities"] = "features"
    """How the plain text tower learns what the KEE adds: by single embeddings, by choices between a caption
    and its own negatives, or by in-batch softmaxes."""
    fold_weight: NonNegativeFloat = 0.0
    """Weight of that."""

    @property
    def learns_from_negatives(self) -> bool:
        """Whether any term reads negatives."""
        return bool(self.hinge_weight or self.own_negative_weight or self.negatives_in_softmax)

    @property
    def reads_triples(self) -> bool:
        """Whether it has a KEE."""
        return self.kee is not None

    def check_data(self, data: DataConfig) -> None:
        """Ask for negatives where a term reads them, for none where none does; for a parser with a KEE."""
        if self.learns_from_negatives != bool(data.negatives.per_caption):
            raise ValueError(
                f"data.negatives.per_caption is {data.negatives.per_caption}, but structure_clip "
                f"has {'a' if self.learns_from_negatives else 'no'} term that learns from negatives: set "
                "it to 1 or more with hinge_weight, own_negative_weight or negatives_in_softmax, else to 0"
            )
        if self.kee is not None and data.negatives.graphs is not None:
            raise ValueError(
                "data.negatives.graphs would train the KEE on triples that no parser gives later: leave it "
                "out, or set method.kee=null"
            )

    @model_validator(mode="after")
    def _fits_together(self) -> StructureClipConfig:
        features = (self.contrastive_features, self.hinge_features)
        if self.kee is None and (self.fold_weight or {"with_kee", "both"} & set(features)):
            raise ValueError(
                "kee=null leaves no features with a KEE: leave out fold_weight, and features other than plain"
            )
        hinge_plain = self.hinge_features == "plain" or not (self.hinge_weight or self.own_negative_weight)
        if self.kee is not None and self.contrastive_features == "plain" and hinge_plain:
            raise ValueError("no term reads the features with the KEE, so it learns nothing: set kee=null")
        if self.fold == "own" and self.fold_weight and not self.learns_from_negatives:
            raise ValueError(
                "fold=own folds the choice between a caption and its negatives: it has none here"
            )
        if self.kee is not None and self.kee.pretrained is not None and self.readout is not None:
            raise ValueError(
                "readout reads triples by the text tower's words, and a KEE with pretrained by those of its "
                "BERT: leave one of them out"
            )
        if self.contrastive == "batch_hard" and self.negatives_in_softmax:
            raise ValueError("contrastive=batch_hard has no softmax: set negatives_in_softmax=false")
        return self
