# NegCLIP, and a choice between a caption and its own negatives whose temperature is learned apart.
from dataclasses import dataclass, field, fields

from torch import Tensor, nn, tensor

from knowclip.losses.hard_negative import own_negative_loss
from knowclip.methods.negclip import NegClip, masks, own_choice
from knowclip.types import SHARED, Features


@dataclass(frozen=True, kw_only=True)
class OwnScaleFeatures(Features):
    own_scale: Tensor = field(metadata=SHARED)


class OwnScale(NegClip):
    def __init__(self, model, *, own_scale, **negclip):
        super().__init__(model, **negclip)
        self.log_scale = nn.Parameter(tensor(own_scale).log())

    def settings(self):
        return {"own_negative_weight": self.own_negative_weight, "own_scale": 1.0}

    def encode(self, batch):
        plain = super().encode(batch)
        known = {each.name: getattr(plain, each.name) for each in fields(plain)}
        return OwnScaleFeatures(**known, own_scale=self.log_scale.exp())

    def losses(self, features):
        losses, report = super().losses(features)
        loss = own_negative_loss(**own_choice(features, masks(features)[2]), logit_scale=features.own_scale)
        return losses | {"own_scale_loss": loss}, report | {"own_scale": features.own_scale.item()}
