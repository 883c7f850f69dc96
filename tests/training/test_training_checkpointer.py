"""What a checkpoint holds, how it is taken up, and the sentences of what cannot be saved or read."""

from __future__ import annotations

import errno
import random
from collections.abc import Callable
from dataclasses import asdict, replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_model
from torch import nn

from knowclip.data.captions.fingerprint import DataFingerprint
from knowclip.storage.checksums import SUMS
from knowclip.training.average import WeightAverage
from knowclip.training.checkpoint import Checkpointer, Position, saved_data
from knowclip.training.rng import rng_state, set_rng_state

POSITION = Position(
    step=3, epoch=1, batch=2, best=0.5, best_step=2, since_best=1, steps=9, to_validate=True,
    unreadable={"0.jpg": "cut short"}, nonfinite=4, nonfinite_in_a_row=1,
)  # fmt: skip
ABOUT = '{"step": 3, "steps": 9, "epoch": 1, "best_step": 2, "best": 0.5, "to_validate": true}\n'
FULL = OSError(errno.ENOSPC, "No space left on device")


def save(method: nn.Module, folder: Path) -> None:
    save_model(method, str(folder / "model.safetensors"))


def data_of(graph: str) -> DataFingerprint:
    return DataFingerprint({}, {"knowledge graph": graph})


def process(**changed: Any) -> SimpleNamespace:
    """What a checkpoint asks of an Accelerator."""
    alone = {"is_main_process": True, "num_processes": 1, "process_index": 0, "scaler": None}
    return SimpleNamespace(**alone | changed)


def learner(*, steps: int) -> dict[str, Any]:
    """A method after some steps, with its optimiser and schedule."""
    torch.manual_seed(steps)
    method = nn.Linear(2, 1)
    optimizer = torch.optim.AdamW(method.parameters(), lr=0.1)
    scheduler = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda step: 0.5**step)
    for _ in range(steps):
        method(torch.ones(1, 2)).sum().backward()
        optimizer.step()
        scheduler.step()
    return {"method": method, "optimizer": optimizer, "scheduler": scheduler}


def drawn() -> list[float]:
    return [random.random(), np.random.rand(), torch.rand(()).item()]


def files(folder: Path) -> set[str]:
    return {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()}


def raises(error: Exception) -> Callable[..., None]:
    def act(*args: Any) -> None:
        raise error

    return act


@pytest.fixture
def run(tmp_path: Path) -> Path:
    """A run that saved step 3, on data of the graph "x"."""
    saver = Checkpointer(tmp_path, save, data_of("x"))
    saver.save_last(**learner(steps=2), position=POSITION, accelerator=process())
    return tmp_path


def change(run: Path, **parts: Any) -> None:
    """Put other parts into the saved state."""
    path = run / "last" / "trainer" / "state.pt"
    torch.save(torch.load(path, weights_only=True) | parts, path)


def resume(run: Path, *, data: DataFingerprint | None = None, **changed: Any) -> Position:
    return Checkpointer(run, save, data).resume(**learner(steps=1) | {"accelerator": process(), **changed})


def test_the_best_is_a_model_and_of_which_step_it_is(tmp_path: Path) -> None:
    method = nn.Linear(2, 1)
    Checkpointer(tmp_path, save).save_best(method, POSITION)
    assert files(tmp_path) == {f"best/{name}" for name in ("model.safetensors", "training.json", SUMS)}
    assert torch.equal(load_file(tmp_path / "best" / "model.safetensors")["weight"], method.weight)
    assert (tmp_path / "best" / "training.json").read_bytes() == ABOUT.encode()


@pytest.mark.parametrize("plain", [True, False], ids=["plain", "with average, scaler and data"])
def test_all_that_a_run_has_is_saved_and_taken_up_again(tmp_path: Path, plain: bool) -> None:
    data = None if plain else data_of("x")
    first, second = learner(steps=2), learner(steps=1)
    for each, scale in ((first, 4.0), (second, 2.0)):
        scaler = None if plain else torch.amp.GradScaler("cpu", init_scale=scale)
        each["accelerator"] = process(scaler=scaler)
        each["average"] = None if plain else WeightAverage(each["method"], decay=0.5)
    weight = first["method"].weight.data.fill_(2.0)
    if not plain:
        first["average"].update()
    weight.fill_(3.0)
    Checkpointer(tmp_path, save, data).save_last(**first, position=POSITION)
    draws = drawn()
    last = tmp_path / "last"
    assert files(last) == {
        "model.safetensors", "training.json", SUMS, "trainer/state.pt", "trainer/method.safetensors",
    }  # fmt: skip
    assert (last / "training.json").read_bytes() == ABOUT.encode()
    dropped_in = load_file(last / "model.safetensors")["weight"]
    assert torch.equal(dropped_in, torch.full((1, 2), 3.0 if plain else 2.0))
    assert saved_data(tmp_path) == (None if plain else data.state)

    assert Checkpointer(tmp_path, save, data).resume(**second) == POSITION
    assert drawn() == draws
    assert torch.equal(second["method"].weight, weight) and (weight == 3).all()
    for name in ("optimizer", "scheduler") if plain else ("optimizer", "scheduler", "average"):
        assert str(second[name].state_dict()) == str(first[name].state_dict())
    assert plain or second["accelerator"].scaler.get_scale() == 4


