"""Photos that a run kept out are a table of their own; measuring it on those it has seen is told."""

from __future__ import annotations

import csv
import json
import shutil
import warnings
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import knowclip
from knowclip.api.trained_on import HELD_OUT, seen, write_held_out
from knowclip.commands.train import command as train
from knowclip.data.captions.read import read_captions
from knowclip.types import Example, ImageRef, Negative

ARCHITECTURE = {
    "model_cfg": {
        "embed_dim": 8,
        "vision_cfg": {"image_size": 16, "layers": 1, "width": 16, "head_width": 8, "patch_size": 8},
        "text_cfg": {"context_length": 24, "vocab_size": 49408, "width": 16, "heads": 2, "layers": 1},
    }
}


@pytest.fixture(scope="module")
def photos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("own photos")
    random, lines = np.random.default_rng(0), ["photo,caption"]
    for number in range(12):
        picture = Image.fromarray(random.integers(0, 256, (24, 24, 3), dtype=np.uint8))
        picture.save(folder / f"a photo {number}.png")
        lines += [f'a photo {number}.png,"dog {number}, {view}"' for view in ("near", "far")]
    (folder / "captions.csv").write_text("\n".join(lines))
    (folder / "tiny.json").write_text(json.dumps(ARCHITECTURE))
    return folder


@pytest.fixture(scope="module")
def run(photos: Path) -> Path:
    """A run of two steps that keeps four photos out, through the command."""
    overrides = {
        "model": f"{{name: {photos / 'tiny.json'}, pretrained: null}}",
        "data.train": f"{{path: {photos / 'captions.csv'}}}",
        "data.val": "null",
        "data.val_images": 4,
        "selection": "{metrics: [text_to_image_R@1]}",
        "train": "{steps: 2, epochs: null, batch_size: 8, num_workers: 0, precision: fp32}",
        "output.folder": photos / "run",
    }
    train("clip", [f"{key}={value}" for key, value in overrides.items()])
    return photos / "run"


def test_the_photos_held_out_are_a_table_that_names_itself(
    run: Path, photos: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    held = read_captions(run / HELD_OUT).examples
    assert len(held) == 8 and len({example.image_id for example in held}) == 4
    both = {example.caption for example in held}
    assert both <= {f"dog {number}, {view}" for number in range(12) for view in ("near", "far")}
    train(str(run / "recipe.yaml"), ["train.steps=3"], resume=True)
    told = capsys.readouterr().err
    assert f"knowclip evaluate '{run}' --data '{run / HELD_OUT}'" in told.replace("\n", "")


def test_negatives_that_were_made_for_validation_are_none_of_the_photos_held_out(tmp_path: Path) -> None:
    """``evaluate`` makes its own of every kind; those that a caption brought are the caption's."""
    image = ImageRef(tmp_path / "1.png")
    made, given = Negative("a cat", "object_replacement"), Negative("a bird", "given")
    write_held_out(tmp_path, [Example("1", "1", image, "a dog", negatives=(made,))])
    assert (tmp_path / HELD_OUT).read_text().splitlines()[0] == "image,caption"
    write_held_out(tmp_path, [Example("1", "1", image, "a dog", negatives=(made, given))])
    (line,) = csv.DictReader((tmp_path / HELD_OUT).open())
    assert json.loads(line["neg_caption"]) == ["a bird"]


def test_regions_are_no_table(run: Path, tmp_path: Path) -> None:
    region = Example("1", "1", ImageRef(tmp_path / "1.png", (0, 0, 4, 4)), "a dog")
    write_held_out(tmp_path, [region])
    assert not (tmp_path / HELD_OUT).exists()


@pytest.mark.parametrize("part", ["", "best", "last"])
def test_photos_it_was_trained_on_are_told_wherever_they_lie(
    run: Path, photos: Path, tmp_path: Path, part: str
) -> None:
    moved = shutil.copytree(photos, tmp_path / "moved", ignore=shutil.ignore_patterns("run"))
    refs = [ImageRef(path) for path in sorted(moved.glob("*.png"))]
    told = seen(run / part, [*refs, *refs])
    assert told is not None and "trained on 8 of these 12 images" in told and str(run / HELD_OUT) in told
    held = [example.image for example in read_captions(run / HELD_OUT).examples]
    assert seen(run / part, held) is None


def test_what_is_no_run_is_said_nothing_of(photos: Path) -> None:
    assert seen("scenes-base", [ImageRef(photos / "a photo 1.png")]) is None


def test_evaluate_tells_of_photos_that_the_run_has_seen(run: Path, photos: Path, tmp_path: Path) -> None:
    with pytest.warns(UserWarning, match="trained on 8 of these 12 images"):
        knowclip.evaluate(run, "text_to_image", data=photos / "captions.csv", out=tmp_path / "all")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        knowclip.evaluate(run, "text_to_image", data=run / HELD_OUT, out=tmp_path / "held")


def test_a_loaded_run_is_told_of_as_its_folder_is(run: Path, photos: Path) -> None:
    told = r"run was trained on 8 of these 12 images, .*--data '.*held_out\.csv' has"
    with pytest.warns(UserWarning, match=told):
        knowclip.evaluate(knowclip.load(run), "text_to_image", data=photos / "captions.csv")
