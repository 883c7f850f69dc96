"""Teaching a tower: losses fall, batches bind, and what is learned holds of pairs never shown."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn

from knowclip.commands import demo_teaching
from knowclip.commands.demo_teaching import Heads, teach
from knowclip.data.scenes.labels import UNSAID, Labels
from knowclip.data.scenes.nouns import COLOURS, NOUNS, RELATIONS


def labels_of(scenes: int, *, seed: int = 0) -> Labels:
    """Two nouns with a colour each, told at the first two spots."""
    rng = np.random.default_rng(seed)
    pairs = np.stack([rng.permutation(len(NOUNS))[:2] for _ in range(scenes)])
    colours = rng.integers(len(COLOURS), size=(scenes, 2))
    labels = Labels(
        np.zeros((scenes, len(NOUNS)), dtype=bool),
        np.full((scenes, len(NOUNS)), UNSAID),
        np.stack([pairs[:, 0], rng.integers(len(RELATIONS), size=scenes), pairs[:, 1]], axis=1),
        np.full((scenes, 4, 2), UNSAID),
    )
    np.put_along_axis(labels.nouns, pairs, values=True, axis=1)
    np.put_along_axis(labels.colours, pairs, colours, axis=1)
    labels.spots[:, :2] = np.stack([pairs, colours], axis=2)
    return labels


def test_teaching_fits_the_labels(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(demo_teaching, "BATCH", 32)
    torch.manual_seed(0)
    pooled, spots = nn.Embedding(64, 48), nn.Embedding(64, 4 * 8)
    settings = {"sizes": (48, 8), "lr": 0.02, "seed": 1, "doing": "teaching"}

    def taught(steps: int) -> dict[str, float]:
        return teach(
            lambda rows: (pooled(torch.from_numpy(rows)), spots(torch.from_numpy(rows)).unflatten(1, (4, 8))),
            [*pooled.parameters(), *spots.parameters()],
            labels_of(64),
            steps=steps,
            **settings,
        )

    first, last = taught(1), taught(150)
    assert first.keys() == last.keys() == {
        "colours", "nouns", "subject", "relation", "object", "spot_nouns", "spot_colours"
    }  # fmt: skip
    assert all(last[name] < 0.6 * first[name] for name in first), (first, last)


def test_a_batch_is_mostly_of_two_colours() -> None:
    two = np.arange(100)
    rows = demo_teaching._draw(10_000, two, np.random.default_rng(0))
    assert len(rows) == len(set(rows[:100].tolist())) + 156 == demo_teaching.BATCH  # no more than there are
    rows = demo_teaching._draw(10_000, np.arange(1000), np.random.default_rng(0))
    assert len(rows) == demo_teaching.BATCH and (rows < 1000).mean() >= demo_teaching.TWO_COLOURED


def test_unsaid_labels_ask_nothing() -> None:
    torch.manual_seed(0)
    heads, labels = Heads(16, 8), labels_of(3)
    pooled, spots = torch.randn(3, 16), torch.randn(3, 4, 8)
    before = heads.losses(pooled, spots, labels)
    labels.colours[2], labels.roles[2], labels.spots[2] = UNSAID, UNSAID, UNSAID
    two = Labels(labels.nouns[:2], labels.colours[:2], labels.roles[:2], labels.spots[:2])
    without, of_two = heads.losses(pooled, spots, labels), heads.losses(pooled[:2], spots[:2], two)
    for name in set(before) - {"nouns"}:
        assert without[name].item() == pytest.approx(of_two[name].item(), rel=1e-5), name
        assert without[name].item() != pytest.approx(before[name].item(), rel=1e-5), name
