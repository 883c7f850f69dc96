"""Mends the tagger's typical errors on captions before the rules read them.

News-trained taggers meet odd scenes ("a drum hiding behind a king") with nouns where verbs stand. Each repair
asks for evidence in the neighbouring words, never for particular nouns or verbs.
"""

from __future__ import annotations

from knowclip.knowledge.parsing import verb_repair
from knowclip.knowledge.parsing.dependency_words import Words
from knowclip.knowledge.parsing.verb_repair import NOUNS_IN_ING
from knowclip.knowledge.words import lexicon


def repair(words: Words) -> None:
    """Retag and re-attach words in place; each repair looks at the few words that its first check lets by."""
    for index, word in enumerate(words.words):
        _noun_by_place(words, index)
        if word.tag in ("VB", "VBP"):
            _noun_after_preposition(words, index)
        if word.dep in ("conj", "appos"):
            _nearer_coordination(words, index)
        if word.lower in lexicon.WORN:
            _worn_together(words, index)
        elif word.lower == "by":
            _giver(words, index)
        if word.dep == "prep":
            _place_before_verb(words, index)
        elif word.dep == "npadvmod":
            _place_after_particle(words, index)
        if word.tag in ("JJ", "NN"):
            verb_repair.verb_with_subject(words, index)
    for index, word in enumerate(words.words[1:], 1):
        if word.tag == "NNS":
            verb_repair.verb_after_colour(words, index)
        if word.tag[:2] in ("NN", "VB"):
            _name_after_colour(words, index)
        ending = word.lower[-1:]
        if word.tag == "NNS" or ending == "g":
            _noun_read_as_adjective(words, index)
        if ending == "g":
            verb_repair.participle_between_nouns(words, index)
            verb_repair.participle_after_noun(words, index)
            verb_repair.wearer_of_participle(words, index)
        if ending == "s" or word.is_noun:
            verb_repair.verb_after_noun(words, index)
            verb_repair.verb_after_worn_colour(words, index)


def repair_denied(words: Words) -> None:
    """Hang what is said of the bearer on it: the verb of "a boy without a helmet *riding* a bike"."""
    for index, word in enumerate(words.words):
        if index in words.denied or word.head not in words.denied or not word.tag.startswith("VBG"):
            continue
        bearer = words.climb(word.head, lambda index: index not in words.denied)
        if bearer in words.denied or bearer >= index:
            continue
        for child in [c for c in word.children if c in words.denied]:
            words.attach(child, word.head, "pobj")
        words.attach(index, bearer, "acl" if words[bearer].is_noun else "advcl")
        verb_repair.adopt_object(words, index)


def _noun_by_place(words: Words, index: int) -> None:
    """The noun of "on a side walk", "next to building": neither verb nor adverb stands there.

    And the adjective of "a shirtless man", read as a noun.
    """
    word = words[index]
    if word.is_noun and word.dep in ("compound", "nmod") and word.lower.endswith("less"):
        word.tag, word.dep = "JJ", "amod"
    starts = index == 0 and word.tag == "VB" and len(words) > 1 and words[1].lower.endswith("ing")
    if starts or (word.dep in ("pobj", "dobj") and word.tag in ("VB", "VBP", "VBD", "VBZ", "XX", "FW")):
        word.tag = "NN"
    elif word.dep == "pobj" and word.tag in ("JJ", "RB"):
        value = word.lower in lexicon.COLOURS or word.lower in lexicon.VAGUE
        if not value and words.first_child(index, "det", "amod") is not None:
            word.tag = "NN"
    elif word.dep == "pcomp" and word.lower in NOUNS_IN_ING and words.first_child(index, "dobj") is None:
        word.tag, word.dep = "NN", "pobj"
    elif word.dep == "advmod" and word.is_noun and words[word.head].is_verb and word.head < index:
        word.dep = "dobj"


