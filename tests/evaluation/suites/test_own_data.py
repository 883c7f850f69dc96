"""``evaluate --data photos.csv``: own photos; what of a suite is measured, and what is said of the rest."""

from __future__ import annotations

import dataclasses
import json
import shutil
from pathlib import Path
from typing import Any

import pytest
import torch
import typer
from PIL import Image
from typer.testing import CliRunner

import knowclip
from knowclip.api.benchmark_data import find
from knowclip.commands import compare, evaluate, report
from knowclip.evaluation.benchmarks import vsr
from knowclip.evaluation.benchmarks.swaps import BlindScored
from knowclip.evaluation.controls.refine import Item
from knowclip.evaluation.metrics import SMALL, small_left_out
from knowclip.evaluation.suites.folder import read_suite
from knowclip.evaluation.suites.own_data import read_own, sampled
from knowclip.types import Example, ImageRef, Negative

app = typer.Typer()
app.command()(evaluate.command)
ANIMALS, THINGS = ("dog", "cat", "horse", "cow"), ("bench", "boat", "hill", "sofa", "wall", "car")


@pytest.fixture
def flat(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, constant: Any) -> None:
    import knowclip.build.trainer  # what it imports must not be what is put in its place here
    import knowclip.models.loading.load

    constant.state_dict = lambda: {"weight": torch.tensor(1.0)}
    monkeypatch.setattr(knowclip.models.loading.load, "load", lambda name, *, device=None: constant)
    monkeypatch.setenv("KNOWCLIP_CACHE", str(tmp_path / "cache"))
    for name in ("flat", "runs/clip", "runs/negclip"):  # what is not there is refused before it is loaded
        (tmp_path / name / "best").mkdir(parents=True)
    monkeypatch.chdir(tmp_path)


@pytest.fixture(scope="module")
def photos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """24 captioned photos in a CSV without splits, one without its picture and one without a caption."""
    root = tmp_path_factory.mktemp("photos")
    lines = ["image,caption"]
    for number in range(24):
        name = f"photo {number}.jpg"
        animal, thing = ANIMALS[number % 4], THINGS[number % 6]
        Image.new("RGB", (16, 16), (9 * number, 0, 99)).save(root / name)
        lines.append(f"{name},A brown {animal} {number} chases a white bird behind a red {thing}.")
    (root / "photos.csv").write_text("\n".join([*lines, "photo 1.jpg,", "gone.jpg,A dog."]) + "\n")
    return root


def test_columns_of_one_s_own_making_and_a_folder_of_images_elsewhere(flat: None, photos: Path) -> None:
    table = (photos / "photos.csv").read_text().replace("image,caption", "bild,inhalt")
    Path("eigene.csv").write_text(table)
    arguments = ["flat", "--data", "eigene.csv", "--benchmark", "text_to_image", "--allow-missing"]
    run = CliRunner().invoke(app, arguments)
    assert "Name the right one: image_column=NAME" in str(run.exception)
    named = ["--image-column", "bild", "--caption-column", "inhalt", "--images", str(photos), "--out", "out"]
    run = CliRunner().invoke(app, [*arguments, *named])
    assert run.exit_code == 0, run.output
    assert "24 kept" in run.output


def test_python_takes_the_columns_that_the_command_takes(flat: None, photos: Path) -> None:
    lines = (photos / "photos.csv").read_text().replace("image,caption", "bild,inhalt").splitlines()
    Path("eigene.csv").write_text("\n".join([f"{lines[0]},teil", *(f"{line},x" for line in lines[1:13])]))
    named = {"image_column": "bild", "caption_column": "inhalt", "split_column": "teil", "images": photos}
    found = knowclip.evaluate("flat", "text_to_image", data="eigene.csv", split="x", **named)
    assert found["text_to_image"].n == 12
    options = typer.main.get_command(app).params
    missing = {option.name for option in options if option.name.endswith("_column")} - named.keys()
    assert missing == set()


def test_a_csv_gives_retrieval_and_swaps_in_one_command(flat: None, photos: Path) -> None:
    arguments = ["flat", "--data", str(photos / "photos.csv"), "--allow-missing", "--out", "out"]
    run = CliRunner().invoke(app, arguments)
    assert run.exit_code == 0, run.output
    summary = json.loads(Path("out/results.json").read_text())
    assert list(summary["benchmarks"]) == ["image_to_text", "text_to_image", "swaps"]
    assert "image_to_text: 26 records read = 24 kept + 2 skipped" in run.stderr
    assert "image not found: 1" in run.stderr and "empty caption: 1" in run.stderr
    assert "no text-only control" not in run.stderr
    assert "R@5" in run.stdout and max(map(len, run.stdout.splitlines())) <= 80
    swaps = summary["benchmarks"]["swaps"]["methods"]["flat"]
    assert swaps["details"]["text_only"]["strongest"] in ("ngram", "classifier")
    assert "out/flat" in str(next(Path("out").rglob("swaps@*.parquet")))
    page = Path("out/report.html").read_text()
    assert "Image-to-text retrieval, case by case" in page and page.count("data:image/jpeg") > 5


