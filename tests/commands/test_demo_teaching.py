"""Teaching a tower: losses fall, batches bind, and what is learned holds of pairs never shown."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn

from knowclip.commands import demo_teaching
from knowclip.commands.demo_teaching import Heads, holders, teach
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
        rng.integers(len(RELATIONS), size=scenes),
        np.full((scenes, len(NOUNS)), UNSAID),
        np.full((scenes, 4, 3), UNSAID),
    )
    roles = np.tile([0, 1], (scenes, 1))
    np.put_along_axis(labels.nouns, pairs, values=True, axis=1)
    np.put_along_axis(labels.colours, pairs, colours, axis=1)
    np.put_along_axis(labels.roles, pairs, roles, axis=1)
    labels.spots[:, :2] = np.stack([pairs, colours, roles], axis=2)
    return labels


def test_teaching_fits_the_labels(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(demo_teaching, "BATCH", 32)
    torch.manual_seed(0)
    pooled, spots = nn.Embedding(64, 48), nn.Embedding(64, 4 * 8)
    settings = {"sizes": (48, 8), "names_roles": True, "lr": 0.02, "seed": 1, "doing": "teaching"}

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
        "nouns", "colours", "relations", "roles", "subjects", "objects",
        "spot_nouns", "spot_colours", "spot_roles",
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
    heads, labels = Heads(16, 8, names_roles=True), labels_of(3)
    pooled, spots = torch.randn(3, 16), torch.randn(3, 4, 8)
    before = heads.losses(pooled, spots, labels)
    for part in (labels.colours, labels.relations, labels.roles, labels.spots):
        part[2] = UNSAID
    without, of_two = (
        heads.losses(pooled, spots, labels),
        heads.losses(pooled[:2], spots[:2], labels[np.arange(2)]),
    )
    for name in set(before) - {"nouns"}:
        assert without[name].item() == pytest.approx(of_two[name].item(), rel=1e-5), name
        assert without[name].item() != pytest.approx(before[name].item(), rel=1e-5), name


def test_a_noun_is_asked_its_role_and_roles_their_nouns() -> None:
    labels = labels_of(5)
    subjects, objects = (holders(labels.roles, role) for role in (0, 1))
    assert all(labels.roles[row, noun] == 0 for row, noun in enumerate(subjects))
    assert all(labels.roles[row, noun] == 1 for row, noun in enumerate(objects))
    labels.roles[3] = UNSAID
    assert holders(labels.roles, 1)[3] == UNSAID
    told = {
        names: set(Heads(16, 8, names_roles=names).losses(torch.randn(5, 16), torch.randn(5, 4, 8), labels))
        for names in (True, False)
    }
    assert told[True] - told[False] == {"subjects", "objects"}
