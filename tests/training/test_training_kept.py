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
from knowclip.training.kept import fall_back, formers, place_of_former, recover_last, remove_old


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


@pytest.mark.parametrize("best", [True, False])
@pytest.mark.parametrize(
    ("others", "told"),
    [
        (2, "So are the 2 before it"),
        (0, "output.keep_last=2 would have kept the one before it"),
    ],
)
def test_if_none_is_whole_nothing_is_moved_and_it_says_what_to_do(run, others, told, best) -> None:
    for folder in formers(run)[others:]:
        shutil.rmtree(folder)
    if best:
        (run / "best").mkdir()
    before = steps(run)
    for folder in before:
        (run / folder / "training.json").unlink()
    way = f" from model.name={run / 'best'}" if best else ""
    with pytest.raises(ValueError, match="is missing") as raised:
        fall_back(run)
    assert str(raised.value) == (
        f"{run / 'last' / 'training.json'} is missing, and SHA256SUMS lists it: copy the folder again, "
        f"whole. {told}. Else start a new run{way} with another output.folder"
    )
    assert {path.name for path in run.iterdir() if path.name.startswith("last")} == before.keys()


def test_what_was_set_aside_before_makes_place(run) -> None:
    for folder in ("damaged-last", "damaged-last-4"):
        (run / folder / "older").mkdir(parents=True)
    for folder in ("last", "last-4"):
        (run / folder / "trainer" / "state.pt").unlink()
    missing = run / "last" / "trainer" / "state.pt"
    assert fall_back(run) == (
        f"{missing} is missing, and SHA256SUMS lists it: copy the folder again, whole. The run goes on from "
        "last-3, which is whole and is last now; what is damaged was set aside as damaged-last, "
        "damaged-last-4"
    )
    assert steps(run) == {"damaged-last": 5, "damaged-last-4": 4, "last": 3}
    assert not (run / "damaged-last" / "older").exists()


def test_those_before_are_by_number_and_of_other_folders_none(tmp_path) -> None:
    for name in ("last-9", "last-11", "last-8", "last-10", "last", "last-old", "last-7.tmp", "at-last-6"):
        (tmp_path / name).mkdir()
    names = ["last-11", "last-10", "last-9", "last-8"]
    assert [folder.name for folder in formers(tmp_path)] == names
    for keep in (4, 2, 1):
        remove_old(tmp_path, keep=keep)
        assert [folder.name for folder in formers(tmp_path)] == names[: keep - 1]


@pytest.mark.parametrize(
    ("told", "keep", "expected"),
    [
        ('{"step": 4}', 2, "last-4"),
        ('{"step": 4}', 1, None),
        ('{"step": 5}', 2, None),  # the same step again
        (None, 2, None),
        ("{", 2, None),
        ("{}", 2, None),
        ("[]", 2, None),
        ('{"step": null}', 2, None),
    ],
)
def test_a_last_is_kept_by_its_step_unless_it_is_damaged(tmp_path, told, keep, expected) -> None:
    (tmp_path / "last").mkdir()
    if told is not None:
        (tmp_path / "last" / "training.json").write_text(told)
    place = place_of_former(tmp_path, step=5, keep=keep)
    assert place == (None if expected is None else tmp_path / expected)


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
