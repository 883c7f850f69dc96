"""GLUE: does the text tower still understand sentences, now that it has learned about pictures.

Local copies in either published layout: the official TSV archives (``SST-2/train.tsv``) or the hub's Parquet
files (``sst2/train-00000-of-00001.parquet``), also as ``datasets.save_to_disk`` writes them.
"""

from __future__ import annotations

import csv
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from knowclip.evaluation.benchmarks.base import Card
from knowclip.evaluation.metrics import NoDataError
from knowclip.evaluation.tasks import glue_metrics
from knowclip.evaluation.tasks.base import Logits, Rows, Task, TaskItems, refuse_gaps
from knowclip.evaluation.tasks.objectives import Classification, Objective, Regression
from knowclip.types import Result

Metric = Callable[[Any, Any], float]
ENTAILMENT = ("entailment", "not_entailment")
STS_B_SCALE = 5.0


def accuracy(predicted: Any, labels: Any) -> float:
    """Share of equal entries."""
    return float(np.mean(np.asarray(predicted) == np.asarray(labels)))


@dataclass(frozen=True)
class GlueTask:
    """What one of GLUE's tasks looks like.

    Args:
        name: the hub's, and ours.
        folder: of the official archive.
        hub: columns of the hub's files: one or two sentences.
        tsv: the same columns in the official TSV header; numbers where there is no header.
        label: label column of the TSV.
        labels: names of the classes in order; empty for a number.
        metrics: name -> function; GLUE's score is their mean.
        tests: labelled splits to report on, official file stem -> hub's split.
    """

    name: str
    folder: str
    hub: tuple[str, ...]
    tsv: tuple[str | int, ...]
    label: str | int
    labels: tuple[str, ...]
    metrics: Mapping[str, Metric]
    tests: Mapping[str, str]

    @property
    def card(self) -> Card:
        """The metadata."""
        metrics = " and ".join(self.metrics)
        return Card(
            name=self.name,
            title=f"GLUE {self.folder}",
            paper="Wang et al., GLUE: a multi-task benchmark for natural language understanding",
            address="https://gluebenchmark.com",
            licence="that of the original data sets; research",
            main=self.name,
            protocol=f"{metrics}{', averaged' if len(self.metrics) + len(self.tests) > 2 else ''}, on dev "
            "(test labels are not public); head selected on a held-out part of train.",
            layout=f"{self.folder}/*.tsv, or {self.name}/*.parquet, under the folder or its glue/",
            flaws="Small dev sets; a CLIP text tower has seen captions only.",
        )


_DEV = {"dev": "validation"}
_BOTH = {"acc": accuracy, "f1": glue_metrics.f1}
_SENTENCES = ("sentence1", "sentence2")
_BINARY = ("0", "1")
GLUE: dict[str, GlueTask] = {
    task.name: task
    for task in (
        GlueTask("sst2", "SST-2", ("sentence",), ("sentence",), "label", _BINARY, {"acc": accuracy}, _DEV),
        GlueTask("cola", "CoLA", ("sentence",), (3,), 1, _BINARY, {"mcc": glue_metrics.matthews}, _DEV),
        GlueTask("mrpc", "MRPC", _SENTENCES, ("#1 String", "#2 String"), "Quality", _BINARY, _BOTH, _DEV),
        GlueTask(
            "qqp", "QQP", ("question1", "question2"), ("question1", "question2"), "is_duplicate", _BINARY,
            _BOTH, _DEV,
        ),
        GlueTask(
            "stsb", "STS-B", _SENTENCES, _SENTENCES, "score", (),
            {"pearson": glue_metrics.pearson, "spearman": glue_metrics.spearman}, _DEV,
        ),
        GlueTask(
            "mnli", "MNLI", ("premise", "hypothesis"), _SENTENCES, "gold_label",
            ("entailment", "neutral", "contradiction"), {"acc": accuracy},
            {"dev_matched": "validation_matched", "dev_mismatched": "validation_mismatched"},
        ),
        GlueTask(
            "qnli", "QNLI", ("question", "sentence"), ("question", "sentence"), "label", ENTAILMENT,
            {"acc": accuracy}, _DEV,
        ),
        GlueTask("rte", "RTE", _SENTENCES, _SENTENCES, "label", ENTAILMENT, {"acc": accuracy}, _DEV),
    )
}  # fmt: skip
"""GLUE's tasks by name; WNLI is left out, as in most reports (its dev set contradicts its train set)."""


@dataclass(frozen=True)
class _Row:
    sentences: tuple[str, ...]
    label: float


def read_glue(name: str, folder: Path, *, split: str | None = None, allow_missing: bool = False) -> Task:
    """Read one of GLUE's tasks; train on train, measure on dev.

    Raises:
        NoDataError: its files are not there.
        ValueError: a file is broken, more than 1% of the records has no label, or ``split`` is not dev.
    """
    if split not in (None, "dev"):
        raise ValueError(f"{name}: split {split!r}; GLUE's labels are public for dev only")
    spec, skipped = GLUE[name], Counter[str]()
    train = _rows(spec, folder, "train", "train", skipped)
    parts = {stem: _rows(spec, folder, stem, split, skipped) for stem, split in spec.tests.items()}
    test = [row for part in parts.values() for row in part]
    kinds = [stem for stem, part in parts.items() for _ in part]
    total = len(train) + len(test) + sum(skipped.values())
    refuse_gaps(spec.card, skipped, total=total, allow_missing=allow_missing)
    labels = np.array([row.label for row in test])
    averaged = spec.metrics.keys() == {"acc"}
    return Task(
        card=spec.card,
        train=_items("train", train, ["train"] * len(train)),
        test=_items("dev", test, kinds),
        objective=_objective(spec, train),
        grade=_Grader(spec, labels, np.array(kinds)),
        outcomes=(lambda logits: (logits.argmax(1) == labels).astype(float)) if averaged else None,
        macro=len(parts) > 1,
        skipped=skipped,
    )


