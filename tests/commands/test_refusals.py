"""Cheap mistakes of every command are told before anything heavy is imported, with what to do."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner

from knowclip.cli import build_app
from knowclip.preflight.models import check_model
from knowclip.recipe.load import load_recipe

HEAVY = (
    "torch", "spacy", "transformers", "open_clip", "timm", "accelerate", "matplotlib", "pandas", "pyarrow",
    "sklearn", "duckdb", "datasets",
)  # fmt: skip

SCRIPT = """
import json, sys
from knowclip.cli import build_app
told = []
app = build_app()
for arguments in json.loads(sys.argv[1]):
    try:
        app(arguments, standalone_mode=False)
        told.append("nothing was refused")
    except Exception as error:
        told.append(getattr(error, "message", None) or str(error))
    loaded = [m for m in json.loads(sys.argv[2]) if m in sys.modules]
    if loaded:
        told[-1] += f" (after importing {loaded})"
print("\\n" + json.dumps(told))
"""

TRAIN = ["train", "clip", "data.train.path=pairs.csv", "data.val.path=pairs.csv"]
RANDOM = [*TRAIN, "model.pretrained=random", "train.batch_size=2"]
GOOD = [*RANDOM, "schedule.warmup=1"]

CASES: dict[str, tuple[list[str], str]] = {
    "a key that does not exist": (["train", "clip", "with.a.typo=1"], "unknown key 'with'"),
    "an option in place of a key": (["train", "clip", "--data", "pairs.csv"], "as in data.train.path="),
    "an option before the recipe": (["train", "--batch-size", "4", "clip"], "no such option: --batch-size"),
    "an option of a demo": (["demo", "--lr", "1"], "no such option: --lr (--help lists them)"),
    "an option of a study": (["ablate", "scenes-joint", "--seeds", "3"], "no such option: --seeds"),
    "a recipe that does not exist": (["train", "klip"], "did you mean 'clip'?"),
    "data that are not there": (
        ["train", "clip", "data.train.path=pears.csv"],
        "data.train.path pears.csv does not exist; did you mean pairs.csv?",
    ),
    "data of a recipe that are not there": (
        ["train", "flickr8k-negclip"],
        "has no 'flickr8k'): give your own, as data.train.path=YOUR.csv",
    ),
    "more images held out than there are": (
        [*GOOD, "data.val=null", "data.val_images=200"],
        "data.val_images=200 holds out more than the 4 images to train on: hold out fewer",
    ),
    "all images held out": (
        [*GOOD, "data.val=null", "data.val_images=4"],
        "data.val_images=4 holds out all of the 4 images to train on",
    ),
    "a batch larger than what is not held out": (
        [*GOOD, "data.val=null", "data.val_images=3", "data.captions_per_image=one"],
        "1 image of an epoch, each with one of its captions (data.captions_per_image), 3 images being held",
    ),
    "a column that is not there": (
        [*TRAIN, "data.train.caption_column=words", "model.pretrained=random"],
        "'words'",
    ),
    "an architecture with a typo": ([*TRAIN, "model.name=ViT-B-33"], "did you mean ViT-B-32"),
    "the same photos to learn from and to be judged by": (GOOD, "as with data.val=null data.val_images=200"),
    "weights that no one names": (
        [*TRAIN, "model.pretrained=null"],
        "model.name=ViT-B-32 needs weights: set model.pretrained=TAG",
    ),
    "a file of weights that is not there": (
        [*TRAIN, "model.pretrained=weights.pt"],
        "no such file of weights",
    ),
    "towers with weights of their own": (
        [*TRAIN, "model.name=lite0-minilm"],
        "set model.pretrained=null",
    ),
    "a checkpoint and a tag": ([*TRAIN, "model.name=run"], "run has weights of its own"),
    "an output that is a file": ([*GOOD, "output.folder=pairs.csv"], "output.folder pairs.csv is a file"),
    "an output below a file": ([*GOOD, "output.folder=pairs.csv/run"], "cannot be written"),
    "a warm-up as long as the steps": (
        [*RANDOM, "schedule.warmup=50", "train.steps=50", "train.epochs=null"],
        "schedule.warmup is 50 steps and the run has 50",
    ),
    "a warm-up longer than the epochs": (
        [*RANDOM, "schedule.warmup=50", "train.epochs=3"],
        "schedule.warmup is 50 steps and the run has 6",
    ),
    "a warm-up that is neither steps nor a share": (
        [*RANDOM, "schedule.warmup=1.5"],
        "1.5 is neither a whole number of optimiser steps nor a share below 1",
    ),
    "a metric that validation does not give": (
        [*GOOD, "selection.metrics=[text_to_image_R1]"],
        "selection.metrics has 'text_to_image_R1'; did you mean 'text_to_image_R@1'?",
    ),
    "a metric of a method that it is not": (
        [*GOOD, "selection.metrics=[with_kee_swaps]"],
        "selection.metrics has 'with_kee_swaps'; ",
    ),
    "batches larger than the data": (
        [*GOOD, "train.batch_size=5"],
        "train.batch_size=5 is more than the 4 pairs of an epoch",
    ),
    "nothing to resume": ([*GOOD, "--resume", "output.folder=new"], "nothing to resume"),
    "a parser that does not exist": (
        [*GOOD, "method.name=negclip", "data.negatives={per_caption: 1, parser: stanza}"],
        "unknown parser 'stanza'",
    ),
    "a kind of negative that does not exist": (
        [*GOOD, "method.name=negclip", "data.negatives={per_caption: 1, kinds: [relation_swop]}"],
        "did you mean 'relation_swap'?",
    ),
    "a graph that is not there": (
        ["train", "knowledge-clip", *TRAIN[2:], "data.graph.path=KG"],
        "data.graph.path KG does not exist",
    ),
    "a demo shorter than its warm-up": (
        ["demo", "train.steps=8", "schedule.warmup=20"],
        "schedule.warmup is 20 steps and the run has 8",
    ),
    "a switch in place of a project": (
        [*GOOD, "output.wandb=true"],
        "output.wandb: got True; give the name of the project to log to",
    ),
    "a demo with a typo": (["demo", "train.stops=8"], "did you mean 'steps'?"),
    "a demo below a file": (["demo", "--out", "pairs.csv/demo"], "cannot be written"),
    "scenes over other things": (
        ["scenes", "run"],
        "holds other files, which would be replaced (notes.txt): choose another folder, such as run-new",
    ),
    "a graph over other things": (
        ["graph", "import", "concepts", "--out", "run"],
        "run: is there already, and no graph: choose another folder, such as run-new",
    ),
    "a folder of models in place of one": (
        ["evaluate", "models", "--data", "pairs.csv"],
        "no folder 'best' that does: give one of the models in it, models/mine",
    ),
    "another command's folder in place of a model": (
        ["evaluate", "exported", "--data", "pairs.csv"],
        "no folder 'best' that does; it is the folder of an ONNX export (onnx_config.json), no model",
    ),
    "a benchmark's files that are not there": (
        ["evaluate", "trained", "--data", "published", "--benchmark", "sugarcrepe"],
        "has no 'published'): `knowclip data sugarcrepe --out published` gets files of that name",
    ),
    "a search in a run": (
        ["search", "trained", "a dog"],
        "it is a model, with which `knowclip index PHOTOS --model trained --out trained.index` makes one",
    ),
    "an export over a run": (["convert", "scenes-base", "run"], "OUT run holds other files"),
    "an interpolation over a run": (
        ["interpolate", "scenes-base", "scenes-base", "--data", "pairs.csv", "--out", "run"],
        "--out run holds other files",
    ),
    "results in a training's folder": (
        ["evaluate", "scenes-base", "--data", "pairs.csv", "--out", "trained"],
        "is the folder of a training (recipe.yaml): choose another folder, such as trained-results",
    ),
    "a diagnosis in a training's folder": (
        ["diagnose", "scenes-base", "--data", "pairs.csv", "--out", "trained"],
        "is the folder of a training",
    ),
    "a task in a training's folder": (
        ["task", "vqa", "scenes-base", "--data", "run", "--out", "trained"],
        "is the folder of a training",
    ),
    "a test in a training's folder": (["swaps", "pairs.csv", "--out", "trained"], "the folder of a training"),
    "a report in a training's folder": (["report", "run", "--out", "trained"], "the folder of a training"),
    "links in a training's folder": (
        ["link-prediction", "frequency", "run", "--out", "trained"],
        "is the folder of a training",
    ),
    "results among files of one's own": (
        ["evaluate", "scenes-base", "--data", "pairs.csv", "--out", "run"],
        "--out run is no folder of results: it holds other files (notes.txt): choose another folder",
    ),
    "a report among them": (["report", "photos", "--out", "run"], "run is no folder of results"),
    "a task among them": (["task", "vqa", "scenes-base", "--data", "run", "--out", "run"], "it holds other"),
    "a test among them": (["swaps", "pairs.csv", "--out", "run"], "run is no folder of results"),
    "links among them": (["link-prediction", "frequency", "run", "--out", "run"], "it holds other files"),
    "a diagnosis among them": (
        ["diagnose", "scenes-base", "--data", "pairs.csv", "--out", "run"],
        "run is no folder of results",
    ),
    "an index over other things": (
        ["index", "run", "--out", "run", "--model", "scenes-base"],
        "--out run holds other files (notes.txt): choose another folder, such as run-new",
    ),
    "prepared captions over others": (["prepare", "pairs.csv", "--out", "run"], "run holds other files"),
    "a convolutional CLIP as a sentence transformer": (
        ["convert", "scenes-base", "out", "--to", "sentence-transformers"],
        "CLIPModel cannot express vision_cfg.layers=[1, 1, 1, 1]",
    ),
    "two towers as a sentence transformer": (
        ["convert", "lite0-minilm", "out", "--to", "sentence-transformers"],
        "Export to onnx instead, or to open_clip for knowclip.load alone",
    ),
    "two towers in transformers": (
        ["convert", "lite0-minilm", "out", "--to", "transformers"],
        "VisionTextDualEncoderModel cannot express an image head",
    ),
    "a run in transformers": (
        ["convert", "trained", "out", "--to", "transformers"],
        "CLIPModel cannot express vision_cfg.layers=[3, 4, 6, 3]",
    ),
    "a ResNet in transformers": (
        ["convert", "RN50/openai", "out", "--to", "transformers"],
        "CLIPModel cannot express vision_cfg.layers=[3, 4, 6, 3]",
    ),
    "drawings over a run": (["graph", "drawings", "run"], "OUT run holds other files"),
    "graphs over their captions": (["parse", "pairs.csv", "--out", "pairs.csv"], "pairs.csv is what is read"),
    "negatives over their captions": (["negatives", "pairs.csv", "--out", "./pairs.csv"], "is what is read"),
    "a page over its captions": (["negatives", "pairs.csv", "--html", "pairs.csv"], "is what is read"),
    "a choice over its captions": (["select", "pairs.csv", "--out", "pairs.csv"], "is what is read"),
    "mined negatives over their captions": (
        ["mine", "pairs.csv", "--model", "scenes-base", "--out", "pairs.csv"],
        "is what is read",
    ),
    "graphs over a photo": (
        ["parse", "pairs.csv", "--out", "0.jpg"],
        "--out 0.jpg is there, and is not what is written (.jsonl): choose another name, such as 0.jsonl",
    ),
    "graphs over a table": (["parse", "pairs.csv", "--out", "wichtig.csv"], "such as wichtig.jsonl"),
    "negatives over a photo": (["negatives", "pairs.csv", "--out", "0.jpg"], "written (.jsonl): choose"),
    "a page over a table": (
        ["negatives", "pairs.csv", "--html", "wichtig.csv"],
        "--html wichtig.csv is there, and is not what is written (.html, .htm): choose another name",
    ),
    "a choice over a photo": (["select", "pairs.csv", "--out", "0.jpg"], "is not what is written (.csv)"),
    "mined negatives over a photo": (
        ["mine", "pairs.csv", "--model", "scenes-base", "--out", "0.jpg"],
        "is not what is written (.csv)",
    ),
    "a drawing over a photo": (
        ["graph", "show", "run", "dog", "--picture", "foto.png"],
        "is there, and is no drawing of knowclip's: choose another name, such as foto-graph.png",
    ),
    "a plot over a photo": (["graph", "stats", "run", "--plot", "foto.png"], "is no drawing of knowclip's"),
    "a plot as a photo": (["graph", "stats", "run", "--plot", "0.jpg"], "are written as .png, .svg or .pdf"),
    "scenes below a file": (["scenes", "pairs.csv/scenes"], "cannot be written"),
    "a study with a typo": (["ablate", "scenes-structur"], "did you mean 'scenes-structure'?"),
    "a study without its data": (["ablate", "scenes-structure", "output=out"], "does not exist"),
    "a task of a study on a file": (
        ["ablate", "study.yaml"],
        "data pairs.csv is a file, and a folder is wanted: give one that holds it",
    ),
    "a seed that the study has not": (["ablate", "scenes-structure", "--seed", "7"], "seed 7 is none of"),
    "audit of what is not there": (["audit", "nowhere", "run"], "TRAIN nowhere does not exist"),
    "captions that are not there": (
        ["parse", "pears.csv"],
        "CAPTIONS pears.csv does not exist; did you mean pairs.csv?",
    ),
    "captions of a column that is not there": (["parse", "pairs.csv", "--column", "words"], "'words'"),
    "a spaCy pipeline that is not there": (
        ["parse", "pairs.csv", "--parser", "spacy:en_core"],
        "spacy download en_core",
    ),
    "graphs into a folder": (["parse", "pairs.csv", "--out", "run"], "--out run is a folder"),
    "negatives of an unknown kind": (
        ["negatives", "pairs.csv", "--kind", "relation_swops"],
        "did you mean 'relation_swap'?",
    ),
    "negatives of a column that is not there": (["negatives", "pairs.csv", "--column", "words"], "'words'"),
    "negatives by no parser": (["negatives", "pairs.csv", "--parser", "stanza"], "unknown parser 'stanza'"),
    "a page below a file": (["negatives", "pairs.csv", "--html", "pairs.csv/page"], "--html pairs.csv/page"),
    "swaps of nothing": (["swaps", "pears", "--out", "test"], "FOLDER pears does not exist"),
    "swaps below a file": (["swaps", "pairs.csv", "--out", "pairs.csv/x"], "cannot be written"),
    "swaps of an unknown split": (
        ["swaps", "pairs.csv", "--out", "test", "--split", "dev"],
        "no column 'split'",
    ),
    "a selection without a benchmark": (
        ["select", "pairs.csv", "--out", "x.csv", "--exclude", "nowhere"],
        "--exclude nowhere does not exist",
    ),
    "a selection of nothing": (
        ["select", "pears.csv", "--out", "x.csv"],
        "CAPTIONS pears.csv does not exist",
    ),
    "a graph that is none": (
        ["train", "knowledge-clip", *RANDOM[2:], "data.graph.path=run"],
        "data.graph.path run: not a knowledge graph",
    ),
    "a split of no graph": (["graph", "split", "run", "--out", "parts"], "GRAPH run: not a knowledge graph"),
    "drawings below a file": (["graph", "drawings", "pairs.csv/x"], "OUT pairs.csv/x cannot be written"),
    "an import by no reader": (["graph", "import", "conceptnit", "x"], "Did you mean 'conceptnet'?"),
    "measuring half a name": (["evaluate", "lite0", "--data", "pairs.csv"], "did you mean lite0-minilm?"),
    "measuring nothing": (["evaluate", "nowhere", "--data", "pairs.csv"], "nowhere is no file, no folder"),
    "measuring on nothing": (
        ["evaluate", "trained", "--data", "pears.csv"],
        "--data pears.csv does not exist",
    ),
    "measuring against nothing": (
        ["evaluate", "trained", "--data", "pairs.csv", "--baseline", "ViT-B-33"],
        "did you mean ViT-B-32",
    ),
    "a condition that is none": (
        ["evaluate", "trained", "--data", "run", "--require", "good"],
        "'good' is no condition",
    ),
    "results below a file": (
        ["evaluate", "trained", "--data", "run", "--out", "pairs.csv/x"],
        "cannot be written",
    ),
    "measuring on a toaster": (
        ["evaluate", "trained", "--data", "run", "--device", "toaster"],
        "--device 'toaster'; allowed: cpu",
    ),
    "a task that does not exist": (["task", "vqaa", "scenes-base", "--data", "run"], "Did you mean 'vqa'?"),
    "a setting that does not exist": (["task", "vqa", "scenes-base", "epoch=1"], "did you mean 'epochs'?"),
    "a task of no model": (["task", "vqa", "nowhere"], "nowhere is no file, no folder"),
    "a task on nothing": (["task", "vqa", "scenes-base", "--data", "x"], "--data x does not exist"),
    "a diagnosis of nothing": (["diagnose", "nowhere", "--data", "run"], "nowhere is no file, no folder"),
    "a diagnosis on nothing": (["diagnose", "trained", "--data", "x"], "--data x does not exist"),
    "a diagnosis below a file": (
        ["diagnose", "trained", "--data", "run", "--out", "pairs.csv/x"],
        "cannot be written",
    ),
    "downloads below a file": (["data", "sugarcrepe", "--out", "pairs.csv/x"], "cannot be written"),
    "an alpha of two": (
        ["interpolate", "a", "b", "--data", "run", "--out", "x", "--alphas", "2"],
        "--alphas lie between 0",
    ),
    "interpolation from nowhere": (
        ["interpolate", "a", "b", "--data", "run", "--out", "x"],
        "a is no file, no folder and no architecture",
    ),
    "conversion of nothing": (["convert", "nowhere", "out"], "nowhere is no file, no folder"),
    "conversion to nothing known": (
        ["convert", "scenes-base", "out", "--to", "onxx"],
        "--to 'onxx'; did you mean 'onnx'? allowed: open_clip, transformers, onnx, sentence-transformers",
    ),
    "an activation that nobody knows": (
        ["convert", "scenes-base", "out", "--activation", "gello"],
        "--activation 'gello'; did you mean 'gelu'?",
    ),
    "conversion into a file": (["convert", "trained", "pairs.csv"], "OUT pairs.csv is a file"),
    "a report of nothing": (["report", "nowhere", "--out", "page"], "RUN nowhere does not exist"),
    "a report below a file": (["report", "run", "--out", "pairs.csv/page"], "cannot be written"),
    "comparison with nothing": (["compare", "run", "nowhere"], "B nowhere does not exist"),
    "comparison of nothing": (["compare", "nowhere"], "A nowhere does not exist"),
    "comparison of a run that was not measured": (["compare", "run", "run"], "holds no results"),
    "a suite that does not exist": (["benchmarks", "--suite", "compositionel"], "compositional"),
    "data of no benchmark": (["data", "sugarcrap"], "sugarcrepe"),
    "links of no graph": (["link-prediction", "run", "KG"], "KG KG does not exist"),
    "a side that does not exist": (
        ["link-prediction", "run", "run", "--side", "tails"],
        "did you mean 'tail'?",
    ),
    "links of no model": (["link-prediction", "nowhere", "run"], "nowhere is no file"),
    "a device that does not exist": (
        ["predict", "run", "run", "h", "r", "--device", "gpu"],
        "--device 'gpu'",
    ),
    "a prediction by pictures": (
        ["predict", "run", "run", "h", "r", "--modality", "images"],
        "did you mean 'image'?",
    ),
    "photos that are not there": (
        ["index", "nowhere", "--out", "x", "--model", "scenes-base"],
        "PHOTOS nowhere does not exist",
    ),
    "a new index without a model": (["index", "run", "--out", "x"], "which model is to make its vectors"),
    "an index of no photo": (
        ["index", "run", "--out", "x", "--model", "scenes-base"],
        "run (.txt file: 1): allowed are ",
    ),
    "an index of no photo by its name": (
        ["index", "0.jpg", "pairs.csv", "--out", "x", "--model", "scenes-base"],
        "pairs.csv is a .csv file",
    ),
    "an index by no model": (["index", "run", "--out", "x", "--model", "scenes-bass"], "scenes-base"),
    "an index below a file": (
        ["index", "run", "--out", "pairs.csv/x", "--model", "scenes-base"],
        "cannot be written",
    ),
    "a search in no index": (["search", "run", "a dog"], "run is no index"),
    "a search in a folder to be quoted": (["search", "my photos", "a dog"], "--out 'my photos'` makes one"),
    "a search in an index that is not there": (
        ["search", "idx", "a dog"],
        "has no 'idx'): `knowclip index PHOTOS --model MODEL --out idx` makes one",
    ),
    "a service of an index that is not there": (
        ["serve", "scenes-base", "--index", "idx"],
        "`knowclip index PHOTOS --model MODEL --out idx` makes one",
    ),
    "a search for nothing": (["search", "run"], "give a text, an image, or both"),
    "a search without a word": (["search", "run", " "], "the query is empty"),
    "a service of no model": (["serve", "scenes-bass"], "did you mean scenes-base"),
    "a service of no index": (["serve", "scenes-base", "--index", "run"], "run is no index"),
    "a limit that does not exist": (["serve", "scenes-base", "--limit", "text=3"], "did you mean 'texts'?"),
    "a limit of nothing": (["serve", "scenes-base", "--limit", "texts=0"], "above 0"),
    "a limit that is no number": (["serve", "scenes-base", "--limit", "texts=many"], "texts=NUMBER"),
    "a search for two outputs": (["search", "run", "a dog", "--json", "--paths"], "exclude each other"),
}  # fmt: skip


@pytest.fixture(scope="module")
def told(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """What each command line was refused with: one process for all."""
    folder = tmp_path_factory.mktemp("refusals")
    rows = "".join(f"{number}.jpg,a dog runs\n" for number in range(4))
    (folder / "pairs.csv").write_text(f"image,caption\n{rows}")
    for number in range(4):
        (folder / f"{number}.jpg").touch()
    (folder / "foto.png").touch()
    (folder / "wichtig.csv").write_text("mine\n")
    (folder / "run").mkdir()
    (folder / "run/notes.txt").touch()
    (folder / "trained/best").mkdir(parents=True)
    (folder / "trained/recipe.yaml").touch()
    (folder / "models/mine/best").mkdir(parents=True)
    (folder / "exported").mkdir()
    (folder / "exported/onnx_config.json").touch()
    study = {
        "title": "two",
        "baseline": "plain",
        "overrides": [*TRAIN[2:], "model.pretrained=random", "train.batch_size=2", "schedule.warmup=1"],
        "arms": {"plain": {"recipe": "clip"}, "other": {"recipe": "clip"}},
        "tasks": [{"data": "pairs.csv", "task": "snli_ve"}],
        "output": "studied",
    }
    (folder / "study.yaml").write_text(json.dumps(study))
    resnet = {"vision_cfg": {"layers": [3, 4, 6, 3]}, "text_cfg": {}}
    (folder / "trained/best/open_clip_config.json").write_text(json.dumps({"model_cfg": resnet}))
    lines = json.dumps([arguments for arguments, _ in CASES.values()])
    command = [sys.executable, "-c", SCRIPT, lines, json.dumps(HEAVY)]
    done = subprocess.run(command, capture_output=True, text=True, cwd=folder, check=False)
    assert done.returncode == 0, done.stderr
    return dict(zip(CASES, json.loads(done.stdout.splitlines()[-1]), strict=True))


@pytest.mark.parametrize("case", CASES)
def test_it_is_refused_at_once(case: str, told: dict[str, str]) -> None:
    assert CASES[case][1] in told[case]
    assert "after importing" not in told[case]


def test_help_loads_nothing_heavy() -> None:
    script = (
        "import sys\nfrom knowclip.cli import build_app\n"
        "for line in (['--help'], ['train', '--help'], ['demo', '--help']):\n"
        "    build_app()(line, standalone_mode=False)\n"
        f"print([m for m in {(*HEAVY, 'numpy', 'PIL')!r} if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "[]"


def test_photos_that_are_searched_without_an_index_are_told_what_makes_one(tmp_path: Path) -> None:
    (tmp_path / "Our photos").mkdir()
    (tmp_path / "Our photos/a.jpg").touch()
    way = r"`knowclip index '.*Our photos' --model MODEL --out 'Our photos\.index'` makes one"
    done = CliRunner().invoke(build_app(), ["search", str(tmp_path / "Our photos"), "a dog"])
    assert re.search(way, str(done.exception)), done.exception


@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        (["parse"], "--column NAME"),
        (["negatives"], "--column NAME"),
        (["swaps", "--out", "test"], "--caption-column NAME"),
        (["evaluate", "scenes-base", "--data"], "--caption-column NAME"),
        (
            ["train", "negclip", "output.folder=run", "data.val=null"],
            "data.train.caption_column=NAME or data.val.caption_column=NAME",
        ),
    ],
    ids=lambda given: given[0] if isinstance(given, list) else "",
)
def test_a_column_is_asked_for_as_the_command_spells_it(
    arguments: list[str], named: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("table.csv").write_text("image,words\na.jpg,A red dog.\n")
    table = "data.train.path=table.csv" if arguments[0] == "train" else "table.csv"
    done = CliRunner().invoke(build_app(), [*arguments, table])
    assert str(done.exception).endswith(f"Name the right one: {named}")


def test_a_value_that_was_typed_is_not_blamed_on_the_recipe_s_file() -> None:
    with pytest.raises(ValueError, match=r"^given beside recipe negclip: train\.steps: got 'abc'"):
        load_recipe("negclip", ["train.steps=abc"])
    with pytest.raises(ValueError, match=r"^given beside recipe negclip: train: unknown key 'step'"):
        load_recipe("negclip", {"train": {"step": 5}})


def test_a_recipe_s_own_mistake_is_told_with_its_file(tmp_path: Path) -> None:
    (tmp_path / "mine.yaml").write_text("method: {name: clip}\ntrain: {steps: abc}\noutput: {folder: run}\n")
    with pytest.raises(ValueError, match=r"^recipe .*/mine\.yaml: .*train\.steps: got 'abc'"):
        load_recipe(tmp_path / "mine.yaml", ["train.batch_size=8"])


def test_a_file_that_is_none_of_weights_is_told_the_run_that_it_lies_in(tmp_path: Path) -> None:
    (tmp_path / "mine/best").mkdir(parents=True)
    table = tmp_path / "mine/held_out.csv"
    table.write_text("image,caption\na.jpg,A red dog.\n")
    with pytest.raises(
        ValueError, match=r"held_out.csv is no model: weights are in .*did you mean .*/mine\?"
    ):
        check_model(str(table))


def test_a_run_that_is_not_there_is_told_one_of_a_short_name_like_it(tmp_path: Path) -> None:
    (tmp_path / "mine").mkdir()
    with pytest.raises(ValueError, match=r"did you mean .*/mine\?"):
        check_model(str(tmp_path / "mni"))


def test_a_model_that_is_not_there_is_told_one_of_a_similar_name(tmp_path: Path) -> None:
    (tmp_path / "mine").mkdir()
    with pytest.raises(ValueError, match=r"did you mean .*/mine"):
        check_model(str(tmp_path / "mein"))
