"""LoRA by recipe under every method: what learns, what is kept, and that resuming is exact."""

from __future__ import annotations

from pathlib import Path

import open_clip
import pytest
import torch

from knowclip.api.runs import open_run
from knowclip.build.trainer import build_trainer
from knowclip.models.lora import Adapters
from knowclip.recipe.load import load_recipe
from knowclip.training.loop import Trainer

RECIPES = {
    "clip": "clip",
    "negclip": "negclip",
    "structure_clip": "structure-clip",
    "knowledge_clip": "scenes-knowledge-clip",
    "joint": "scenes-joint",
}
"""Method -> a recipe of it."""


class CutShortError(Exception):
    pass


def trainer_of(recipe: str, overrides: list[str], run: Path, *, resume: bool = False) -> Trainer:
    config = load_recipe(recipe, [*overrides, f"output.folder={run}"])
    trainer, _ = build_trainer(config)
    open_run(config, resume=resume, trainer=trainer)
    return trainer


def cut(trainer: Trainer, *, before: int) -> None:
    """Make a training end with an error, like a killed process."""
    step = trainer._step

    def step_or_fail(wrapped, batch, position):
        if position.step == before:
            raise CutShortError
        return step(wrapped, batch, position)

    trainer._step = step_or_fail
    with pytest.raises(CutShortError):
        trainer.fit()


@pytest.mark.parametrize("method", list(RECIPES))
def test_adapters_alone_learn_under_every_method(method, stand_in, graph_stand_in, tmp_path) -> None:
    recipe = RECIPES[method]
    overrides = [*stand_in, *graph_stand_in(recipe), "model.lora={r: 2, dropout: 0.2}", "train.epochs=null"]
    overrides += ["train.steps=3", "train.save_every=1", "optimizer.lr=1e-2", "train.ema=0.5"]
    whole = trainer_of(recipe, overrides, tmp_path / "whole")
    assert isinstance(whole.method.model.adapters, Adapters)
    before = {name: value.clone() for name, value in whole.method.named_parameters()}
    whole.fit()
    for name, value in whole.method.named_parameters():
        learns = not name.startswith("model.") or "lora_" in name or name.endswith("logit_scale")
        assert value.requires_grad == learns, name
        assert torch.equal(value, before[name]) != learns, name

    cut(trainer_of(recipe, overrides, tmp_path / "cut"), before=2)
    trainer_of(recipe, overrides, tmp_path / "cut", resume=True).fit(resume=True)
    kept = [tmp_path / run / "last" / "open_clip_model.safetensors" for run in ("whole", "cut")]
    assert kept[0].read_bytes() == kept[1].read_bytes()

    model = whole.method.model.eval()
    images, ids = torch.randn(3, 3, 16, 16), model.tokenizer(["a dog chases a cat", "a house", "a red cat"])
    for part in ("best", "last"):
        stock, *_ = open_clip.create_model_and_transforms(f"local-dir:{tmp_path / 'whole' / part}")
        assert not any("lora" in name for name in stock.state_dict())
    with torch.no_grad(), whole._average.applied():
        for ours, theirs in (
            (model.encode_image(images), stock.eval().encode_image(images)),
            (model.encode_text(ids), stock.encode_text(ids)),
        ):
            torch.testing.assert_close(ours, theirs, atol=1e-5, rtol=1e-4)
