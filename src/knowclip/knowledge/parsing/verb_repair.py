"""Verbs that the tagger took for something else; see :mod:`knowclip.knowledge.parsing.tag_repair`."""

from __future__ import annotations

from knowclip.knowledge.parsing.dependency_words import Words
from knowclip.knowledge.words import lexicon
from knowclip.knowledge.words.alternatives import is_motion

NOUNS_IN_ING = frozenset(
    "building ceiling clothing railing wing king ring string thing evening morning painting wedding "
    "lightning earring swing spring sting viking nothing something anything everything awning "
    "crossing landing parking wrestling sibling sling lighting frosting icing topping drawing "
    "marking covering bedding siding flooring".split()
)
_NO_PARTICIPLES = NOUNS_IN_ING | {"during", "including", "regarding", "concerning"}
_AFTER_VERB = ("DT", "PRP$", "IN", "TO", "RB", "CC", "CD", ".", ",")
_PLURAL_MODIFIERS = frozenset("sports trials clothes goods arms athletics gymnastics savings".split())
_NOT_THIRD_PERSON = ("ss", "us", "nis", "sis", "vis")
"""Endings of nouns that are no plurals: "glass", "bus", "tennis"."""
_RELATIVE = ("relcl", "acl")
_DONE_BY_CLOTHES = frozenset(
    "hanging blowing flowing flapping billowing draping lying laying matching saying reading showing "
    "featuring bearing displaying covering having depicting fitting".split()
)
_OPENS_PHRASE = ("DT", "PRP$", "IN", "TO", "CD", "JJ", "PDT", "RP", "WDT")


def verb_with_subject(words: Words, index: int) -> None:
    """The verb of "two bicycles lean on a bench", read as an adjective although it has a subject.

    Or as a noun ("two women wrestle"), even as one that the subject modifies ("two dogs wrestle").
    """
    word, noun = words[index], words[index - 1]
    if word.tag == "NN" and index and noun.tag == "NNS" and noun.head == index:
        modifies = noun.dep == "compound" and noun.lower not in _PLURAL_MODIFIERS | lexicon.PLURAL_ONLY
        if noun.dep == "nsubj" or (modifies and words.first_child(index, "det") is None):
            return _verb_of(words, index)
    if word.tag == "JJ" and word.dep == "ROOT" and words.first_child(index, "nsubj") == index - 1:
        if words.first_child(index, "prep", "dobj") is not None:
            word.tag = "VBP"


def _verb_of(words: Words, index: int) -> None:
    """Make a word the verb of the noun before it, where what follows allows one."""
    noun = index - 1
    if words[index].dep not in ("ROOT", "conj", "ccomp") or _tag_at(words, index + 1) not in _AFTER_VERB:
        return
    for child in [c for c in words[index].children if c < noun]:
        words.attach(child, noun, words[child].dep)
    words[index].tag, words[noun].dep = "VBP", "nsubj"


def _tag_at(words: Words, index: int) -> str:
    return words[index].tag if index < len(words) else "."


def verb_after_colour(words: Words, index: int) -> None:
    """The verb of "a cat that is black sits on a mat", read as a plural noun, which "is" forbids."""
    word, colour, verb = words[index], index - 1, index - 2
    if words[verb].lower in ("not", "n't"):
        verb -= 1
    if words[colour].lower not in lexicon.COLOURS or words[colour].head != index:
        return
    if verb >= 0 and words[verb].lower in ("is", "was") and words[verb].dep == "relcl":
        words.attach(colour, verb, "acomp")
        words.attach(index, words[verb].head, "acl")
        word.tag = "VBZ"


def participle_after_noun(words: Words, index: int) -> None:
    """The verb of "a drum hiding behind a king": an -ing form read as a noun or as a subject clause."""
    word, noun = words[index], index - 1
    if word.lower[-3:] != "ing" or word.lower in _NO_PARTICIPLES or not words[noun].is_noun:
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
    elif word.tag == "NNS" and word.dep == "ROOT" and word.lower not in lexicon.PLURAL_ONLY:
        if words.first_child(index, "nsubj") is not None:
            word.tag = "VBZ"
    if (
        word.lower[-1:] != "s"
        or word.lower.endswith(_NOT_THIRD_PERSON)
        or words[noun].head != index
        or words[noun].dep != "compound"
    ):
        return
    following = _tag_at(words, index + 1)
    singular = bool({words[c].lower for c in words.children(index, "det")} & {"a", "an"})
    if words[noun].tag == "NN" and words[noun].lower in lexicon.WORN and words[index].dep == "pobj":
        singular = True  # a boy in red jacket crouches
    if following not in (_AFTER_VERB if singular else ("DT", "PRP$")):
        return
    if word.tag not in ("NNS", "NN", "NNPS", "VBZ"):
        return
    words.promote(noun, over=index)
    clause = words[noun].head
    bearer = _bearer(words, noun)
    if bearer is not None:  # a dog that wears a hat chases a cat, a dog in a hat chases a cat
        words.attach(index, bearer, "acl")
    else:
        words.attach(index, index if clause == noun else clause, words[noun].dep)
        words.attach(noun, index, "nsubj")
    word.tag = "VBZ"
    adopt_object(words, index)


def verb_after_worn_colour(words: Words, index: int) -> None:
    """The verb of "a girl in red rides on her stomach", read as what she is in."""
    word, colour, preposition = words[index], index - 1, index - 2
    if preposition < 1 or word.tag != "NNS" or word.dep != "pobj" or word.head != preposition:
        return
    if words[colour].lower not in lexicon.COLOURS or words[preposition].lower != "in":
        return
    wearer = words[preposition].head
    stems = (word.lower[:-1], word.lower[:-2])
    if words[wearer].is_noun and any(map(is_motion, stems)) and word.lower not in lexicon.PLURAL_ONLY:
        words.attach(colour, preposition, "pobj")
        words.attach(index, wearer, "acl")
        word.tag = "VBZ"
        for child in [c for c in words[wearer].children if c > index]:
            words.attach(child, index, words[child].dep)


def wearer_of_participle(words: Words, index: int) -> None:
    """The verb of "a woman in a dress *carrying* a bag", hung on what she wears."""
    word, worn = words[index], words[words[index].head]
    if word.tag != "VBG" or word.dep != "acl" or worn.lower not in lexicon.WORN:
        return
    bearer = _bearer(words, word.head)
    if bearer is not None and word.lower not in _DONE_BY_CLOTHES:
        words.attach(index, bearer, "acl")


def _bearer(words: Words, noun: int) -> int | None:
    """The noun that another one is only said of, in a relative clause or by a preposition."""
    bearer = None
    while words[noun].head < noun:
        link = words[words[noun].head]
        if link.dep not in ("prep", *_RELATIVE) or link.lower == "of" or not words[link.head].is_noun:
            break
        bearer = noun = link.head
    return bearer


def adopt_object(words: Words, verb: int) -> None:
    """The noun phrase after a word that has turned out to be a verb is its object."""
    following = words.first_child(verb, "appos", "npadvmod")
    if following is not None and following > verb:
        words[following].dep = "dobj"


def _opens_phrase(words: Words, index: int) -> bool:
    return index < len(words) and words[index].tag in _OPENS_PHRASE
