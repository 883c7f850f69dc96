"""What knows devices, processes and precision, built again in the same process."""

from __future__ import annotations

import atexit
import sys
from pathlib import Path

import pytest
import torch
from torch import distributed, nn

from knowclip.build.accelerator import build_accelerator
from knowclip.recipe.train import TrainConfig
from processes import in_two_processes


def test_a_second_training_may_have_another_precision() -> None:
    for precision, expected in (("fp32", "no"), ("bf16", "bf16"), ("fp32", "no")):
        built = build_accelerator(TrainConfig(steps=1, precision=precision))
        assert built.mixed_precision == expected


def _step() -> None:
    for _ in range(2):
        accelerator = build_accelerator(TrainConfig(steps=1))
    assert (accelerator.num_processes, distributed.is_initialized()) == (2, True)
    accelerator.prepare(nn.Linear(2, 2))(torch.ones(3, 2)).sum().backward()


def _threads_of_gloo() -> int:
    names = [path.read_text() for path in Path("/proc/self/task").glob("*/comm")]
    return sum("gloo" in name for name in names)


def _leave(rank: int, folder: Path) -> None:
    """End as a command does by an exit code, which an error and a request to stop come to as well."""
    # registered first, so called last
    atexit.register(
        lambda: (folder / str(rank)).write_text(f"{distributed.is_initialized()} {_threads_of_gloo()}")
    )
    _step()
    assert _threads_of_gloo()
    sys.exit(0)


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="threads are counted by /proc")
def test_the_group_of_processes_ends_with_the_interpreter(tmp_path) -> None:
    in_two_processes(_leave, tmp_path, method="spawn")
    assert {path.name: path.read_text() for path in tmp_path.iterdir()} == {"0": "False 0", "1": "False 0"}


def test_a_group_that_another_began_is_left_to_it(monkeypatch) -> None:
    registered: list[object] = []
    monkeypatch.setattr(atexit, "register", registered.append)
    distributed.init_process_group("gloo", store=distributed.HashStore(), rank=0, world_size=1)
    try:
        build_accelerator(TrainConfig(steps=1))
        assert distributed.is_initialized()
    finally:
        distributed.destroy_process_group()
    assert not registered