def test_a_process_beside_the_main_one_writes_nothing(tmp_path: Path) -> None:
    beside = process(is_main_process=False)
    Checkpointer(tmp_path, save).save_last(**learner(steps=1), position=POSITION, accelerator=beside)
    assert files(tmp_path) == set()


class Parts:
    """As Shards: what was asked of it."""

    def __init__(self, checkpoints: str) -> None:
        self.checkpoints = checkpoints
        self.asked: list[tuple] = []

    def optimizer_state(self) -> dict[str, str]:
        return {"moments": "of all parts"}

    def write(self, folder: Path) -> None:
        folder.mkdir()
        (folder / "0.part").touch()

    def read(self, folder: Path, state: dict[str, str]) -> None:
        self.asked.append(("read", folder, state))

    def scatter(self) -> None:
        self.asked.append(("scatter",))

    def load_optimizer(self, state: dict[str, str]) -> None:
        self.asked.append(("load_optimizer", state))


@pytest.mark.parametrize("checkpoints", ["full", "sharded"])
def test_what_is_cut_is_kept_whole_or_in_parts(tmp_path: Path, checkpoints: str) -> None:
    first, second, parts = learner(steps=2), learner(steps=1), Parts(checkpoints)
    saver = Checkpointer(tmp_path, save)
    saver.save_last(**first, position=POSITION, accelerator=process(), shards=parts)
    apart = tmp_path / "last" / "trainer"
    kept = {"full": "method.safetensors", "sharded": "shards/0.part"}
    assert files(apart) == {"state.pt", kept[checkpoints]}
    saver.resume(**second, accelerator=process(), shards=parts)
    moments = {"moments": "of all parts"}
    assert parts.asked == {
        "full": [("scatter",), ("load_optimizer", moments)],
        "sharded": [("read", apart / "shards", moments)],
    }[checkpoints]  # fmt: skip
    assert torch.equal(second["method"].weight, first["method"].weight) == (checkpoints == "full")


def test_parts_are_not_taken_up_as_a_whole(run: Path) -> None:
    (run / "last" / "trainer" / "shards").mkdir()
    with pytest.raises(ValueError, match="shards") as raised:
        resume(run)
    assert str(raised.value) == (
        f"{run / 'last'} was saved in shards, by FSDP: launch with --use_fsdp --fsdp_version 2 to resume"
    )


def test_each_process_takes_up_its_own_random_state_and_all_must_be_there(run: Path) -> None:
    states, draws = [], []
    for seed in (1, 2):
        torch.manual_seed(seed)
        states.append(rng_state())
        draws.append(drawn())
        set_rng_state(states[-1])
    change(run, random=states)
    for index in (0, 1):
        resume(run, accelerator=process(num_processes=2, process_index=index))
        assert drawn() == draws[index]
    with pytest.raises(ValueError, match="processes") as raised:
        resume(run)
    assert str(raised.value) == (
        f"{run / 'last'} was saved by 2 processes and 1 run now: launch 2 to resume exactly"
    )


def test_a_scale_is_taken_up_where_one_was_saved_and_one_is_wanted(run: Path) -> None:
    for saved, wanted in ((None, True), ({"scale": 8.0}, False)):
        change(run, scaler=saved)
        scaler = torch.amp.GradScaler("cpu", init_scale=2.0) if wanted else None
        assert resume(run, accelerator=process(scaler=scaler)) == POSITION
        assert scaler is None or scaler.get_scale() == 2
    state = torch.load(run / "last" / "trainer" / "state.pt", weights_only=True)
    del state["scaler"]  # an older version's
    torch.save(state, run / "last" / "trainer" / "state.pt")
    assert resume(run, accelerator=process(scaler=torch.amp.GradScaler("cpu"))) == POSITION


@pytest.mark.parametrize("data", [None, data_of("x")], ids=["none", "the same"])
def test_data_are_compared_where_both_are_known(run: Path, data: DataFingerprint | None) -> None:
    saver = Checkpointer(run, save, data)
    assert saver.refuse_other_data() and resume(run, data=data) == POSITION
    change(run, data=None)
    assert not saver.refuse_other_data() and resume(run, data=data) == POSITION


