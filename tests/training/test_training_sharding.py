"""FSDP2 in two processes: a run in shards is the run of DistributedDataParallel, saved, resumed, exported."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from accelerate import Accelerator
from accelerate.utils import is_torch_version
from safetensors.torch import load_file
from trainers import make_trainer

from knowclip.build.accelerator import build_sharding
from knowclip.recipe.train import TrainConfig
from knowclip.training.checkpoint import Position
from processes import in_two_processes

pytestmark = pytest.mark.skipif(
    not is_torch_version(">=", "2.14"), reason="FSDP2 of older torch does not look into Features"
)
STEPS, STOPPED = 4, 2
RUNS = {
    "ddp": (None, None),
    "full": ("full", "full"),
    "sharded": ("sharded", "sharded"),
    "full, resumed whole": ("full", None),
    "whole, resumed in shards": (None, "sharded"),
    "sharded, resumed full": ("sharded", "full"),
}
"""How a run is sharded before it is stopped, and after."""


def score(model: Any) -> dict[str, float]:
    return {"score": -abs(model.model.text_projection.sum().item())}


def trainer(run: Path, *, sharding: str | None) -> Any:
    options = {"validate": score, "validate_every": 1, "save_every": 1, "clip_grad": 0.5}
    return make_trainer(run, steps=STEPS, accelerator=Accelerator(cpu=True), sharding=sharding, **options)


def worker(rank: int, folder: str) -> None:
    for name, (before, after) in RUNS.items():
        run = Path(folder) / name
        first = trainer(run, sharding=before)
        first.steps = STOPPED
        first.fit()
        resumed = trainer(run, sharding=after)
        assert resumed.fit(resume=True).step == STEPS
    with pytest.raises(ValueError, match="saved in shards, by FSDP: launch with --use_fsdp"):
        trainer(Path(folder) / "sharded", sharding=None).fit(resume=True)


@pytest.fixture(scope="module")
def runs(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("runs")
    in_two_processes(worker, str(folder))
    return folder


def log(run: Path) -> list[dict[str, float]]:
    return [json.loads(line) for line in (run / "log.jsonl").read_text().splitlines()]


@pytest.mark.slow
@pytest.mark.parametrize("name", list(RUNS))
def test_a_run_in_shards_is_the_run_without(runs, name) -> None:
    for checkpoint in ("best", "last"):
        ours, plain = (load_file(runs / run / checkpoint / "model.safetensors") for run in (name, "ddp"))
        assert ours.keys() == plain.keys()
        for key, value in plain.items():
            torch.testing.assert_close(ours[key], value, atol=1e-5, rtol=1e-5, msg=lambda m, k=key: k + m)
    lines = log(runs / name)
    assert len(lines) == len(log(runs / "ddp")) == STEPS + STEPS + 1
    for line, plain in zip(lines, log(runs / "ddp"), strict=True):
        for key in ("step", "loss", "grad_norm", "selection"):
            assert line.get(key) == pytest.approx(plain.get(key), abs=1e-5)


@pytest.mark.slow
def test_checkpoints_are_whole_or_in_parts(runs) -> None:
    parts = {name: sorted(p.name for p in (runs / name / "last" / "trainer").iterdir()) for name in RUNS}
    assert parts["full"] == parts["ddp"] == ["method.safetensors", "state.pt"]
    assert parts["sharded"] == ["shards", "state.pt"]
    written = {p.name for p in (runs / "sharded" / "last" / "trainer" / "shards").iterdir()}
    assert {"__0_0.distcp", "__1_0.distcp"} <= written
    state = torch.load(runs / "full" / "last" / "trainer" / "state.pt", weights_only=True)
    plain = torch.load(runs / "ddp" / "last" / "trainer" / "state.pt", weights_only=True)
    torch.testing.assert_close(state["optimizer"]["state"], plain["optimizer"]["state"], atol=1e-5, rtol=1e-4)
    assert Position(**state["position"]).step == STEPS


@pytest.mark.parametrize(
    ("given", "told"),
    [
        ({"FSDP_VERSION": "1"}, "add --fsdp_version 2"),
        ({"FSDP_OFFLOAD_PARAMS": "true"}, "--fsdp_offload_params: leave it out"),
        ({"FSDP_ACTIVATION_CHECKPOINTING": "true"}, r"train\.grad_checkpointing=true"),
        (
            {
                "FSDP_AUTO_WRAP_POLICY": "TRANSFORMER_BASED_WRAP",
                "FSDP_TRANSFORMER_CLS_TO_WRAP": "ResidualAttentionBlock",
            },
            "a method is cut as one unit",
        ),
    ],
)
def test_options_of_accelerate_that_would_do_nothing_are_refused(monkeypatch, given, told) -> None:
    for name, value in {"ACCELERATE_USE_FSDP": "true", "FSDP_VERSION": "2", **given}.items():
        monkeypatch.setenv(name, value)
    with pytest.raises(ValueError, match=told):
        build_sharding(TrainConfig(steps=1))


def test_accelerate_chooses_how_parameters_are_cut_and_kept(monkeypatch) -> None:
    monkeypatch.delenv("ACCELERATE_USE_FSDP", raising=False)
    assert build_sharding(TrainConfig(steps=1)) is None
    monkeypatch.setenv("ACCELERATE_USE_FSDP", "true")
    monkeypatch.setenv("FSDP_VERSION", "2")
    monkeypatch.setenv("FSDP_AUTO_WRAP_POLICY", "TRANSFORMER_BASED_WRAP")
    for kind in ("full", "sharded"):
        monkeypatch.setenv("FSDP_STATE_DICT_TYPE", f"{kind.upper()}_STATE_DICT")
        assert build_sharding(TrainConfig(steps=1)) == kind
    with pytest.raises(ValueError, match=r"train\.precision=bf16"):
        build_sharding(TrainConfig(steps=1, precision="fp16"))
