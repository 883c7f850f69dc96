"""Resuming with other data, more steps or a checkpoint cut short; what a full disk leaves is told."""

from __future__ import annotations

import errno
import json
from pathlib import Path

import pytest
import torch
from PIL import Image
from trainers import make_trainer

from knowclip.console.spelling import command_with
from knowclip.data.captions.fingerprint import DataFingerprint
from knowclip.storage.checksums import SUMS
from knowclip.training.checkpoint import Checkpointer
from knowclip.types import Example, ImageRef


def examples(folder: Path, count: int, *, caption: str = "a dog {}", color: int = 0) -> list[Example]:
    folder.mkdir(exist_ok=True)
    found = []
    for number in range(count):
        path = folder / f"{number}.png"
        Image.new("RGB", (8, 8), (color, number, 0)).save(path)
        found.append(Example(f"{number}.png#0", str(number), ImageRef(path), caption.format(number)))
    return found


def with_data(run: Path, pairs: list[Example], *, val: list[Example] = (), graph: str = "x", **options):
    data = DataFingerprint(
        {"training pairs": pairs, "validation pairs": list(val)}, {"knowledge graph": graph}
    )
    trainer = make_trainer(run, **options)
    trainer.checkpointer = Checkpointer(run, trainer.checkpointer.save, data)
    return trainer


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"count": 3}, r"4 training pairs when it was saved, 3 now; from number 4 on they are missing"),
        ({"count": 5}, r"4 training pairs when it was saved, 5 now; .* number 5, '4.png#0' now"),
        ({"caption": "a cat {}"}, r"4 of 4 training pairs have another caption, .*'0.png#0': 'a cat 0' now"),
        ({"color": 9}, r"4 of 4 training pairs have another image file, the first is '0.png#0'"),
    ],
    ids=["fewer", "more", "captions", "images of equal size"],
)
def test_other_data_are_refused_on_resume_by_what_differs(tmp_path, change, message) -> None:
    with_data(tmp_path / "run", examples(tmp_path / "images", 4)).fit()
    changed = examples(tmp_path / "images", **{"count": 4, **change})
    with pytest.raises(ValueError, match=message):
        with_data(tmp_path / "run", changed).fit(resume=True)
    with pytest.raises(ValueError, match=message):
        with_data(tmp_path / "run", changed).checkpointer.refuse_other_data()


def test_order_validation_pairs_and_graph_are_data_and_their_place_is_none(tmp_path) -> None:
    pairs, val = examples(tmp_path / "images", 4), examples(tmp_path / "val", 2)
    with_data(tmp_path / "run", pairs, val=val).fit()
    for message, trainer in {
        "in another order; the first that differs is number 1, '3.png#0' now": with_data(
            tmp_path / "run", pairs[::-1], val=val
        ),
        "2 validation pairs when it was saved, 1 now": with_data(tmp_path / "run", pairs, val=val[:1]),
        "the knowledge graph has another content": with_data(tmp_path / "run", pairs, val=val, graph="y"),
    }.items():
        with pytest.raises(ValueError, match=message):
            trainer.fit(resume=True)
    moved = examples(tmp_path / "elsewhere", 4)
    assert with_data(tmp_path / "run", moved, val=val, steps=5).fit(resume=True).step == 5


def test_a_checkpoint_without_a_fingerprint_goes_on(tmp_path) -> None:
    make_trainer(tmp_path).fit()
    path = tmp_path / "last" / "trainer" / "state.pt"
    state = torch.load(path, weights_only=True)
    del state["data"]
    state["position"] = {
        name: state["position"][name] for name in ("step", "epoch", "batch", "best", "best_step")
    }
    torch.save(state, path)
    (tmp_path / "last" / SUMS).unlink()
    trainer = with_data(tmp_path, examples(tmp_path / "images", 2), steps=5)
    assert not trainer.checkpointer.refuse_other_data()
    assert trainer.fit(resume=True).step == 5


def test_a_run_may_become_longer_by_a_cosine_over_all_steps(tmp_path, capsys) -> None:
    make_trainer(tmp_path, steps=4).fit()
    longer = make_trainer(tmp_path, steps=8)
    planned = [longer.scheduler.lr_lambdas[0](step) for step in range(8)]
    longer.fit(resume=True)
    assert "planned for 4 steps before: the schedule is drawn anew over 8" in capsys.readouterr().err
    lines = [json.loads(line) for line in (tmp_path / "log.jsonl").read_text().splitlines()]
    assert [line["lr"] for line in lines[4:]] == pytest.approx([1e-2 * factor for factor in planned[4:]])
    with pytest.raises(ValueError, match=r"planned for 8 steps and stands at step 8: .* not shrink to 6"):
        make_trainer(tmp_path, steps=6).fit(resume=True)
    make_trainer(tmp_path, steps=8).fit(resume=True)
    assert "all 8 steps are done: raise train.steps" in capsys.readouterr().err
    with command_with({"out", "overrides"}):  # a demo, say, which passes by what is done
        make_trainer(tmp_path, steps=8).fit(resume=True)
    assert "all 8 steps are done\n" in capsys.readouterr().err


@pytest.mark.parametrize("name", ["state.pt", "method.safetensors"])
def test_a_checkpoint_that_is_cut_short_is_one_line(tmp_path, name) -> None:
    make_trainer(tmp_path).fit()
    path = tmp_path / "last" / "trainer" / name
    path.write_bytes(path.read_bytes()[:1000])
    (tmp_path / "last" / SUMS).unlink()  # an older version's; else its checksum is told
    with pytest.raises(ValueError, match=r"last.trainer cannot be read: .* cut short") as error:
        make_trainer(tmp_path).fit(resume=True)
    assert "\n" not in str(error.value)


def test_a_checkpoint_says_of_which_step_it_is(tmp_path) -> None:
    scores = iter([0.5, 0.4, 0.3])
    make_trainer(tmp_path, validate=lambda model: {"score": next(scores)}).fit()
    about = [json.loads((tmp_path / part / "training.json").read_text()) for part in ("best", "last")]
    assert [told["step"] for told in about] == [0, 4]
    assert about[1] == {
        "step": 4,
        "steps": 4,
        "epoch": 1,
        "best_step": 0,
        "best": 0.5,
        "to_validate": False,
    }


def test_a_disk_that_was_full_from_the_start_is_told_without_resume(tmp_path) -> None:
    def full(model, folder: Path) -> None:
        raise OSError(errno.ENOSPC, "No space left on device", str(folder))

    with pytest.raises(
        OSError, match=r"saving .*last failed: No space left.* Nothing of this run was saved"
    ) as e:
        make_trainer(tmp_path, saver=full).fit()
    assert "resume=True" not in str(e.value) and str(e.value).count("No space") == 1
