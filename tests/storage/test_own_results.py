"""Results are written among results, never among files of one's own."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from knowclip.evaluation.report.summary import Report
from knowclip.evaluation.report.write import write_report
from knowclip.preflight.machine import results_folder
from knowclip.storage.own_results import GENERATOR
from knowclip.types import Result

MARKED = f"<!doctype html>\n<html>\n<head>\n{GENERATOR}\n"
RESULTS = json.dumps({"schema": 1, "methods": {}})
OWN = {
    "an earlier evaluation": {
        "runs-mine-aa/swaps@local.parquet": "", "runs-mine-aa/absent.json": "{}", "report.html": "<html>",
        "report.md": "", "plots/margins.png": "", "results.json": RESULTS, ".DS_Store": "",
    },
    "one that was stopped at its page": {
        "m-aa/swaps@local-2.parquet": "", "report.html": MARKED, "plots/margins.png": "",
    },
    "a diagnosis": {"diagnosis.json": '{"ladders": []}', "ladder.png": ""},
    "a test": {"swaps.json": '{"readers_saw": ""}', "swaps.jsonl": "", "full/swaps.jsonl": ""},
    "a folder of runs": {
        "mine/recipe.yaml": "", "mine/log.jsonl": "", "demo/demo.json": "", "demo/x.txt": "",
        "deep/er/open_clip_config.json": "",
    },
}  # fmt: skip
OTHERS = {
    "photos": ({"a.jpg": "", "b.png": ""}, "a.jpg, b.png"),
    "photos in subfolders": ({"2024/a.jpg": ""}, "2024/a.jpg"),
    "captions": ({"captions.csv": ""}, "captions.csv"),
    "a page": ({"report.html": "<html>mine", "report.md": "mine"}, "report.html, report.md"),
    "results of another program": ({"results.json": '{"accuracy": 1}'}, "results.json"),
    "plots": ({"plots/a.png": ""}, "plots/a.png"),
    "photos beside results": (OWN["an earlier evaluation"] | {"a.jpg": ""}, "a.jpg"),
    "a table": ({"table.parquet": ""}, "table.parquet"),
    "many": ({f"{number}.jpg": "" for number in range(9)}, "0.jpg, 1.jpg, 2.jpg, ..."),
}


def written(folder: Path, files: dict[str, str]) -> Path:
    for name, text in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return folder


@pytest.mark.parametrize("case", OWN)
def test_what_knowclip_wrote_may_be_added_to(case: str, tmp_path: Path) -> None:
    results_folder(written(tmp_path, OWN[case]))


@pytest.mark.parametrize("case", OTHERS)
def test_files_of_ones_own_are_refused_and_named(case: str, tmp_path: Path) -> None:
    files, named = OTHERS[case]
    with pytest.raises(ValueError) as told:
        results_folder(written(tmp_path / "Meine Bilder (2024)", files))
    assert f"(2024) is no folder of results: it holds other files ({named}): choose another" in str(
        told.value
    )


def test_a_page_is_known_by_itself_and_by_its_numbers(tmp_path: Path) -> None:
    results_folder(tmp_path / "new")
    interval = {"value": 0.5, "low": 0.4, "high": 0.6, "n": 3}
    result = Result("glue", "cola", 3, {"cola": 0.5}, {}, details={"interval": interval})
    write_report(Report("a page", {"m": [result]}, "m"), tmp_path)
    results_folder(tmp_path)
    (tmp_path / "results.json").unlink()
    results_folder(tmp_path)
    (tmp_path / "report.html").unlink()
    with pytest.raises(ValueError, match="holds other files"):
        results_folder(tmp_path)
