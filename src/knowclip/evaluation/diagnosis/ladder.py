"""The ladder: six rungs that answer the same questions, from what each tower holds to what the cosine tells.

Every rung decides between a caption and its own swap; chance is one half. A probe is told two nouns and two
attributes (or a relation with its two roles) and decides, from an embedding alone, which has which. It is
fitted on questions about training images, penalty and step chosen on a fifth of those images, and answers
questions about test images. Text probes are asked the same of caption and of swap, so that what usually goes
with what cannot help them.

Shape legend: n questions.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from knowclip.evaluation.controls.text_only import CaptionClassifier, NgramModel
from knowclip.evaluation.diagnosis.alignment import best_map, margins
from knowclip.evaluation.diagnosis.features import Asked, Encoded, encode
from knowclip.evaluation.diagnosis.fitting import TOKEN_BATCH, TOKEN_LR, Split, answer, fit
from knowclip.evaluation.diagnosis.probes import PooledProbe, TokenProbe, Whitening
from knowclip.evaluation.diagnosis.questions import Kind, Question, Questions
from knowclip.evaluation.metrics import TIE_TOLERANCE
from knowclip.evaluation.scoring import Scorer
from knowclip.evaluation.statistics.bootstrap import Interval, bootstrap
from knowclip.evaluation.tasks.sides import Pooled, Tokens

if TYPE_CHECKING:
    from torch import Tensor

PATCHES, WORDS, IMAGE, TEXT, COSINE, MAP = "patches", "words", "image", "text", "cosine", "map"
TITLES = {
    PATCHES: "image tower, patch tokens",
    WORDS: "text tower, word tokens",
    IMAGE: "image tower, pooled",
    TEXT: "text tower, pooled",
    MAP: "cosine after the best map",
    COSINE: "cosine",
}
"""Rung -> what it reads, in the order of tables and pictures."""
Told = Callable[[str], None]


@dataclass(frozen=True)
class Rung:
    """How one rung answers n questions: 1 right, 0 wrong; of a text probe the mean over caption and swap."""

    name: str
    correct: NDArray[np.floating[Any]]

    def interval(self, chosen: NDArray[np.bool_], image_ids: Sequence[str]) -> Interval | None:
        """Accuracy on the chosen questions with a 95% interval over images; None of no question."""
        if not chosen.any():
            return None
        return bootstrap(self.correct[chosen], clusters=[str(i) for i in np.asarray(image_ids)[chosen]])


@dataclass(frozen=True)
class Ladder:
    """All rungs of one kind, and the control: ``blind`` readers' accuracies by name.

    ``new`` says which of the n questions ask about a combination that no training question names.
    """

    kind: Kind
    rungs: dict[str, Rung]
    blind: dict[str, NDArray[np.floating[Any]]]
    new: NDArray[np.bool_]
    image_ids: list[str]
    fitted: int
    skipped: Counter[str]


def climb(
    questions: Sequence[Questions], scorer: Scorer, *, seed: int = 0, tell: Told = lambda stage: None
) -> list[Ladder]:
    """Measure every rung on the questions of each kind.

    Args:
        questions: of ``questions.prepare``, for each kind.
        scorer: of the model; questions about images that it cannot read are left out, and counted.
        seed: of what is held out, of weights and of batches.
        tell: told what is being done.
    """
    tell("encoding")
    readable = [_readable(each, scorer) for each in questions]
    ladders = []
    for each, (fitted, test) in zip(readable, encode(readable, scorer), strict=True):
        split, rungs = Split.of(fitted.image_ids, seed=seed), {}
        for name, measure in _measures(each, fitted, test, split, seed).items():
            tell(f"{each.kind}: {TITLES[name]}")
            rungs[name] = Rung(name, measure())
        tell(f"{each.kind}: text alone")
        blind = _blind(each, fitted, test, split, seed)
        new = np.asarray(each.new)
        ladders.append(Ladder(each.kind, rungs, blind, new, test.image_ids, len(each.fit), each.skipped))
    return ladders


def _readable(questions: Questions, scorer: Scorer) -> Questions:
    """Without the questions about images that cannot be read."""
    scorer.images([question.image for question in (*questions.fit, *questions.test)])
    kept = [[q for q in part if q.image not in scorer.missing] for part in (questions.fit, questions.test)]
    lost = len(questions.fit) + len(questions.test) - sum(map(len, kept))
    skipped = questions.skipped + Counter({"image cannot be read": lost})
    return replace(questions, fit=kept[0], test=kept[1], skipped=+skipped)


def _measures(
    questions: Questions, fitted: Encoded, test: Encoded, split: Split, seed: int
) -> dict[str, Callable[[], NDArray[np.floating[Any]]]]:
    sizes = {"holders": len(questions.holders), "properties": len(questions.properties)}
    both = [part.asked + part.asked.negated() for part in (fitted, test)]
    texts = [torch.cat([part.captions, part.swaps]) for part in (fitted, test)]
    text_split = split.both_texts(len(fitted.asked))
    places = fitted.patches.features.shape[1]
    asked = [fitted.asked, test.asked]
    pooled, tokens = partial(_pooled, sizes=sizes, seed=seed), partial(_tokens, sizes=sizes, seed=seed)
    return {
        PATCHES: lambda: tokens([fitted.patches, test.patches], asked, split, places=places),
        WORDS: lambda: _mean_of_both(tokens([fitted.words, test.words], both, text_split, places=0)),
        IMAGE: lambda: pooled([fitted.images, test.images], asked, split),
        TEXT: lambda: _mean_of_both(pooled(texts, both, text_split)),
        MAP: lambda: _cosine(test, best_map(fitted.images, fitted.captions, fitted.swaps, split, seed=seed)),
        COSINE: lambda: _cosine(test),
    }


def _pooled(
    features: Sequence[Tensor], asked: Sequence[Asked], split: Split, *, sizes: dict[str, int], seed: int
) -> NDArray[np.floating[Any]]:
    """A linear probe of pooled features: fitted on the first part, asked the second."""
    white = Whitening(features[0])
    fitted, test = (Pooled(white(part), torch.arange(len(part))) for part in features)
    return _asked(lambda: PooledProbe(fitted.width, **sizes), [fitted, test], asked, split, seed)


def _tokens(
    features: Sequence[Tokens],
    asked: Sequence[Asked],
    split: Split,
    *,
    places: int,
    sizes: dict[str, int],
    seed: int,
) -> NDArray[np.floating[Any]]:
    """An attention-pooling probe of tokens, likewise; both parts are rows of one set of tokens."""
    fitted, test = _whitened(features)
    make = partial(TokenProbe, fitted.width, places=places, **sizes)
    return _asked(make, [fitted, test], asked, split, seed, lr=TOKEN_LR, batch=TOKEN_BATCH)


def _whitened(parts: Sequence[Tokens], most: int = 100_000) -> list[Tokens]:
    """Parts of one set of tokens, whitened by at most ``most`` real tokens of the first."""
    tokens = parts[0]
    rows = tokens.index.unique()  # type: ignore[no-untyped-call]
    real = tokens.features[rows][tokens.mask[rows]]
    white = Whitening(real[:: max(1, len(real) // most)].float())
    # half precision, and some at a time: all tokens of all inputs are held at once
    chunks = tokens.features.split(TOKEN_BATCH)  # type: ignore[no-untyped-call]
    features = torch.cat([white(chunk.float()).half() for chunk in chunks])
    return [replace(part, features=features) for part in parts]


def _asked(
    make: Callable[[], nn.Module],
    inputs: Sequence[Pooled] | Sequence[Tokens],
    asked: Sequence[Asked],
    split: Split,
    seed: int,
    **settings: Any,
) -> NDArray[np.floating[Any]]:
    probe = fit(make, inputs[0], asked[0], split, seed=seed, **settings)
    logits = answer(probe, inputs[1], asked[1], torch.arange(len(asked[1])))
    return (logits > TIE_TOLERANCE).double().numpy()


def _mean_of_both(correct: NDArray[np.floating[Any]]) -> NDArray[np.floating[Any]]:
    """``[2 n]`` of captions and then their swaps to ``[n]``."""
    return correct.reshape(2, -1).mean(axis=0)


def _cosine(test: Encoded, mapped: Any = None) -> NDArray[np.floating[Any]]:
    with torch.no_grad():
        found = margins(test.images, test.captions, test.swaps, mapped)
    return (found > TIE_TOLERANCE).double().numpy()


def _blind(
    questions: Questions, fitted: Encoded, test: Encoded, split: Split, seed: int
) -> dict[str, NDArray[np.floating[Any]]]:
    """Readers without a picture: of the claims (a probe of an embedding that never changes), of the texts."""
    sizes = {"holders": len(questions.holders), "properties": len(questions.properties)}
    same = [Pooled(torch.ones(len(part.asked), 1), torch.arange(len(part.asked))) for part in (fitted, test)]
    claims = _asked(lambda: PooledProbe(1, **sizes), same, [fitted.asked, test.asked], split, seed)
    captions, swaps = [q.caption for q in questions.fit], [q.swap for q in questions.fit]
    readers = {"ngram": NgramModel(captions), "classifier": CaptionClassifier(captions, swaps, seed=seed)}

    def right(read: Any, asked: Sequence[Question]) -> NDArray[np.floating[Any]]:
        margin = read([q.caption for q in asked]) - read([q.swap for q in asked])
        return np.asarray(margin > TIE_TOLERANCE, dtype=float)

    return {"claims": claims, **{name: right(read, questions.test) for name, read in readers.items()}}
