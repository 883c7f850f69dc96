"""``knowclip convert`` and ``knowclip interpolate`` on tiny models and a folder of scenes-like data."""

from __future__ import annotations

import json
import random
from pathlib import Path
from typing import Any

import pytest
import torch
import typer
from PIL import Image
from typer.testing import CliRunner

from knowclip.commands import convert, evaluate, interpolate, report
from knowclip.console.screen import Screen
from knowclip.export.open_clip import save_pretrained
from knowclip.models.loading.load import load
from tiny_models import CAPTIONS, make


def run(module: Any, *arguments: object) -> Any:
    app = typer.Typer()
    app.command()(module.command)
    return CliRunner().invoke(app, [str(argument) for argument in arguments])


@pytest.fixture
def validation(tmp_path: Path) -> Path:
    """120 images with captions and swaps in COCO's and ``knowclip negatives``' formats."""
    folder = tmp_path / "data"
    (folder / "images").mkdir(parents=True)
    draw = random.Random(0)
    images, annotations, negatives = [], [], []
    for i in range(120):
        name = f"{i:012d}.jpg"
        Image.new("RGB", (32, 32), (2 * i, 200 - i, draw.randrange(255))).save(folder / "images" / name)
        words = draw.sample(["red", "horse", "small", "astronaut", "house", "big", "blue"], 3)
        images.append({"id": i, "file_name": name})
        annotations.append({"id": i, "image_id": i, "caption": " ".join(words) + f" {i}"})
        negative = " ".join(reversed(words)) + f" {i}"
        negatives.append(
            {"caption": annotations[-1]["caption"], "negative": negative, "kind": "x", "changed": []}
        )
    (folder / "captions_val.json").write_text(json.dumps({"images": images, "annotations": annotations}))
    (folder / "negatives.jsonl").write_text("".join(json.dumps(line) + "\n" for line in negatives))
    return folder


def test_convert_both_ways(tmp_path: Path) -> None:
    model = make("vit_quickgelu", tmp_path)
    save_pretrained(model, tmp_path / "ours")
    there = run(convert, tmp_path / "ours", tmp_path / "hf", "--to", "transformers")
    back = run(convert, tmp_path / "hf", tmp_path / "again")
    assert (there.exit_code, back.exit_code) == (0, 0), (there.output, back.output)
    assert "Loading weights" not in there.output + back.output  # transformers' own bar
    assert "CLIPModel.from_pretrained" in there.stdout and "local-dir:" in back.stdout
    assert "transformers, its own preprocessing of a 640x427 picture: cosine distance" in there.stdout
    assert "open_clip, equal pixels and token ids: cosine distance" in back.stdout
    assert "transformers, its own tokenizer" in back.stdout  # of the folder that was converted
    with torch.no_grad():
        torch.testing.assert_close(
            load(tmp_path / "again").encode_text(CAPTIONS), model.encode_text(CAPTIONS), atol=1e-5, rtol=0
        )


def test_what_only_knowclip_loads_is_measured_too(tmp_path: Path) -> None:
    save_pretrained(make("timm_cnn_bert", tmp_path), tmp_path / "ours")
    done = run(convert, tmp_path / "ours", tmp_path / "again")
    assert done.exit_code == 0, done.output
    assert "stock open_clip cannot load its text tower" in done.stdout
    (line,) = [line for line in done.stdout.splitlines() if "equal pixels and token ids" in line]
    assert "knowclip, equal pixels and token ids: cosine distance 0.0e+00" in line or "e-1" in line


def test_the_help_of_convert_says_that_pixels_differ() -> None:
    told = " ".join(run(convert, "--help").output.replace("│", " ").split())
    assert "may differ (a centre crop one column apart" in told


