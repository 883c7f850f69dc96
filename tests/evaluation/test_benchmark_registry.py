"""Contract of every registered benchmark: a constant encoder scores 0, an oracle 1, the card is filled in."""

from __future__ import annotations

import pkgutil
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import knowclip.evaluation.benchmarks as package
from knowclip.evaluation import statistics
from knowclip.evaluation.benchmarks import registry
from knowclip.evaluation.benchmarks.base import Benchmark, Card, ChoiceBenchmark
from knowclip.evaluation.benchmarks.retrieval import Retrieval
from knowclip.evaluation.benchmarks.zero_shot import ZeroShot
from knowclip.evaluation.metrics import NoDataError
from knowclip.evaluation.scoring import Scorer
from knowclip.types import ImageRef

every = pytest.mark.parametrize("name", registry.BENCHMARKS)


def truths(benchmark: Benchmark) -> list[tuple[ImageRef, str]]:
    """All (image, text) pairs that are true, as an oracle knows; a new kind of benchmark adds its own."""
    if isinstance(benchmark, ChoiceBenchmark):
        return list(zip(benchmark.images, benchmark.true, strict=True))
    if isinstance(benchmark, Retrieval):
        return [(example.image, example.caption) for example in benchmark.examples]
    if isinstance(benchmark, ZeroShot):
        pairs = zip(benchmark.images, benchmark.labels, strict=True)
        return [(ref, text) for ref, label in pairs for text in benchmark.prompts(benchmark.names[label])]
    raise TypeError(f"no oracle for {type(benchmark).__name__}")


@every
def test_constant_encoder_scores_zero(name: str, data_folder: Path, constant: Any) -> None:
    result = registry.read(name, data_folder).run(Scorer(constant))
    assert result.metrics[result.main] == 0
    assert not result.items["correct"].any()


@every
def test_oracle_scores_one(name: str, data_folder: Path, make_oracle: Any) -> None:
    benchmark = registry.read(name, data_folder)
    result = benchmark.run(Scorer(make_oracle(truths(benchmark))))
    assert all(value == 1 for value in result.metrics.values()), result.metrics


@every
def test_results_carry_what_intervals_and_reports_need(
    name: str, data_folder: Path, make_oracle: Any
) -> None:
    benchmark = registry.read(name, data_folder)
    result = benchmark.run(Scorer(make_oracle(truths(benchmark))))
    assert result.benchmark == name
    assert len(set(result.items["key"].tolist())) == len(result.items["key"])
    assert {len(column) for column in result.items.values()} == {len(result.items["key"])}
    assert statistics.interval(result).value == pytest.approx(result.metrics[result.main])
    assert statistics.interval(result).n == result.n
    assert result.details["protocol"] == benchmark.card.protocol
    assert result.details["missing_images"] == 0


@every
def test_card_is_filled_in(name: str) -> None:
    card = registry.BENCHMARKS[name].card
    assert card.name == name
    blank = [field for field in Card.__slots__ if not getattr(card, field) and field != "flaws"]
    assert not blank


@every
def test_a_folder_without_the_files_says_so(name: str, tmp_path: Path) -> None:
    with pytest.raises(NoDataError):
        registry.read(name, tmp_path)


def test_metric_names_are_unique_over_the_registry(data_folder: Path, constant: Any) -> None:
    scorer = Scorer(constant)
    metrics = [
        m for name in registry.BENCHMARKS for m in registry.read(name, data_folder).run(scorer).metrics
    ]
    assert len(metrics) == len(set(metrics))


def test_every_card_in_the_folder_is_registered() -> None:
    modules = [import_module(f"{package.__name__}.{m.name}") for m in pkgutil.iter_modules(package.__path__)]
    cards = {value.name for module in modules for value in vars(module).values() if isinstance(value, Card)}
    assert cards == set(registry.BENCHMARKS)


def test_unknown_name_suggests_the_nearest() -> None:
    with pytest.raises(ValueError, match="Did you mean 'vg_relation'"):
        registry.read("vg_relations", Path())


def test_a_partial_encoder_is_between(data_folder: Path, make_oracle: Any) -> None:
    benchmark = registry.read("vg_relation", data_folder)
    known = truths(benchmark)[:10]
    rest = [(ref, "something else") for ref, _ in truths(benchmark)]
    result = benchmark.run(Scorer(make_oracle(known + rest)))
    assert 0 < result.metrics["vg_relation"] < 1
    assert result.metrics["vg_relation_micro"] == pytest.approx(np.mean(result.items["correct"]))
