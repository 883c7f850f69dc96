"""The indefinite article by the sound of the words behind it: "an hour", "a one-way street", "an SUV"."""

from __future__ import annotations

import re
from functools import lru_cache

_NUMBER = re.compile(r"\d{1,3}(?:,\d{3})+|\d+")
_HEAD = re.compile(r"[^\W\d_]+")
_SILENT_H = re.compile(r"hour|honest|honou?r|heir|herb(?!ert|ivo)|homage|hors\b", re.IGNORECASE)
_SAYS_YOU_OR_W = re.compile(
    r"eu|ewe|one(?:self)?\b|once\b|ouija|uni(?![nmdr]|ss)|unanim|unidirect"
    r"|u(?:biq|gand|k|lys|r[aeiou]|s[aeu]|t[aeio]|v)",
    re.IGNORECASE,
)
_NAMED_WITH_A_VOWEL = frozenset("aefhilmnorsx")
"""Letters whose names begin with a vowel: "an MRI", but "a US flag"."""
_SPELT = frozenset(
    "atv cia fbi hbo hdmi hiv led lsu mba mbta mia mri nasdaq nba nbc ncaa nra nyc nypd nyu rpg suv sos "
    "smu uae ucf ucla ufc ufo uk upc ups us usa usb usc usda usmc uv".split()
)  # fmt: skip
"""Words said letter by letter that have vowels, in either case."""
_SPELT_CAPITALS = re.compile(
    r"F[^LRAEIOUY]|[HLMNX][^AEIOUY]|R[^HAEIOUY]|S[^CHKLMNPQTVWAEIOUY]|U[BCFHJKQSVWXYZ]|(?:UN|NY|MIT|RAF|LAX|SAS|SEC|SAT)$"
)
"""Capitals that begin as no syllable does: "an NHL player", but "a NASA suit", "a STOP sign"."""
_SAID_WHOLE = frozenset("mr mrs ms mt st sr sgt lt ft hmm shh".split())
"""Abbreviations without a vowel that are said as words where they are no capitals: "a Ms.", "an MS"."""


def article(word: str) -> str:
    """The article, "a" or "an", before a text, by its sound; letters and numbers as they are said."""
    return _article(word.partition(" ")[0])


@lru_cache(maxsize=1 << 14)
def _article(word: str) -> str:
    word = word.lstrip("\"'\u2018\u2019\u201c\u201d([{.*_- ")
    if number := _NUMBER.match(word):
        return "an" if _is_eight_or_eleven(number[0]) else "a"
    head = _HEAD.match(word)
    if head is None:
        return "a"
    if _is_spelt(head[0]):
        return "an" if head[0][0].lower() in _NAMED_WITH_A_VOWEL else "a"
    if _SILENT_H.match(word):
        return "an"
    return "an" if word[0].lower() in "aeiou" and not _SAYS_YOU_OR_W.match(word) else "a"


def _is_eight_or_eleven(number: str) -> bool:
    """Whether a number is read as eight..., eleven... or eighteen...: 8, 80, 800, 11, 18,000, the 1800s."""
    digits = number.replace(",", "")
    leading = digits[: len(digits) % 3]
    hundreds = len(number) == 4 and number[:2] in ("11", "18")
    return digits[0] == "8" or leading in ("11", "18") or hundreds


def _is_spelt(head: str) -> bool:
    """Whether letters are said one by one: a single one ("X-ray"), "SUVs", "NHL", "mp" of "mp3"."""
    if head.lower() in _SAID_WHOLE:
        return head.isupper()
    letters = head[:-1] if head[-1] == "s" and head[:-1].isupper() else head
    lower = letters.lower()
    if len(letters) == 1 or lower in _SPELT:
        return True
    if not any(vowel in lower for vowel in "aeiouy") and letters.isascii():
        return True
    return letters.isupper() and _SPELT_CAPITALS.match(letters) is not None
