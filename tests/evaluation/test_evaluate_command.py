"""``knowclip evaluate`` on a small folder, with the model loader replaced by a known model."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import typer
from typer.testing import CliRunner

from knowclip.commands.evaluate import command
from knowclip.evaluation.suite import read_suite

app = typer.Typer()
app.command()(command)


@pytest.fixture
def models(monkeypatch: pytest.MonkeyPatch, data_folder: Path, make_oracle: Any, constant: Any) -> None:
    import knowclip.models.loading

    (benchmark,), _ = read_suite(data_folder, names=["vg_relation"])
    oracle = make_oracle(zip(benchmark.images, benchmark.true, strict=True))
    loaded = {"good": oracle, "flat": constant}
    monkeypatch.setattr(knowclip.models.loading, "load", lambda name, *, device=None: loaded[name])


def test_json_against_a_baseline(models: None, data_folder: Path, tmp_path: Path) -> None:
    arguments = ["good", "--data", str(data_folder), "--benchmark", "vg_relation", "--baseline", "flat"]
    run = CliRunner().invoke(app, [*arguments, "--json", "--out", str(tmp_path)])
    assert run.exit_code == 0, run.output
    summary = json.loads(run.stdout)
    assert summary["methods"] == {
        "flat": {"vg_relation": 0.0, "vg_relation_micro": 0.0},
        "good": {"vg_relation": 1.0, "vg_relation_micro": 1.0},
    }
    assert summary["benchmarks"]["vg_relation"]["methods"]["good"]["difference"]["effect"] == 1
    assert summary == json.loads((tmp_path / "results.json").read_text())
    assert (tmp_path / "report.html").is_file()
    assert "no text-only control" in run.stderr


def test_table_with_the_control_of_the_training_captions(
    models: None, data_folder: Path, tmp_path: Path
) -> None:
    folder = tmp_path / "data"
    shutil.copytree(data_folder, folder)
    shutil.copy(folder / "captions_test.json", folder / "captions_train.json")
    run = CliRunner().invoke(app, ["flat", "--data", str(folder), "--benchmark", "vg_relation"])
    assert run.exit_code == 0, run.output
    assert "0.0% [0.0, 0.0]" in run.stdout
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


def test_importing_the_command_is_cheap() -> None:
    code = (
        "import sys, knowclip.commands.evaluate; "
        "heavy = {'torch', 'sklearn', 'matplotlib', 'open_clip', 'spacy', 'numpy'} & set(sys.modules); "
        "assert not heavy, heavy"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
