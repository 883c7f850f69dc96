"""What earlier versions saved still loads, says the same numbers, and goes on."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch

from knowclip.build.method import load_method
from knowclip.commands import train

OLD = Path(__file__).with_name("d911184")
"""A run of commit d911184 (0.1.0), made by ``make_d911184.py``."""


@pytest.fixture
def old_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    shutil.copytree(OLD, tmp_path / "old")
    monkeypatch.chdir(tmp_path / "old")
    return tmp_path / "old" / "run"


def test_a_checkpoint_of_0_1_0_says_the_same(old_run: Path) -> None:
    numbers = json.loads((OLD / "numbers.json").read_text())
    captions = list(
        dict.fromkeys(line.split(",")[1] for line in Path("captions.csv").read_text().splitlines())
    )
    method = load_method(old_run / "best")
    with torch.no_grad():
        found = {
            "text": method.model.encode_text(captions[1:]),
            "image": method.model.encode_image([Path(f"images/{number}.png") for number in range(4)]),
            "with_kee": method.with_knowledge().encode_text(captions[1:]),
        }
    for name, features in found.items():
        np.testing.assert_allclose(features.numpy(), numbers[name], atol=1e-5, err_msg=name)
    assert method.knowledge.vocabulary


@pytest.mark.slow
def test_a_run_of_0_1_0_goes_on(old_run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    train.command("run/recipe.yaml", ["train.steps=6"], resume=True)
    steps = [json.loads(line).get("step") for line in (old_run / "log.jsonl").read_text().splitlines()]
    assert max(step for step in steps if step) == 6
    assert "fingerprint" in capsys.readouterr().err
