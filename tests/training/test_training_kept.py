"""``output.keep_last``: former checkpoints stay, a damaged one is told and passed by."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
import torch
from trainers import MemoryEpochs, make_trainer

from knowclip.storage import atomic
from knowclip.storage.checksums import SUMS, refuse_damaged_folder
from knowclip.training.checkpoint import Checkpointer
from knowclip.training.kept import fall_back, formers, recover_last


def trainer_of(run: Path, *, keep: int, **options):
    trainer = make_trainer(run, **{"save_every": 1, **options})
    trainer.checkpointer = Checkpointer(run, trainer.checkpointer.save, keep_last=keep)
    return trainer


def steps(run: Path) -> dict[str, int]:
    return {
        folder.name: json.loads((folder / "training.json").read_text())["step"]
        for folder in sorted(run.iterdir())
        if (folder / "training.json").is_file()
    }


@pytest.fixture(scope="module")
def trained(tmp_path_factory) -> Path:
    """A run of 5 steps that keeps three."""
    run = tmp_path_factory.mktemp("kept") / "run"
    trainer_of(run, keep=3, steps=5).fit()
    return run


@pytest.fixture
def run(trained, tmp_path) -> Path:
    shutil.copytree(trained, tmp_path / "run")
    return tmp_path / "run"


def flip(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)


def test_the_newest_are_kept_and_whole(run) -> None:
    assert steps(run) == {"last": 5, "last-3": 3, "last-4": 4}
    assert [folder.name for folder in formers(run)] == ["last-4", "last-3"]
    for folder in ("last", "last-3", "last-4"):
        refuse_damaged_folder(run / folder)
    assert not [path for path in run.iterdir() if path.name.startswith(".")]


def test_where_folders_cannot_be_exchanged_they_are_kept_too(tmp_path, monkeypatch) -> None:
    monkeypatch.setattr(atomic, "_exchange", lambda first, second: False)
    trainer_of(tmp_path, keep=2, steps=3).fit()
    assert steps(tmp_path) == {"last": 3, "last-2": 2}
    assert not [path for path in tmp_path.iterdir() if path.name.startswith(".")]


def test_fewer_may_be_kept_later(run) -> None:
    trainer_of(run, keep=1, steps=6).fit(resume=True)
    assert steps(run) == {"last": 6}


@pytest.mark.parametrize("name", ["trainer/state.pt", "trainer/method.safetensors", "model.safetensors"])
def test_a_damaged_last_is_told_and_the_run_goes_on_exactly_from_the_one_before(run, name, capsys) -> None:
    expected = torch.load(run / "last/trainer/state.pt", weights_only=True)["optimizer"]
    flip(run / "last" / name)
    trainer = trainer_of(run, keep=3, steps=5)
    assert trainer.fit(resume=True).step == 5
    told = capsys.readouterr().err
    assert f"last/{name} is damaged" in told and "goes on from last-4, which is whole" in told
    assert "goes on after step 4 of 5" in told
    found = torch.load(run / "last/trainer/state.pt", weights_only=True)["optimizer"]
    for key, state in expected["state"].items():
        assert torch.equal(state["exp_avg"], found["state"][key]["exp_avg"])
    assert steps(run) == {"damaged-last": 5, "last": 5, "last-3": 3, "last-4": 4}


def test_damaged_ones_before_it_are_passed_by_too(run, capsys) -> None:
    flip(run / "last/trainer/state.pt")
    (run / "last-4/trainer/method.safetensors").unlink()
    assert trainer_of(run, keep=3, steps=5).fit(resume=True).step == 5
    assert "goes on from last-3" in capsys.readouterr().err
    assert steps(run) == {"damaged-last": 5, "damaged-last-4": 4, "last": 5, "last-3": 3, "last-4": 4}


def test_if_none_is_whole_nothing_is_moved_and_it_says_what_to_do(run) -> None:
    before = steps(run)
    for folder in before:
        flip(run / folder / "trainer/state.pt")
    with pytest.raises(ValueError, match=r"last.trainer.state.pt is damaged.* So are the 2 before it") as e:
        trainer_of(run, keep=3, steps=5).fit(resume=True)
    assert "another output.folder" in str(e.value) and steps(run) == before


def test_without_others_it_names_the_option(run) -> None:
    for folder in formers(run):
        shutil.rmtree(folder)
    flip(run / "last/trainer/state.pt")
    with pytest.raises(ValueError, match=r"output.keep_last=2 would have kept the one before it"):
        trainer_of(run, keep=1, steps=5).fit(resume=True)


def test_killed_between_setting_aside_and_putting_in_place(run) -> None:
    (run / "last").rename(run / "damaged-last")
    recover_last(run)
    assert steps(run) == {"damaged-last": 5, "last": 4, "last-3": 3}
    assert fall_back(run) is None


def test_a_checkpoint_of_an_older_version_is_taken_as_it_is(run) -> None:
    (run / "last" / SUMS).unlink()
    assert fall_back(run) is None
    assert trainer_of(run, keep=1, steps=5).fit(resume=True).step == 5


def test_the_data_of_the_one_before_are_compared_too(run) -> None:
    flip(run / "last/trainer/state.pt")
    assert "last-4" in fall_back(run)
    assert not make_trainer(run, batches=MemoryEpochs(3)).checkpointer.refuse_other_data()
