"""Checkpoints survive a full disk and a killed process."""

from __future__ import annotations

import errno
import os
import resource
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest
import torch
import trainers
from safetensors import SafetensorError
from trainers import MemoryEpochs, make_trainer, save

from knowclip.storage import atomic
from knowclip.storage.checksums import refuse_damaged_folder, write_checksums
from knowclip.training import checkpoint
from knowclip.training.checkpoint import Checkpointer
from knowclip.training.runlog import RunLog

KEPT = ("best", "last")
os_fsync = os.fsync


def lines_of(run: Path) -> list[str]:
    return (run / "log.jsonl").read_text().splitlines()


def contents(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def fails_after(saves: int):
    """A saver whose disk is full from the given save on, after some bytes."""
    count = 0

    def save_or_fail(model, folder: Path) -> None:
        nonlocal count
        count += 1
        save(model, folder)
        if count > saves:
            raise OSError(errno.ENOSPC, "No space left on device", str(folder / "model.safetensors"))

    return save_or_fail


def test_full_disk_leaves_the_previous_checkpoint_and_says_what_to_do(tmp_path) -> None:
    trainer = make_trainer(tmp_path, save_every=1, saver=fails_after(2))
    before = {}
    original = Checkpointer.save_last

    def remember(self, *args, **kwargs):
        original(self, *args, **kwargs)
        before.update(contents(tmp_path / "last"))

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Checkpointer, "save_last", remember)
        with pytest.raises(OSError, match=r"last failed: .*No space left.*resume=True"):
            trainer.fit()
    assert contents(tmp_path / "last") == before
    assert {path.name for path in tmp_path.iterdir()} == {"last", "log.jsonl", "tensorboard"}
    assert make_trainer(tmp_path, save_every=1).fit(resume=True).step == 4


def test_full_disk_inside_torch_save(tmp_path) -> None:
    """The optimiser state meets a real limit of the file system: torch raises no OSError there."""
    trainer = make_trainer(tmp_path, steps=2)
    old = resource.getrlimit(resource.RLIMIT_FSIZE)
    handler = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    try:
        resource.setrlimit(resource.RLIMIT_FSIZE, (60_000, old[1]))
        with pytest.raises(OSError, match="last failed"):
            trainer.fit()
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, old)
        signal.signal(signal.SIGXFSZ, handler)
    assert not (tmp_path / "last").exists()


