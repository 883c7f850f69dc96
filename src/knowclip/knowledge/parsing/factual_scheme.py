"""Our scene graphs in FACTUAL's scheme: how its annotators write what a caption says.

They take compounds apart ("pine tree" is a tree that is pine, "tree branch" a branch that the tree has, "stop
sign" one thing), write "man wear shirt" for "man in shirt" and "arm of man" as "man have arm", keep plural
objects, count in digits and leave out what they find void. Such habits follow no rule, so they are learned:
for every object, attribute and relation of a graph this module lists the ways to write it, and a conditional
logit (McFadden 1974) trained on FACTUAL's training split by ``scripts/train_factual_scheme.py`` chooses. The
graph itself stays as the caption says it.
"""

from __future__ import annotations

import gzip
import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cache
from pathlib import Path

from knowclip.knowledge.parsing.factual_graphs import Tuples
from knowclip.knowledge.words.lexicon import ARTICLES, COLOURS, COUNTS, MATERIALS, QUANTITY_NOUNS
from knowclip.types import SceneGraph

WEIGHTS = Path(__file__).with_name("factual_scheme.json.gz")

Predicate = tuple[str, bool]
"""A relation's wording (empty: left out), and whether it reads from object to subject."""

_COUNTED = re.compile(r"([a-z]+) of (?:[a-z]+ ){0,2}$")


@dataclass(frozen=True, slots=True)
class Naming:
    """A way to write an object: ``name`` (empty: left out), and what becomes of the other words.

    ``adds`` are words that become attributes, ``owner`` is an object that has it, and ``takes`` an attribute
    (by number) that becomes part of the name.
    """

    name: str
    adds: tuple[str, ...] = ()
    owner: str = ""
    takes: int | None = None

    @property
    def tuples(self) -> Tuples:
        """What the naming states."""
        if not self.name:
            return frozenset()
        owner = {(self.owner,), (self.owner, "have", self.name)} if self.owner else set()
        return frozenset({(self.name,), *((self.name, word) for word in self.adds), *owner})


@dataclass(frozen=True, slots=True)
class Scheme:
    """Feature weights of the three choices, and the wordings known from training."""

    names: Mapping[str, float] = field(default_factory=dict)
    attributes: Mapping[str, float] = field(default_factory=dict)
    relations: Mapping[str, float] = field(default_factory=dict)
    aliases: Mapping[str, Sequence[str]] = field(default_factory=dict)
    """Name of an object -> other names of it: "guys" -> "people"."""
    values: Mapping[str, Sequence[str]] = field(default_factory=dict)
    """Attribute -> other wordings of it."""
    predicates: Mapping[str, Sequence[Predicate]] = field(default_factory=dict)
    """Relation without articles -> other wordings of it, possibly turned round."""

    def to_tuples(self, graph: SceneGraph, caption: str) -> Tuples:
        """The graph of a caption in FACTUAL's scheme."""
        namings = [self.naming(graph, caption, index) for index in range(len(graph.objects))]
        tuples = {one for naming in namings for one in naming.tuples}
        taken = {naming.takes for naming in namings}
        for number, attribute in enumerate(graph.attributes):
            name = namings[attribute.object].name
            value = self.value(attribute.name, name) if name and number not in taken else ""
            if value:
                tuples.add((name, value))
        for relation in graph.relations:
            one, other = namings[relation.subject].name, namings[relation.object].name
            stated = one and other and one != other
            wording, turned = self.predicate(relation.name, one, other) if stated else ("", False)
            if wording:
                tuples.add((other, wording, one) if turned else (one, wording, other))
        return frozenset(tuples)

    def naming(self, graph: SceneGraph, caption: str, index: int) -> Naming:
        """How the object at ``index`` is written."""
        options = self.namings(graph, caption, index)
        return options[_choose(self.names, naming_features(options, graph.objects[index].name))]

    def value(self, name: str, item: str) -> str:
        """How an attribute of ``item`` is written."""
        options = self.values_of(name)
        return options[_choose(self.attributes, attribute_features(options, name, item))]

    def predicate(self, name: str, subject: str, item: str) -> Predicate:
        """How a relation between two objects is written."""
        options = self.predicates_of(name)
        return options[_choose(self.relations, relation_features(options, subject, item))]

    def namings(self, graph: SceneGraph, caption: str, index: int) -> list[Naming]:
        """Ways to write the object at ``index``: first as the caption does, last not at all."""
        name = surface(graph, caption, index)
        words = name.split()
        found = [Naming(name)]
        for start in range(1, len(words)):
            before, rest = " ".join(words[:start]), " ".join(words[start:])
            found += [Naming(rest, (before,)), Naming(rest), Naming(rest, owner=before)]
        span = graph.objects[index].span
        counted = _COUNTED.search(caption[: span[0]].lower()) if span else None
        if counted and counted[1] in QUANTITY_NOUNS:
            group = f"{counted[1]} of"
            found += [replace(each, adds=(*each.adds, group)) for each in found if not each.owner]
        found += [Naming(alias) for alias in self.aliases.get(name, ())]
        for number, attribute in enumerate(graph.attributes):
            if attribute.object == index and attribute.span and span and attribute.span[1] <= span[0]:
                if not caption[attribute.span[1] : span[0]].strip(" -"):
                    found.append(Naming(f"{attribute.name} {name}", takes=number))
        return [*found, Naming("")]

    def values_of(self, name: str) -> list[str]:
        """Ways to write an attribute: first as it is, but counts as digits, last not at all."""
        return [str(COUNTS.get(name, name)), *self.values.get(name, ()), ""]

    def predicates_of(self, name: str) -> list[Predicate]:
        """Ways to write a relation: first as it is, but without articles, last not at all."""
        words = relation_words(name)
        found: list[Predicate] = [(words, False), *self.predicates.get(words, ())]
        first, *rest = words.split()
        if rest and words not in self.predicates:
            found += [(" ".join(rest), False), (first, False), (words, True)]
        return [*dict.fromkeys(found), ("", False)]


