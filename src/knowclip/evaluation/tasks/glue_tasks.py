"""GLUE's tasks: what each of them looks like in the official archive and on the hub, and how it is graded."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from knowclip.evaluation.benchmarks.card import Card
from knowclip.evaluation.tasks import glue_metrics

Metric = Callable[[Any, Any], float]
ENTAILMENT = ("entailment", "not_entailment")


def accuracy(predicted: Any, labels: Any) -> float:
    """Share of equal entries."""
    return float(np.mean(np.asarray(predicted) == np.asarray(labels)))


@dataclass(frozen=True)
class GlueTask:
    """What one of GLUE's tasks looks like.

    Args:
        name: the hub's; ours is ``glue_<name>``, as there are other benchmarks called Cola.
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
            name=f"glue_{self.name}",
            title=f"GLUE {self.folder}",
            paper="Wang et al., GLUE: a multi-task benchmark for natural language understanding",
            address="https://gluebenchmark.com",
            licence="that of the original data sets; research",
            main=f"glue_{self.name}",
            protocol=f"{metrics}{', averaged' if len(self.metrics) + len(self.tests) > 2 else ''}, on dev "
            "(test labels are not public); head selected on a held-out part of train.",
            layout=f"{self.folder}/*.tsv, {self.name}/*.parquet, or {self.name}/ as `datasets` saves it, "
            "under the folder or its glue/; without a folder the library `datasets` fetches them",
            flaws="Small dev sets; a CLIP text tower has seen captions only.",
        )


_DEV = {"dev": "validation"}
_BOTH = {"acc": accuracy, "f1": glue_metrics.f1}
_SENTENCES = ("sentence1", "sentence2")
_BINARY = ("0", "1")
GLUE: dict[str, GlueTask] = {
    task.card.name: task
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