class FullDisk:
    """Fails at one of the writes that follow :meth:`begin`, as the libraries that make them do."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.at: int | None = None
        self.count = 0
        self.full = OSError(errno.ENOSPC, "No space left on device")
        for owner, name in (
            *((Path, method) for method in ("mkdir", "touch", "write_text", "rename")),
            *((os, function) for function in ("replace", "fsync")),
            (RunLog, "_line"),
        ):
            monkeypatch.setattr(owner, name, self.counted(getattr(owner, name), self.full))
        # neither raises an OSError
        torch_error = RuntimeError("PytorchStreamWriter failed writing file: No space left on device")
        monkeypatch.setattr(torch, "save", self.counted(torch.save, torch_error))
        other = SafetensorError("I/O error: No space left on device (os error 28)")
        for module in (checkpoint, trainers):
            monkeypatch.setattr(module, "save_model", self.counted(module.save_model, other))

    def begin(self, at: int) -> None:
        self.at, self.count = at, 0

    def counted(self, function, error: Exception):
        def call(*args, **kwargs):
            if self.at is None:
                return function(*args, **kwargs)
            self.count += 1
            if self.count == self.at:
                raise error
            return None if function is os_fsync else function(*args, **kwargs)

        return call


class Fills(MemoryEpochs):
    """The disk fills up from the second batch on."""

    def __init__(self, disk: FullDisk, at: int) -> None:
        super().__init__(3)
        self.disk, self.at = disk, at

    def epoch(self, number, *, skip=0):
        for index, batch in enumerate(super().epoch(number, skip=skip), start=skip):
            if index == 1:
                self.disk.begin(self.at)
            yield batch


@pytest.mark.parametrize("exchange", [True, False], ids=["exchange", "two-renames"])
def test_full_disk_at_any_write_of_a_step_leaves_one_whole_checkpoint(
    tmp_path, monkeypatch, exchange
) -> None:
    """Log, best, last, checksums, renames: each write of step 2 fails in turn."""
    if not exchange:
        monkeypatch.setattr(atomic, "_exchange", lambda first, second: False)
    scores = {0: 0.1, 1: 0.2, 2: 0.3}

    def trainer_of(run: Path, *, steps: int, **options):
        trainer = make_trainer(run, steps=3, save_every=1, validate_every=1, **options)
        trainer.steps = steps
        trainer.validate = lambda model: {"score": scores[min(len(lines_of(run)) // 2, 2)]}
        trainer.checkpointer = Checkpointer(run, trainer.checkpointer.save, keep_last=2)
        return trainer

    trainer_of(tmp_path / "one", steps=1).fit()
    shutil.copytree(tmp_path / "one", tmp_path / "two")
    trainer_of(tmp_path / "two", steps=2).fit(resume=True)
    states = [{name: contents(tmp_path / run / name) for name in KEPT} for run in ("one", "two")]
    disk, at = FullDisk(monkeypatch), 0
    while True:
        at += 1
        run = tmp_path / f"full{at}"
        shutil.copytree(tmp_path / "one", run)
        trainer = trainer_of(run, steps=2, batches=Fills(disk, at))
        try:
            trainer.fit(resume=True)
        except OSError as error:
            assert str(error).count("No space left") == 1, at
            assert "resume=True" in str(error), at
        else:
            break
        finally:
            disk.at = None
        for name in KEPT:
            assert contents(run / name) in [state[name] for state in states], (at, name)
            refuse_damaged_folder(run / name)
        assert not [path for path in run.iterdir() if path.name.endswith((".tmp", ".previous"))]
    assert at > 25
    assert trainer_of(tmp_path / "full20", steps=2).fit(resume=True).step == 2
    for name in KEPT:
        assert contents(tmp_path / "full20" / name) == states[1][name]


SLOW_SAVER = """
import sys, time
sys.path[:0] = {paths!r}
from pathlib import Path
from trainers import make_trainer, save, MemoryEpochs

saves = 0

def slow_save(model, folder):
    global saves
    saves += 1
    save(model, folder)
    if saves == 3:
        (folder / "half").write_text("written")
        print("saving", flush=True)
        time.sleep(60)

make_trainer(Path({run!r}), save_every=1, saver=slow_save).fit()
"""


@pytest.mark.slow
def test_killed_while_saving_leaves_the_previous_checkpoint(tmp_path) -> None:
    run, here = tmp_path / "run", Path(__file__).parent
    script = SLOW_SAVER.format(paths=[str(here), str(here.parent)], run=str(run))
    process = subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE, text=True)
    try:
        assert process.stdout.readline() == "saving\n"
    finally:
        process.send_signal(signal.SIGKILL)
        process.wait()
    assert not (run / "last" / "half").exists()
    state = torch.load(run / "last" / "trainer" / "state.pt", weights_only=True)
    assert state["position"]["step"] == 2

    whole = make_trainer(tmp_path / "whole")
    whole.fit()
    resumed = make_trainer(run, batches=MemoryEpochs(3))
    assert resumed.fit(resume=True).step == 4
    for name, value in whole.method.state_dict().items():
        assert torch.equal(value, resumed.method.state_dict()[name]), name
    assert not [path for path in run.iterdir() if path.name.endswith(".tmp")]


def test_other_number_of_processes_is_refused(tmp_path) -> None:
    make_trainer(tmp_path, steps=2).fit()
    path = tmp_path / "last" / "trainer" / "state.pt"
    state = torch.load(path, weights_only=True)
    state["random"] *= 2
    torch.save(state, path)
    write_checksums(tmp_path / "last")
    with pytest.raises(ValueError, match=r"saved by 2 processes and 1 run now"):
        make_trainer(tmp_path, steps=2).fit(resume=True)
