"""What knows devices, processes and precision, built again in the same process."""

from __future__ import annotations

from knowclip.build.accelerator import build_accelerator
from knowclip.recipe.train import TrainConfig


def test_a_second_training_may_have_another_precision() -> None:
    for precision, expected in (("fp32", "no"), ("bf16", "bf16"), ("fp32", "no")):
        built = build_accelerator(TrainConfig(steps=1, precision=precision))
        assert built.mixed_precision == expected
