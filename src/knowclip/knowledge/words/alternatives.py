"""What excludes what: the words that make a false claim of a true noun, attribute or relation."""

from __future__ import annotations

from collections.abc import Iterable
from functools import cache, lru_cache

from knowclip.knowledge.words import exclusions as sorts
from knowclip.knowledge.words import lexicon, wordnet

Cluster = tuple[str, int]
"""A sort, and the number of a cluster in it."""
Sorts = dict[str, list[list[str]]]

UNLISTED: frozenset[Cluster] = frozenset()


def _read(text: str) -> Sorts:
    """``sort: cluster | cluster ...`` -> clusters of words by sort."""
    found: Sorts = {}
    for entry in text.replace("\n  ", " ").strip().splitlines():
        name, _, clusters = entry.partition(": ")
        found[name] = [
            [word.replace("_", " ") for word in cluster.split()] for cluster in clusters.split(" | ")
        ]
    return found


def _clusters(listed: Sorts) -> dict[str, frozenset[Cluster]]:
    """Every listed word and its clusters."""
    found: dict[str, frozenset[Cluster]] = {}
    for name, clusters in listed.items():
        for number, cluster in enumerate(clusters):
            for word in cluster:
                found[word] = found.get(word, UNLISTED) | {(name, number)}
    return found


_NOUNS = _read(sorts.NOUNS)
_ADJECTIVES = _read(sorts.ADJECTIVES)
_MOTIONS = _read(f"motion: {sorts.MOTIONS.strip()}")
_NOUN_CLUSTERS = _clusters(_NOUNS)
_ADJECTIVE_CLUSTERS = _clusters(_ADJECTIVES)
_MOTION_CLUSTERS = _clusters(_MOTIONS)
_NATURAL = frozenset(sorts.NATURAL.split())


@lru_cache(maxsize=1 << 16)
def noun_clusters(name: str) -> frozenset[Cluster]:
    """Clusters of a noun: its own; those of the nearest hypernym that has any; else of its last word."""
    if name in _NOUN_CLUSTERS:
        return _NOUN_CLUSTERS[name]
    listed = _listed_senses()
    nearest = next((listed[sense] for sense in wordnet.hypernyms(name) if sense in listed), None)
    if nearest is not None:
        return nearest
    *modifiers, head = name.replace("-", " ").split() or [""]
    known = wordnet.senses(name, "noun")
    return noun_clusters(head) if modifiers and not known else UNLISTED


@cache
def _listed_senses() -> dict[int, frozenset[Cluster]]:
    """The commonest sense of each listed noun."""
    found: dict[int, frozenset[Cluster]] = {}
    for word, clusters in _NOUN_CLUSTERS.items():
        for sense in wordnet.hypernyms(word)[:1]:
            found.setdefault(sense, clusters)
    return found


def noun_sorts(name: str) -> frozenset[str]:
    """The sorts a noun belongs to."""
    return frozenset(sort for sort, _ in noun_clusters(name))


@lru_cache(maxsize=1 << 16)
def is_alive(name: str) -> bool:
    """Whether a noun is of a person or an animal."""
    beings = {wordnet.hypernyms(being)[0] for being in ("person", "animal")}
    return not beings.isdisjoint(wordnet.hypernyms(name))


@lru_cache(maxsize=1 << 16)
def is_person(name: str) -> bool:
    """Whether a noun is of a person or of people: "boy", "skater", "team"."""
    head = name.rpartition(" ")[2]
    if head in sorts.PEOPLE or not sorts.PERSONS.isdisjoint(noun_sorts(head)):
        return True
    person = wordnet.hypernyms("person")[0]
    return person in wordnet.hypernyms(name) or person in wordnet.hypernyms(head)


@lru_cache(maxsize=1 << 16)
def nouns_against(name: str) -> tuple[str, ...]:
    """Nouns of the same sort that are never the same thing: "cat", "horse"... against "puppy"."""
    known = wordnet.implied(name, "noun")
    return tuple(
        word
        for word in _offered(_NOUNS, noun_clusters(name), _NOUN_CLUSTERS)
        if known.isdisjoint(wordnet.senses(word, "noun"))
        and wordnet.implied(word, "noun").isdisjoint(wordnet.senses(name, "noun"))
    )


def _offered(
    listed: Sorts, clusters: frozenset[Cluster], clusters_of: dict[str, frozenset[Cluster]]
) -> Iterable[str]:
    """First words of the other clusters of the sorts, without those that share a cluster."""
    # sorted: draws from it must be the same in every process
    words = dict.fromkeys(cluster[0] for sort in sorted({s for s, _ in clusters}) for cluster in listed[sort])
    return (word for word in words if clusters.isdisjoint(clusters_of[word]))


@lru_cache(maxsize=1 << 16)
def adjectives_against(name: str, *, natural: bool = False) -> tuple[str, ...]:
    """Values that exclude an attribute: of its sort, and its antonyms.

    Args:
        name: The attribute as the caption says it, such as "dark green"; its last word decides.
        natural: Whether it is said of an animal or of hair: these are black, white or brown.
    """
    *shades, word = name.split() or [""]
    clusters = adjective_clusters(word)
    found = list(_offered(_ADJECTIVES, clusters, _ADJECTIVE_CLUSTERS))
    if not shades:
        found += [
            other
            for other in wordnet.antonyms(word, "adjective")
            if other != "single" and other not in lexicon.VAGUE | lexicon.RELATIONAL_NOUNS
        ]
    if natural and word in lexicon.COLOURS:
        found = [other for other in found if other in _NATURAL]
    return tuple(dict.fromkeys(found))


def adjective_clusters(word: str) -> frozenset[Cluster]:
    """Clusters of an attribute."""
    return _ADJECTIVE_CLUSTERS.get(word, UNLISTED)


@lru_cache(maxsize=1 << 16)
def motions_against(verb: str, preposition: str = "") -> tuple[str, ...]:
    """Postures and ways of moving that exclude one, where people say them with that preposition."""
    found = _offered(_MOTIONS, _MOTION_CLUSTERS.get(verb, UNLISTED), _MOTION_CLUSTERS)
    return tuple(
        other
        for other in found
        if not preposition or wordnet.is_said(f"{_SAID.get(other, other)} {preposition}")
    )


_SAID = {"lie": "lay"}
"""As the counted captions have it."""


def verb_clusters(verb: str) -> frozenset[Cluster]:
    """Clusters of a verb of posture or motion."""
    return _MOTION_CLUSTERS.get(verb, UNLISTED)


def is_motion(verb: str) -> bool:
    """Whether a verb says how something is placed or moves, so that a preposition after it says where."""
    return verb in _MOTION_CLUSTERS or verb in sorts.MOVING


@lru_cache(maxsize=1 << 16)
def verbs_against(verb: str) -> tuple[str, ...]:
    """Verbs with an object that say something else of it."""
    return tuple(dict.fromkeys((*sorts.VERBS.get(verb, "").split(), *wordnet.antonyms(verb, "verb"))))


@lru_cache(maxsize=1 << 16)
def preposition_against(name: str, item: str) -> str | None:
    """The preposition that excludes one before a noun: "without" against "in" before "a hat"."""
    found = noun_sorts(item)
    if name == "in":
        if found & sorts.WITHOUT:
            return "without"
        return "outside" if found & sorts.OUTSIDE else None
    if name in ("up", "down") and found & sorts.LEVEL:
        return None
    return sorts.PREPOSITIONS.get(name)
