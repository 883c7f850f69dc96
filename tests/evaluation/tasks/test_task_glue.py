"""GLUE: metrics by hand and against scikit-learn and SciPy, both layouts, a task end to end."""

from __future__ import annotations

import shutil
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats
from sklearn import metrics

from knowclip.evaluation.metrics import NoDataError
from knowclip.evaluation.tasks import glue_files
from knowclip.evaluation.tasks.glue import read_glue
from knowclip.evaluation.tasks.glue_metrics import f1, matthews, pearson, spearman
from knowclip.evaluation.tasks.glue_tasks import GLUE
from knowclip.evaluation.tasks.objectives import Classification, Regression
from knowclip.evaluation.tasks.task import Task

PAIRS = st.lists(st.tuples(st.integers(0, 1), st.integers(0, 1)), min_size=2, max_size=30)
VALUES = st.lists(st.tuples(st.integers(-5, 5), st.integers(-5, 5)), min_size=3, max_size=30)


@pytest.mark.filterwarnings("ignore:A single label")
@settings(deadline=None)  # the first call of the libraries is slow
@given(PAIRS)
def test_f1_and_matthews_are_scikit_learn_s(pairs: list[tuple[int, int]]) -> None:
    predicted, labels = zip(*pairs, strict=True)
    assert f1(predicted, labels) == pytest.approx(metrics.f1_score(labels, predicted, zero_division=0))
    assert matthews(predicted, labels) == pytest.approx(
        metrics.matthews_corrcoef(labels, predicted), abs=1e-9
    )


@settings(deadline=None)
@given(VALUES)
def test_correlations_are_scipy_s(pairs: list[tuple[int, int]]) -> None:
    a, b = zip(*pairs, strict=True)
    if len(set(a)) > 1 and len(set(b)) > 1:
        assert pearson(a, b) == pytest.approx(stats.pearsonr(a, b)[0], abs=1e-9)
        assert spearman(a, b) == pytest.approx(stats.spearmanr(a, b)[0], abs=1e-9)
    else:
        assert pearson(a, b) == spearman(a, b) == 0


def test_matthews_by_hand() -> None:
    # TP 2, TN 1, FP 1, FN 1: (2 * 1 - 1 * 1) / sqrt(3 * 3 * 2 * 2)
    assert matthews([1, 1, 1, 0, 0], [1, 1, 0, 1, 0]) == pytest.approx(1 / 6)


def tsv(folder: Path, name: str, *lines: str) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / name).write_text("".join(f"{line}\n" for line in lines))


def test_official_tsv_with_and_without_header(tmp_path: Path) -> None:
    for name in ("train.tsv", "dev.tsv"):
        tsv(tmp_path / "CoLA", name, 'gj04\t1\t\tA "sentence.', "gj04\t0\t*\tSentence a.")
        tsv(
            tmp_path / "glue" / "RTE",
            name,
            "index\tsentence1\tsentence2\tlabel",
            "0\tOne.\tTwo.\tnot_entailment",
        )
    cola = read_glue("glue_cola", tmp_path)
    assert cola.train.texts == ['A "sentence.', "Sentence a."] and cola.train.pairs is None
    assert cola.grade(np.array([[0, 1], [1, 0]], np.float32), np.arange(2)) == {
        "glue_cola": 1.0,
        "glue_cola_mcc": 1.0,
    }
    assert cola.outcomes is None
    rte = read_glue("glue_rte", tmp_path)
    assert (rte.test.texts, rte.test.pairs) == (["One."], ["Two."])
    assert rte.grade(np.array([[0, 1]], np.float32), np.arange(1))["glue_rte"] == 1


