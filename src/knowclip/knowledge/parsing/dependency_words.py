"""The words of a dependency parse, as the rules read them: no spaCy object gets past the parser."""

from __future__ import annotations

from bisect import insort
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Literal

from knowclip.types import Span

PartOfSpeech = Literal["NOUN", "VERB", "ADJ"]
Lemma = Callable[[str, PartOfSpeech], str]
"""``lemma(lower_case_word, part_of_speech)``."""


@dataclass(slots=True)
class Word:
    """A token: Penn Treebank ``tag``, ClearNLP ``dep``, index of its ``head`` (its own index for a root)."""

    text: str
    tag: str
    dep: str
    head: int
    start: int
    end: int
    lower: str = ""
    children: list[int] = field(default_factory=list)

    @property
    def is_noun(self) -> bool:
        """Common or proper noun."""
        return self.tag[:2] == "NN"

    @property
    def is_verb(self) -> bool:
        """Any verb form; modals are not."""
        return self.tag[:2] == "VB"


@dataclass(slots=True)
class Words:
    """A caption and its words, in order."""

    text: str
    words: list[Word]
    denied: frozenset[int] = frozenset()
    """Words under a negation, and those that negate: nothing they say is claimed."""

    def __post_init__(self) -> None:
        for index, word in enumerate(self.words):
            word.lower = word.text.lower()
            if word.head != index:
                self.words[word.head].children.append(index)

    def __getitem__(self, index: int) -> Word:
        return self.words[index]

    def __len__(self) -> int:
        return len(self.words)

    def children(self, index: int, *deps: str) -> list[int]:
        """Dependents of a word, in order, of the given kinds only."""
        words = self.words
        return [child for child in words[index].children if words[child].dep in deps]

    def first_child(self, index: int, *deps: str) -> int | None:
        """First dependent of one of the kinds."""
        words = self.words
        for child in words[index].children:
            if words[child].dep in deps:
                return child
        return None

    def span(self, first: int, last: int) -> Span:
        """Characters from one word to another, both included."""
        return self.words[first].start, self.words[last].end

    def phrase(self, first: int, last: int) -> str:
        """Lower-case text of :meth:`span`, single spaces."""
        start, end = self.span(first, last)
        return " ".join(self.text[start:end].lower().split())

    def climb(self, index: int, there: Callable[[int], bool]) -> int:
        """From a word to what it hangs on, and on, until ``there`` holds or a root is reached."""
        for _ in self.words:  # so often at most: a repair may have hung words on each other in a circle
            if there(index) or self.words[index].head == index:
                break
            index = self.words[index].head
        return index

    def clause(self, index: int) -> int:
        """The verb or root a word belongs to: two mentions in one clause are two things."""
        return self.climb(index, lambda word: self.words[word].is_verb)

    def is_below(self, index: int, ancestor: int) -> bool:
        """Whether a word hangs on another one, through others or not, or is it."""
        return self.climb(index, lambda word: word == ancestor) == ancestor

    def cut_circles(self) -> None:
        """Make a root of a word of each circle, which repairs of a text that is no English may leave."""
        sound: set[int] = set()
        for index in range(len(self.words)):
            path = [index]
            while path[-1] not in sound and (head := self.words[path[-1]].head) != path[-1]:
                if head in path:
                    self.attach(path[-1], path[-1], "ROOT")
                    break
                path.append(head)
            sound.update(path)

    def attach(self, index: int, head: int, dep: str) -> None:
        """Hang a word on another one (on itself: make it a root)."""
        word = self.words[index]
        if word.head != index:
            self.words[word.head].children.remove(index)
        word.head, word.dep = head, dep
        if head != index:
            insort(self.words[head].children, index)

    def inherit(self, index: int, former: int) -> None:
        """Move the dependents of a word to another one."""
        for child in [c for c in self.words[former].children if c != index]:
            self.attach(child, index, self.words[child].dep)

    def promote(self, index: int, *, over: int) -> None:
        """Let a word take its head's place and the dependents before it; the former head hangs on it."""
        former = self.words[over]
        head, dep = (index, "ROOT") if former.head == over else (former.head, former.dep)
        self.attach(index, index, "ROOT")
        if former.head != over:
            self.attach(index, head, dep)
        for child in [c for c in self.words[over].children if c < index]:
            self.attach(child, index, self.words[child].dep)
        self.attach(over, index, self.words[over].dep)
