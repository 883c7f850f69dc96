"""Locked-image and locked-text tuning (LiT) by recipe: one tower stands still, cached or not."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch

from knowclip.api.runs import open_run
from knowclip.build.trainer import build_trainer
from knowclip.recipe.load import load_recipe
from knowclip.training.loop import Trainer

LOCKS = {
    "image": ("model.lock_image=true", "data.cache=trunk"),
    "text": ("model.lock_text=true", "model.text_cache=1"),
}


def trained(overrides: list[str], run: Path) -> tuple[Trainer, dict[str, torch.Tensor], list[float]]:
    """The trainer, the weights it began with, and the numbers of its log."""
    recipe = load_recipe("negclip", [*overrides, f"output.folder={run}", "optimizer.lr=1e-2"])
    trainer, _ = build_trainer(recipe)
    before = {name: value.clone() for name, value in trainer.method.model.model.named_parameters()}
    open_run(recipe, resume=False)
    trainer.fit()
    lines = [json.loads(line) for line in (run / "log.jsonl").read_text().splitlines()]
    return trainer, before, [line.get("loss", line.get("selection")) for line in lines]


@pytest.mark.parametrize("tower", list(LOCKS))
def test_one_tower_stands_still_with_cached_features_as_without(tower, stand_in, tmp_path) -> None:
    lock, cache = LOCKS[tower]
    _, _, plain = trained([*stand_in, lock], tmp_path / "plain")
    trainer, before, cached = trained([*stand_in, lock, cache], tmp_path / "cached")
    assert cached == pytest.approx(plain, abs=2e-2)  # cached trunk features are float16
    for name, value in trainer.method.model.model.named_parameters():
        of = "image" if name.startswith("visual.") else "temperature" if name == "logit_scale" else "text"
        assert torch.equal(value, before[name]) == (of == tower), name
    model = trainer.method.model.train()
    still, other = (model.model.visual, model.model.transformer)[:: 1 if tower == "image" else -1]
    assert not still.training and other.training
    if tower == "text":
        computed = model.text_trunk.computed
        model.encode_text(next(trainer.batches.epoch(5)).texts)
        assert model.text_trunk.computed == computed > 0
