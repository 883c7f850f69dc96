"""What the captions of one image say together, so that a negative which may be true is recognised."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from functools import cached_property, lru_cache
from typing import TypeVar

from knowclip.knowledge.content_hashes import canonical_relation, normalised
from knowclip.knowledge.words import alternatives, lexicon, wordnet
from knowclip.knowledge.words.alternatives import Cluster
from knowclip.types import SceneGraph

T = TypeVar("T")
Statement = tuple[str, str, str]
Meaning = Cluster | int
"""A cluster of a noun or a sense of it."""
_MANY = frozenset(
    "several many few some group crowd bunch couple pair lot lots team other others another".split()
)
_WORD = re.compile(r"[^\W_]+")
_SILENT = lexicon.DETERMINERS | lexicon.PREPOSITIONS | lexicon.BE | lexicon.POSSESSIVES


class Said:
    """Everything said of one image, by all of its captions that are known.

    Args:
        captions: Texts that are true of the image.
        graphs: Their scene graphs, as far as there are any.
    """

    def __init__(self, captions: Iterable[str], graphs: Iterable[SceneGraph] = ()) -> None:
        self._captions = tuple(captions)
        self._graphs = tuple(graphs)

    @cached_property
    def texts(self) -> frozenset[str]:
        """The captions, as :func:`lemmatised`."""
        return frozenset(map(lemmatised, self._captions))

    def statements(self, graph: SceneGraph) -> set[Statement]:
        """What a graph states of its objects, by words of one meaning: a puppy is a dog, big is large."""
        names = [_concept(item.name.lower()) for item in graph.objects]
        stated = {(names[a.object], "is", value_of(a.name.lower())) for a in graph.attributes}
        stated.update(
            [canonical_relation(names[r.subject], r.name.lower(), names[r.object]) for r in graph.relations]
        )
        return stated

    @cached_property
    def stated(self) -> frozenset[Statement]:
        """The statements of all graphs."""
        return frozenset(s for graph in self._graphs for s in self.statements(graph))

    def may_show(self, noun: str) -> bool:
        """Whether such a thing is spoken of: by a synonym, hypernym or hyponym, or a word used alike."""
        return not meanings_asked(noun).isdisjoint(self._noun_meanings)

    def may_be(self, adjective: str) -> bool:
        """Whether anything is said to be so, or nearly so; how many there are, wherever numbers are vague."""
        clusters = alternatives.adjective_clusters(adjective)
        if adjective in lexicon.COUNTS and not _MANY.isdisjoint(self._spoken):
            return True
        return adjective in self._words or not clusters.isdisjoint(self._adjective_clusters)

    def may_do(self, verb: str) -> bool:
        """Whether anyone is said to do so, or nearly so."""
        return verb in self._verbs or not alternatives.verb_clusters(verb).isdisjoint(self._verb_clusters)

    def may_stand(self, preposition: str, item: str) -> bool:
        """Whether anything is said to stand in this relation to a thing of this name."""
        return (preposition, _concept(item)) in self._places

    @cached_property
    def _spoken(self) -> frozenset[str]:
        return frozenset(word for caption in self._captions for word in normalised(caption).split())

    @cached_property
    def _words(self) -> frozenset[str]:
        return self._spoken - _SILENT

    @cached_property
    def _nouns(self) -> frozenset[str]:
        named = {item.name.lower() for graph in self._graphs for item in graph.objects}
        singular = map(_singular, self._words)
        return self._words.union(singular, named)  # "glasses" are worn, or several of a glass

    @cached_property
    def _noun_meanings(self) -> frozenset[Meaning]:
        return _union(self._nouns, meanings_said)

    @cached_property
    def _adjective_clusters(self) -> frozenset[Cluster]:
        return _union(self._words, alternatives.adjective_clusters)

    @cached_property
    def _verbs(self) -> frozenset[str]:
        return frozenset(wordnet.lemma(word, "verb") for word in self._words)

    @cached_property
    def _verb_clusters(self) -> frozenset[Cluster]:
        return _union(self._verbs, alternatives.verb_clusters)

    @cached_property
    def _places(self) -> frozenset[tuple[str, str]]:
        found: set[tuple[str, str]] = set()
        for graph in self._graphs:
            for relation in graph.relations:
                words = relation.name.lower().split()
                item = _concept(graph.objects[relation.object].name.lower())
                found.update((" ".join(words[first:]), item) for first in range(len(words)))
        return frozenset(found)


def lemmatised(caption: str) -> str:
    """The words of a caption, without punctuation and each as its lemma: equal where only forms differ."""
    return " ".join(filter(None, map(_lemmas, caption.split())))


@lru_cache(maxsize=1 << 16)
def _lemmas(piece: str) -> str:
    """The lemmas of what stands between two spaces: a word with its punctuation, several, or none."""
    return " ".join(map(_lemma, _WORD.findall(piece.casefold())))


def _lemma(word: str) -> str:
    # noun, then verb: "rides" may be either, and both captions are read alike
    return wordnet.lemma(_singular(word), "verb")


@lru_cache(maxsize=1 << 16)
def _singular(word: str) -> str:
    return wordnet.lemma(word, "noun")


@lru_cache(maxsize=1 << 16)
def meanings_said(noun: str) -> frozenset[Meaning]:
    """What a noun that is said means: clusters, senses, and (below 0, as ``~sense``) all that these imply."""
    implied = [~sense for sense in wordnet.implied(noun, "noun")]
    return alternatives.noun_clusters(noun) | wordnet.senses(noun, "noun") | frozenset(implied)


@lru_cache(maxsize=1 << 16)
def meanings_asked(noun: str) -> frozenset[Meaning]:
    """What of :func:`meanings_said` would show a noun: its clusters, hyponyms and hypernyms."""
    senses = [~sense for sense in wordnet.senses(noun, "noun")]
    return alternatives.noun_clusters(noun) | wordnet.implied(noun, "noun") | frozenset(senses)


@lru_cache(maxsize=1 << 16)
def _concept(noun: str) -> str:
    """One name for nouns that captioners use of one thing."""
    clusters = alternatives.noun_clusters(noun)
    return f"{min(clusters)}" if clusters else noun


@lru_cache(maxsize=1 << 16)
def value_of(attribute: str) -> str:
    """One text for attributes of one value: "large" is said of what is big."""
    return " ".join([lexicon.VALUES.get(word, ("", word))[1] for word in attribute.split()])


def _union(words: Iterable[str], function: Callable[[str], frozenset[T]]) -> frozenset[T]:
    return frozenset().union(*map(function, words))
