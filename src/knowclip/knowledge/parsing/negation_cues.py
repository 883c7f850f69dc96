"""Words that deny: closed classes of English, and the idioms that only look like them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Literal

from knowclip.knowledge.words import lexicon

Kind = Literal["phrase", "pronoun", "clause"]
"""What a cue denies: the noun phrase after it ("no", "without", "free of"); itself, with what is said of it
("nobody"); the verb or the word it stands before ("not")."""


@dataclass(frozen=True, slots=True)
class Cue:
    """Words ``first`` to ``last`` of a list, both included."""

    first: int
    last: int
    kind: Kind


def _table(text: str) -> dict[str, tuple[tuple[str, ...], ...]]:
    """Phrases by their first word, the longest first."""
    found: dict[str, list[tuple[str, ...]]] = {}
    for phrase in text.split(","):
        words = tuple(phrase.split())
        found.setdefault(words[0], []).append(words)
    return {first: tuple(sorted(phrases, key=len, reverse=True)) for first, phrases in found.items()}


_NT = "n't"
_CUES: dict[Kind, dict[str, tuple[tuple[str, ...], ...]]] = {
    "phrase": _table(
        """no, without, w/o, w/out, w / o, with out, sans, zero, nor, neither, hardly any, barely any,
        scarcely any, almost no, not a, not an, not any, not one, not a single, free of, free from, empty of,
        devoid of, void of, bare of, bereft of, stripped of, absent of, lack of, lack, lacks, lacking, lacked,
        absence of, instead of, rather than, other than, except, except for, excepting, excluding, apart
        from, aside from, save for, in place of, in lieu of, as opposed to, with the exception of,
        missing a, missing an, missing his, missing her, missing its, missing their, missing one, missing
        two, missing some"""
    ),
    "pronoun": _table(
        "nobody, no one, no - one, no-one, noone, no body, none, nothing, nowhere, neither of,"
        "not all, not every, not everyone, not everybody, not everything"
    ),
    "clause": _table(
        f"not, {_NT}, nt, never, no longer, fail to, fails to, failed to, failing to, refuse to, refuses to,"
        "refused to, refusing to, decline to, declines to, declined to, declining to, unable to"
    ),
}
_NO_CUES = _table(
    """not only, not just, not merely, not simply, not solely, not to mention, not unlike, not least, or
        not, if not, why not, no doubt, no matter, no more than, no less than, no fewer than, no later than,
        no other than, nothing but, nothing except, nothing other than, nothing more than, none but, none
        other than, nobody but, no one but, no - one but, no one except, no one other than, can not help
        but, ca n't help but, never mind, break free, breaks free,
        breaking free, broke free, no problem, no wonder"""
)
"""What only looks like one: "nothing but shorts" are shorts, "no fewer than three dogs" are there."""

_LABELS = frozenset(
    "sign signs zone zones symbol symbols notice button poster placard sticker area lane".split()
)
"""What "no parking" and "do not enter" are written on: "a no parking sign" is there."""
_LONGEST_LABEL = 5
"""Words in which what it is written on must follow: "no left turn on red *sign*"."""

_KEYS = frozenset(
    "no not nt without w sans zero nor neither nobody noone none nothing nowhere never cannot hardly barely "
    "scarcely free empty devoid void bare bereft stripped absent lack lacks lacking lacked absence instead "
    "than except excepting excluding apart aside save lieu opposed exception missing place out isnt arent "
    "fail fails failed failing refuse refuses refused refusing decline declines declined declining unable "
    "wasnt werent dont doesnt didnt hasnt havent hadnt wont cant couldnt wouldnt shouldnt aint".split()
)
"""One word of every cue, the rarest."""
_SEPARATORS = str.maketrans(dict.fromkeys('-,.;:!?()/"', " ") | dict.fromkeys("\u2019\u02bc`\u00b4", "'"))
ENDS = frozenset('. ; : ! ? ( ) " but while whilst although though because when until whereas'.split())
"""Words that end a clause, whatever comes."""
AUXILIARIES = lexicon.BE | frozenset("has have had does do did can could will would".split())
_NOT_IN_LABELS = AUXILIARIES | ENDS | {",", "or"}


@lru_cache(maxsize=1 << 12)
def may_deny(text: str) -> bool:
    """Whether a text may hold a cue; False is certain."""
    plain = text.lower().translate(_SEPARATORS)
    return "n't" in plain or not _KEYS.isdisjoint(plain.split())


def cues(words: Sequence[str]) -> Iterator[Cue]:
    """The cues among lower-case words, in order.

    "n't" is a word of its own, as are the parts of "no-one"; idioms that deny nothing ("not only", "no fewer
    than"), numbers ("no. 5"), hyphenated words ("no-slip") and labels ("a no parking sign") are left out.
    """
    index = 0
    while index < len(words):
        skipped = _longest(_NO_CUES, words, index)
        if skipped or _is_label(words, index):
            index += max(skipped, 1)
            continue
        lengths = {kind: _longest(table, words, index) for kind, table in _CUES.items()}
        kind = max(lengths, key=lengths.__getitem__)
        if lengths[kind]:
            last = index + lengths[kind] - 1
            inverted = words[index] == "nor" and words[last + 1 : last + 2] and words[last + 1] in AUXILIARIES
            yield Cue(index, last, "clause" if inverted else kind)
        index += max(lengths[kind], 1)


def _longest(table: dict[str, tuple[tuple[str, ...], ...]], words: Sequence[str], index: int) -> int:
    if " " in words[index]:  # a phrase that was read as one word
        first, *_ = phrase = tuple(words[index].split()) or ("",)
        return int(phrase in table.get(first, ()))
    for phrase in table.get(words[index], ()):
        if tuple(words[index : index + len(phrase)]) == phrase:
            return len(phrase)
    return 0


def _is_label(words: Sequence[str], index: int) -> bool:
    """Whether a "no" or "not" is part of a word, of a number or of what a sign says."""
    if words[index] not in ("no", "not", _NT, "never"):
        return False
    following = words[index + 1 : index + 1 + _LONGEST_LABEL]
    if not following or (following[0] == "-" and following[1:2] != ["one"]):
        return True
    if following[0][0].isdigit() or (following[0] == "." and following[1:2] and following[1][0].isdigit()):
        return words[index] == "no"
    if words[index] in ("not", _NT) and words[index - 1 : index] not in (["do"], ["dont"]):
        return False
    label = next((n for n, word in enumerate(following) if word in _LABELS), 0)
    return label > 0 and _NOT_IN_LABELS.isdisjoint(following[:label])
