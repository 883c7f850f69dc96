"""Train how FACTUAL writes our scene graphs: ``src/knowclip/knowledge/parsing/factual_scheme.json.gz``.

    python scripts/train_factual_scheme.py FACTUAL/train.csv [--held-out 3000] [--check]

Parses the captions, aligns each graph with the human one, and fits the three choices of
``knowclip.knowledge.parsing.factual_scheme``.
The held-out captions are only scored. Deterministic; ``--check`` writes nothing.
"""

from __future__ import annotations

import argparse
import gzip
import json
import random
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np
from scipy.optimize import minimize
from scipy.sparse import csr_matrix

from knowclip.knowledge.parsing.factual_graphs import FactualRow, Tuples, lemmatised, read_factual, score
from knowclip.knowledge.parsing.factual_scheme import (
    WEIGHTS,
    Naming,
    Predicate,
    Scheme,
    attribute_features,
    naming_features,
    relation_features,
    relation_words,
    surface,
)
from knowclip.knowledge.parsing.parsers import parse
from knowclip.knowledge.parsing.spacy_parser import phrase_lemmas
from knowclip.types import SceneGraph

Aligned = Sequence[tuple[SceneGraph, FactualRow]]
Choice = tuple[Sequence[Sequence[str]], int]
"""Features of every option, and the number of the right one."""


def stem(words: str) -> str:
    """A wording without the mark of its number, near enough to align by."""
    return words.removesuffix("s").removesuffix("e")


def stems(tuples: Tuples) -> set[tuple[str, ...]]:
    """Tuples of :func:`stem`."""
    return {tuple(map(stem, one)) for one in tuples}


def right_naming(options: Sequence[Naming], graph: SceneGraph, gold: set[tuple[str, ...]]) -> int:
    """The naming that states most gold tuples and fewest others, the first of equals."""

    def value(number: int) -> tuple[int, int]:
        option = options[number]
        said = stems(option.tuples)
        lost = 0
        if option.takes is not None:
            name = options[0].name, graph.attributes[option.takes].name
            lost = 2 * (tuple(map(stem, name)) in gold)
        return len(said & gold) - len(said - gold) - lost, -number

    return max(range(len(options)), key=value)


def aliases(data: Aligned) -> Counter[tuple[str, str]]:
    """Names where a graph and the gold one differ in one object only: "guy" is a person."""
    pairs: Counter[tuple[str, str]] = Counter()
    for graph, row in data:
        said = {surface(graph, row.caption, index) for index in range(len(graph.objects))}
        gold = {one[0] for one in row.tuples if len(one) == 1}
        ours = [name for name in said if stem(name) not in map(stem, gold)]
        theirs = [name for name in gold if stem(name) not in map(stem, said)]
        if len(ours) == len(theirs) == 1 and not ours[0].endswith(f" {theirs[0]}"):
            pairs[ours[0], theirs[0]] += 1
    return pairs


def table(pairs: Counter[tuple[str, Any]], at_least: int, most: int = 8) -> dict[str, list[Any]]:
    """Other ways each thing was written at least so often, the most frequent first."""
    ways: dict[str, list[Any]] = defaultdict(list)
    for (said, written), count in sorted(pairs.items(), key=lambda pair: (-pair[1], pair[0])):
        if count >= at_least and len(ways[said]) < most:
            ways[said].append(written)
    return {said: ways[said] for said in sorted(ways) if ways[said]}


def relations(data: Aligned, names: Sequence[Sequence[str]]) -> Iterable[tuple[str, str, str, Predicate]]:
    """Every relation between named objects: its name, its ends, and how gold writes it."""
    for (graph, row), of in zip(data, names, strict=True):
        gold: dict[tuple[str, str], list[str]] = defaultdict(list)
        for one in sorted(row.tuples):
            if len(one) == 3:
                gold[stem(one[0]), stem(one[2])].append(one[1])
        for relation in graph.relations:
            one, other = of[relation.subject], of[relation.object]
            if one and other and one != other:
                ways = [(name, False) for name in gold[stem(one), stem(other)]]
                ways += [(name, True) for name in gold[stem(other), stem(one)]]
                plain = (relation_words(relation.name), False)
                yield relation.name, one, other, plain if plain in ways else [*ways, ("", False)][0]


def attributes(data: Aligned, names: Sequence[Sequence[str]]) -> Iterable[tuple[str, str, str]]:
    """Every attribute of a named object: its name, the object, and how gold writes it."""
    for (graph, row), of in zip(data, names, strict=True):
        said = {(a.object, plain_value(a.name)) for a in graph.attributes}
        for attribute in graph.attributes:
            name = of[attribute.object]
            gold = [one[1] for one in sorted(row.tuples) if len(one) == 2 and stem(one[0]) == stem(name)]
            new = [value for value in gold if (attribute.object, value) not in said]
            plain = plain_value(attribute.name)
            if name:
                yield attribute.name, name, plain if plain in gold else new[0] if len(new) == 1 else ""