def test_a_folder_of_captions_without_splits_is_measured_whole(photos: Path) -> None:
    found, absent = read_own(photos, names=["image_to_text"], allow_missing=True)
    assert len(found[0].examples) == 24 and not absent  # type: ignore[attr-defined]
    found, _ = read_own(photos / "photos.csv", names=["swaps"], allow_missing=True)
    assert isinstance(found[0], BlindScored) and found[0].blind and len(found[0].cases) > 24
    with pytest.raises(ValueError, match=r"measured by image_to_text, .*, not by valse"):
        read_own(photos, names=["valse"])
    with pytest.raises(ValueError, match="no split"):
        read_own(photos / "photos.csv", split="val", allow_missing=True)


def test_kinds_of_few_items_are_left_out_and_said(flat: None, photos: Path) -> None:
    assert small_left_out(["a"] * 172 + ["b"] * 3) == SMALL and small_left_out(["a"] * 4 + ["b"] * 3) == 1
    lines = []
    for kind, count in (("relation_swap", 12), ("attribute_swap", 3)):
        for number in range(count):
            record = {"key": f"{kind}{number}", "image_id": str(number), "image": f"photo {number}.jpg"}
            record |= {"caption": f"right {kind} {number}", "negative": f"wrong {number}", "kind": kind}
            lines.append(json.dumps(record | {"blind": {"ngram": [0, 1], "classifier": [1, 0]}}))
    folder = Path("test")
    shutil.copytree(photos, folder)
    (folder / "photos.csv").unlink()
    (folder / "swaps.jsonl").write_text("\n".join(lines) + "\n")
    (benchmark,), _ = read_suite(folder, names=["swaps"])
    assert benchmark.grade([1.0] * 12 + [0.0] * 3, [0.5] * 15).metrics == {  # type: ignore[attr-defined]
        "swaps": 1.0,
        "swaps_macro": 1.0,
        "swaps_micro": 0.8,
    }
    run = CliRunner().invoke(app, ["flat", "--data", str(folder), "--benchmark", "swaps"])
    assert run.exit_code == 0, run.output
    assert "not in the mean over groups: attribute_swap: 3" in run.stderr
    assert "no text-only control" not in run.stderr


def test_the_rest_is_measured_and_what_is_missing_said(
    flat: None, official_folder: Path, tmp_path: Path
) -> None:
    shutil.copytree(official_folder / "valse", tmp_path / "data/valse")
    shutil.copytree(official_folder / "vsr", tmp_path / "data/vsr")
    shutil.copytree(official_folder / "coco/val2017", tmp_path / "data/vsr/images")
    chosen = ["--suite", "sugarcrepe", "--suite", "valse", "--suite", "vsr"]
    run = CliRunner().invoke(app, ["flat", "--data", "data", *chosen, "--allow-missing", "--out", "out"])
    assert run.exit_code == 4, run.output
    assert list(json.loads(Path("out/results.json").read_text())["benchmarks"]) == ["vsr"]
    assert "valse: no data: valse: none of 66 records can be measured" in run.stderr
    assert "image not found: 55" in run.stderr and "000000000001.jpg" in run.stderr
    assert "sugarcrepe, sugarcrepe_pp, sugarcrepe_pp_text: no files of theirs are there" in run.stderr


