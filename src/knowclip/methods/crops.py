"""Random crops of a batch of images, one of each chosen image, on the images' own device."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import torch
from torchvision.ops import roi_align

if TYPE_CHECKING:
    from jaxtyping import Float
    from torch import Tensor

AREA = (0.08, 0.6)
"""Share of the image that a crop covers: from 0.08 as Inception's crops (Szegedy et al. 2015); those of more
than 0.6 are nearly the image itself, which is kept beside them."""
STRETCH = (1 / 2, 2)
"""Width by height, before the crop is made square again."""


def random_crops(images: Float[Tensor, "B 3 H W"], *, number: int) -> Float[Tensor, "number 3 H W"]:
    """Cut a random box out of ``number`` of the images and bring it to their size, bilinearly.

    The draws are those of torch's CPU generator, whose state a checkpoint keeps.

    Args:
        images: Prepared for the model; the crops are on their scale of values too.
        number: At most B: no image is cut twice.
    """
    height, width = images.shape[-2:]
    rows = torch.randperm(len(images))[:number]
    area = torch.empty(number).uniform_(*AREA)
    stretch = torch.empty(number).uniform_(*map(math.log, STRETCH)).exp()
    w, h = (side.sqrt().clamp(max=1) for side in (area * stretch, area / stretch))
    x, y = torch.rand(number) * (1 - w), torch.rand(number) * (1 - h)
    corners = torch.stack([x, y, x + w, y + h], dim=1) * torch.tensor([width, height] * 2)
    boxes = torch.cat([rows[:, None].float(), corners], dim=1).to(images.device)
    return roi_align(images.float(), boxes, (height, width), sampling_ratio=2, aligned=True)
