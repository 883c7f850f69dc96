"""Verbs that the tagger took for something else; see :mod:`knowclip.knowledge.repair`."""

from __future__ import annotations

from knowclip.knowledge import lexicon
from knowclip.knowledge.words import Words

NOUNS_IN_ING = frozenset(
    "building ceiling clothing railing wing king ring string thing evening morning painting wedding "
    "lightning earring swing spring sting viking nothing something anything everything awning "
    "crossing landing parking wrestling sibling sling lighting frosting icing topping drawing "
    "marking covering bedding siding flooring".split()
)
_AFTER_VERB = ("DT", "PRP$", "IN", "TO", "RB", "CC", ".", ",")
_NOT_THIRD_PERSON = ("ss", "us", "is")
"""Endings of nouns that are no plurals: "glass", "bus", "tennis"."""
_RELATIVE = ("relcl", "acl")
_OPENS_PHRASE = ("DT", "PRP$", "IN", "TO", "CD", "JJ", "PDT", "RP", "WDT")


def verb_with_subject(words: Words, index: int) -> None:
    """The verb of "two bicycles lean on a bench", read as an adjective although it has a subject."""
    word = words[index]
    if word.tag == "JJ" and word.dep == "ROOT" and words.first_child(index, "nsubj") == index - 1:
        if words.first_child(index, "prep", "dobj") is not None:
            word.tag = "VBP"


def verb_after_colour(words: Words, index: int) -> None:
    """The verb of "a cat that is black sits on a mat", read as a plural noun, which "is" forbids."""
    word, colour, verb = words[index], index - 1, index - 2
    if words[verb].lower in ("not", "n't"):
        verb -= 1
    if word.tag != "NNS" or words[colour].lower not in lexicon.COLOURS or words[colour].head != index:
        return
    if verb >= 0 and words[verb].lower in ("is", "was") and words[verb].dep == "relcl":
        words.attach(colour, verb, "acomp")
        words.attach(index, words[verb].head, "acl")
        word.tag = "VBZ"


def participle_after_noun(words: Words, index: int) -> None:
    """The verb of "a drum hiding behind a king": an -ing form read as a noun or as a subject clause."""
    word, noun = words[index], index - 1
    if word.lower[-3:] != "ing" or word.lower in NOUNS_IN_ING or not words[noun].is_noun:
        return
    if not _opens_phrase(words, index + 1):
        return
    if words[noun].head == index and (words[noun].dep != "nsubj" or word.dep in ("csubj", "nsubj")):
        words.promote(noun, over=index)
        words[index].dep = "acl"
        dep = words[noun].dep
        words[noun].dep = {"pcomp": "pobj", "csubj": "nsubj", "acl": "nsubj"}.get(dep, dep)
        adopt_object(words, index)
    word.tag = "VBG"


def participle_between_nouns(words: Words, index: int) -> None:
    """The verb of "hand holding skateboard", "surfer holding bar", read as a modifier of the second noun."""
    word, noun, second = words[index], index - 1, words[index].head
    if word.tag != "VBG" or word.dep not in ("amod", "compound") or second <= index:
        return
    if not words[noun].is_noun:
        return
    if words[noun].head == index and words[noun].dep in ("npadvmod", "compound", "nmod"):
        words.attach(noun, second, "amod")
        words.promote(noun, over=second)
    elif words[second].head != noun or words[second].dep not in ("appos", "npadvmod", "dep"):
        return
    words.attach(index, noun, "acl")
    words.attach(second, index, "dobj")


def verb_after_noun(words: Words, index: int) -> None:
    """The verb of "A bicycle hugs a cake", read as a plural noun, which "a" or "a" after it forbids."""
    word, noun = words[index], index - 1
    if word.is_noun and None not in (words.first_child(index, "nsubj"), words.first_child(index, "dobj")):
        word.tag = "VBZ"
    elif word.tag == "NNS" and word.dep == "ROOT" and words.first_child(index, "nsubj") is not None:
        word.tag = "VBZ"
    if (
        word.lower[-1:] != "s"
        or word.lower.endswith(_NOT_THIRD_PERSON)
        or words[noun].head != index
        or words[noun].dep != "compound"
    ):
        return
    following = words[index + 1].tag if index + 1 < len(words) else "."
    singular = {words[c].lower for c in words.children(index, "det")} & {"a", "an"}
    mismatch = singular and word.tag in ("NNS", "NNPS", "VBZ")  # a ... runs
    if following not in (_AFTER_VERB if mismatch else ("DT", "PRP$")):
        return
    if word.tag not in ("NNS", "NN", "NNPS", "VBZ"):
        return
    words.promote(noun, over=index)
    clause = words[noun].head
    if words[clause].dep in _RELATIVE and words[words[clause].head].is_noun:
        # a dog that wears a hat chases a cat
        words.attach(index, words[clause].head, "acl")
    else:
        words.attach(index, index if clause == noun else clause, words[noun].dep)
        words.attach(noun, index, "nsubj")
    word.tag = "VBZ"
    adopt_object(words, index)


def adopt_object(words: Words, verb: int) -> None:
    """The noun phrase after a word that has turned out to be a verb is its object."""
    following = words.first_child(verb, "appos", "npadvmod")
    if following is not None and following > verb:
        words[following].dep = "dobj"


def _opens_phrase(words: Words, index: int) -> bool:
    return index < len(words) and words[index].tag in _OPENS_PHRASE