def plain_value(name: str) -> str:
    """An attribute as the scheme writes it unless it knows better."""
    return Scheme().values_of(name)[0]


def learn(data: Aligned, *, penalty: float = 1.0) -> Scheme:
    """The scheme of aligned graphs."""
    scheme = Scheme(aliases=table(aliases(data), 3))
    named, names = [], []
    for graph, row in data:
        gold, of = stems(row.tuples), []
        for index, item in enumerate(graph.objects):
            options = scheme.namings(graph, row.caption, index)
            right = right_naming(options, graph, gold)
            named.append((naming_features(options, item.name), right))
            of.append(options[right].name)
        names.append(of)
    stated, related = list(attributes(data, names)), list(relations(data, names))
    values = Counter((name, value) for name, _, value in stated if value not in ("", plain_value(name)))
    ways = Counter((relation_words(name), way) for name, _, _, way in related if way[0])
    ways = Counter({(words, way): n for (words, way), n in ways.items() if way != (words, False)})
    scheme = replace(scheme, values=table(values, 3), predicates=table(ways, 2))
    valued, worded = [], []
    for name, item, value in stated:
        found = scheme.values_of(name)
        if value in found:
            valued.append((attribute_features(found, name, item), found.index(value)))
    for name, one, other, way in related:
        known = scheme.predicates_of(name)
        if way in known:
            worded.append((relation_features(known, one, other), known.index(way)))
    weights = (fit(examples, penalty) for examples in (named, valued, worded))
    return replace(scheme, **dict(zip(("names", "attributes", "relations"), weights, strict=True)))


def fit(examples: Sequence[Choice], penalty: float, min_count: int = 3) -> dict[str, float]:
    """Weights of a conditional logit: most likely choices, less ``penalty / 2`` times the squared weights.

    The optimum is unique and L-BFGS starts from zero, so that the same examples give the same weights.
    Features of fewer than ``min_count`` options are left out.
    """
    rows = [features for options, _ in examples for features in options]
    counts = Counter(feature for features in rows for feature in features)
    columns = {f: i for i, f in enumerate(sorted(f for f, n in counts.items() if n >= min_count))}
    known = [[columns[f] for f in features if f in columns] for features in rows]
    indices = np.array([column for row in known for column in row], dtype=np.int64)
    pointers = np.cumsum([0, *map(len, known)])
    matrix = csr_matrix((np.ones(len(indices)), indices, pointers), shape=(len(rows), len(columns)))
    sizes = np.array([len(options) for options, _ in examples])
    starts = np.cumsum(sizes) - sizes
    right = starts + [number for _, number in examples]

    def loss(weights: np.ndarray) -> tuple[float, np.ndarray]:
        scores = matrix @ weights
        scores = scores - np.repeat(np.maximum.reduceat(scores, starts), sizes)
        odds = np.exp(scores)
        totals = np.add.reduceat(odds, starts)
        residual = odds / np.repeat(totals, sizes)
        residual[right] -= 1
        value = np.log(totals).sum() - scores[right].sum() + penalty / 2 * weights @ weights
        return value, matrix.T @ residual + penalty * weights

    found = minimize(loss, np.zeros(len(columns)), jac=True, method="L-BFGS-B", options={"maxiter": 300})
    return {f: round(float(w), 2) for f, w in zip(columns, found.x, strict=True) if abs(w) >= 0.03}


def save(scheme: Scheme, path: Path) -> None:
    """Write a scheme, the same bytes for the same scheme."""
    text = json.dumps(asdict(scheme), ensure_ascii=False, separators=(",", ":"), sort_keys=True)
    path.write_bytes(gzip.compress(text.encode(), mtime=0))


def main() -> None:
    """The command."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("train", type=Path, help="FACTUAL's train.csv")
    parser.add_argument("--held-out", type=int, default=3_000, help="captions that are only scored")
    parser.add_argument("--check", action="store_true", help="write nothing")
    args = parser.parse_args()
    rows = list(read_factual(args.train))
    random.Random(0).shuffle(rows)
    data = list(zip(parse(row.caption for row in rows), rows, strict=True))
    held, rest = data[: args.held_out], data[args.held_out :]
    scheme = learn(rest)
    ours = [scheme.to_tuples(graph, row.caption) for graph, row in held]
    both = lemmatised([*ours, *(row.tuples for _, row in held)], phrase_lemmas)
    print(score(both[: len(held)], both[len(held) :]))
    if not args.check:
        save(scheme, WEIGHTS)


if __name__ == "__main__":
    main()
