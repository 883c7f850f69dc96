"""Ctrl-C, SIGTERM, two runs in one folder, unreadable images: nothing saved is lost, and it is told."""

from __future__ import annotations

import dataclasses
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator

import pytest
import torch
from trainers import MemoryEpochs, make_trainer

from knowclip.storage.locks import locked
from knowclip.training import monitor
from knowclip.training.stopping import TrainingStopped


@pytest.fixture(autouse=True)
def heeded_hangups() -> Iterator[None]:
    """As on a terminal: the tests themselves may run under nohup."""
    before = signal.signal(signal.SIGHUP, signal.SIG_DFL)
    yield
    signal.signal(signal.SIGHUP, before)


def score(model) -> dict[str, float]:
    return {"score": model.logit_scale.item()}


class Signalled(MemoryEpochs):
    """Sends this process signals while the batch of a step is made."""

    def __init__(self, length: int, *numbers: int, batch: int = 1) -> None:
        super().__init__(length)
        self.numbers, self.batch = numbers, batch

    def epoch(self, number, *, skip=0):
        for index, batch in enumerate(super().epoch(number, skip=skip), start=skip):
            if (number, index) == (0, self.batch):
                for one in self.numbers:
                    os.kill(os.getpid(), one)
            yield batch


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_signal_ends_the_step_and_saves_and_the_run_goes_on_exactly(tmp_path, number, capfd) -> None:
    options = {"validate": score, "validate_every": 1}
    whole = make_trainer(tmp_path / "whole", **options)
    expected = whole.fit()
    before = signal.getsignal(number)
    with pytest.raises(TrainingStopped) as stopped:
        make_trainer(tmp_path / "cut", batches=Signalled(3, number), **options).fit()
    assert signal.getsignal(number) is before
    # the validation of step 2 was broken off: it is made up for
    position = stopped.value.position
    assert (position.step, position.to_validate, stopped.value.number) == (2, True, number)
    assert "once more stops at once" in capfd.readouterr().err
    resumed = make_trainer(tmp_path / "cut", **options)
    assert resumed.fit(resume=True) == expected
    assert "goes on after step 2 of 4" in capfd.readouterr().err
    for name, value in whole.method.state_dict().items():
        assert torch.equal(value, resumed.method.state_dict()[name]), name
    logs = [
        [line.split(', "pairs_per')[0] for line in (tmp_path / run / "log.jsonl").read_text().splitlines()]
        for run in ("whole", "cut")
    ]
    assert logs[0] == logs[1]


def test_a_terminal_that_closes_takes_no_step_with_it(tmp_path) -> None:
    kept = [os.dup(number) for number in (1, 2)]
    terminal, end = os.openpty()
    for number in (1, 2):
        os.dup2(end, number)
    os.close(end)

    class Closed(MemoryEpochs):
        def epoch(self, number, *, skip=0):
            for index, batch in enumerate(super().epoch(number, skip=skip), start=skip):
                if index == 1:
                    os.close(terminal)
                    with pytest.raises(OSError, match="Input/output"):
                        os.write(2, b"gone")
                    for _ in range(2):  # as the terminal and the shell do
                        os.kill(os.getpid(), signal.SIGHUP)
                yield batch

    try:
        with pytest.raises(TrainingStopped) as stopped:
            make_trainer(tmp_path, batches=Closed(3)).fit()
        os.write(2, b"told to nobody")
    finally:
        for number, before in zip((1, 2), kept, strict=True):
            os.dup2(before, number)
            os.close(before)
    assert (stopped.value.position.step, stopped.value.number) == (2, signal.SIGHUP)
    assert make_trainer(tmp_path).fit(resume=True).step == 4


def test_a_run_under_nohup_outlives_its_terminal(tmp_path) -> None:
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        assert make_trainer(tmp_path, batches=Signalled(4, signal.SIGHUP)).fit().step == 4
    finally:
        signal.signal(signal.SIGHUP, before)


