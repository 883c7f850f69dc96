"""Contract of every registered benchmark: no information scores what the card says, an oracle scores 1."""

from __future__ import annotations

import pkgutil
from collections.abc import Callable, Iterator
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import knowclip.evaluation.benchmarks as package
from knowclip.evaluation.benchmarks import registry
from knowclip.evaluation.benchmarks.card import Benchmark, Card
from knowclip.evaluation.benchmarks.choices import ChoiceBenchmark
from knowclip.evaluation.benchmarks.protocols import (
    ImageChoiceBenchmark,
    ParaphraseBenchmark,
    StatementBenchmark,
    TwoByTwoBenchmark,
)
from knowclip.evaluation.benchmarks.retrieval import Retrieval
from knowclip.evaluation.benchmarks.zero_shot import ZeroShot
from knowclip.evaluation.metrics import NoDataError
from knowclip.evaluation.scoring import Scorer
from knowclip.evaluation.statistics import bootstrap as statistics
from knowclip.types import ImageRef

Read = Callable[[str], Benchmark]
every = pytest.mark.parametrize("name", registry.BENCHMARKS)


def truths(benchmark: Benchmark) -> list[tuple[ImageRef, str]]:
    """All (image, text) pairs that are true, as an oracle knows; a new kind of benchmark adds its own."""
    if isinstance(benchmark, ChoiceBenchmark):
        return list(zip(benchmark.images, benchmark.true, strict=True))
    if isinstance(benchmark, ImageChoiceBenchmark):
        others = [(ref, f"nothing but {ref}") for case in benchmark.cases for ref in case.refs]
        return [*((case.true, case.text) for case in benchmark.cases), *others]
    if isinstance(benchmark, TwoByTwoBenchmark):
        return [pair for case in benchmark.cases for pair in zip(case.images, case.texts, strict=True)]
    if isinstance(benchmark, StatementBenchmark):
        return [(case.image, case.text if case.label else f"no {case.text}") for case in benchmark.cases]
    if isinstance(benchmark, ParaphraseBenchmark):
        meant = [(ImageRef(Path(case.key)), case) for case in benchmark.cases]
        return [(ref, text) for ref, case in meant for text in (case.first, case.second)]
    if isinstance(benchmark, Retrieval):
        return [(example.image, example.caption) for example in benchmark.examples]
    if isinstance(benchmark, ZeroShot):
        pairs = zip(benchmark.images, benchmark.labels, strict=True)
        return [(ref, text) for ref, label in pairs for text in benchmark.prompts(benchmark.names[label])]
    raise TypeError(f"no oracle for {type(benchmark).__name__}")


def cards(value: Any) -> Iterator[Card]:
    """Cards in a module's variables: themselves, or in a table."""
    if isinstance(value, Card):
        yield value
    elif isinstance(value, dict):
        yield from (card for card in value.values() if isinstance(card, Card))


@every
def test_constant_encoder_gets_what_the_card_says(name: str, read_benchmark: Read, constant: Any) -> None:
    benchmark = read_benchmark(name)
    result = benchmark.run(Scorer(constant))
    assert result.metrics[result.main] == benchmark.card.no_information
    assert not result.items["correct"].any()


@every
def test_oracle_scores_one(name: str, read_benchmark: Read, make_oracle: Any) -> None:
    benchmark = read_benchmark(name)
    result = benchmark.run(Scorer(make_oracle(truths(benchmark))))
    assert all(value == 1 for value in result.metrics.values()), result.metrics


@every
def test_results_carry_what_intervals_and_reports_need(
    name: str, read_benchmark: Read, make_oracle: Any
) -> None:
    benchmark = read_benchmark(name)
    result = benchmark.run(Scorer(make_oracle(truths(benchmark))))
    assert result.benchmark == name
    assert result.main == benchmark.card.main in result.metrics
    assert len(set(result.items["key"].tolist())) == len(result.items["key"])
    assert {len(column) for column in result.items.values()} == {len(result.items["key"])}
    assert statistics.interval(result).value == pytest.approx(result.metrics[result.main])
    assert statistics.interval(result).n == result.n
    assert result.details["protocol"] == benchmark.card.rules
    assert result.details["missing_images"] == 0
    assert isinstance(result.details["skipped"], dict)


