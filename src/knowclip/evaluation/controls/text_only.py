"""Controls: what of a choice benchmark falls to a reader that never looks, and what a paraphrase costs.

A score means nothing without them beside it: a trigram model alone solves over 90% of the swaps of natural
captions. Each blind control gives every caption a score, graded by the benchmark's own protocol.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from knowclip.evaluation.benchmarks.choices import ChoiceBenchmark
from knowclip.evaluation.metrics import NoDataError, choice_correct
from knowclip.evaluation.scoring import Scorer
from knowclip.types import ImageRef

Scores = NDArray[np.floating[Any]]
Reader = Callable[[Sequence[str]], Scores]
"""Texts to scores ``[n]`` without an image."""
ORDER = 3


class NgramModel:
    """Trigram language model with Witten-Bell interpolation down to a uniform distribution.

    ``P(w | h) = (c(h, w) + T(h) P(w | h')) / (c(h) + T(h))``, with ``T(h)`` the number of distinct words seen
    after ``h`` and ``h'`` the history one word shorter (Witten & Bell 1991). No free parameter.
    """

    def __init__(self, captions: Sequence[str]) -> None:
        self.counts: Counter[tuple[str, ...]] = Counter()
        for caption in captions:
            words = _words(caption)
            for end in range(ORDER - 1, len(words)):
                self.counts.update(tuple(words[end - size : end + 1]) for size in range(ORDER))
        self.totals: Counter[tuple[str, ...]] = Counter()
        self.types: Counter[tuple[str, ...]] = Counter()
        for gram, count in self.counts.items():
            self.totals[gram[:-1]] += count
            self.types[gram[:-1]] += 1
        self.vocabulary = self.types[()] + 1  # and the unknown word

    def __call__(self, texts: Sequence[str]) -> Scores:
        """Log-probability of each text, ``[n]``."""
        return np.array([self._log_probability(_words(text)) for text in texts])

    def _log_probability(self, words: list[str]) -> float:
        steps = range(ORDER - 1, len(words))
        return float(sum(np.log(self._probability(tuple(words[i - ORDER + 1 : i + 1]))) for i in steps))

    def _probability(self, gram: tuple[str, ...]) -> float:
        if not gram:
            return 1 / self.vocabulary
        shorter, history = self._probability(gram[1:]), gram[:-1]
        seen, types = self.totals[history], self.types[history]
        return (self.counts[gram] + types * shorter) / (seen + types) if seen else shorter


def _words(text: str) -> list[str]:
    return ["<s>"] * (ORDER - 1) + text.lower().replace(".", " .").replace(",", " ,").split() + ["</s>"]


class CaptionClassifier:
    """Logistic regression on word 1-3-grams that tells captions from their negatives."""

    def __init__(self, captions: Sequence[str], negatives: Sequence[str], *, seed: int = 0) -> None:
        from sklearn.feature_extraction.text import HashingVectorizer
        from sklearn.linear_model import SGDClassifier

        # its default drops words of one letter, "a" among them, by which negatives may give themselves away
        self.vectorizer = HashingVectorizer(ngram_range=(1, 3), token_pattern=r"\b\w+\b", n_features=2**20)
        self.classifier = SGDClassifier(loss="log_loss", alpha=1e-6, random_state=seed)
        features = self.vectorizer.transform([*captions, *negatives])
        self.classifier.fit(features, [1] * len(captions) + [0] * len(negatives))

    def __call__(self, texts: Sequence[str]) -> Scores:
        """Log-odds that each text is a true caption, ``[n]``."""
        return np.asarray(self.classifier.decision_function(self.vectorizer.transform(texts)))


@dataclass(frozen=True, slots=True)
class Blind:
    """What one control scores on a benchmark: its main metric, and the share of ties."""

    accuracy: float
    tie_rate: float


class TextOnly:
    """The text-only control: the strongest of several readers of the training captions.

    Args:
        captions: training captions, for the n-gram model; there may be none if ``readers`` are given.
        negatives: pairs (caption, negative) of the training captions; without them there is no classifier.
        images: training images (a sample will do) for the model's own text tower; without, it is left out.
        readers: further ones by name, such as a ``CausalLanguageModel``.
        seed: of the classifier.
    """

    def __init__(
        self,
        captions: Sequence[str],
        *,
        negatives: Sequence[tuple[str, str]] = (),
        images: Sequence[ImageRef] = (),
        readers: Mapping[str, Reader] | None = None,
        seed: int = 0,
    ) -> None:
        self.images = list(dict.fromkeys(images))
        self.readers: dict[str, Reader] = dict(readers or {})
        if captions:
            self.readers["ngram"] = NgramModel(captions)
        if not self.readers:
            raise NoDataError("the text-only control needs training captions, or a language model")
        if negatives:
            true, false = [pair[0] for pair in negatives], [pair[1] for pair in negatives]
            self.readers["classifier"] = CaptionClassifier(true, false, seed=seed)

    def measure(self, benchmark: ChoiceBenchmark, scorer: Scorer | None = None) -> dict[str, Any]:
        """Grade every reader on one benchmark.

        The text tower against the mean training image takes part if a scorer (and training images) are given.

        Returns:
            ``{"strongest", "accuracy", "tie_rate", "all": {name: {"accuracy", "tie_rate"}}}``
        """
        scores = {
            name: (reader(benchmark.true), reader(benchmark.false)) for name, reader in self.readers.items()
        }
        if scorer is not None and self.images:
            mean = scorer.images(self.images).mean(axis=0)
            scores["text_tower"] = (scorer.texts(benchmark.true) @ mean, scorer.texts(benchmark.false) @ mean)
        return strongest({name: asdict(_grade(benchmark, *pair)) for name, pair in scores.items()})


def strongest(controls: Mapping[str, Mapping[str, Any]]) -> dict[str, Any]:
    """``{"strongest": name, "accuracy", "tie_rate", "all": controls}`` of blind readers by name."""
    best = max(controls, key=lambda name: controls[name]["accuracy"])
    return {"strongest": best, **controls[best], "all": dict(controls)}


def shuffled_images(benchmark: ChoiceBenchmark, scorer: Scorer, *, seed: int = 0) -> Blind:
    """Run the model on each case with the image of another: what is left is not seen in *this* image."""
    files = list(dict.fromkeys(ref.path for ref in benchmark.images))
    if len(files) < 2:
        raise NoDataError("shuffling images needs at least two")
    order = np.random.default_rng(seed).permutation(len(files))
    follower = {
        files[order[i]]: files[order[i - 1]] for i in range(len(files))
    }  # one cycle: none keeps its own
    # reversed, so that of several boxes of a file the first stays
    first_of = {ref.path: ref for ref in reversed(benchmark.images)}
    others = [first_of[follower[ref.path]] for ref in benchmark.images]
    true, false = scorer.pair_scores(others, benchmark.true), scorer.pair_scores(others, benchmark.false)
    return _grade(benchmark, true, false)


@dataclass(frozen=True, slots=True)
class HardPositives:
    """What becomes of cases when the caption is said in other words.

    ``kept``: share of the cases answered right that a paraphrase answers right too; ``accuracy``: share of
    all cases that caption and paraphrase both answer right; ``n`` cases have a paraphrase.
    """

    accuracy: float
    kept: float | None
    n: int


def hard_positives(
    benchmark: ChoiceBenchmark, scorer: Scorer, paraphrases: Mapping[str, str] | None = None
) -> HardPositives:
    """Put a paraphrase in place of the true caption: a model that reads meaning must not lose by it.

    Args:
        benchmark: its own paraphrases are used where it has any: another true caption against the same false
            one (``Choice.also``; SugarCrepe++, Dumpala et al. 2024).
        scorer: of the model.
        paraphrases: true caption to paraphrase, for benchmarks without.

    Raises:
        NoDataError: no case has a paraphrase.
    """
    found = [
        (case, other)
        for case in benchmark.cases
        for other in (
            *(true for true, false in case.also if false == case.false and true != case.true),
            *([paraphrases[case.true]] if paraphrases and case.true in paraphrases else ()),
        )
    ]
    if not found:
        raise NoDataError(f"{benchmark.card.name}: no caption has a paraphrase")
    images, falses = [case.image for case, _ in found], scorer.texts([case.false for case, _ in found])
    false = np.sum(scorer.images(images) * falses, axis=1)
    caption = choice_correct(scorer.pair_scores(images, [case.true for case, _ in found]), false)
    paraphrase = choice_correct(scorer.pair_scores(images, [other for _, other in found]), false)
    kept = float(paraphrase[caption].mean()) if caption.any() else None
    return HardPositives(float((caption & paraphrase).mean()), kept, len(found))


def _grade(benchmark: ChoiceBenchmark, true: Scores, false: Scores) -> Blind:
    result = benchmark.grade(true, false)
    return Blind(result.metrics[result.main], result.details["tie_rate"])
