"""What a training method is: ``forward(batch) -> Features``, then ``losses(features) -> (losses, report)``.

Two steps, so that the loop can gather Features over processes, or join cached ones, in between; no loss
ever sees a rank. One file a method: which losses on which features, with which weights.
"""

from __future__ import annotations

import dataclasses
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from torch import Tensor, nn

if TYPE_CHECKING:
    from knowclip.knowledge.parsing.triple_phrases import PhraseIds
    from knowclip.models.clip import DualEncoder
    from knowclip.models.with_knowledge import WithKnowledge
    from knowclip.types import Batch, Features

Losses = dict[str, Tensor]
Report = dict[str, float]


@dataclasses.dataclass(frozen=True, slots=True)
class ExtraLoss:
    """A term that a recipe adds to any method's: ``weight * function(features, **options)``."""

    name: str
    weight: float
    function: Callable[..., Tensor]
    options: Mapping[str, Any]

    def __call__(self, features: Features) -> Tensor:
        """The weighted term.

        Raises:
            ValueError: The function gave no scalar tensor.
        """
        loss = self.function(features, **self.options)
        if not isinstance(loss, Tensor) or loss.ndim:
            got = f"a tensor of shape {list(loss.shape)}" if isinstance(loss, Tensor) else repr(loss)
            raise ValueError(f"the loss {self.name!r} gave {got}: a scalar tensor is wanted")
        return self.weight * loss


class Method(nn.Module, ABC):
    """A model and what it learns from; subclasses write :meth:`encode` and :meth:`losses`.

    Everything with parameters runs or travels through ``forward``: the loop calls only the module that
    DistributedDataParallel wraps, and ``losses`` sees nothing but Features.
    """

    extra_losses: Sequence[ExtraLoss] = ()
    """What the recipe adds to :meth:`losses`."""

    def __init__(self, model: DualEncoder) -> None:
        super().__init__()
        self.model = model
        self.terms = nn.ModuleList()
        """Mechanisms that the recipe adds (:class:`~knowclip.methods.terms.Term`)."""

    def forward(self, batch: Batch) -> Features:
        """Encode; every trainable parameter is part of the result, if only with gradient zero.

        A batch without negatives must not leave a parameter without a gradient on one process alone:
        DistributedDataParallel would wait for it for ever. Whatever the precision of the towers, features
        leave in float32, in which they are gathered and compared.
        """
        if batch.images is not None and not batch.images.is_floating_point():
            batch = dataclasses.replace(batch, images=self.model.normalize(batch.images))
        features = self.encode(batch)
        for term in self.terms:
            features = dataclasses.replace(features, **term.features(self.model, batch, features))
        nothing = sum(p.sum() for p in self.parameters() if p.requires_grad) * 0.0
        given = {
            field.name: (value.float(), field.metadata["gather"])
            for field in dataclasses.fields(features)
            if (value := getattr(features, field.name)) is not None and value.is_floating_point()
        }
        touched = {
            name: value + nothing if gather == "rows" and value.requires_grad else value
            for name, (value, gather) in given.items()
        }
        return dataclasses.replace(features, **touched)

    def settings(self) -> dict[str, Any]:
        """Keyword arguments that build this method around its model again; ``method.json`` keeps them."""
        return {}

    @property
    def phrase_ids(self) -> PhraseIds | None:
        """Turns phrases of triples into token ids, where the method or a term reads captions' triples."""
        return next((ids for term in self.terms if (ids := term.phrase_ids) is not None), None)

    def with_knowledge(self) -> WithKnowledge | None:
        """The model as it encodes texts with the help of their triples, where it learns to."""
        return None

    @abstractmethod
    def encode(self, batch: Batch) -> Features:
        """Everything the losses need, float32 and L2-normalised."""

    @abstractmethod
    def losses(self, features: Features) -> tuple[Losses, Report]:
        """Weighted scalar terms to be summed (keys end in ``_loss``), and detached numbers for the log."""

    def objective(self, features: Features) -> tuple[Losses, Report]:
        """:meth:`losses`, those of the terms and the extra ones: all that is summed and minimised.

        Raises:
            ValueError: An extra loss has the name of a term of the method.
        """
        losses, report = self.losses(features)
        for term in self.terms:
            more_losses, more_report = term.losses(features)
            losses, report = losses | more_losses, report | more_report
        for extra in self.extra_losses:
            if (key := f"{extra.name}_loss") in losses:
                raise ValueError(
                    f"the extra loss {extra.name!r} has the name of a term of {type(self).__name__}"
                )
            losses = losses | {key: extra(features)}
        return losses, report

    def encode_images(self, batch: Batch) -> Tensor:
        """L2-normalised image embeddings ``[B, D]`` in float32, from pixels or from cached trunk features."""
        if batch.images is not None:
            return self.model.encode_image(batch.images, normalize=True).float()
        return self.model.encode_trunk(batch.trunk_features, normalize=True).float()

    def encode_texts(self, tokens: Tensor) -> Tensor:
        """L2-normalised text embeddings ``[M, D]`` of tokens ``[M, L]`` in float32."""
        return self.model.encode_text(tokens, normalize=True).float()
