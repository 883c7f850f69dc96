"""Folding: the text tower alone learns to say what it says with the help of the knowledge encoder."""

from __future__ import annotations

from typing import TYPE_CHECKING

from torch.nn import functional as F

if TYPE_CHECKING:
    from jaxtyping import Float
    from torch import Tensor


def folding_loss(
    *, text_features: Float[Tensor, "M D"], teacher_text_features: Float[Tensor, "M D"]
) -> Float[Tensor, ""]:
    """Pull the plain embedding of each text towards its embedding with the KEE, which stands still.

    ``mean_i 1 - cos(t_i, t~_i)``: ours, the papers have no such term. A text without triples has ``t = t~``
    and adds 0.

    It asks for the whole embedding and needs no batch, but most of an embedding is the same with the KEE and
    without: at the KEE's lambda of 0.2 (S4) it never exceeds about 0.02. Where only what tells captions apart
    is to be taken over, :func:`~knowclip.losses.knowledge_distillation.distillation_loss` compares softmaxes
    over a batch instead (``method.fold="similarities"``).

    Args:
        text_features: ``t``.
        teacher_text_features: ``t~``, without gradient.

    Example:
        >>> import torch
        >>> eye = torch.eye(2)
        >>> folding_loss(text_features=eye, teacher_text_features=eye.flip(0)).item()
        1.0
    """
    return 1 - F.cosine_similarity(text_features, teacher_text_features, dim=-1).mean()