@cache
def shipped() -> Scheme:
    """The scheme that comes with the package."""
    model = json.loads(gzip.decompress(WEIGHTS.read_bytes()))
    ways = {words: [(name, turned) for name, turned in found] for words, found in model["predicates"].items()}
    return Scheme(**{**model, "predicates": ways})


def to_tuples(graph: SceneGraph, caption: str) -> Tuples:
    """The graph of a caption in FACTUAL's scheme, by the shipped model."""
    return shipped().to_tuples(graph, caption)


def surface(graph: SceneGraph, caption: str, index: int) -> str:
    """An object as the caption writes it."""
    item = graph.objects[index]
    return " ".join((caption[slice(*item.span)].lower() if item.span else item.name).split())


def relation_words(name: str) -> str:
    """A relation's name without articles."""
    return " ".join(word for word in name.split() if word not in ARTICLES)


def _choose(weights: Mapping[str, float], options: Sequence[Sequence[str]]) -> int:
    """Number of the option whose features weigh most, the first of equals."""
    scores = [sum([weights.get(feature, 0.0) for feature in features]) for features in options]
    # of equals the first, which is the plain way to write it
    return scores.index(max(scores))


def naming_features(options: Sequence[Naming], lemma: str) -> list[list[str]]:
    """Features of each way to write an object whose lemma is ``lemma``; the first option is the plain one."""
    plain, head = options[0].name, lemma.split()[-1]
    return [_naming_features(option, plain, head) for option in options]


def _naming_features(option: Naming, plain: str, head: str) -> list[str]:
    if option.adds and option.adds[-1].endswith(" of"):
        counted = f"counted={option.adds[-1]}"
        rest = _naming_features(replace(option, adds=option.adds[:-1]), plain, head)
        return [*rest, "counted", counted, f"{counted}+{head}", f"{counted}+{plain}"]
    if option == Naming(plain):
        words = plain.split()
        return ["same", f"same {len(words)}", f"same={plain}", f"same head={head}", f"same first={words[0]}"]
    if not option.name:
        return ["out", f"out={plain}", f"out head={head}"]
    if option.takes is not None:
        word = option.name.removesuffix(plain).strip()
        return ["takes", f"takes={option.name}", f"takes word={word}", f"takes head={head}"]
    if not plain.endswith(f" {option.name}"):
        return ["alias", f"alias={plain}>{option.name}"]
    kind = "owner" if option.owner else "adds" if option.adds else "drops"
    before = plain.removesuffix(option.name).split()
    cut, last = " ".join(before), before[-1]
    return [
        kind, f"{kind}={cut}", f"{kind}={cut}+{head}", f"{kind} last={last}", f"{kind} head={head}",
        f"{kind} name={option.name}", f"{kind} ending={last[-2:]}", f"{kind} ending={last[-3:]}",
        f"{kind} value={last in MATERIALS or last in COLOURS}",
        f"{kind} {len(before)}+{len(option.name.split())}",
    ]  # fmt: skip


def attribute_features(options: Sequence[str], name: str, item: str) -> list[list[str]]:
    """Features of each way to write the attribute ``name`` of an object; the first is the plain one."""
    head = item.split()[-1]
    kinds = ["same", *["other"] * (len(options) - 2), "out"]
    return [
        [kind, f"{name}>{value}", f"{name}>{value} {head}", f"{kind} {head}", f"{kind} ending={name[-3:]}"]
        for kind, value in zip(kinds, options, strict=True)
    ]


def relation_features(options: Sequence[Predicate], subject: str, item: str) -> list[list[str]]:
    """Features of each way to write a relation between two objects; the first option is the plain one."""
    words, one, other = options[0][0], subject.split()[-1], item.split()[-1]
    features = []
    for wording, turned in options:
        same = "same" if wording == words else "short" if wording in words else "other"
        kind, way = f"{same if wording else 'out'}{turned}", f"{wording}{'<' if turned else '>'}"
        features.append([
            kind, f"{words}:{way}", f"{words}:{way} s={one}", f"{words}:{way} o={other}",
            f"{words}:{way} s={one} o={other}", f"{way} s={one}", f"{way} o={other}",
            f"{way} s={one} o={other}",
            f"{kind} o={other}", f"{kind} last={words.split()[-1]}",
        ])  # fmt: skip
    return features