def test_other_data_are_told_by_the_main_process(run: Path) -> None:
    other = data_of("y")
    for act in (Checkpointer(run, save, other).refuse_other_data, lambda: resume(run, data=other)):
        with pytest.raises(ValueError, match="changed") as raised:
            act()
        assert str(raised.value) == (
            f"resume=True goes on with the same data, and those of {run} have changed: the knowledge graph "
            "has another content. Put the old data back, or start a new run from these weights with "
            f"model.name={run / 'last'}"
        )
    assert resume(run, data=other, accelerator=process(is_main_process=False)) == POSITION


def test_without_a_checkpoint_there_is_nothing_to_resume(tmp_path: Path) -> None:
    (tmp_path / "last").mkdir()
    for act in (Checkpointer(tmp_path, save).refuse_other_data, lambda: resume(tmp_path)):
        with pytest.raises(ValueError, match="nothing") as raised:
            act()
        assert str(raised.value) == (
            f"nothing to resume in {tmp_path}: it has no last/trainer; train without resume=True"
        )
    assert saved_data(tmp_path) is None


def test_a_last_that_was_being_replaced_is_found_again(run: Path) -> None:
    (run / "last").rename(run / ".last.previous")
    assert resume(run) == POSITION


@pytest.mark.parametrize("best", [True, False])
@pytest.mark.parametrize(
    ("error", "reason"),
    [
        (RuntimeError("failed  reading\nfile. Was it copied? "), "failed reading file"),
        (SafetensorError("header is " + 200 * "x"), "header is " + 140 * "x"),
        (EOFError(), "EOFError"),
    ],
    ids=["a paragraph", "long", "no words"],
)
def test_what_cannot_be_read_is_told_in_one_line(run: Path, error, reason: str, best: bool) -> None:
    if best:
        (run / "best").mkdir()
    with pytest.raises(ValueError, match="cannot be read") as raised:
        resume(run, scheduler=SimpleNamespace(load_state_dict=raises(error)))
    way = f" from model.name={run / 'best'}" if best else ""
    assert str(raised.value) == (
        f"{run / 'last' / 'trainer'} cannot be read: {reason}. It is cut short or of another model: copy it "
        f"again if there is another copy, or start a new run{way} with another output.folder"
    )


class Harmful:
    """What a pickle can be: on reading it a file is made."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple:
        return Path.touch, (self.path,)


def test_a_state_that_would_run_code_is_not_read_whatever_torch_is_told(run: Path, monkeypatch) -> None:
    monkeypatch.setenv("TORCH_FORCE_NO_WEIGHTS_ONLY_LOAD", "1")
    torch.save({"data": Harmful(run / "harm")}, run / "last" / "trainer" / "state.pt")
    assert saved_data(run) is None
    with pytest.raises(ValueError, match=r"cannot be read"):
        resume(run)
    assert not (run / "harm").exists()


NOTHING = (
    "Nothing of this run was saved before: free space on its disk and start it again, or choose another "
    "output.folder"
)


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        (FULL, "No space left on device"),
        (OSError("the disk is gone"), "the disk is gone"),
        (RuntimeError("failed writing file"), "failed writing file"),
        (SafetensorError("I/O error"), "I/O error"),
    ],
)
def test_what_cannot_be_saved_is_told_with_what_to_do(run: Path, error: Exception, reason: str) -> None:
    saver = Checkpointer(run, raises(error))
    found = []
    for removed in (None, "training.json", "trainer"):
        if removed == "trainer":
            (run / "last" / "trainer").rename(run / "last" / "elsewhere")
        elif removed is not None:
            (run / "last" / removed).unlink()
        with pytest.raises(OSError, match="failed") as raised:
            saver.save_best(nn.Linear(2, 1), POSITION)
        found.append(str(raised.value))
    whole = "before it is whole: free space on its disk and go on with resume=True"
    assert found == [
        f"saving {run / 'best'} failed: {reason}. {advice}"
        for advice in (f"The checkpoint of step 3 {whole}", f"The checkpoint {whole}", NOTHING)
    ]


def test_the_one_before_takes_the_place_of_a_damaged_one_by_the_main_process(run: Path) -> None:
    saver = Checkpointer(run, save, keep_last=2)
    assert saver.fall_back(process()) is None
    later = replace(POSITION, step=4)
    saver.save_last(**learner(steps=1), position=later, accelerator=process())
    (run / "last" / "training.json").write_text("{}")
    assert saver.fall_back(process(is_main_process=False)) is None
    assert not (run / "damaged-last").exists()
    assert "The run goes on from last-3, which is whole" in saver.fall_back(process())
    assert resume(run) == POSITION
    (run / "last" / "training.json").write_text("{}")
    with pytest.raises(ValueError, match="Else start a new run"):
        saver.fall_back(process())


def test_a_position_is_saved_in_plain_types(run: Path) -> None:
    state = torch.load(run / "last" / "trainer" / "state.pt", weights_only=True)
    assert state["position"] == asdict(POSITION)
    assert state.keys() == {"optimizer", "scheduler", "scaler", "position", "random", "average", "data"}
