"""The ``factual`` parser: FACTUAL's published T5 (Li et al., ACL 2023 Findings), run by transformers.

It writes a graph as text, in FACTUAL's scheme (see ``factual_graphs``); the words are then looked up in the
caption, so that negatives know what to change. What the caption does not say in words has no span.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import replace
from functools import cache
from itertools import islice
from typing import Any

from knowclip.knowledge.parsing.negation import negations
from knowclip.knowledge.words.lexicon import ARTICLES, COUNTS
from knowclip.types import Attribute, Relation, SceneGraph, SceneObject, Span

MODEL = "lizhuang144/flan-t5-base-VG-factual-sg"
"""The authors' weights, by their name on the model hub."""

_PROMPT = "Generate Scene Graph: "
_MAX_NEW_TOKENS = 512
_FACT = re.compile(r"\(([^()]*)\)")
_TOKEN = re.compile(r"\w+(?:['\u2019-]\w+)*")
_COUNT_WORDS = {str(number): word for word, number in COUNTS.items()}


def parse(captions: Iterable[str], batch_size: int, model: str | None = None) -> Iterator[SceneGraph]:
    """Scene graphs of captions, one each, in order, as they come.

    Args:
        captions: Any texts; a blank one gives an empty graph.
        batch_size: Captions generated at once.
        model: Folder or hub name of a T5 trained to write FACTUAL's graphs.

    Raises:
        ImportError: transformers is not installed.
        ValueError: ``model`` cannot be loaded.
    """
    tokenizer, network = _load(model or MODEL)
    stream = iter(captions)
    while batch := list(islice(stream, batch_size)):
        said = [caption for caption in batch if caption.strip()]
        texts = iter(_generate(tokenizer, network, said) if said else [])
        yield from (graph_of(next(texts), c) if c.strip() else SceneGraph() for c in batch)


@cache
def _load(model: str) -> tuple[Any, Any]:
    try:
        from transformers import AutoModelForSeq2SeqLM, AutoTokenizer
    except ImportError as error:
        raise ImportError("the factual parser needs transformers: pip install transformers") from error
    try:
        tokenizer = AutoTokenizer.from_pretrained(model)
        network = AutoModelForSeq2SeqLM.from_pretrained(model, device_map="auto")
    except (OSError, ValueError) as error:
        raise ValueError(
            f"no T5 scene-graph parser at {model!r}: give a folder or hub name with config.json, weights and "
            f"tokenizer, as in parser='factual:FOLDER' (the published one is {MODEL!r}): {error}"
        ) from error
    return tokenizer, network.eval()


def _generate(tokenizer: Any, network: Any, captions: list[str]) -> list[str]:
    """The graphs of captions as text, greedily decoded."""
    texts = [_PROMPT + caption.encode("utf-8", "replace").decode() for caption in captions]
    inputs = tokenizer(texts, padding=True, return_tensors="pt").to(network.device)
    # greedy: a caption has one graph, whenever it is parsed
    tokens = network.generate(**inputs, do_sample=False, num_beams=1, max_new_tokens=_MAX_NEW_TOKENS)
    return list(tokenizer.batch_decode(tokens, skip_special_tokens=True))


def graph_of(text: str, caption: str) -> SceneGraph:
    """The graph written ``( head , relation , tail ) , ( head , is , attribute ) , ( object )``.

    Facts that are none of these (generation may stop half-way), relations of a thing to itself and what the
    caption denies are left out.
    """
    finder = _Finder(caption)
    objects: dict[str, int] = {}
    attributes: dict[tuple[int, str], Attribute] = {}
    relations: dict[tuple[int, str, int], Relation] = {}
    for fact in _FACT.findall(text.lower()):
        parts = [" ".join(part.split()) for part in fact.split(",")]
        if len(parts) not in (1, 3) or not all(parts):
            continue
        head = objects.setdefault(parts[0], len(objects))
        if len(parts) == 3 and parts[1] == "is":
            name = _COUNT_WORDS.get(parts[2], parts[2])
            attributes.setdefault((head, name), Attribute(head, name, finder.find(name)))
        elif len(parts) == 3 and parts[2] != parts[0]:
            tail = objects.setdefault(parts[2], len(objects))
            span = finder.find(parts[1])
            relations.setdefault((head, parts[1], tail), Relation(head, parts[1], tail, span))
    found = tuple(SceneObject(name, finder.find(name)) for name in objects)
    return _affirmed(SceneGraph(found, tuple(attributes.values()), tuple(relations.values())), caption)


def _affirmed(graph: SceneGraph, caption: str) -> SceneGraph:
    """The graph without what the caption denies; "without shirt" as an attribute is true and stays."""
    spans = [negation.denied for negation in negations(caption)]
    if not spans:
        return graph

    def denied(item: SceneObject | Attribute | Relation) -> bool:
        span = item.span
        return span is not None and any(start <= span[0] and span[1] <= end for start, end in spans)

    kept = [number for number, item in enumerate(graph.objects) if not denied(item)]
    now = {old: new for new, old in enumerate(kept)}
    return SceneGraph(
        tuple(graph.objects[number] for number in kept),
        tuple(
            replace(a, object=now[a.object]) for a in graph.attributes if a.object in now and not denied(a)
        ),
        tuple(
            replace(r, subject=now[r.subject], object=now[r.object])
            for r in graph.relations
            if r.subject in now and r.object in now and not denied(r)
        ),
    )


class _Finder:
    """Finds a phrase in a caption, whatever the inflection of its words and the articles between them."""

    def __init__(self, caption: str) -> None:
        self._tokens = [(m[0].lower(), m.span()) for m in _TOKEN.finditer(caption)]

    def find(self, phrase: str) -> Span | None:
        """The first place that says it word for word, else the first that inflects it, else None."""
        words = _TOKEN.findall(phrase)
        for inflected in (False, True):
            for first in range(len(self._tokens)):
                last = self._last(words, first, inflected)
                if last is not None:
                    return self._tokens[first][1][0], self._tokens[last][1][1]
        return None

    def _last(self, words: list[str], first: int, inflected: bool) -> int | None:
        """Last token of the phrase that starts at the token ``first``."""
        position = first
        for number, word in enumerate(words):
            while number and position < len(self._tokens) and self._tokens[position][0] in ARTICLES:
                position += 1
            if position >= len(self._tokens):
                return None
            token = self._tokens[position][0]
            if token != word and not (inflected and _inflects(token, word)):
                return None
            position += 1
        return position - 1 if words else None


def _inflects(token: str, word: str) -> bool:
    """Whether a token may be a regular form of a word: "riding" of "ride", "sitting" of "sit"."""
    stem = word.removesuffix("y") if token.endswith(("ies", "ied")) else word.removesuffix("e")
    if len(stem) < 2 or not token.startswith(stem):
        return False
    ending = token[len(stem) :].removeprefix("e")
    doubled = ending[1:] if ending[:1] == stem[-1] else ending
    return bool({ending, doubled} & {"", "s", "es", "ies", "ed", "d", "ied", "ing", "n", "en"})
