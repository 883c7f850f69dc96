"""``knowclip evaluate`` on a small folder, with the model loader replaced by a known model."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
import typer
from PIL import Image
from typer.testing import CliRunner

from knowclip.api import benchmark_data
from knowclip.api.benchmark_data import unmeasured
from knowclip.api.measuring import paraphrases
from knowclip.commands import audit, compare, evaluate, report
from knowclip.evaluation.runs import find_runs
from knowclip.evaluation.suites.folder import read_suite


def single(command: Any) -> typer.Typer:
    made = typer.Typer()
    made.command()(command)
    return made


app, reporting, comparing, auditing = (
    single(module.command) for module in (evaluate, report, compare, audit)
)


@pytest.fixture
def models(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, data_folder: Path, make_oracle: Any, constant: Any
) -> None:
    import knowclip.build.trainer  # what it imports must not be what is put in its place here
    import knowclip.models.loading.load

    (benchmark,), _ = read_suite(data_folder, names=["vg_relation"])
    oracle = make_oracle(zip(benchmark.images, benchmark.true, strict=True))
    loaded = {"good": oracle, "flat": constant}
    for number, model in enumerate(loaded.values()):
        model.state_dict = lambda number=number: {"weight": torch.tensor(float(number))}
    monkeypatch.setattr(knowclip.models.loading.load, "load", lambda name, *, device=None: loaded[name])
    monkeypatch.setenv("KNOWCLIP_CACHE", str(tmp_path / "cache"))
    for name in loaded:  # what is no file and no name is refused before it is loaded
        (tmp_path / "models" / name / "best").mkdir(parents=True)
    monkeypatch.chdir(tmp_path / "models")


def test_json_against_a_baseline(models: None, data_folder: Path, tmp_path: Path) -> None:
    arguments = ["good", "--data", str(data_folder), "--benchmark", "vg_relation", "--baseline", "flat"]
    run = CliRunner().invoke(app, [*arguments, "--json", "--out", str(tmp_path)])
    assert run.exit_code == 0, run.output
    summary = json.loads(run.stdout)
    assert summary["methods"] == {
        name: dict.fromkeys(("vg_relation", "vg_relation_macro", "vg_relation_micro"), value)
        for name, value in (("flat", 0.0), ("good", 1.0))
    }
    assert summary["benchmarks"]["vg_relation"]["methods"]["good"]["difference"]["effect"] == 1
    assert summary == json.loads((tmp_path / "results.json").read_text())
    assert (tmp_path / "report.html").is_file()
    assert "no text-only control" in run.stderr


def test_results_are_kept_per_item_and_reported_again(
    models: None, data_folder: Path, tmp_path: Path
) -> None:
    arguments = ["--data", str(data_folder), "--benchmark", "vg_relation", "--out", "kept"]
    for name in ("flat", "good", "good"):
        assert CliRunner().invoke(app, [name, *arguments]).exit_code == 0
    runs = find_runs([Path("kept")])
    assert list(runs) == ["flat", "good"]
    assert len(list(Path("kept").rglob("*.parquet"))) == 2
    told = CliRunner().invoke(reporting, ["kept", "--out", "page", "--title", "Both"])
    assert told.exit_code == 0, told.output
    page = Path("page/report.html").read_text()
    assert page.count("data:image/jpeg") > 3 and "Both" in page
    folders = [str(run.folder) for run in runs.values()]
    found = CliRunner().invoke(comparing, [*reversed(folders), "--json"])
    row = json.loads(found.stdout)["benchmarks"]["vg_relation"]
    assert (row["effect"], row["n"]) == (1.0, 27) and row["p_value"] == row["p_holm"] < 0.01
    seeds = CliRunner().invoke(
        comparing, [f"{folders[1]},{folders[1]}", f"{folders[0]},{folders[0]}", "--json"]
    )
    assert json.loads(seeds.stdout)["metrics"]["vg_relation"]["A"]["difference"]["clear"]
    alone = CliRunner().invoke(comparing, [folders[0], f"{folders[1]},{folders[1]}"])
    assert "1 seeds of A against 2 of B" in str(alone.exception)


@pytest.mark.parametrize(
    ("condition", "code", "told"),
    [
        ("vg_relation >= 80%", 0, "holds: vg_relation >= 80%: 100.0 [87.5, 100.0]%, n = 27"),
        ("vg_relation >= 90%", 0, "n = 27, the interval holds the bound: too few items to be sure"),
        ("vg_relation <= 90%", 3, "FAILS: vg_relation <= 90%"),
        ("vg_relation >= 50pt vs flat", 0, "holds: vg_relation >= 50pt vs flat: +100.0"),
    ],
)
def test_conditions_decide_the_exit_code(
    models: None, data_folder: Path, condition: str, code: int, told: str
) -> None:
    arguments = ["good", "--data", str(data_folder), "--suite", "vg_relation", "--require", condition]
    run = CliRunner().invoke(app, arguments)
    assert run.exit_code == code, run.output
    assert told in run.stderr


def test_a_metric_that_is_not_measured_is_refused_before_a_model_is_loaded(
    models: None, data_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import knowclip.models.loading.load

    monkeypatch.setattr(knowclip.models.loading.load, "load", None)
    arguments = ["good", "--data", str(data_folder), "--suite", "vg_relation", "--require"]
    run = CliRunner().invoke(app, [*arguments, "vg_relatio >= 90%"])
    assert "Did you mean 'vg_relation'" in str(run.exception)


def test_the_baseline_may_be_called_base_in_conditions(models: None, data_folder: Path) -> None:
    arguments = ["good", "--data", str(data_folder), "--suite", "vg_relation"]
    condition = ["--require", "vg_relation >= 50pt vs BASE"]
    run = CliRunner().invoke(app, [*arguments, *condition, "--baseline", "flat"])
    assert run.exit_code == 0 and "holds: vg_relation >= 50pt vs BASE: +100.0" in run.stderr
    run = CliRunner().invoke(app, [*arguments, *condition])
    assert "BASE is the model of --baseline: give it, or a model's name" in str(run.exception)


def test_paraphrases_of_the_data_folder_join_the_controls(
    models: None, data_folder: Path, tmp_path: Path
) -> None:
    folder = tmp_path / "data"
    shutil.copytree(data_folder, folder)
    true = read_suite(data_folder, names=["vg_relation"])[0][0].cases[0].true
    (folder / "paraphrases.jsonl").write_text(
        json.dumps({"caption": true, "paraphrase": "in other words"}) + "\n"
    )
    run = CliRunner().invoke(app, ["flat", "--data", str(folder), "--suite", "vg_relation", "--json"])
    details = json.loads(run.stdout)["benchmarks"]["vg_relation"]["methods"]["flat"]["details"]
    n = sum(case.true == true for case in read_suite(folder, names=["vg_relation"])[0][0].cases)
    assert details["hard_positives"] == {"accuracy": 0.0, "kept": None, "n": n}
    line = json.dumps({"caption": "a", "paraphrase": "b\u2028c"}, ensure_ascii=False)
    (folder / "paraphrases.jsonl").write_text(f"\ufeff{line}\n\n")
    assert paraphrases(folder) == {"a": "b\u2028c"}
    (folder / "paraphrases.jsonl").write_bytes(line.encode("utf-16"))
    with pytest.raises(ValueError, match=r"paraphrases\.jsonl is UTF-16 text"):
        paraphrases(folder)
    (folder / "paraphrases.jsonl").write_text("{}")
    broken = CliRunner().invoke(app, ["flat", "--data", str(folder), "--suite", "vg_relation"])
    assert "paraphrases.jsonl, line 1" in str(broken.exception)


def test_audit_finds_the_shared_images(data_folder: Path, tmp_path: Path) -> None:
    shutil.copytree(data_folder / "images", tmp_path / "images")
    content = json.loads((data_folder / "captions_test.json").read_text())
    content["images"] = content["images"][:7]
    content["annotations"] = [a for a in content["annotations"] if a["image_id"] < 7]
    (tmp_path / "captions_train.json").write_text(json.dumps(content))
    arguments = [str(tmp_path), str(data_folder), "--benchmark", "vg_relation", "--no-look", "--json"]
    run = CliRunner().invoke(auditing, arguments)
    assert run.exit_code == 0, run.output
    assert json.loads(run.stdout)["vg_relation"]["by"] == {"coco_id": 7, "file_name": 7}


def test_table_with_the_control_of_the_training_captions(
    models: None, data_folder: Path, tmp_path: Path
) -> None:
    folder = tmp_path / "data"
    shutil.copytree(data_folder, folder)
    shutil.copy(folder / "captions_test.json", folder / "captions_train.json")
    run = CliRunner().invoke(app, ["flat", "--data", str(folder), "--benchmark", "vg_relation"])
    assert run.exit_code == 0, run.output
    assert "0.0% [0.0, 12.5]" in run.stdout
    assert "ngram" in run.stdout or "classifier" in run.stdout


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["good", "--baseline", "good"], "baseline is the model itself"),
        (["good", "--benchmark", "vg_relations"], "Did you mean 'vg_relation'"),
        (["good", "--split", "dev"], "no benchmark has data for split 'dev'"),
    ],
)
def test_mistakes_are_one_line(models: None, data_folder: Path, arguments: list[str], message: str) -> None:
    run = CliRunner().invoke(app, [*arguments, "--data", str(data_folder)])
    assert isinstance(run.exception, ValueError)
    assert message in str(run.exception)


def test_a_name_of_a_suite_and_a_benchmark_is_the_benchmark() -> None:
    """SugarCrepe without its pictures is not measured, though SugarCrepe++'s texts are."""
    absent = {"sugarcrepe": "no files", "sugarcrepe_pp": "no files"}
    assert unmeasured(["sugarcrepe", "aro"], absent) == ["sugarcrepe"]


