"""Results on disk: complete, found again, never overwritten."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from knowclip.api.measuring import provenance
from knowclip.evaluation.benchmarks.aro import read_vg_relation
from knowclip.evaluation.report.write import files_line
from knowclip.evaluation.runs import absent_of, find_runs, named_run, read_run, two_runs
from knowclip.evaluation.store import SCHEMA, read, save, save_absent
from knowclip.types import Result

MODEL = {"model": "ViT-B-32/openai", "model_hash": "0123456789abcdef"}


@pytest.fixture
def result(data_folder: Path) -> Result:
    benchmark = read_vg_relation(data_folder)
    n = len(benchmark.cases)
    return benchmark.grade(np.linspace(0, 1, n), np.full(n, 0.5))


def test_a_result_comes_back_whole(result: Result, tmp_path: Path) -> None:
    path = save(result, tmp_path, **MODEL)
    revision = str(result.details["revision"])[:12]
    assert path == tmp_path / f"ViT-B-32-openai-0123456789abcdef/vg_relation@{revision}.parquet"
    again = read(path)
    assert (again.benchmark, again.main, again.n) == (result.benchmark, result.main, result.n)
    assert again.metrics == dict(result.metrics)
    assert again.details == dict(result.details)
    assert set(again.items) == set(result.items)
    for name, column in result.items.items():
        assert np.array_equal(again.items[name], column), name


def test_nothing_is_overwritten_and_the_latest_is_read(result: Result, tmp_path: Path) -> None:
    first = save(result, tmp_path, **MODEL)
    content = first.read_bytes()
    noise = {**result.items, "true_score": result.items["true_score"] + np.float32(1e-7)}
    assert save(replace(result, items=noise), tmp_path, **MODEL) == first
    paths = [first]
    for shift in range(1, 12):  # past nine: numbers, not names, decide
        items = {**result.items, "true_score": result.items["true_score"] + shift}
        paths.append(save(replace(result, items=items), tmp_path, **MODEL))
    assert len(set(paths)) == 12 and paths[-1].stem.endswith("-12")
    assert first.read_bytes() == content
    (kept,) = read_run(first.parent).results
    assert kept.items["true_score"][0] == 11


def test_splits_and_models_do_not_meet(result: Result, tmp_path: Path) -> None:
    places = {
        save(result, tmp_path, **MODEL),
        save(result, tmp_path, split="val", **MODEL),
        save(result, tmp_path, model="ViT-B-32/openai", model_hash="fedcba9876543210"),
    }
    assert len(places) == 3
    assert list(find_runs([tmp_path])) == [
        "ViT-B-32/openai 012345",
        "ViT-B-32/openai (val)",
        "ViT-B-32/openai fedcba",
    ]


def test_cases_come_back_with_their_pictures(data_folder: Path, result: Result, tmp_path: Path) -> None:
    cases = read_vg_relation(data_folder).cases
    path = save(result, tmp_path, cases=cases, **MODEL)
    assert read_run(path.parent).cases == {"vg_relation": cases}
    assert set(read(path).items) == set(result.items)


def test_what_is_no_result_is_named(tmp_path: Path) -> None:
    (tmp_path / "run" / "best").mkdir(parents=True)
    with pytest.raises(ValueError, match=r"run holds no results; it is a model: measure it with `"):
        find_runs([tmp_path / "run"])
    with pytest.raises(ValueError, match="holds no results; write them with `knowclip evaluate"):
        find_runs([tmp_path])
    (tmp_path / "x@y.parquet").write_bytes(b"broken")
    with pytest.raises(ValueError, match=r"x@y\.parquet is no whole Parquet"):
        read_run(tmp_path)
    pq.write_table(pa.table({"key": ["a"]}), tmp_path / "x@y.parquet")
    with pytest.raises(ValueError, match=r"x@y\.parquet holds no knowclip result"):
        read_run(tmp_path)


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (lambda table: table.remove_column(table.column_names.index("key")), "lacks key of a result"),
        (lambda table: table.replace_schema_metadata({b"knowclip": b"[1]"}), "holds no knowclip result"),
        (lambda table: table.replace_schema_metadata({b"knowclip": b'{"sc'}), "holds no knowclip result"),
        (
            lambda table: table.replace_schema_metadata({b"knowclip": b'{"schema": %d, "n": 1}' % SCHEMA}),
            "lacks benchmark, main, metrics, details, model, hash, split, written of a result",
        ),
        (
            lambda table: table.set_column(0, table.column_names[0], pa.array([["x"]] * len(table))),
            r"column '\w+' holds list<.*>, no plain values",
        ),
        (
            lambda table: table.set_column(
                table.column_names.index("key"),
                "key",
                pa.array([b"\xff"] * len(table)).cast(pa.string(), safe=False),
            ),
            "is no whole Parquet file",
        ),
    ],
    ids=["no-key", "other-metadata", "cut-metadata", "few-metadata", "lists", "no-text"],
)
def test_a_damaged_result_is_named(
    result: Result, tmp_path: Path, spoil: Callable[[pa.Table], pa.Table], message: str
) -> None:
    path = save(result, tmp_path, **MODEL)
    pq.write_table(spoil(pq.read_table(path)), path)
    with pytest.raises(ValueError, match=f"{re.escape(path.name)},? {message}"):
        read_run(path.parent)


def test_cases_that_cannot_be_shown_are_named(result: Result, data_folder: Path, tmp_path: Path) -> None:
    path = save(result, tmp_path, **MODEL, cases=read_vg_relation(data_folder).cases)
    assert len(read_run(path.parent).cases) == 1
    table = pq.read_table(path)
    pq.write_table(table.remove_column(table.column_names.index("case_true")), path)
    with pytest.raises(ValueError, match=f"{re.escape(path.name)} holds no cases that can be shown"):
        read_run(path.parent)


@pytest.mark.parametrize("content", ['{"cola": "no f', '["cola"]', '{"cola": 1}', '"cola"'])
def test_damaged_reasons_are_named(result: Result, tmp_path: Path, content: str) -> None:
    place = save(result, tmp_path, **MODEL).parent
    (place / "absent.json").write_text(content)
    with pytest.raises(ValueError, match=r"absent\.json"):
        read_run(place)


def test_a_mixed_folder_is_refused(result: Result, tmp_path: Path) -> None:
    one = save(result, tmp_path, **MODEL)
    other = save(result, tmp_path, split="val", model="m", model_hash="f" * 16)
    other.rename(one.parent / f"other-{other.name}")
    with pytest.raises(ValueError, match="mixes results of several models or splits"):
        read_run(one.parent)


def test_a_run_is_named_as_its_model_was(result: Result, tmp_path: Path) -> None:
    for model, number in (("runs/clip", "a"), ("runs/negclip/best", "b")):
        save(result, tmp_path, model=model, model_hash=number * 16)
    for name in ("clip", "runs-clip", f"runs-clip-{'a' * 16}"):
        assert named_run(tmp_path / name).name == "runs/clip"
        assert list(find_runs([tmp_path / name])) == ["runs/clip"]
    assert named_run(tmp_path / "negclip").model_hash == "b" * 16
    assert [run.name for run in two_runs(tmp_path)] == ["runs/negclip/best", "runs/clip"]
    with pytest.raises(ValueError, match=r"clop holds no results; name one of .*/clip \(runs/clip\)"):
        named_run(tmp_path / "clop")
    with pytest.raises(ValueError, match="holds results of 2 models; name one of"):
        named_run(tmp_path)
    save(result, tmp_path, model="other/clip", model_hash="c" * 16)
    with pytest.raises(ValueError, match=r"2 models in .* go by 'clip'"):
        named_run(tmp_path / "clip")
    with pytest.raises(ValueError, match=r"of 3 models, not of two: name both to compare, of .*/negclip \("):
        two_runs(tmp_path)


def test_one_model_alone_is_told_how_to_come_to_two(result: Result, tmp_path: Path) -> None:
    place = save(result, tmp_path, model="runs/clip", model_hash="a" * 16).parent
    for folder in (tmp_path, place):
        told = rf"one model \(runs/clip\), .* measure another with `knowclip evaluate .* --out {tmp_path}`"
        with pytest.raises(ValueError, match=told):
            two_runs(folder)
    with pytest.raises(ValueError, match="holds no results; write them with `knowclip evaluate"):
        two_runs(tmp_path / "nothing")


def test_what_a_page_does_not_show_of_its_folder_is_told(result: Result, tmp_path: Path) -> None:
    for model, number in (("runs/clip", "a"), ("runs/negclip/best", "b"), ("runs/clip", "c")):
        save(result, tmp_path, model=model, model_hash=number * 16)
    (tmp_path / "other").mkdir()
    pq.write_table(
        pq.read_table(next(tmp_path.glob("*/*.parquet"))).replace_schema_metadata({}),
        tmp_path / "other/a.parquet",
    )
    (tmp_path / "results.json").write_text('{"methods": {"runs/clip": {}, "negclip/best": {}}}')
    first, told = files_line(tmp_path).splitlines()
    assert first.startswith("written: ")
    assert (
        f"not on that page: runs/clip (runs-clip-{'c' * 16}); `knowclip report {tmp_path} --out PAGE`" in told
    )
    (tmp_path / f"runs-clip-{'c' * 16}").rename(tmp_path.parent / f"{tmp_path.name}-elsewhere")
    assert files_line(tmp_path) == first


def test_a_run_on_another_split_goes_by_what_a_person_types(result: Result, tmp_path: Path) -> None:
    save(result, tmp_path, model="runs/mine", model_hash="a" * 16, split="val")
    for name in ("mine", "mine-val", "runs-mine"):
        assert named_run(tmp_path / name).name == "runs/mine (val)"
    save(result, tmp_path, model="runs/mine", model_hash="a" * 16)
    assert named_run(tmp_path / "mine-val").name == "runs/mine (val)"
    with pytest.raises(ValueError, match=r"2 models in .* go by 'mine'.*/mine-val .*/mine-test"):
        named_run(tmp_path / "mine")


def test_why_a_benchmark_was_not_measured_is_kept_until_it_is(result: Result, tmp_path: Path) -> None:
    path = save(result, tmp_path, **MODEL)
    save_absent({"vsr": "no files", result.benchmark: "earlier"}, tmp_path, **MODEL)
    save_absent({"swaps": "2 of 9 images"}, tmp_path, **MODEL)
    run = read_run(path.parent)
    assert run.absent == {"vsr": "no files", "swaps": "2 of 9 images"}
    assert absent_of({"a": run}) == run.absent
    other = replace(run, results=[replace(result, benchmark="vsr")], absent={})
    assert absent_of({"a": run, "b": other}) == {"vsr (a)": "no files", "swaps": "2 of 9 images"}


def test_which_step_of_a_run_was_measured_is_kept(result: Result, tmp_path: Path) -> None:
    (tmp_path / "mine/best").mkdir(parents=True)
    lines = [{"kind": "validation", "step": step, "selection": value} for step, value in ((0, 0.3), (9, 0.2))]
    log = tmp_path / "mine/log.jsonl"
    log.write_text("".join(json.dumps(line) + "\n" for line in lines[:1]))
    about = {"split": "test", "model_hash": "a" * 16}
    save(result, tmp_path / "out", model="mine", provenance=provenance(str(tmp_path / "mine")), **about)
    assert read_run(tmp_path / "out" / f"mine-{'a' * 16}").checkpoint == "best, step 0 (untrained)"
    lines[1]["selection"] = 0.4
    log.write_text("".join(json.dumps(line) + "\n" for line in lines))
    named = {name: provenance(str(tmp_path / "mine" / name))["checkpoint"] for name in ("best", "last")}
    assert named == {"best": "best, step 9", "last": "last, step 9"}
    assert provenance(f"{tmp_path / 'mine'} with KEE")["checkpoint"] == "best, step 9"
    assert "checkpoint" not in provenance("scenes-base")
    assert provenance("lite0-minilm")["checkpoint"] == "untrained: its projections are drawn"
