"""Training on shards of a bucket, with what was prepared, and on a saved data set: as on files here."""

from __future__ import annotations

import io
import json
import signal
import tarfile
from functools import partial
from pathlib import Path

import datasets
import fsspec
import pytest
from test_exact_resume import assert_same_state, log_of, train_until_killed

from bucket import bucket
from knowclip.build.trainer import build_trainer
from knowclip.data.captions.read import read_captions
from knowclip.data.prepared.engines import in_processes
from knowclip.data.prepared.prepare import prepare
from knowclip.knowledge.negatives.generate import SWAPS
from knowclip.knowledge.negatives.images import Making
from knowclip.recipe.load import load_recipe
from knowclip.training.loop import Trainer
from processes import exit_code


def packed(world: Path, folder: Path, *, shards: int = 4) -> Path:
    """The pairs of the tiny world in WebDataset shards, one after another."""
    folder.mkdir()
    examples = read_captions(world / "captions_train.json", images=world / "images").examples
    for shard in range(shards):
        with tarfile.open(folder / f"{shard:05d}.tar", "w") as tar:
            for number in range(shard, len(examples), shards):
                image, caption = examples[number].image.path.read_bytes(), examples[number].caption.encode()
                for ending, content in (("png", image), ("txt", caption)):
                    info = tarfile.TarInfo(f"{number:09d}.{ending}")
                    info.size = len(content)
                    tar.addfile(info, io.BytesIO(content))
    return folder


def prepared(world: Path, train: str, out: Path) -> Path:
    """Graphs and negatives of both parts, in two folders of one."""
    out.mkdir()
    making, engine = Making("spacy", SWAPS, False, 0), partial(in_processes, processes=1)
    for captions in (Path(train), world / "captions_val.json"):
        folder = out / captions.stem
        prepare(captions, folder, making=making, shard_size=10, column=None, engine=engine)
    return out


def trained(recipe: str, overrides: list[str], folder: Path) -> Trainer:
    trainer, _ = build_trainer(load_recipe(recipe, [*overrides, f"output.folder={folder}"]))
    folder.mkdir()
    trainer.fit()
    return trainer


@pytest.mark.slow
def test_sigkill_inside_an_epoch_of_streamed_shards(stand_in, world, tmp_path, monkeypatch) -> None:
    """Gone on with bit for bit, and bit for bit what the same shards give from the disk."""
    local = packed(world, tmp_path / "data")
    with bucket(monkeypatch) as url:
        fsspec.filesystem("s3").put(str(local), f"{url}/data", recursive=True)
        graphs = prepared(world, f"{url}/data", tmp_path / "graphs")
        common = [
            *stand_in, f"data.negatives={{graphs: {graphs}, per_caption: 2}}", "data.shard_window=2",
            "train.num_workers=1", "train.save_every=2", "train.log_every=1",
        ]  # fmt: skip
        streamed = [*common, f"data.train={{path: {url}/data}}", f"output.folder={tmp_path / 'killed'}"]
        assert exit_code(train_until_killed, "negclip", streamed, 5) == -signal.SIGKILL
        saved = json.loads((tmp_path / "killed/last/training.json").read_text())
        assert saved["step"] == 4  # the first of three of the second epoch
        resumed, _ = build_trainer(load_recipe("negclip", streamed))
        resumed.fit(resume=True)
    whole = trained("negclip", [*common, f"data.train={{path: {local}}}"], tmp_path / "whole")
    assert log_of(tmp_path / "killed") == log_of(tmp_path / "whole")
    assert_same_state(whole, resumed)


def test_a_saved_data_set_trains_as_its_files_do(stand_in, world, tmp_path) -> None:
    """``Dataset.save_to_disk`` with the images inside: the same losses, by negatives and order alike."""
    examples = read_captions(world / "captions_train.json", images=world / "images").examples
    columns = {"image": [str(e.image.path) for e in examples], "caption": [e.caption for e in examples]}
    data = datasets.Dataset.from_dict(columns).cast_column("image", datasets.Image())
    data.save_to_disk(tmp_path / "saved", num_shards=2)
    saved = [*stand_in, f"data.train={{path: {tmp_path / 'saved'}}}"]
    one = trained("negclip", stand_in, tmp_path / "files")
    other = trained("negclip", saved, tmp_path / "set")
    assert log_of(tmp_path / "set") == log_of(tmp_path / "files")
    assert_same_state(one, other)
