"""Against forgetting: the similarities of the model that a run starts from are kept (K7, and of objects)."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

from knowclip.losses.knowledge_distillation import distillation_loss, object_distillation_loss
from knowclip.losses.masks import first_of_each
from knowclip.methods.crops import random_crops
from knowclip.methods.teacher import Teacher
from knowclip.methods.terms import Term, encoded
from knowclip.models.modes import batch_norm_at_rest
from knowclip.types import Batch, Features

if TYPE_CHECKING:
    from torch import Tensor

    from knowclip.models.clip import DualEncoder

_SHARED = ("image_features", "logit_scale", "teacher_image_features", "teacher_logit_scale")


class Distillation(Term):
    """Two terms that hold a contrastive method to its teacher, each with a weight; 0 leaves one out.

    Args:
        teacher: Copied as it is now, and frozen.
        pairs_weight: Of :func:`~knowclip.losses.knowledge_distillation.distillation_loss`, on the pairs.
        objects_weight: Of :func:`~knowclip.losses.knowledge_distillation.object_distillation_loss`, on the
            images and a prompt for each object that the captions of the batch name.
        crops: Share of the images of a batch that are shown to both once more as a random crop each, on which
            the objects' names are kept too.
    """

    def __init__(
        self, teacher: DualEncoder, *, pairs_weight: float, objects_weight: float, crops: float = 0.0
    ) -> None:
        super().__init__()
        self.teacher = Teacher(teacher)
        self.pairs_weight = pairs_weight
        self.objects_weight = objects_weight
        self.crops = crops

    def features(self, model: DualEncoder, batch: Batch, features: Features) -> dict[str, Tensor]:
        """What the teacher says of the images, and of captions and objects where they have a weight."""
        found = {
            "teacher_image_features": self.teacher.images(batch),
            "teacher_logit_scale": self.teacher.logit_scale,
        }
        if self.pairs_weight:
            found["teacher_text_features"] = self.teacher.texts(batch.texts)
        if self.objects_weight:
            found["object_ids"] = batch.objects.ids
            found["object_features"] = encoded(model, batch.objects.texts)
            found["teacher_object_features"] = self.teacher.phrases(batch.objects)
        if self.crops:
            # a batch of crops has statistics of its own, not those of the images that the model will meet
            crops = random_crops(batch.images, number=round(self.crops * len(batch.images)))
            with batch_norm_at_rest(model):
                found["crop_features"] = model.encode_image(crops, normalize=True).float()
            found["teacher_crop_features"] = self.teacher.of_pixels(crops)
        return found

    def losses(self, features: Features) -> tuple[dict[str, Tensor], dict[str, float]]:
        """Give ``pair_distillation_loss`` and ``object_distillation_loss``; how many objects there were."""
        shared = {name: getattr(features, name) for name in _SHARED}
        losses, report = {}, {}
        if self.pairs_weight:
            loss = distillation_loss(
                **shared,
                text_features=features.text_features,
                teacher_text_features=features.teacher_text_features,
            )
            losses["pair_distillation_loss"] = self.pairs_weight * loss
        if self.objects_weight:
            rows = first_of_each(features.object_ids)
            if features.crop_features is not None:
                for side, rows_of in (
                    ("", features.crop_features),
                    ("teacher_", features.teacher_crop_features),
                ):
                    name = f"{side}image_features"
                    shared[name] = torch.cat([shared[name], rows_of])
            loss = object_distillation_loss(
                **shared,
                object_features=features.object_features[rows],
                teacher_object_features=features.teacher_object_features[rows],
            )
            losses["object_distillation_loss"] = self.objects_weight * loss
            report["distilled_objects"] = float(len(rows))
        return losses, report