def test_a_second_signal_stops_at_once(tmp_path) -> None:
    trainer = make_trainer(tmp_path, save_every=1, batches=Signalled(3, signal.SIGINT, signal.SIGINT))
    with pytest.raises(KeyboardInterrupt) as stopped:
        trainer.fit()
    assert not isinstance(stopped.value, TrainingStopped)
    assert torch.load(tmp_path / "last/trainer/state.pt", weights_only=True)["position"]["step"] == 1


def test_a_signal_in_the_last_step_leaves_a_finished_run(tmp_path) -> None:
    assert make_trainer(tmp_path, batches=Signalled(4, signal.SIGINT, batch=3)).fit().step == 4


def test_a_signal_in_the_first_validation_saves_the_start(tmp_path) -> None:
    def validate(model):
        os.kill(os.getpid(), signal.SIGTERM)
        return score(model)

    with pytest.raises(TrainingStopped) as stopped:
        make_trainer(tmp_path, validate=validate).fit()
    assert stopped.value.position.step == 0
    assert make_trainer(tmp_path, validate=score).fit(resume=True).step == 4


def test_a_long_validation_gives_signs_of_life_and_the_bar_says_when_it_is_over(
    tmp_path, capfd, monkeypatch
) -> None:
    monkeypatch.setattr(monitor, "_SILENCE", 0.01)

    def validate(model):
        assert trainer.monitor._progress.tasks[0].fields["status"] == "validating"
        time.sleep(0.1)
        return score(model)

    trainer = make_trainer(tmp_path, validate=validate)
    trainer.fit()
    assert "step 4/4: validating: 0:00 so far" in capfd.readouterr().err
    assert trainer.monitor._progress.tasks[0].fields["status"] != "validating"


def test_a_long_step_gives_signs_of_life(tmp_path, capfd, monkeypatch) -> None:
    monkeypatch.setattr(monitor, "_SILENCE", 0.05)
    monkeypatch.setattr(monitor, "_BEAT", 0.01)

    class Slow(MemoryEpochs):
        def epoch(self, number, *, skip=0):
            for index, batch in enumerate(super().epoch(number, skip=skip), start=skip):
                time.sleep(0.2 * (index == 2))
                yield batch

    make_trainer(tmp_path, batches=Slow(4)).fit()
    said = capfd.readouterr().err
    assert "step 3/4: under way\n" in said and "step 1/4: under way" not in said and "step 5/4" not in said


def test_a_validation_is_told_in_lines_of_80_columns_and_what_decides_first() -> None:
    recalls = {f"{way}_R@{k}": k / 10 for way in ("image_to_text", "text_to_image") for k in (1, 5, 10)}
    lines = monitor.validation_lines(
        recalls | {"swaps_micro": 0.9, "swaps_macro": 0.8, "swaps": 0.8, "selection": 0.1}
    )
    assert lines == [
        "selection 0.1000",
        "image_to_text_R@1 0.1000 · R@5 0.5000 · R@10 1.0000",
        "text_to_image_R@1 0.1000 · R@5 0.5000 · R@10 1.0000",
        "swaps_micro 0.9000 · swaps 0.8000",
    ]


def test_names_too_long_for_one_line_go_on_in_the_next() -> None:
    numbers = {
        f"with_kee_swaps{average}": 0.5 + 0.1 * i for i, average in enumerate(("", "_macro", "_micro"))
    }
    first, second = monitor.validation_lines(numbers)
    assert first == "with_kee_swaps 0.5000 · with_kee_swaps_macro 0.6000"
    assert second == "with_kee_swaps_micro 0.7000"


def test_the_three_scores_of_two_by_two_share_a_line_for_each_kind_and_average() -> None:
    parts = {f"scene_twins{of}": 0.5 for of in ("_text", "_image", "_group")}
    parts |= {f"scene_twins{of}": 0.4 for of in ("_text_macro", "_group_macro")}
    kinds = {f"scene_twins_{kind}_{part}": 0.25 for kind in ("role", "own") for part in ("text", "group")}
    assert monitor.validation_lines(parts | kinds) == [
        "scene_twins_text 0.5000 · image 0.5000 · group 0.5000",
        "scene_twins_text_macro 0.4000 · group_macro 0.4000",
        "scene_twins_role_text 0.2500 · group 0.2500",
        "scene_twins_own_text 0.2500 · group 0.2500",
    ]


