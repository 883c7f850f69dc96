"""VQA v2's answer normalisation and soft accuracy, as the official evaluation computes them.

Source of the rules and of the list of contractions: ``VQAEval`` of https://github.com/GT-Vision-Lab/VQA.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import lru_cache

ARTICLES = frozenset(("a", "an", "the"))
NUMBERS = dict(
    zip(
        ("none", "zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten"),
        ("0", "0", "1", "2", "3", "4", "5", "6", "7", "8", "9", "10"),
        strict=True,
    )
)
PUNCTUATION = ';/[]"{}()=+\\_-><@`,?!'
_DIGIT_COMMA = re.compile(r"\d,\d")
_PERIOD = re.compile(r"(?!<=\d)(\.)(?!\d)")  # the lookbehind is mistyped officially; scores depend on it
_PERIODS = 32  # officially the flag re.UNICODE stands where the count belongs, and it is worth 32

_CONTRACTED = (
    "ain't aren't can't could've couldn't couldn't've didn't doesn't don't hadn't hadn't've hasn't haven't "
    "he'd he'd've he's how'd how'll how's isn't it'd it'd've it'll ma'am mightn't mightn't've might've "
    "mustn't must've needn't not've o'clock oughtn't 'ow's'at shan't she'd've should've shouldn't "
    "shouldn't've somebody'd've somebody'll somebody's someone'd someone'd've someone'll someone's "
    "something'd something'd've something'll that's there'd there'd've there're there's they'd they'd've "
    "they'll they're they've 'twas wasn't we'd've we've weren't what'll what're what's what've when's "
    "where'd where's where've who'd who'd've who'll who's who've why'll why're why's won't would've wouldn't "
    "wouldn't've y'all y'all'll y'all'd've you'd you'd've you'll you're you've"
).split()


def _missing_one(word: str) -> list[str]:
    return [word[:at] + word[at + 1 :] for at, letter in enumerate(word) if letter == "'"]


CONTRACTIONS = {short: word for word in _CONTRACTED for short in _missing_one(word)}
"""A contraction with one apostrophe left out -> the contraction."""
CONTRACTIONS["somebody'd"] = "somebodyd"  # the official list has this one the wrong way round


@lru_cache(maxsize=1 << 18)
def normalise(answer: str) -> str:
    """Punctuation out, lower case, numbers as digits, articles out, apostrophes back into contractions."""
    text = answer
    glued = _DIGIT_COMMA.search(answer) is not None
    for mark in PUNCTUATION:
        spaced = f"{mark} " in answer or f" {mark}" in answer
        text = text.replace(mark, "" if spaced or glued else " ")
    text = _PERIOD.sub("", text, count=_PERIODS)
    words = [NUMBERS.get(word, word) for word in text.lower().split()]
    return " ".join(CONTRACTIONS.get(word, word) for word in words if word not in ARTICLES)


def tidy(answer: str) -> str:
    """Line breaks and tabs to spaces, ends stripped: done to every answer before anything else."""
    return answer.replace("\n", " ").replace("\t", " ").strip()


def soft_accuracy(given: str, answers: Sequence[str]) -> float:
    """Accuracy of the answer ``given`` against the people's ``answers`` (10 in VQA v2).

    Mean over leaving each person out of ``min(1, others who said it / 3)``. Answers are normalised only
    where the people disagree.
    """
    people = [tidy(answer) for answer in answers]
    given = tidy(given)
    if len(set(people)) > 1:
        people, given = [normalise(answer) for answer in people], normalise(given)
    said = people.count(given)
    # leaving out one of those who said it, then one of those who did not
    with_one_out = min(1.0, (said - 1) / 3) * said if said else 0.0
    return (with_one_out + min(1.0, said / 3) * (len(people) - said)) / len(people)