def _noun_after_preposition(words: Words, index: int) -> None:
    """The noun of "pole attached to bench", "tree behind stop sign", read as a verb."""
    word, preposition, governor = words[index], index - 1, index - 2
    if governor < 0:
        return
    following = index + 1 < len(words) and words[index + 1].is_noun
    noun = index + 1 if following else index
    if words[preposition].lower == "to":
        passive = words[governor].tag == "VBN" and words[governor].lower != "used" and noun == index
        possible = passive or words[governor].lower in ("next", "close", "adjacent")
    else:
        possible = words[preposition].tag == "IN" and words[preposition].dep in ("prep", "advmod")
    ends = noun + 1 == len(words) or words[noun + 1].tag in (".", ",", "CC", "IN")
    if not possible or not ends or words.first_child(preposition, "pobj", "pcomp") is not None:
        return
    for top in (index, noun):
        if words[top].head == top:
            subject = words.first_child(top, "nsubj", "csubj")
            if subject is None:
                return
            words.promote(subject, over=top)
            if words[governor].head == top:
                words.attach(governor, subject, "advmod")
    if words.is_below(governor, index) or words.is_below(governor, noun):
        return
    words.attach(preposition, governor, "prep")
    words.attach(noun, preposition, "pobj")
    if noun != index:
        words.attach(index, noun, "compound")
    word.tag, words[preposition].tag = "NN", "IN"


def _place_after_particle(words: Words, index: int) -> None:
    """The place in "going down a slope", read as an adverb after the particle of a verb."""
    word = words[index]
    particle = words.first_child(word.head, "prt") if word.head < index else None
    if not word.is_noun or particle is None:
        return
    if particle + 1 == min([index, *word.children]):
        words.attach(index, particle, "pobj")
        words[particle].dep, words[particle].tag = "prep", "IN"


def _nearer_coordination(words: Words, index: int) -> None:
    """The second object of "a man wearing a hat and a scarf", hung on "man" although "and" hangs on "hat"."""
    word = words[index]
    first = min([index, *word.children])
    if not word.is_noun or words[first - 1].dep != "cc":
        return
    near = words[first - 1].head
    if word.head < near < first - 1 and words[near].is_noun and words.first_child(near, "conj") is None:
        words.attach(index, near, "conj")


def _worn_together(words: Words, index: int) -> None:
    """The clothes of "a man in a hat and shorts", "a man in a coat and a hat runs", hung on man or verb."""
    word = words[index]
    if word.dep not in ("conj", "appos", "nsubj"):
        return
    first = min([index, *word.children])
    near = first - 2
    joined = near > 0 and words[first - 1].lower in ("and", ",", "&") and words[near].lower in lexicon.WORN
    if not joined or words[near].dep not in ("pobj", "dobj", "conj") or words.is_below(near, index):
        return
    wearer_is_subject = len(words.children(word.head, "nsubj")) > 1
    if words[near].head != index and (word.dep != "nsubj" or wearer_is_subject):
        words.attach(index, near, "conj")


def _giver(words: Words, index: int) -> None:
    """The agent of "a dog is given a treat by a woman", hung on the treat."""
    word = words[index]
    verb = words[word.head].head
    if words[word.head].dep == "dobj" and words[verb].tag == "VBN":
        if words.first_child(verb, "nsubjpass") is not None:
            words.attach(index, verb, "agent")


def _place_before_verb(words: Words, index: int) -> None:
    """The place in "On a table is a cat", read as the subject."""
    verb = words[index].head
    if words[verb].lower not in lexicon.BE or words[index].children:
        return
    place, subject = words.first_child(verb, "nsubj"), words.first_child(verb, "attr")
    if place is not None and subject is not None and index < place < verb < subject:
        words.attach(place, index, "pobj")
        words.attach(subject, verb, "nsubj")


def _noun_read_as_adjective(words: Words, index: int) -> None:
    """The noun of "an alien chases a rocket", "a key riding a pumpkin": an unknown adjective of the verb."""
    word, noun = words[index], words[index - 1]
    verb_form = word.tag == "NNS" or (word.lower.endswith("ing") and word.lower not in NOUNS_IN_ING)
    if not verb_form or noun.tag != "JJ" or noun.dep != "amod" or noun.head != index:
        return
    if noun.lower in lexicon.VALUES or noun.lower in lexicon.VAGUE or index + 1 == len(words):
        return
    singular = {words[c].lower for c in words.children(index, "det")} & {"a", "an"}
    if singular and words[index + 1].tag in ("DT", "PRP$"):
        noun.tag, noun.dep = "NN", "compound"


def _name_after_colour(words: Words, index: int) -> None:
    """The name in "a blue mermaid", "a teddy bear": a noun read as a verb or as part of its modifier."""
    word, before = words[index], index - 1
    compound = (words[before].lower, word.lower) in lexicon.LEXICAL_COMPOUNDS
    if not compound and words[before].lower not in lexicon.COLOURS:
        return
    if word.lower[-3:] in ("ing", "is") or not word.text.isalpha():
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
