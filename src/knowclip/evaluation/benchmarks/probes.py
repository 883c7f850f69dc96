"""Which semantics does a model know? Choices on colour, position, relation, size and negation.

Knowledge-CLIP's question (Pan et al. 2022, VQA subsets on colour, position, size and negation).
``semantic_of`` sorts VQA questions into those subsets; the benchmark ``probes`` asks the scenes' exact
graphs.
"""

from __future__ import annotations

import re
from pathlib import Path

from knowclip.evaluation.benchmarks.card import Card
from knowclip.evaluation.benchmarks.choices import Choice, ChoiceBenchmark
from knowclip.evaluation.benchmarks.collect import collect, text
from knowclip.evaluation.benchmarks.records import Record, json_records
from knowclip.evaluation.metrics import NotHereError
from knowclip.types import ImageRef

PROBES = Card(
    name="probes",
    title="Semantics probes",
    paper="the question of Pan et al., Contrastive language-image pre-training with knowledge graphs",
    address="knowclip scenes",
    licence="CC BY-SA 4.0 (OpenMoji)",
    main="probes",
    protocol="a statement that is true of the scene against one that is true of another; right if it scores "
    "strictly higher",
    crop="whole image",
    average="macro over colour, position, relation, size and negation",
    chance=0.5,
    layout="probes/probes_<split>.json and images/, as 'knowclip scenes' writes them",
    flaws="Drawn scenes. Every text is true as often as it is false, so a blind reader stands at 50%.",
)
SEMANTICS: dict[str, re.Pattern[str]] = {
    "negation": re.compile(r"\b(no|not|never|none|nobody|nothing|without|\w+n't)\b"),
    "colour": re.compile(r"\bcolou?r(s|ed)?\b"),
    "size": re.compile(r"\b(size|big|bigger|biggest|small|smaller|smallest|large|larger|largest|tall|taller|"
                       r"tallest|tiny|huge)\b"),
    "position": re.compile(r"^where\b|\b(left|right|above|below|under|underneath|behind|beside|between|"
                           r"in front of|on top of|next to|position)\b"),
}  # fmt: skip
"""Subset -> the words that put a question into it; the first that fits counts."""


def semantic_of(question: str) -> str | None:
    """The subset of a question, or None. The paper does not say how it chose: this list is ours."""
    asked = question.lower()
    return next((name for name, words in SEMANTICS.items() if words.search(asked)), None)


def read_probes(folder: Path, *, split: str = "test", allow_missing: bool = False) -> ChoiceBenchmark:
    """Read the choices of ``probes/probes_<split>.json``."""
    path = folder / "probes" / f"probes_{split}.json"
    if not path.is_file():
        raise NotHereError(f"no {path.relative_to(folder)} under {folder}; 'knowclip scenes' writes it")

    def make(record: Record) -> Choice:
        item = record.content
        return Choice(
            key=record.name,
            image=ImageRef(folder / "images" / item["image_path"]),
            true=text(item["true_caption"]),
            false=text(item["false_caption"]),
            group=item["semantic"],
            image_id=str(item["image_id"]),
        )

    cases, skipped = collect(PROBES, json_records(path), make, allow_missing=allow_missing)
    return ChoiceBenchmark(PROBES, cases, skipped=skipped)