def test_nothing_to_measure_names_the_nearest_only(flat: None, photos: Path, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    run = CliRunner().invoke(app, ["flat", "--data", "empty"])
    assert len(str(run.exception)) < 300, str(run.exception)
    (tmp_path / "data" / "valse").mkdir(parents=True)
    (tmp_path / "data" / "valse" / "existence.json").write_text("{}")
    run = CliRunner().invoke(app, ["flat", "--data", "data"])
    assert "valse: 1 of its 11 pieces" in str(run.exception) and len(str(run.exception)) < 600
    run = CliRunner().invoke(app, ["flat", "--data", "nowhere.csv"])
    assert "nowhere.csv does not exist" in str(run.exception)
    run = CliRunner().invoke(app, ["flat", "--data", "data", "--suite", "vals"])
    assert "Did you mean 'valse'" in str(run.exception)


def test_unreadable_pictures_of_one_benchmark_do_not_stop_the_others(
    flat: None, official_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, constant: Any
) -> None:
    encode = constant.encode_image

    def opened(images: list[Any], *, normalize: bool = False) -> torch.Tensor:
        for ref in images:
            Image.open(ref.path).load()
        return encode(images, normalize=normalize)

    constant.encode_image = opened
    for name in ("vsr", "coco"):
        shutil.copytree(official_folder / name, tmp_path / "data" / name)
    broken = tmp_path / "data" / "vsr" / "images"
    shutil.copytree(official_folder / "coco/val2017", broken)
    for path in list(broken.iterdir())[:2]:
        path.write_bytes(b"\xff\xd8 cut short")
    monkeypatch.setattr(vsr, "VSR", dataclasses.replace(vsr.VSR, n=18))
    names = ["--benchmark", "vsr", "--benchmark", "image_to_text"]
    (tmp_path / "data" / "captions_test.json").write_text(
        json.dumps(
            {
                "images": [{"id": i, "file_name": f"coco/val2017/{i:012d}.jpg"} for i in range(6)],
                "annotations": [{"image_id": i, "caption": f"picture {i}"} for i in range(6)],
            }
        )
    )
    run = CliRunner().invoke(app, ["flat", "--data", "data", *names, "--out", "out"])
    assert run.exit_code == 4, run.output
    assert list(json.loads(Path("out/results.json").read_text())["benchmarks"]) == ["image_to_text"]
    assert "vsr: no data: 2 of 6 images are missing or unreadable" in run.stderr


def test_two_models_are_compared_by_name(flat: None, photos: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import knowclip.models.loading.load

    class Names:
        """Tells every picture from every other by its file."""

        def __init__(self, seed: int) -> None:
            self.state_dict = lambda: {"weight": torch.tensor(float(seed))}
            self.seed = seed

        def rows(self, names: list[str]) -> torch.Tensor:
            seeds = [sum(name.encode()) * 7 + self.seed for name in names]
            made = [torch.randn(16, generator=torch.Generator().manual_seed(seed)) for seed in seeds]
            return torch.nn.functional.normalize(torch.stack(made), dim=1)

        def encode_image(self, images: list[Any], *, normalize: bool = False) -> torch.Tensor:
            return self.rows([str(ref.path.name) for ref in images])

        def encode_text(self, texts: list[str], *, normalize: bool = False) -> torch.Tensor:
            return self.rows(texts)

    models = {"runs/clip": Names(1), "runs/negclip": Names(2)}
    monkeypatch.setattr(knowclip.models.loading.load, "load", lambda name, *, device=None: models[name])
    data = ["--data", str(photos / "photos.csv"), "--benchmark", "image_to_text", "--allow-missing"]
    run = CliRunner().invoke(app, ["runs/negclip", *data, "--baseline", "runs/clip", "--out", "E"])
    assert run.exit_code == 0, run.output
    assert max(map(len, run.stdout.splitlines())) <= 80
    comparing = typer.Typer()
    comparing.command()(compare.command)
    told = [
        json.loads(CliRunner().invoke(comparing, [*folders, "--json"]).stdout)
        for folders in (["E/negclip", "E/clip"], ["E"])
    ]
    assert told[0] == told[1] and (told[0]["a"], told[0]["b"]) == ("runs/negclip", "runs/clip")
    wrong = CliRunner().invoke(comparing, ["E/clip", "E/nothing"])
    assert "E/nothing holds no results; name one of" in str(wrong.exception)


@pytest.fixture
def many(tmp_path: Path) -> Path:
    """200 photos with negatives of their own, two of them broken; two other captions have no negative."""
    folder = tmp_path / "many"
    folder.mkdir()
    lines = ["image,caption,neg_caption"]
    for number in range(200):
        name = f"{number}.jpg"
        Image.new("RGB", (16, 16), (number, 0, 99)).save(folder / name)
        lines.append(
            f"{name},dog {number} left of cat,{'' if number in (3, 4) else f'cat left of dog {number}'}"
        )
    for number in (7, 8):
        (folder / f"{number}.jpg").write_bytes(b"no image")
    (folder / "photos.csv").write_text("\n".join(lines) + "\n")
    return folder / "photos.csv"


def test_a_few_broken_photos_are_left_out_of_every_task_alike(flat: None, many: Path) -> None:
    run = CliRunner().invoke(app, ["flat", "--data", str(many), "--out", "out"])
    assert run.exit_code == 0, run.output
    for line in (
        "image_to_text: 200 records read = 198 kept",
        "text_to_image: 200 records read = 198 kept",
        "swaps: 200 captions read = 196 kept",
    ):
        assert line in run.stderr
    assert run.stderr.count("unreadable image: 2") == 3
    assert f"skipped: image {many.parent / '7.jpg'} cannot be decoded" in run.stderr
    assert "mean over given (196)" in run.stderr
    (many.parent / "9.jpg").write_bytes(b"")
    run = CliRunner().invoke(app, ["flat", "--data", str(many)])
    assert "3 of 200 images are unreadable, more than 1%" in str(run.exception)
    assert "or pass --allow-missing" in str(run.exception)
    run = CliRunner().invoke(app, ["flat", "--data", str(many), "--allow-missing"])
    assert run.exit_code == 0 and "200 records read = 197 kept" in run.stderr


def test_a_task_of_own_photos_that_is_not_measured_is_told_also_by_a_later_report(
    flat: None, photos: Path
) -> None:
    shutil.copytree(photos, "names")
    lines = (photos / "photos.csv").read_text().splitlines()
    named = [f"{line.split(',')[0]},wow" for line in lines[1:25]]
    Path("names/photos.csv").write_text("\n".join(["image,caption", *named]) + "\n")
    run = CliRunner().invoke(app, ["flat", "--data", "names/photos.csv", "--out", "out"])
    assert run.exit_code == 4, run.output
    assert "expected and not measured (see above): swaps" in run.stderr
    asked = ["--suite", "image_to_text", "--suite", "text_to_image"]
    assert CliRunner().invoke(app, ["flat", "--data", "names/photos.csv", *asked]).exit_code == 0
    reporting = typer.Typer()
    reporting.command()(report.command)
    told = CliRunner().invoke(reporting, ["out", "--out", "later"])
    assert told.exit_code == 0, told.output
    assert "swaps: no data: " in told.stderr
    for name in ("report.md", "report.html"):
        assert "no data: " in Path(f"later/{name}").read_text()


def test_swaps_are_drawn_alike_and_keep_their_kinds() -> None:
    def item(number: int, kind: str) -> Item:
        example = Example(f"{number}#0", f"{number}", ImageRef(Path(f"{number}.jpg")), f"caption {number}")
        return Item(example, Negative(f"false {number}", kind), {})

    items = [item(number, "rare" if number % 100 == 0 else "common") for number in range(1200)]
    chosen = sampled(items, 200)
    assert len(chosen) == len(set(chosen)) == 200 and chosen == sorted(chosen)
    assert sum(items[index].negative.kind == "rare" for index in chosen) >= SMALL
    assert [items[i].example.key for i in chosen] == [
        items[::-1][i].example.key for i in sorted(sampled(items[::-1], 200), reverse=True)
    ]
    assert sampled(items, 0) == sampled(items, 1200) == list(range(1200))


def test_fewer_swaps_than_there_are_is_said(flat: None, many: Path) -> None:
    (found, *_), _ = read_own(many, names=["swaps"], swap_items=50)
    assert len(found.cases) == 50  # type: ignore[attr-defined]
    run = CliRunner().invoke(app, ["flat", "--data", str(many), "--swap-items", "60"])
    assert run.exit_code == 0, run.output
    assert "60 of 196 items, the same ones each time (--swap-items 0: all)" in run.stderr


def test_a_folder_of_photos_is_measured_as_their_captions_file_is(flat: None, many: Path) -> None:
    header, *lines = many.read_text().splitlines()
    lines = [f"{line},{'test' if number < 150 else 'train'}" for number, line in enumerate(lines)]
    many.write_text("\n".join([f"{header},split", *lines]) + "\n")
    found, absent = find(many.parent, [], None, allow_missing=True)
    assert [benchmark.card.name for benchmark in found] == ["image_to_text", "text_to_image", "swaps"]
    assert not absent and len(found[0].examples) == 198  # type: ignore[attr-defined]


def test_all_rows_are_measured_unless_a_split_is_named_and_both_are_told(flat: None, photos: Path) -> None:
    header, *lines = (photos / "photos.csv").read_text().splitlines()[:25]
    rows = [f"{line},{'test' if number < 9 else 'train'}" for number, line in enumerate(lines)]
    for column in ("split", "Teil"):
        Path("mine.csv").write_text("\n".join([f"{header},{column}", *rows]))
        named = [] if column == "split" else ["--split-column", column]
        arguments = [
            "flat",
            "--data",
            "mine.csv",
            "--images",
            str(photos),
            "--benchmark",
            "image_to_text",
            "--out",
            "out",
            *named,
        ]
        run = CliRunner().invoke(app, arguments)
        assert "24 records read = 24 kept; all splits" in run.stderr, run.output
        assert json.loads(Path("out/results.json").read_text())["split"] == "all splits"
        run = CliRunner().invoke(app, [*arguments, "--split", "test"])
        assert "9 records read = 9 kept; split 'test'" in run.stderr, run.output
        assert json.loads(Path("out/results.json").read_text())["split"] == "test"
    found = knowclip.evaluate("flat", "image_to_text", data="mine.csv", images=photos, split_column="Teil")
    assert found["image_to_text"].n == 24 and found["image_to_text"].details["split"] == "all splits"
