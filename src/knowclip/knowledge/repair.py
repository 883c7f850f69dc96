"""Mends the tagger's typical errors on captions before the rules read them.

News-trained taggers meet odd scenes ("a drum hiding behind a king") with nouns where verbs stand. Each repair
asks for evidence in the neighbouring words, never for particular nouns or verbs.
"""

from __future__ import annotations

from knowclip.knowledge import lexicon
from knowclip.knowledge.words import Words

_NOUNS_IN_ING = frozenset(
    "building ceiling clothing railing wing king ring string thing evening morning painting wedding "
    "lightning earring swing spring sting viking nothing something anything everything awning "
    "crossing landing parking wrestling sibling sling lighting frosting icing topping drawing "
    "marking covering bedding siding flooring".split()
)
_AFTER_VERB = ("DT", "PRP$", "IN", "TO", "RB", ".", ",")
_OPENS_PHRASE = ("DT", "PRP$", "IN", "TO", "CD", "JJ", "PDT", "RP", "WDT")


def repair(words: Words) -> None:
    """Retag and re-attach words in place."""
    for index in range(len(words)):
        _noun_by_place(words, index)
        _nearer_coordination(words, index)
        _place_before_verb(words, index)
    for index in range(1, len(words)):
        _verb_after_colour(words, index)
        _name_after_colour(words, index)
        _noun_read_as_adjective(words, index)
        _participle_after_noun(words, index)
        _verb_after_noun(words, index)


def _opens_phrase(words: Words, index: int) -> bool:
    return index < len(words) and words[index].tag in _OPENS_PHRASE


def _noun_by_place(words: Words, index: int) -> None:
    """The noun of "on a side walk", "log leaning on a box": no verb stands there."""
    word = words[index]
    starts = index == 0 and word.tag == "VB" and len(words) > 1 and words[1].lower.endswith("ing")
    if starts or (word.dep in ("pobj", "dobj") and word.tag in ("VB", "VBP", "VBD", "VBZ", "XX", "FW")):
        word.tag = "NN"


def _nearer_coordination(words: Words, index: int) -> None:
    """The second object of "a man wearing a hat and a scarf", hung on "man" although "and" hangs on "hat"."""
    word = words[index]
    first = min([index, *word.children])
    if word.dep not in ("conj", "appos") or not word.is_noun or words[first - 1].dep != "cc":
        return
    near = words[first - 1].head
    if word.head < near < first - 1 and words[near].is_noun and words.first_child(near, "conj") is None:
        words.attach(index, near, "conj")


def _place_before_verb(words: Words, index: int) -> None:
    """The place in "On a table is a cat", read as the subject."""
    verb = words[index].head
    if words[index].dep != "prep" or words[verb].lower not in lexicon.BE or words[index].children:
        return
    place, subject = words.first_child(verb, "nsubj"), words.first_child(verb, "attr")
    if place is not None and subject is not None and index < place < verb < subject:
        words.attach(place, index, "pobj")
        words.attach(subject, verb, "nsubj")


def _noun_read_as_adjective(words: Words, index: int) -> None:
    """The noun of "an alien chases a rocket", "a key riding a pumpkin": an unknown adjective of the verb."""
    word, noun = words[index], words[index - 1]
    verb_form = word.tag == "NNS" or (word.lower.endswith("ing") and word.lower not in _NOUNS_IN_ING)
    if not verb_form or noun.tag != "JJ" or noun.dep != "amod" or noun.head != index:
        return
    if noun.lower in lexicon.VALUES or noun.lower in lexicon.VAGUE or index + 1 == len(words):
        return
    singular = {words[c].lower for c in words.children(index, "det")} & {"a", "an"}
    if singular and words[index + 1].tag in ("DT", "PRP$"):
        noun.tag, noun.dep = "NN", "compound"


def _participle_after_noun(words: Words, index: int) -> None:
    """The verb of "a drum hiding behind a king": an -ing form read as a noun or as a subject clause."""
    word, noun = words[index], index - 1
    if word.lower[-3:] != "ing" or word.lower in _NOUNS_IN_ING or not words[noun].is_noun:
        return
    if not _opens_phrase(words, index + 1):
        return
    if words[noun].head == index and (words[noun].dep != "nsubj" or word.dep in ("csubj", "nsubj")):
        words.promote(noun, over=index)
        words[index].dep = "acl"
        dep = words[noun].dep
        words[noun].dep = {"pcomp": "pobj", "csubj": "nsubj", "acl": "nsubj"}.get(dep, dep)
        _adopt_object(words, index)
    word.tag = "VBG"


def _adopt_object(words: Words, verb: int) -> None:
    """The noun phrase after a word that has turned out to be a verb is its object."""
    following = words.first_child(verb, "appos", "npadvmod")
    if following is not None and following > verb:
        words[following].dep = "dobj"


def _verb_after_noun(words: Words, index: int) -> None:
    """The verb of "A bicycle hugs a cake", read as a plural noun, which "a" or "a" after it forbids."""
    word, noun = words[index], index - 1
    if word.is_noun and None not in (words.first_child(index, "nsubj"), words.first_child(index, "dobj")):
        word.tag = "VBZ"
    if word.lower[-1:] != "s" or words[noun].head != index or words[noun].dep != "compound":
        return
    following = words[index + 1].tag if index + 1 < len(words) else "."
    singular = {words[c].lower for c in words.children(index, "det")} & {"a", "an"}
    if following not in (_AFTER_VERB if singular else ("DT", "PRP$")):
        return
    if word.tag not in ("NNS", "NN", "NNPS", "VBZ"):
        return
    words.promote(noun, over=index)
    clause = words[noun].head
    if words[clause].dep == "relcl" and words[words[clause].head].is_noun:
        # a dog that wears a hat chases a cat
        words.attach(index, words[clause].head, "acl")
    else:
        words.attach(index, index if clause == noun else clause, words[noun].dep)
        words.attach(noun, index, "nsubj")
    word.tag = "VBZ"
    _adopt_object(words, index)


def _verb_after_colour(words: Words, index: int) -> None:
    """The verb of "a cat that is black sits on a mat", read as a plural noun, which "is" forbids."""
    word, colour, verb = words[index], index - 1, index - 2
    if word.tag != "NNS" or words[colour].lower not in lexicon.COLOURS or words[colour].head != index:
        return
    if verb >= 0 and words[verb].lower in ("is", "was") and words[verb].dep == "relcl":
        words.attach(colour, verb, "acomp")
        words.attach(index, words[verb].head, "acl")
        word.tag = "VBZ"


def _name_after_colour(words: Words, index: int) -> None:
    """The name in "a blue mermaid", "a teddy bear": a noun read as a verb or as part of its modifier."""
    word, before = words[index], index - 1
    compound = (words[before].lower, word.lower) in lexicon.LEXICAL_COMPOUNDS
    if not compound and words[before].lower not in lexicon.COLOURS:
        return
    if word.tag[:2] not in ("NN", "VB") or word.lower[-3:] in ("ing", "is") or not word.text.isalpha():
        return
    if words[before].head == index and words[before].dep in ("amod", "compound"):
        return
    if words[before].head == index or word.head == before:
        if not any(words[c].dep == "det" for c in words[before].children) and not compound:
            return
        if word.head == before:
            words.promote(index, over=before)
        words.inherit(index, before)
        words[before].dep = "compound" if compound else "amod"
        word.tag = "NN"