def test_hub_parquet_and_saved_arrow(tmp_path: Path) -> None:
    table = pa.table({"sentence1": ["a", "b"], "sentence2": ["c", "d"], "label": [5.0, 2.5], "idx": [0, 1]})
    (tmp_path / "stsb" / "validation").mkdir(parents=True)
    pq.write_table(table, tmp_path / "stsb" / "train-00000-of-00001.parquet")
    with pa.ipc.new_stream(
        tmp_path / "stsb" / "validation" / "data-00000-of-00001.arrow", table.schema
    ) as sink:
        sink.write_table(table)
    task = read_glue("glue_stsb", tmp_path)
    assert isinstance(task.objective, Regression)
    assert task.objective.values.tolist() == [1.0, 0.5]
    found = task.grade(np.array([[0.9], [0.1]], np.float32), np.arange(2))
    assert found == {
        "glue_stsb": 1.0,
        "glue_stsb_pearson": pytest.approx(1),
        "glue_stsb_spearman": pytest.approx(1),
    }


def test_records_without_a_sentence_are_counted_where_nothing_is_left(tmp_path: Path) -> None:
    for name in ("train.tsv", "dev.tsv"):
        tsv(tmp_path / "CoLA", name, "gj04\t1\t\t", "gj04\t0\t*\t ")
    with pytest.raises(NoDataError, match=rf"of 'train' in {tmp_path}: 2 x empty sentence"):
        read_glue("glue_cola", tmp_path)


def test_damaged_parquet_and_arrow_are_named(tmp_path: Path) -> None:
    table = pa.table({"sentence1": ["a", "b"], "sentence2": ["c", "d"], "label": [5.0, 2.5], "idx": [0, 1]})
    saved = tmp_path / "stsb" / "validation" / "data-00000-of-00001.arrow"
    saved.parent.mkdir(parents=True)
    hub = tmp_path / "stsb" / "train-00000-of-00001.parquet"
    pq.write_table(table, hub)
    with pa.ipc.new_stream(saved, table.schema) as sink:
        sink.write_table(table)
    saved.write_bytes(saved.read_bytes()[:200])
    with pytest.raises(ValueError, match=r"data-00000-of-00001\.arrow is no whole Arrow file"):
        read_glue("glue_stsb", tmp_path)
    hub.write_bytes(hub.read_bytes()[:200])
    with pytest.raises(ValueError, match=r"train-00000-of-00001\.parquet is no whole Parquet file"):
        read_glue("glue_stsb", tmp_path)


def sst2() -> Any:
    """SST-2 as ``datasets`` has it: labels with names, numbered rows."""
    datasets = pytest.importorskip("datasets")
    features = datasets.Features(
        sentence=datasets.Value("string"),
        label=datasets.ClassLabel(names=["negative", "positive"]),
        idx=datasets.Value("int32"),
    )
    parts = {"train": (["fine", "dull"], [1, 0]), "validation": (["good"], [1]), "test": (["so so"], [-1])}
    return datasets.DatasetDict(
        {
            split: datasets.Dataset.from_dict(
                {"sentence": texts, "label": labels, "idx": list(range(len(texts)))}, features=features
            )
            for split, (texts, labels) in parts.items()
        }
    )


def labels(task: Task) -> list[int]:
    assert isinstance(task.objective, Classification)
    return task.objective.labels.tolist()


def test_what_datasets_saves_to_disk_is_read_without_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    sst2().save_to_disk(tmp_path / "sst2")
    monkeypatch.setitem(sys.modules, "datasets", None)
    task = read_glue("glue_sst2", tmp_path)
    assert (task.train.texts, labels(task), task.test.texts) == (["fine", "dull"], [1, 0], ["good"])


