"""Lemmas of single words by spaCy's own tables, and by their spelling where the tables leave a choice."""

from __future__ import annotations

import re
from functools import cached_property
from typing import TYPE_CHECKING, Any, cast

from knowclip.knowledge.parsing.dependency_words import PartOfSpeech

if TYPE_CHECKING:
    from spacy.language import Language

_DOUBLES = re.compile(r"[^aeiou]*[aeiou][^aeiouwxy]")
"""Stems that would double their last consonant: "rid" gives "ridding", so that "riding" is of "ride"."""
_SIBILANT = ("s", "x", "z", "ch", "sh", "o")
_SOFT = ("c", "v", "u", "dg", "th")
"""How no English verb ends without an e behind it."""
_SHORTEST_PART = 6
_PARTS = ("noun", "verb", "adj")


class Lemmas:
    """``lemma(lower_case_word, part_of_speech)``, each word looked up once."""

    def __init__(self, nlp: Language) -> None:
        tables = cast("Any", nlp.get_pipe("lemmatizer")).lookups
        index, rules = tables.get_table("lemma_index"), tables.get_table("lemma_rules")
        self._known = {part: frozenset(index[part]) for part in _PARTS}  # lists of many thousands
        self._rules: dict[str, list[tuple[str, str]]] = {part: rules[part] for part in _PARTS}
        self._irregular: dict[str, dict[str, list[str]]] = tables.get_table("lemma_exc")
        self._cache: dict[tuple[str, PartOfSpeech], str] = {}

    def __call__(self, word: str, part_of_speech: PartOfSpeech) -> str:
        """The base form of a word; the word itself where it shows no ending."""
        key = (word, part_of_speech)
        if key not in self._cache:
            self._cache[key] = self._lookup(word, part_of_speech)
        return self._cache[key]

    def _lookup(self, word: str, part_of_speech: PartOfSpeech) -> str:
        form = self._by_tables(word, part_of_speech.lower())
        if part_of_speech == "VERB":
            return self._verb(word, form)
        return self._noun(word, form) if part_of_speech == "NOUN" else form

    def _by_tables(self, word: str, part: str) -> str:
        """The last irregular form, else the last that a rule makes and the tables know, else what one makes.

        As ``rule_lemmatize`` of spaCy 3.8.18 has it. That of 3.8.2 puts the first known form first.
        """
        endings = ((old, new) for old, new in self._rules[part] if word.endswith(old))
        made = [form for old, new in endings if (form := f"{word[: len(word) - len(old)]}{new}")]
        known = [form for form in made if form in self._known[part]]
        irregular = [form for form in self._irregular[part].get(word, ()) if form not in known]
        return next(reversed(known + irregular), made[0] if made else word)

    def _noun(self, word: str, form: str) -> str:
        """The singular that the plural is spelt after: "vase" of "vases", which might be of "vas" too."""
        first, hyphen, rest = word.partition("-")
        if hyphen and not word.endswith("s"):  # mothers-in-law
            return self(first, "NOUN") + hyphen + rest
        if word.endswith(("ches", "shes")) and word[:-2] in self._known["noun"]:
            return word[:-2]  # WordNet knows a man called Bunche
        singular = word.removesuffix("s")
        lens = word.endswith("ses") and word[-4:-3] not in tuple("aeiou")
        if singular not in self._known["noun"] or lens:
            return form
        return singular if form.endswith("is") or word not in self._irregular["noun"] else form

    def _verb(self, word: str, form: str) -> str:
        known = self._known["verb"]
        if form not in known and word not in self._irregular["verb"]:
            return self._unknown(word, form)
        if f"{form}e" in known and self._has_silent_e(word, form):
            return f"{form}e"
        doubled = f"{form}{form[-1]}"  # "install" of "installing", "instal" being rarer
        return doubled if doubled.endswith("ll") and doubled in known and word.startswith(doubled) else form

    def _has_silent_e(self, word: str, stem: str) -> bool:
        """Whether a form is of the verb with an e at its end: "bathing", "riding", "singed", "routes"."""
        if word == f"{stem}es":
            return not stem.endswith(_SIBILANT)
        if word == f"{stem}ed" and stem in self._strong_verbs:
            return True
        if word not in (f"{stem}ing", f"{stem}ed"):
            return False
        return stem.endswith("th") or _DOUBLES.fullmatch(stem) is not None

    @cached_property
    def _strong_verbs(self) -> frozenset[str]:
        """Verbs with a past of their own ("sang"), so that no form in -ed is theirs."""
        forms = self._irregular["verb"].items()
        pasts = (lemmas for form, lemmas in forms if not form.endswith(("ing", "ed", "s")))
        return frozenset(lemma for lemmas in pasts for lemma in lemmas)

    def _unknown(self, word: str, form: str) -> str:
        """Lemma of a verb that the tables lack: by its last part ("kiteboarding"), or by its spelling."""
        known = self._known["verb"]
        for first in range(1, len(word) - _SHORTEST_PART + 1):
            part = self(word[first:], "VERB")
            if part in known and part != word[first:]:
                return word[:first] + part
        if word.endswith(("ied", "ies")):
            return f"{word[:-3]}y"
        if word.endswith("ying") and f"{word[:-4]}ie" in known:
            return f"{word[:-4]}ie"
        stem = word.removesuffix("ing") if word.endswith("ing") else word.removesuffix("ed")
        if stem == word:
            return form
        if not re.search("[aeiouy]", stem):
            return word  # "sled" has no ending
        if stem[-1] == stem[-2:-1] and stem[:-1] in known:
            return stem[:-1]  # "sitted"
        return f"{stem}e" if stem.endswith(_SOFT) or _DOUBLES.fullmatch(stem) else stem