@pytest.mark.parametrize(
    ("named", "code"),
    [(["vg_relation", "winoground"], 4), (["vg_relation", "aro"], 0), (["vg_relation", "sugarcrepe"], 4)],
)
def test_what_was_named_and_not_measured_decides_the_exit_code(
    models: None, data_folder: Path, named: list[str], code: int
) -> None:
    """A suite is measured as far as there are files: one benchmark of it is enough."""
    arguments = [part for name in named for part in ("--benchmark", name)]
    run = CliRunner().invoke(app, ["flat", "--data", str(data_folder), *arguments, "--out", "kept"])
    assert run.exit_code == code, run.output
    assert "vg_relation" in json.loads(Path("kept/results.json").read_text())["benchmarks"]
    assert (f"named and not measured (see above): {named[1]}" in run.stderr) == (code == 4)


@pytest.mark.parametrize(
    ("named", "found"),
    [
        (["sugarcrepe"], ""),
        (["general"], ["image_to_text", "text_to_image"]),
        (["general", "aro"], ""),
        (["text_to_image"], ["text_to_image"]),
    ],
)
def test_own_photos_are_measured_by_what_was_named_or_by_nothing(
    tmp_path: Path, named: list[str], found: list[str] | str
) -> None:
    for name, color in (("a", 9), ("b", 200)):
        Image.new("RGB", (8, 8), (color, 9, 9)).save(tmp_path / f"{name}.jpg")
    (tmp_path / "c.csv").write_text("image,caption\na.jpg,a red dog\nb.jpg,a blue cat\n")
    if found:
        benchmarks, _ = benchmark_data.find(tmp_path / "c.csv", named, None, allow_missing=False)
        assert [benchmark.card.name for benchmark in benchmarks] == found
    else:
        with pytest.raises(ValueError, match=rf"holds captioned images: .* not by {named[-1]}, which"):
            benchmark_data.find(tmp_path / "c.csv", named, None, allow_missing=False)


