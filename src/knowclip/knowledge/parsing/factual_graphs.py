"""FACTUAL (Li et al., ACL 2023 Findings): its scene graphs as text, and how a parser is scored on them.

A graph is ``( head , relation , tail ) , ( head ) , ...``; relation ``is`` states an attribute, relations are
lemmas. It becomes a set of tuples ``(object,)``, ``(object, attribute)``, ``(object, relation, object)``.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from knowclip.storage.text_files import read_table

Tuples = frozenset[tuple[str, ...]]

_FACT = re.compile(r"\(([^()]*)\)")


@dataclass(frozen=True, slots=True)
class FactualRow:
    """A region caption of Visual Genome and its human scene graph."""

    caption: str
    tuples: Tuples


def read_factual(path: Path) -> Iterator[FactualRow]:
    """Rows of a FACTUAL file (columns ``caption`` and ``scene_graph``).

    Raises:
        ValueError: if a column is missing or a graph is malformed, naming file and row.
    """
    for number, row in enumerate(read_table(path), 1):
        try:
            yield FactualRow(row["caption"], read_tuples(row["scene_graph"]))
        except (KeyError, ValueError, TypeError, AttributeError) as error:
            raise ValueError(f"{path}, row {number}: {error}; FACTUAL has caption and scene_graph") from error


def read_tuples(text: str) -> Tuples:
    """Tuples of a graph written as text."""
    tuples: set[tuple[str, ...]] = set()
    for fact in _FACT.findall(text):
        parts = tuple(part.strip().lower() for part in fact.split(" , "))
        if len(parts) == 3 and parts[1] == "is":
            tuples |= {parts[:1], (parts[0], parts[2])}
        elif len(parts) == 3:
            tuples |= {parts[:1], parts[2:], parts}
        elif len(parts) == 1 and parts[0]:
            tuples.add(parts)
        else:
            raise ValueError(f"{fact.strip()!r} is neither ( object ) nor ( head , relation , tail )")
    return frozenset(tuples)


@dataclass(frozen=True, slots=True)
class Score:
    """Corpus micro-F1 over tuples, all and by kind, and the share of captions whose sets are equal."""

    f1: float
    objects: float
    attributes: float
    relations: float
    exact: float


def score(predicted: Sequence[Tuples], gold: Sequence[Tuples]) -> Score:
    """Compare tuple sets caption by caption; 0 where neither side has a tuple of a kind.

    Raises:
        ValueError: if there are not as many predictions as gold graphs, or none.
    """
    if len(predicted) != len(gold) or not gold:
        raise ValueError(f"{len(predicted)} predictions for {len(gold)} graphs: one each is needed")

    def f1(lengths: tuple[int, ...]) -> float:
        ours, theirs, both = (
            sum(len(one) in lengths for sets in graphs for one in sets)
            for graphs in (predicted, gold, [p & g for p, g in zip(predicted, gold, strict=True)])
        )
        return 2 * both / (ours + theirs) if ours + theirs else 0.0

    exact = sum(p == g for p, g in zip(predicted, gold, strict=True)) / len(gold)
    return Score(f1((1, 2, 3)), f1((1,)), f1((2,)), f1((3,)), exact)


def lemmatised(graphs: Iterable[Tuples], lemmas: Callable[[Sequence[str]], Sequence[str]]) -> list[Tuples]:
    """Graphs with every part of every tuple lemmatised and without determiners, as both sides are scored.

    ``lemmas`` maps phrases to phrases, as ``spacy_parser.phrase_lemmas`` does.
    """
    graphs = list(graphs)
    phrases = sorted({part for graph in graphs for one in graph for part in one})
    lemma = dict(zip(phrases, lemmas(phrases), strict=True))
    return [frozenset(tuple(lemma[part] for part in one) for one in graph) for graph in graphs]
