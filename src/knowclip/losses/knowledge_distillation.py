"""Staying what the model was: distillation from the frozen pre-trained CLIP (K7)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from torch.nn import functional as F

from knowclip.losses.blocks import summed

if TYPE_CHECKING:
    from jaxtyping import Float
    from torch import Tensor


def distillation_loss(
    *,
    image_features: Float[Tensor, "B D"],
    text_features: Float[Tensor, "B D"],
    logit_scale: Float[Tensor, ""],
    teacher_image_features: Float[Tensor, "B E"],
    teacher_text_features: Float[Tensor, "B E"],
    teacher_logit_scale: Float[Tensor, ""],
) -> Float[Tensor, ""]:
    """KL(teacher || model) of each image's softmax over the captions of the batch, and the other way (K7).

    ``1/2B sum_i [KL(p_i || q_i) + KL(p'_i || q'_i)]`` with ``p = softmax(scale_T v_T.t_T)`` of the teacher
    and ``q = softmax(scale v.t)``, over rows and, primed, columns: 0 if and only if the model's softmaxes are
    its teacher's. The rows, the mean of both and each one's own temperature are ours; the paper says KL on
    image-text pairs. False negatives need no mask: the teacher says how likely they are.

    Take it beside losses that move the towers and know nothing of what they could do before (E2E, E2R, G2E).
    It wants similarities kept, not embeddings: the two may differ in width, and may turn.
    :func:`~knowclip.losses.distillation.folding_loss` ties each embedding to its own teacher's.

    Args:
        image_features: ``v``, L2-normalised.
        text_features: ``t``, L2-normalised.
        logit_scale: ``1 / tau``.
        teacher_image_features: Of the frozen model, without gradient; its width may be another.
        teacher_text_features: Likewise.
        teacher_logit_scale: Likewise.
    """
    scales = logit_scale, teacher_logit_scale
    images, texts = (image_features, teacher_image_features), (text_features, teacher_text_features)
    return (_divergence(images, texts, scales) + _divergence(texts, images, scales)) / 2


def object_distillation_loss(
    *,
    image_features: Float[Tensor, "B D"],
    object_features: Float[Tensor, "O D"],
    logit_scale: Float[Tensor, ""],
    teacher_image_features: Float[Tensor, "B E"],
    teacher_object_features: Float[Tensor, "O E"],
    teacher_logit_scale: Float[Tensor, ""],
) -> Float[Tensor, ""]:
    """KL(teacher || model) of each image's softmax over the names of objects: zero-shot naming is kept.

    ``1/B sum_i KL(p_i || q_i)``, ``p_i = softmax(scale_T v_T,i.o_T)`` over prompts ``o`` such as "a dog", and
    ``q`` likewise: K7 with classes for texts, as Learning without Forgetting keeps a classifier's answers on
    new pictures (Li and Hoiem 2016). Ours.

    Take it where hard negatives or look-alikes fill the batch: their captions name the same nouns, so that
    :func:`distillation_loss` of captions asks for nouns no more than the contrastive loss does. No more than
    one name leaves no choice: 0.

    Args:
        image_features: ``v``, L2-normalised.
        object_features: ``o``, L2-normalised, each name once.
        logit_scale: ``1 / tau``.
        teacher_image_features: Of the frozen model, without gradient; its width may be another.
        teacher_object_features: Likewise.
        teacher_logit_scale: Likewise.
    """
    images, objects = (image_features, teacher_image_features), (object_features, teacher_object_features)
    return _divergence(images, objects, (logit_scale, teacher_logit_scale))


def _divergence(
    queries: tuple[Tensor, Tensor], candidates: tuple[Tensor, Tensor], scales: tuple[Tensor, Tensor]
) -> Float[Tensor, ""]:
    """Mean over queries of KL(teacher || student) of softmaxes over candidates; each (student, teacher)."""

    def of_queries(rows: slice) -> Tensor:
        log_q, log_p = (
            F.log_softmax(scale * query[rows] @ candidate.T, dim=1)
            for scale, query, candidate in zip(scales, queries, candidates, strict=True)
        )
        return F.kl_div(log_q, log_p, reduction="sum", log_target=True)

    return summed(of_queries, rows=len(queries[0]), columns=len(candidates[0])) / len(queries[0])