def test_importing_the_command_is_cheap() -> None:
    code = (
        "import sys; from knowclip.commands import audit, compare, convert, evaluate, interpolate, report; "
        "heavy = {'torch', 'sklearn', 'matplotlib', 'open_clip', 'spacy', 'numpy'} & set(sys.modules); "
        "assert not heavy, heavy"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_a_report_has_the_baseline_that_the_evaluation_had(tmp_path: Path) -> None:
    """Whatever the order of the names: ``runs/mine`` comes before ``scenes-base`` in a folder's listing."""
    found = {"runs/mine": None, "scenes-base": None}
    assert report._evaluated_with([tmp_path], found) is None
    for told, baseline in (
        ('{"baseline": "scenes-base", "methods": {"scenes-base": {}, "runs/mine": {}}}', "scenes-base"),
        ('{"baseline": "scenes-base", "methods": {"scenes-base": {}}}', None),
        ('{"baseline": "gone", "methods": {"gone": {}, "runs/mine": {}}}', None),
        ('{"baseline": [], "methods": {"scenes-base": {}, "runs/mine": {}}}', None),
        ("[]", None),
        ("{", None),
    ):
        (tmp_path / "results.json").write_text(told)
        assert report._evaluated_with([tmp_path / "none", tmp_path], found) == baseline
