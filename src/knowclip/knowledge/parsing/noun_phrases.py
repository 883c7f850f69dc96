"""Noun phrases of a parse -> objects and their attributes: names, spans, coreference."""

from __future__ import annotations

from collections.abc import Iterator

from knowclip.knowledge.parsing.dependency_words import Lemma, Words
from knowclip.knowledge.words import lexicon
from knowclip.types import Attribute, SceneObject, Span

_RECENT = 8
"""Longest coordination, and how many earlier things of one name a definite mention is compared with."""

_LOCATIVES = frozenset(
    "in on at to from along by near under inside toward towards off across onto into".split()
)
_MODIFIER_DEPS = ("amod", "nummod", "compound", "nmod")


class NounPhrases:
    """Objects and attributes of one caption; ``objects_of(noun)`` says which objects a noun stands for."""

    def __init__(self, words: Words, lemma: Lemma) -> None:
        self.words = words
        self.lemma = lemma
        self.objects: list[SceneObject] = []
        self.attributes: dict[tuple[int, str], Attribute] = {}
        self._object_of: dict[int, int] = {}
        self._said: list[set[str]] = []
        """Attributes of each object."""
        self._known: dict[str, list[tuple[int, int, bool]]] = {}
        """By name, the last mentions: object, clause, whether plural."""
        alias: dict[int, int] = {}
        for index in range(len(words)):
            if index in words.denied or not self._is_head(index) or self.is_relational(index):
                continue
            named = self._named_by_of(index)
            if named is None:
                self._add(index)
            else:
                alias[index] = named
        # after the others: "of" comes before the noun that it names
        for index, named in alias.items():
            if named in self._object_of:
                self._object_of[index] = self._object_of[named]

    def objects_of(self, noun: int, *, before: int | None = None) -> list[int]:
        """Objects named by a noun and by the nouns coordinated with it (those before a word only)."""
        found: list[int] = []
        chain: int | None = noun
        while chain is not None and len(found) < _RECENT:
            if chain in self._object_of and self._object_of[chain] not in found:
                found.append(self._object_of[chain])
            chain = next((c for c in self.words.children(chain, "conj") if self._is_head(c)), None)
            if chain is not None and before is not None and chain >= before:
                break
        return found

    def add_attribute(self, item: int, index: int) -> None:
        """Give an object the attribute at word ``index`` and those coordinated with it."""
        for each in self._coordinated(index):
            if each in self.words.denied:
                continue
            span = self._attribute_span(each)
            name = " ".join(self.words.text[slice(*span)].lower().split())
            self.attributes.setdefault((item, name), Attribute(item, name, span))
            self._said[item].add(name)

    def is_relational(self, index: int) -> bool:
        """Whether a noun only helps to say where: "front" of "in front of", "left" of "on the left"."""
        word = self.words[index]
        if word.lower not in lexicon.RELATIONAL_NOUNS or word.dep != "pobj":
            return False
        if self.words[word.head].lower not in _LOCATIVES:
            return False
        modified = any(
            self.words[c].lower not in lexicon.VAGUE for c in self.words.children(index, "amod", "compound")
        )
        of = any(self.words[c].lower == "of" for c in self.words.children(index, "prep"))
        return of or not modified

    def _is_head(self, index: int) -> bool:
        """Whether a word heads a noun phrase: a noun that is no modifier, nor a colour standing alone."""
        word = self.words[index]
        if (
            not word.is_noun
            or word.dep in ("compound", "amod", "nmod")
            or word.lower == "no"
            or not any(map(str.isalnum, word.text))
        ):
            return False
        colour = word.lower in lexicon.COLOURS
        return not colour or (
            word.dep != "acomp" and self.words.first_child(index, "det", "amod") is not None
        )

    def _named_by_of(self, index: int) -> int | None:
        """The noun after "of", where this one only counts it ("a group of people")."""
        word = self.words[index]
        picture = word.lower in lexicon.PICTURE_NOUNS and word.dep != "dobj"
        if word.lower not in lexicon.QUANTITY_NOUNS and not picture:
            return None
        for of in self.words.children(index, "prep"):
            if self.words[of].lower == "of":
                return self.words.first_child(of, "pobj")
        return None

    def _add(self, index: int) -> None:
        first = self._name_start(index)
        word = self.words[index]
        plural = word.tag in ("NNS", "NNPS")
        inflected = plural and word.lower not in lexicon.PLURAL_ONLY
        start, end = self.words.span(first, index)
        before = self.words.text[start : end - len(word.text)].lower()  # "fire " of "fire truck"
        name = " ".join((before + (self.lemma(word.lower, "NOUN") if inflected else word.lower)).split())
        modifiers = [m for m in self._modifiers(index) if m < first or m > index]
        item = self._coreferent(index, name, modifiers)
        if item is None:
            item = len(self.objects)
            self.objects.append(SceneObject(name, (start, end)))
            self._said.append(set())
        known = self._known.setdefault(name, [])
        known.append((item, self.words.clause(index), plural))
        del known[:-_RECENT]
        self._object_of[index] = item
        for modifier in modifiers:
            self.add_attribute(item, modifier)

    def _name_start(self, index: int) -> int:
        """First word of the name: nouns right before the head that are no colour or material, "hot dog"."""
        first = index
        while first > 0:
            before, word = self.words[first - 1], self.words[first]
            noun = before.dep in ("compound", "nmod") and before.is_noun and index >= before.head >= first
            plain = before.lower not in lexicon.COLOURS and before.lower not in lexicon.MATERIALS
            label = before.lower == "no" and before.dep == "det"  # no parking sign: else it were denied
            if (noun and plain) or label or (before.lower, word.lower) in lexicon.LEXICAL_COMPOUNDS:
                first -= 1
            else:
                break
        return first

    def _modifiers(self, index: int) -> Iterator[int]:
        """Adjectives, counts, colours and materials of a noun, those of the nouns in its name included."""
        for child in self.words.children(index, *_MODIFIER_DEPS):
            inner = self.words.children(child, *_MODIFIER_DEPS, "advmod", "npadvmod")
            if self._is_attribute(child):
                yield child
                yield from (i for i in inner if self.words[i].tag[:2] == "JJ" and self._is_attribute(i))
            elif self.words[child].is_noun:
                yield from filter(self._is_attribute, inner)

    def _is_attribute(self, index: int) -> bool:
        word = self.words[index]
        if word.lower in lexicon.VAGUE or word.lower in lexicon.DETERMINERS or not word.lower[0].isalnum():
            return False
        if word.lower in lexicon.SHADES and self.words[index + 1].lower in lexicon.COLOURS:  # dark green
            return False
        part_of_name = word.dep in ("compound", "nmod") and word.is_noun
        return not part_of_name or word.lower in lexicon.COLOURS or word.lower in lexicon.MATERIALS

    def _coordinated(self, index: int) -> list[int]:
        """An attribute and those joined to it: "black and white"."""
        found = [index]
        while len(found) < _RECENT:
            joined = (
                c
                for c in self.words.children(found[-1], "conj")
                if self.words[c].tag[:2] in ("JJ", "VB", "NN")
            )
            following = next(joined, None)
            if following is None:
                break
            if self.words[following].is_noun and self.words[following].lower not in lexicon.COLOURS:
                break
            found.append(following)
        return found

    def _attribute_span(self, index: int) -> Span:
        """The word, with a shade before a colour."""
        first = index
        while first > 0:
            before, word = self.words[first - 1], self.words[first]
            shade = before.lower in lexicon.SHADES and word.lower in lexicon.COLOURS
            if not (shade and before.head in (index, word.head)):
                break
            first -= 1
        return self.words.span(first, index)

    def _coreferent(self, index: int, name: str, modifiers: list[int]) -> int | None:
        """An object already introduced that a definite noun phrase speaks of again."""
        determiners = {self.words[c].lower for c in self.words.children(index, "det", "amod")}
        known = self._known.get(name)
        if not known or not determiners & lexicon.DEFINITE or determiners & lexicon.OTHER:
            return None
        clause, plural = self.words.clause(index), self.words[index].tag in ("NNS", "NNPS")
        said = {self.words[m].lower for m in modifiers}
        best = (-1, -1)
        for item, where, many in known:
            shared = len(said & self._said[item])
            other_one = said and self._said[item] and not shared  # "the blue ball" after "a red ball"
            if where != clause and many == plural and not other_one:
                best = max(best, (shared, item))
        return best[1] if best[1] >= 0 else None