@pytest.mark.slow
def test_convert_to_eight_bits_of_onnx_with_a_card(
    validation: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("KNOWCLIP_CACHE", str(tmp_path / "cache"))
    save_pretrained(make("vit_quickgelu", tmp_path), tmp_path / "model")
    save_pretrained(make("vit_quickgelu", tmp_path, seed=1), tmp_path / "other")
    measured = ["--data", validation, "--split", "val", "--suite", "swaps", "--out", tmp_path / "kept"]
    assert run(evaluate, tmp_path / "model", *measured).exit_code == 0
    options = ["--to", "onnx", "--int8", validation / "captions_val.json", "--results", tmp_path / "kept"]
    told = run(convert, tmp_path / "model", tmp_path / "onnx", *options)
    assert told.exit_code == 0, told.output or told.exception
    assert "onnxruntime, equal pixels and token ids: cosine distance" in told.stdout
    assert told.stdout.endswith("120 captions read = 120 kept\n")
    assert "int8, cost on 60 other pairs" in told.stdout and "int8, size:" in told.stdout
    card = (tmp_path / "onnx/README.md").read_text()
    assert 'library_name: "onnx"' in card and "- int8, text_to_image_R@1:" in card
    assert "before it was converted" in card and "(`swaps`)" in card
    foreign = run(convert, tmp_path / "other", tmp_path / "again", "--results", tmp_path / "kept")
    assert "evaluate this checkpoint first" in str(foreign.exception)
    assert not (tmp_path / "again").exists()  # before anything is written


def test_convert_refuses_eight_bits_of_another_format(tmp_path: Path) -> None:
    told = run(convert, "scenes-base", tmp_path / "out", "--int8", tmp_path)
    assert "--int8 is for --to onnx, got --to open_clip" in str(told.exception)


def test_captions_for_eight_bits_are_read_before_a_model_is_loaded(
    validation: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("knowclip.models.loading.load.load", lambda *_, **__: pytest.fail("loaded"))
    table = tmp_path / "own.csv"
    names = sorted(path.name for path in (validation / "images").iterdir())
    table.write_text(
        "".join(f"{line}\n" for line in ["Datei;Satz", *(f"{name};a dog" for name in names[:9])])
    )
    convert_it = ("scenes-base", tmp_path / "out", "--to", "onnx")
    assert "needs one image column" in str(run(convert, *convert_it, "--int8", table).exception)
    columns = ("--image-column", "Datei", "--caption-column", "Satz", "--images", validation / "images")
    told = run(convert, *convert_it, "--int8", table, *columns)
    assert "int8 needs at least 16 captioned images to take scales from, got 9" in str(told.exception)
    assert not (tmp_path / "out").exists()
    assert "--image-column Datei is of the captions that" in str(
        run(convert, *convert_it, *columns[:2]).exception
    )


def test_nothing_stands_of_a_folder_before_its_eight_bits_do(
    validation: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nor of one whose process is killed meanwhile: OUT appears when all of it is there."""
    seen = []

    def fail(model: object, out: Path, pairs: object) -> None:
        seen.append((out.is_dir(), (tmp_path / "out").exists()))
        raise ValueError("a tower is too large")

    monkeypatch.setattr("torch.onnx.export", lambda *_, **__: None)
    monkeypatch.setattr("knowclip.export.onnx_int8.quantize", fail)
    monkeypatch.setattr(convert, "_compare", lambda *_, **__: [])
    pairs = ("--int8", validation, "--split", "val")
    told = run(convert, "scenes-base", tmp_path / "out", "--to", "onnx", *pairs)
    assert "a tower is too large" in str(told.exception), told.output
    assert seen == [(True, False)]
    assert sorted(path.name for path in tmp_path.iterdir()) == [validation.name]


def test_convert_makes_a_folder_of_a_bare_file(tmp_path: Path) -> None:
    model = make("vit_quickgelu", tmp_path)
    (tmp_path / "tiny.json").write_text(json.dumps({"model_cfg": model.config}))
    torch.save(model.model.state_dict(), tmp_path / "w.pt")
    options = ["--architecture", tmp_path / "tiny.json", "--activation", "gelu"]
    told = run(convert, tmp_path / "w.pt", tmp_path / "out", *options)
    assert told.exit_code == 0, told.output
    loaded = load(tmp_path / "out")
    assert loaded.config["quick_gelu"] is False
    assert torch.equal(loaded.model.visual.proj, model.model.visual.proj)


def test_the_curve_reads_at_eighty_columns(capsys: pytest.CaptureFixture[str]) -> None:
    names = ["compositional", "general", "relation_to_image_and_back_again_R@1", "swaps_of_every_kind"]
    alphas = [number / 8 for number in range(9)]
    rows = [{"alpha": alpha, "metrics": dict.fromkeys(names, 1.0), "allowed": alpha < 1} for alpha in alphas]
    for table in interpolate._tables(rows, 0.375):
        Screen(width=80, force_terminal=False).print(table)
    shown = capsys.readouterr().out
    assert max(map(len, shown.splitlines())) <= 80 and "…" not in shown
    assert shown.count("100.0") == len(names) * len(alphas) and shown.count("yes") == 8
    for heading in ("%, by alpha", "0.375 *", "0.875", *names):
        assert heading in shown


def test_interpolate_refuses_what_own_photos_cannot_measure_before_it_loads_a_model(
    validation: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("knowclip.models.loading.load.load", lambda *_, **__: pytest.fail("loaded"))
    options = ["--data", validation / "captions_val.json", "--out", tmp_path / "out"]
    benchmarks = ["--benchmark", "image_to_text", "--benchmark", "text_to_image"]
    asked = ["--maximise", "compositional"]
    told = run(interpolate, "scenes-base", "scenes-base", *options, *benchmarks, *asked)
    assert "may name: general, image_to_text_R@1, text_to_image_R@1" in str(told.exception), told.output
    assert not (tmp_path / "out").exists()


def test_interpolate_reads_a_table_of_own_photos_by_the_columns_named(
    validation: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The columns reach the reader: what is refused is the split, of a table that they make readable."""
    monkeypatch.setattr("knowclip.models.loading.load.load", lambda *_, **__: pytest.fail("loaded"))
    name = next((validation / "images").iterdir()).name
    (tmp_path / "mine.csv").write_text(f"Datei,Was ich sehe,Teil\n{name},a red dog on a mat,train\n")
    columns = ["--image-column", "Datei", "--caption-column", "Was ich sehe", "--split-column", "Teil"]
    where = ["--data", tmp_path / "mine.csv", "--out", tmp_path / "out", "--images", validation / "images"]
    told = [
        str(run(interpolate, "scenes-base", "scenes-base", *where, *named).exception)
        for named in ([], columns, [*columns[:-1], "Part"])
    ]
    assert "Datei" in told[0] and "image_column=NAME" in told[0]
    assert "has no split 'val'; it has: train" in told[1]
    (tmp_path / "mine.csv").write_text(f"Datei,Was ich sehe\n{name},a red dog on a mat\n")
    asked = run(interpolate, "scenes-base", "scenes-base", *where, *columns[:4], "--split", "test")
    assert "so it has no split 'test'" in str(asked.exception)
    assert "Part" in told[2] and "Teil" in told[2]


def test_interpolate_takes_all_of_a_table_that_tells_no_splits(validation: Path, tmp_path: Path) -> None:
    names = sorted(path.name for path in (validation / "images").iterdir())[:4]
    (tmp_path / "mine.csv").write_text("image,caption\n" + "".join(f"{n},a red dog\n" for n in names))
    told = run(
        interpolate, "scenes-base", "scenes-base", "--data", tmp_path / "mine.csv", "--out", tmp_path / "out",
        "--images", validation / "images", "--alphas", "1", "--benchmark", "text_to_image",
    )  # fmt: skip
    assert told.exit_code == 0, told.output
    assert "mine.csv tells no splits: all of it is taken for validation" in told.stderr
    assert json.loads((tmp_path / "out/curve.json").read_text())["split"] == "all"


@pytest.mark.slow
def test_interpolate_saves_the_chosen_checkpoint_and_the_curve(validation: Path, tmp_path: Path) -> None:
    for seed, name in enumerate(("base", "tuned")):
        save_pretrained(make("vit_quickgelu", tmp_path, seed=seed), tmp_path / name)
    out = tmp_path / "wise"
    told = run(
        interpolate, tmp_path / "base", tmp_path / "tuned", "--data", validation, "--out", out,
        "--alphas", "0.5,1", "--benchmark", "swaps", "--benchmark", "text_to_image",
        "--require", "text_to_image_R@1 >= -100pt vs BASE",
    )  # fmt: skip
    assert told.exit_code == 0, told.output
    curve = json.loads((out / "curve.json").read_text())
    assert [row["alpha"] for row in curve["alphas"]] == [0.0, 0.5, 1.0]
    best = max(curve["alphas"], key=lambda row: (row["metrics"]["compositional"], -row["alpha"]))
    assert curve["chosen"] == best["alpha"]
    assert "highest compositional among those that meet text_to_image_R@1 >= -100pt" in curve["rule"]
    assert Image.open(out / "curve.png").width > 800
    chosen, base = (load(folder).model.state_dict() for folder in (out, tmp_path / "base"))
    same = torch.equal(chosen["text_projection"], base["text_projection"])
    assert same == (curve["chosen"] == 0.0)
    strangers = run(interpolate, "scenes-base", tmp_path / "tuned", "--data", validation, "--out", out)
    assert "weights can only be interpolated between a base" in str(strangers.exception)
    (out / "best/notes.txt").write_text("mine")
    again = run(interpolate, "scenes-base", tmp_path / "tuned", "--data", validation, "--out", out)
    assert "holds other files, which would be replaced (best/notes.txt)" in str(again.exception)


def test_the_model_card_is_written_for_the_measured_weights_only(
    validation: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("KNOWCLIP_CACHE", str(tmp_path / "cache"))
    for seed, name in enumerate(("model", "other")):
        save_pretrained(make("vit_quickgelu", tmp_path, seed=seed), tmp_path / name)
    options = ["--data", validation, "--split", "val", "--suite", "swaps", "--out", tmp_path / "kept"]
    assert run(evaluate, tmp_path / "model", *options).exit_code == 0
    page = ["--out", tmp_path / "page", "--card"]
    told = run(report, tmp_path / "kept", *page, tmp_path / "model")
    assert told.exit_code == 0, told.output
    card = (tmp_path / "model/README.md").read_text()
    assert "open_clip.create_model_and_transforms" in card and "| Swapped captions (`swaps`) | 120 |" in card
    wrong = run(report, tmp_path / "kept", *page, tmp_path / "other")
    assert "evaluate this checkpoint first" in str(wrong.exception)
    assert not (tmp_path / "other/README.md").exists()
