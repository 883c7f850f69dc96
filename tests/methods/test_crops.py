"""Random crops: where they are cut, how many, and what they look like."""

from __future__ import annotations

import torch

from knowclip.methods.crops import random_crops


def test_crops_are_parts_of_their_images() -> None:
    """Of images whose channels tell the image and the place, crops tell what they were cut out of."""
    number, side = 64, 32
    grid = torch.arange(side).float().expand(number, 1, side, side)
    ids = torch.arange(number).float()[:, None, None, None].expand_as(grid)
    crops = random_crops(torch.cat([grid, grid.mT, ids], dim=1), number=40)
    assert crops.shape == (40, 3, side, side)
    which = crops[:, 2].flatten(1)
    assert (which - which[:, :1]).abs().max() < 1e-3 and len(set(which[:, 0].round().tolist())) == 40
    across, down = crops[:, 0], crops[:, 1]
    assert (across.diff(dim=2) > -1e-3).all() and (across.diff(dim=1).abs() < 1e-3).all()
    assert (down.diff(dim=1) > -1e-3).all() and (down.diff(dim=2).abs() < 1e-3).all()
    width = (across[:, 0, -1] - across[:, 0, 0]) / (side - 1)
    height = (down[:, -1, 0] - down[:, 0, 0]) / (side - 1)
    area = width * height
    assert 0.04 < area.min() < 0.2 and 0.4 < area.max() < 0.7
    assert 0.3 < (width / height).min() < 0.8 and 1.25 < (width / height).max() < 3.3


def test_the_same_generator_cuts_the_same_crops() -> None:
    images = torch.rand(4, 3, 8, 8)
    state = torch.get_rng_state()
    first = random_crops(images, number=2)
    torch.set_rng_state(state)
    torch.testing.assert_close(random_crops(images, number=2), first, rtol=0, atol=0)
    assert random_crops(images, number=0).shape == (0, 3, 8, 8)