def test_without_a_folder_the_library_fetches(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The library's own ``load_dataset``, on a folder in the layout of the hub's repository."""
    card = ["---", "configs:", "- config_name: sst2", "  data_files:"]
    for split, part in sst2().items():
        part.to_parquet(tmp_path / "hub" / "sst2" / f"{split}-00000-of-00001.parquet")
        card += [f"  - split: {split}", f"    path: sst2/{split}-*"]
    (tmp_path / "hub" / "README.md").write_text("\n".join([*card, "---", ""]))
    monkeypatch.setattr("datasets.config.HF_DATASETS_CACHE", tmp_path / "cache")
    monkeypatch.setattr(glue_files, "HUB", str(tmp_path / "hub"))
    task = read_glue("glue_sst2", None)
    assert (task.train.texts, labels(task), task.test.texts) == (["fine", "dull"], [1, 0], ["good"])
    monkeypatch.setitem(sys.modules, "datasets", None)
    with pytest.raises(
        ImportError, match=r'pip install "knowclip\[glue\]", or give a local copy with --data'
    ):
        read_glue("glue_sst2", None)


def test_mnli_averages_matched_and_mismatched(tmp_path: Path) -> None:
    header = "index\tsentence1\tsentence2\tgold_label"
    for name, rows in {"train": 1, "dev_matched": 1, "dev_mismatched": 3}.items():
        tsv(tmp_path / "MNLI", f"{name}.tsv", header, *(f"{n}\tp{n}\th{n}\tneutral" for n in range(rows)))
    task = read_glue("glue_mnli", tmp_path)
    logits = np.eye(3, dtype=np.float32)[[1, 1, 0, 0]]
    found = task.grade(logits, np.arange(4))
    assert (found["glue_mnli_acc_matched"], found["glue_mnli_acc_mismatched"]) == (1, pytest.approx(1 / 3))
    assert found["glue_mnli"] == pytest.approx(2 / 3) and task.macro


def test_broken_files(tmp_path: Path) -> None:
    with pytest.raises(NoDataError, match=r"no SST-2/train\.tsv, sst2/train-"):
        read_glue("glue_sst2", tmp_path)
    tsv(tmp_path / "SST-2", "train.tsv", "sentence\tlabel", "fine\t1", "cut")
    tsv(tmp_path / "SST-2", "dev.tsv", "sentence\tlabel", "good\t1")
    with pytest.raises(ValueError, match=r"train.tsv, record 2: 1 columns"):
        read_glue("glue_sst2", tmp_path)
    tsv(tmp_path / "SST-2", "train.tsv", "sentence\tlabel", "fine\t1", "unlabelled\t-1")
    with pytest.raises(ValueError, match="1 of 3 records"):
        read_glue("glue_sst2", tmp_path)
    tsv(tmp_path / "SST-2", "train.tsv", "text\tlabel", "fine\t1")
    with pytest.raises(ValueError, match="no column"):
        read_glue("glue_sst2", tmp_path)
    (tmp_path / "SST-2" / "train.tsv").write_bytes("sentence\tlabel\nfine\t1\n".encode("utf-16"))
    with pytest.raises(ValueError, match=r"train\.tsv is UTF-16 text"):
        read_glue("glue_sst2", tmp_path)
    with pytest.raises(ValueError, match="public for dev only"):
        read_glue("glue_sst2", tmp_path, split="test")


def test_cards_are_filled_in() -> None:
    names = ("sst2", "cola", "mrpc", "qqp", "stsb", "mnli", "qnli", "rte")
    assert list(GLUE) == [f"glue_{name}" for name in names]
    assert all(spec.card.main == name and spec.card.protocol for name, spec in GLUE.items())


def test_two_editions_are_refused(tmp_path: Path) -> None:
    header = "index\tsentence1\tsentence2\tlabel"
    for name in ("train.tsv", "dev.tsv"):
        tsv(tmp_path / "RTE", name, header, "0\tOne.\tTwo.\tnot_entailment")
    table = pa.table({"sentence1": ["One."], "sentence2": ["Two."], "label": [0]})
    (tmp_path / "rte").mkdir()
    for name in ("train-00000-of-00001", "train-00000-of-00002", "train-00001-of-00002"):
        pq.write_table(table, tmp_path / "rte" / f"{name}.parquet")
    with pytest.raises(ValueError, match=r"several editions .*train\.tsv, .*train-00000-of-00001\.parquet"):
        read_glue("glue_rte", tmp_path)
    shutil.rmtree(tmp_path / "RTE")
    with pytest.raises(ValueError, match="several editions"):
        read_glue("glue_rte", tmp_path)
    (tmp_path / "rte" / "train-00000-of-00001.parquet").unlink()
    (tmp_path / "rte" / "train-00001-of-00002.parquet").unlink()
    with pytest.raises(ValueError, match="1 of 2 parts are there"):
        read_glue("glue_rte", tmp_path)