def glue_score(results: Sequence[Result]) -> float:
    """GLUE's macro average of the tasks that were measured (each already the mean of its metrics)."""
    return float(np.mean([result.metrics[result.main] for result in results]))


@dataclass(frozen=True)
class _Grader:
    spec: GlueTask
    labels: Any
    kinds: Any

    def __call__(self, logits: Logits, rows: Rows) -> Mapping[str, float]:
        predicted = logits.argmax(1) if self.spec.labels else logits[:, 0]
        labels, kinds, name = self.labels[rows], self.kinds[rows], self.spec.name
        found: dict[str, float] = {}
        for stem in self.spec.tests:
            here = kinds == stem
            suffix = stem.removeprefix("dev")
            for metric, function in self.spec.metrics.items():
                found[f"{name}_{metric}{suffix}"] = function(predicted[here], labels[here])
        return {name: float(np.mean(list(found.values()))), **found}


def _objective(spec: GlueTask, train: Sequence[_Row]) -> Objective:
    metrics = list(spec.metrics.values())

    def mean(predicted: Any, labels: Any) -> float:
        return float(np.mean([metric(predicted.numpy(), labels.numpy()) for metric in metrics]))

    labels = torch.tensor([row.label for row in train])
    if not spec.labels:
        return Regression(labels / STS_B_SCALE, metric=mean)
    return Classification(labels.long(), len(spec.labels), metric=mean)


def _items(prefix: str, rows: Sequence[_Row], kinds: Sequence[str]) -> TaskItems:
    pairs = [row.sentences[1] for row in rows] if len(rows[0].sentences) == 2 else None
    return TaskItems(
        keys=[f"{prefix}/{number}" for number in range(len(rows))],
        texts=[row.sentences[0] for row in rows],
        pairs=pairs,
        kinds=kinds,
    )


def _rows(spec: GlueTask, folder: Path, stem: str, split: str, skipped: Counter[str]) -> list[_Row]:
    found: list[_Row] = []
    for record, columns, label in _records(spec, folder, stem, split):
        sentences = tuple(str(record[column] or "").strip() for column in columns)
        value = _label(spec, record[label])
        if value is None:
            skipped["no label"] += 1
        elif not all(sentences):
            skipped["empty sentence"] += 1
        else:
            found.append(_Row(sentences, value))
    if not found:
        raise NoDataError(f"{spec.name}: no labelled records of {stem!r}")
    return found


def _label(spec: GlueTask, given: Any) -> float | None:
    """The class number or the value; None where there is none (-1, ``-``, empty)."""
    if not spec.labels:
        return None if given in (None, "") or float(given) < 0 else float(given)
    if str(given) in spec.labels:
        return float(spec.labels.index(str(given)))
    number = str(given)
    return float(number) if number.isdecimal() and int(number) < len(spec.labels) else None


def _records(
    spec: GlueTask, folder: Path, stem: str, split: str
) -> Iterator[tuple[Mapping[Any, Any], Sequence[Any], Any]]:
    """Records of one split with the names of their sentence columns and of their label column."""
    for home in (folder, folder / "glue"):
        tsv = home / spec.folder / f"{stem}.tsv"
        if tsv.is_file():
            yield from ((record, spec.tsv, spec.label) for record in _read_tsv(tsv, spec))
            return
        parquet = sorted((home / spec.name).glob(f"{split}-*.parquet"))
        arrow = sorted((home / spec.name / split).glob("data-*.arrow"))
        if parquet or arrow:
            yield from ((record, spec.hub, "label") for record in _read_tables(parquet or arrow))
            return
    raise NoDataError(
        f"{spec.name}: no {spec.folder}/{stem}.tsv, {spec.name}/{split}-*.parquet or "
        f"{spec.name}/{split}/data-*.arrow under {folder} or {folder / 'glue'}"
    )


def _read_tsv(path: Path, spec: GlueTask) -> Iterator[Mapping[Any, Any]]:
    """Rows by column name, or by number where the file has no header (CoLA); quotes mean nothing in them."""
    columns = (*spec.tsv, spec.label)
    with path.open(encoding="utf-8-sig", newline="") as file:
        lines = csv.reader(file, delimiter="\t", quoting=csv.QUOTE_NONE)
        header: Sequence[Any] = range(4) if isinstance(spec.label, int) else next(lines, [])
        if missing := [column for column in columns if column not in header]:
            raise ValueError(f"{path}: no column {missing}; its header is {list(header)}")
        for number, line in enumerate(lines, start=1):
            record = dict(zip(header, line, strict=False))
            if any(column not in record for column in columns):
                raise ValueError(f"{path}, record {number}: {len(line)} columns; is the file cut short?")
            yield record


def _read_tables(paths: Sequence[Path]) -> Iterator[Mapping[Any, Any]]:
    try:
        import pyarrow as pa
        import pyarrow.parquet as pq
    except ImportError as error:
        raise ImportError('Parquet files need pyarrow: pip install "knowclip[graph]"') from error
    for path in paths:
        if path.suffix == ".parquet":
            yield from pq.read_table(path).to_pylist()
        else:
            with pa.memory_map(str(path)) as source:
                yield from pa.ipc.open_stream(source).read_all().to_pylist()
