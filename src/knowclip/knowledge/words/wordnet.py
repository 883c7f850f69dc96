"""What words mean, from WordNet 3.0: lemmas and forms, what a word implies, antonyms.

``scripts/compile_wordnet.py`` compiled the table (its licence stands beside it); it is read when first asked
for.
"""

from __future__ import annotations

import gzip
import json
from functools import cache, lru_cache
from importlib.resources import files
from typing import Any, Literal

from knowclip.knowledge.words.lexicon import PLURAL_ONLY

Part = Literal["noun", "verb", "adjective"]

_ENDINGS: dict[Part, tuple[tuple[str, str], ...]] = {
    "noun": (
        ("s", ""), ("ses", "s"), ("xes", "x"), ("zes", "z"), ("ches", "ch"), ("shes", "sh"), ("men", "man"),
        ("ies", "y"), ("ves", "f"),
    ),
    "verb": (
        ("s", ""), ("ies", "y"), ("es", "e"), ("es", ""), ("ed", "e"), ("ed", ""), ("ing", "e"), ("ing", ""),
    ),
    "adjective": (),
}  # fmt: skip
"""Rules of detachment, as in morphy(7WN)."""


@cache
def _table() -> dict[str, Any]:
    packed = files("knowclip.knowledge.words").joinpath("data/wordnet.json.gz").read_bytes()
    return json.loads(gzip.decompress(packed))


@lru_cache(maxsize=1 << 16)
def lemma(word: str, part: Part) -> str:
    """The base form of a lower-case word; the word itself where WordNet has none of this part of speech.

    Of several ("swinging" may be of "swing" or "swinge", "cows" be a lemma itself) that which people say most
    of pictures, and the word itself where they say none.
    """
    table = _table()
    known = table[part]["senses"]
    if word in (irregular := table["forms"].get(part, {})):
        return str(irregular[word])
    if word in known and word in PLURAL_ONLY:
        return word
    detached = [word.removesuffix(ending) + base for ending, base in _ENDINGS[part] if word.endswith(ending)]
    found = [form for form in (word, *detached) if form in known]
    said = table[part]["counts"]
    return max(found, key=lambda form: said.get(form, 0), default=word)


@lru_cache(maxsize=1 << 16)
def irregular_forms(word: str, part: Part) -> tuple[str, ...]:
    """Forms of a lemma that no rule gives: "men" of "man"; "threw", "thrown" of "throw"."""
    return _irregular(part).get(word, ())


@cache
def _irregular(part: Part) -> dict[str, tuple[str, ...]]:
    found: dict[str, tuple[str, ...]] = {}
    for form, base in _table()["forms"][part].items():
        found[base] = (*found.get(base, ()), form)
    return found


@lru_cache(maxsize=1 << 16)
def senses(word: str, part: Part) -> frozenset[int]:
    """Senses of a lemma (of a noun, those a picture can show); none of an unknown one."""
    return frozenset(_table()[part]["senses"].get(word, ()))


@lru_cache(maxsize=1 << 16)
def implied(word: str, part: Part) -> frozenset[int]:
    """Senses of a lemma and all they imply: hypernyms, what a verb entails, what an adjective is like."""
    up = _table()[part]["up"]
    waiting, found = list(senses(word, part)), set[int]()
    while waiting:
        if (sense := waiting.pop()) not in found:
            found.add(sense)
            waiting += up[sense]
    return frozenset(found)


@lru_cache(maxsize=1 << 16)
def hypernyms(word: str) -> tuple[int, ...]:
    """The commonest sense of a noun and its hypernyms, nearest first."""
    table = _table()["noun"]
    found = dict.fromkeys(table["senses"].get(word, ())[:1])
    level = list(found)
    while level:
        level = [sense for below in level for sense in table["up"][below] if sense not in found]
        found |= dict.fromkeys(level)
    return tuple(found)


@lru_cache(maxsize=1 << 16)
def antonyms(word: str, part: Part) -> tuple[str, ...]:
    """Antonyms of a lemma that people say of pictures."""
    table = _table()[part]
    return tuple(other for other in table["antonyms"].get(word, ()) if other in table["counts"])


def is_said(relation: str) -> bool:
    """Whether people say this relation ("sit on") of pictures."""
    return relation in _table()["relations"]
