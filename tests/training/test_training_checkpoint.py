"""Checkpoints survive a full disk and a killed process."""

from __future__ import annotations

import errno
import resource
import signal
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from trainers import MemoryEpochs, make_trainer, save

from knowclip.training.checkpoint import Checkpointer


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
        with pytest.raises(OSError, match=r"last failed: .*No space left.*--resume"):
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
    with pytest.raises(ValueError, match=r"saved by 2 processes and 1 run now"):
        make_trainer(tmp_path, steps=2).fit(resume=True)