def test_a_second_training_in_one_folder_is_refused_by_the_process_number(tmp_path) -> None:
    with (
        locked(tmp_path, doing="training"),
        pytest.raises(ValueError, match=rf"in use: process {os.getpid()} on .* is training there"),
    ):
        make_trainer(tmp_path).fit()
    assert make_trainer(tmp_path).fit().step == 4
    assert not (tmp_path / ".lock").exists()


HOLD = """
import os, sys
from pathlib import Path
from knowclip.storage.locks import locked
with locked(Path(sys.argv[1]), doing="training"):
    child = os.fork()
    if child == 0:  # as a process that loads data, it outlives the trainer
        print("held", flush=True)  # by the child: only now has it let go of what it inherited
        os.close(1)
        sys.stdin.read()
        os._exit(0)
    sys.stdin.read()
"""


def test_the_lock_of_a_killed_process_is_none_though_its_workers_live(tmp_path) -> None:
    command = [sys.executable, "-c", HOLD, str(tmp_path)]
    process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert process.stdout.readline() == "held\n"
    with pytest.raises(ValueError, match=f"process {process.pid} "), locked(tmp_path, doing="training"):
        pass
    process.kill()
    process.wait()
    with locked(tmp_path, doing="training"):
        assert f"process {os.getpid()} " in (tmp_path / ".lock").read_text()
    process.stdin.close()


class Nothing(MemoryEpochs):
    def epoch(self, number, *, skip=0):
        yield from ()


def test_an_epoch_without_batches_ends_the_run(tmp_path) -> None:
    with pytest.raises(ValueError, match="gives no batch after batch 0 of 3"):
        make_trainer(tmp_path, batches=Nothing(3)).fit()


class Broken(MemoryEpochs):
    """Meets unreadable images, and at last none that can be read."""

    def __init__(self, length: int, *, fails: bool = False) -> None:
        super().__init__(length)
        self.fails = fails

    def epoch(self, number, *, skip=0):
        for index, batch in enumerate(super().epoch(number, skip=skip), start=skip):
            if index == 2 and self.fails:
                raise ValueError("the disk is gone")
            met = {f"{index // 2}.jpg": f"image {index // 2}.jpg cannot be decoded"}
            yield dataclasses.replace(batch, unreadable=met)


def test_unreadable_images_are_named_once_and_kept_over_a_resume(tmp_path, capsys) -> None:
    position = make_trainer(tmp_path, batches=Broken(4), max_unreadable=2).fit()
    assert list(position.unreadable) == ["0.jpg", "1.jpg"]
    assert capsys.readouterr().err.count("skipped: image") == 2
    again = make_trainer(tmp_path, batches=Broken(4), max_unreadable=2, steps=6).fit(resume=True)
    assert again.unreadable == position.unreadable
    assert "skipped: image" not in capsys.readouterr().err


def test_too_many_unreadable_images_end_the_run_with_the_step_saved(tmp_path) -> None:
    with pytest.raises(
        ValueError, match=r"2 images are unreadable, .*max_unreadable allows 1 .*step 3 is saved"
    ):
        make_trainer(tmp_path, batches=Broken(4), max_unreadable=1).fit()
    assert make_trainer(tmp_path, batches=MemoryEpochs(4)).fit(resume=True).step == 4


def test_data_that_fail_in_mid_epoch_leave_the_last_step_saved(tmp_path, capsys) -> None:
    with pytest.raises(ValueError, match="the disk is gone"):
        make_trainer(tmp_path, batches=Broken(4, fails=True), max_unreadable=9).fit()
    assert "step 2 is saved" in capsys.readouterr().err
    assert make_trainer(tmp_path, batches=MemoryEpochs(4)).fit(resume=True).step == 4


def test_where_there_is_no_terminal_each_interval_is_a_line(tmp_path, capsys) -> None:
    make_trainer(tmp_path, steps=3).fit()
    told = capsys.readouterr().err.splitlines()
    assert [line.split(" · ")[0] for line in told] == ["step 1/3", "step 2/3", "step 3/3"]
    assert all("loss " in line and "pairs/s" in line and line.endswith(" left") for line in told)