@every
def test_random_scores_come_near_the_chance_of_the_card(name: str, read_benchmark: Read) -> None:
    benchmark = read_benchmark(name)
    if benchmark.card.chance is None:
        return
    values = [benchmark.run(Scorer(Random(seed))).metrics[benchmark.card.main] for seed in range(60)]
    spread = 5 * np.std(values) / np.sqrt(len(values))
    assert np.mean(values) == pytest.approx(benchmark.card.chance, abs=max(spread, 0.02))


class Random:
    """Independent features of every image and text, so that no cosine depends on what is shown."""

    def __init__(self, seed: int) -> None:
        self.seed = seed

    def encode_image(self, images: list[ImageRef], *, normalize: bool = False) -> Any:
        # not of pytest's own folder, which is another each time: a draw that fails would pass the next time
        return self._rows([f"{'/'.join(ref.path.parts[-3:])} {ref.box}" for ref in images])

    def encode_text(self, texts: list[str], *, normalize: bool = False) -> Any:
        return self._rows(texts)

    def _rows(self, inputs: list[str]) -> Any:
        import torch

        from knowclip.knowledge.content_hashes import stable_hash

        seeds = [(stable_hash(f"{self.seed} {text}") & 0xFFFFFFFF) for text in inputs]
        rows = np.stack([np.random.default_rng(seed).normal(size=128) for seed in seeds])
        return torch.tensor(rows / np.linalg.norm(rows, axis=1, keepdims=True), dtype=torch.float32)


@every
def test_card_is_filled_in(name: str) -> None:
    card = registry.BENCHMARKS[name].card
    assert card.name == name
    required = ("title", "paper", "address", "licence", "main", "protocol", "layout")
    assert not [field for field in required if not getattr(card, field)]
    assert 0 <= card.no_information < 1
    assert all(len(file.sha256) in (0, 64) and file.url.startswith("http") for file in card.downloads)


@every
def test_a_folder_without_the_files_says_so(name: str, tmp_path: Path) -> None:
    with pytest.raises(NoDataError):
        registry.read(name, tmp_path)


def test_metric_names_are_unique_over_the_registry(read_benchmark: Read, constant: Any) -> None:
    scorer = Scorer(constant)
    metrics = [m for name in registry.BENCHMARKS for m in read_benchmark(name).run(scorer).metrics]
    assert len(metrics) == len(set(metrics))


def test_every_card_in_the_folder_is_registered() -> None:
    modules = [import_module(f"{package.__name__}.{m.name}") for m in pkgutil.iter_modules(package.__path__)]
    found = {card.name for module in modules for value in vars(module).values() for card in cards(value)}
    assert found == set(registry.BENCHMARKS)


def test_suites_name_registered_benchmarks() -> None:
    assert {name for names in registry.SUITES.values() for name in names} == set(registry.BENCHMARKS)
    assert set(registry.SUITES["compositional"]).isdisjoint(registry.SUITES["general"])
    assert registry.members("aro")[:2] == ("vg_relation", "vg_attribution")
    with pytest.raises(ValueError, match=r"no suite 'compositonal'\. Did you mean 'compositional'"):
        registry.members("compositonal")


def test_unknown_name_suggests_the_nearest() -> None:
    with pytest.raises(ValueError, match="Did you mean 'vg_relation'"):
        registry.read("vg_relations", Path())


def test_a_partial_encoder_is_between(read_benchmark: Read, make_oracle: Any) -> None:
    benchmark = read_benchmark("vg_relation")
    known = truths(benchmark)[:10]
    rest = [(ref, "something else") for ref, _ in truths(benchmark)]
    result = benchmark.run(Scorer(make_oracle(known + rest)))
    assert 0 < result.metrics["vg_relation"] < 1
    assert result.metrics["vg_relation_micro"] == pytest.approx(np.mean(result.items["correct"]))
