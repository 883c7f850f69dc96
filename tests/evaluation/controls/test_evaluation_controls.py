"""Blind controls: what they can and cannot see."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import permutations
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from knowclip.evaluation.benchmarks.card import Card
from knowclip.evaluation.benchmarks.choices import Choice, ChoiceBenchmark
from knowclip.evaluation.benchmarks.swaps import swaps
from knowclip.evaluation.controls.text_only import (
    CaptionClassifier,
    HardPositives,
    NgramModel,
    TextOnly,
    hard_positives,
    shuffled_images,
)
from knowclip.evaluation.metrics import NoDataError, choice_correct
from knowclip.evaluation.scoring import Scorer
from knowclip.evaluation.suites.folder import run_suite
from knowclip.types import Example, ImageRef, Negative

CARD = Card("toy", "Toy", "p", "a", "l", "toy", "protocol", "layout")
CAPTIONS = [
    f"a {noun} rides a {thing}" for noun in ("man", "girl", "boy") for thing in ("horse", "bike", "bus")
]


def _benchmark(pairs: Sequence[tuple[str, str]]) -> ChoiceBenchmark:
    cases = (Choice(str(i), ImageRef(Path(f"{i}")), *pair, "g", str(i)) for i, pair in enumerate(pairs))
    return ChoiceBenchmark(CARD, tuple(cases))


def test_ngram_probabilities_by_hand() -> None:
    model = NgramModel(["a b", "a c"])
    # vocabulary: a, b, c, end of text, and the unknown word
    assert model.vocabulary == 5
    # after "<s> <s>" and after "<s>" only "a" was seen, twice; four different words were seen, six in all
    unigram = (2 + 4 * (1 / 5)) / (6 + 4)
    bigram = (2 + 1 * unigram) / 3
    assert model._probability(("<s>", "<s>", "a")) == pytest.approx((2 + 1 * bigram) / 3)


def test_ngram_is_a_distribution() -> None:
    model = NgramModel(CAPTIONS)
    words = {gram[0] for gram in model.counts if len(gram) == 1}
    for history in [("a", "man"), ("never", "seen"), ("<s>", "<s>")]:
        total = sum(model._probability((*history, word)) for word in words)
        assert total + model._probability((*history, "unheard-of")) == pytest.approx(1)


def test_ngram_sees_word_order_and_survives_unknown_words() -> None:
    model = NgramModel(CAPTIONS)
    scores = model(["a boy rides a bus", "a bus rides a boy", "an unheard-of zeppelin"])
    assert scores[0] > scores[1]
    assert np.isfinite(scores).all()


def test_classifier_finds_the_tell_tale_and_is_seeded() -> None:
    negatives = [" ".join(reversed(caption.split())) for caption in CAPTIONS]
    classifier = CaptionClassifier(CAPTIONS, negatives, seed=1)
    true, false = classifier(["a girl rides a cow"]), classifier(["cow a rides girl a"])
    assert choice_correct(true, false).all()
    assert np.array_equal(CaptionClassifier(CAPTIONS, negatives, seed=1)(CAPTIONS), classifier(CAPTIONS))


def test_control_names_the_strongest_and_all() -> None:
    benchmark = _benchmark([("a man rides a bus", "a bus rides a man"), ("a cow", "cow a")])
    control = TextOnly(CAPTIONS, negatives=[(text, text[::-1]) for text in CAPTIONS]).measure(benchmark)
    assert set(control["all"]) == {"ngram", "classifier"}
    assert control["strongest"] == "ngram"
    assert control["accuracy"] == control["all"]["ngram"]["accuracy"] == 1


def test_balanced_choices_leave_text_at_chance() -> None:
    nouns = ("man", "girl", "boy", "horse")
    orders = [(f"a {a} chases a {b}", f"a {b} chases a {a}") for a, b in permutations(nouns, 2)]
    control = TextOnly([true for true, _ in orders], negatives=orders).measure(_benchmark(orders))
    assert all(
        reader["accuracy"] + reader["tie_rate"] / 2 == pytest.approx(0.5)
        for reader in control["all"].values()
    )


def test_text_tower_control_uses_the_mean_image() -> None:
    class Biased:
        """Texts that start with "the" lie nearer to every image."""

        def encode_image(self, images: Sequence[ImageRef], *, normalize: bool = False) -> torch.Tensor:
            sign = torch.tensor([[1.0, (-1.0) ** int(ref.path.name)] for ref in images])
            return torch.nn.functional.normalize(sign, dim=-1)

        def encode_text(self, texts: Sequence[str], *, normalize: bool = False) -> torch.Tensor:
            return torch.tensor([[1.0, 0.0] if text.startswith("the") else [0.0, 1.0] for text in texts])

    images = [ImageRef(Path(str(i))) for i in range(4)]
    control = TextOnly(["rain"], images=images).measure(_benchmark([("the sun", "a sun")]), Scorer(Biased()))
    assert control["all"]["text_tower"]["accuracy"] == 1
    assert set(TextOnly(["rain"]).measure(_benchmark([("the sun", "a sun")]), Scorer(Biased()))["all"]) == {
        "ngram"
    }


def test_no_training_captions_is_an_error() -> None:
    with pytest.raises(NoDataError, match="training captions"):
        TextOnly([])


def test_shuffled_images_take_the_oracle_to_zero(make_oracle: Any) -> None:
    benchmark = _benchmark([(f"true {i}", f"false {i}") for i in range(9)])
    oracle = make_oracle(zip(benchmark.images, benchmark.true, strict=True))
    control = shuffled_images(benchmark, Scorer(oracle))
    assert (control.accuracy, control.tie_rate) == (0, 1)
    with pytest.raises(NoDataError, match="at least two"):
        shuffled_images(_benchmark([("true", "false")]), Scorer(oracle))


def test_suite_puts_controls_beside_choices(make_oracle: Any) -> None:
    benchmark = _benchmark([(f"true {i}", f"false {i}") for i in range(4)])
    scorer = Scorer(make_oracle(zip(benchmark.images, benchmark.true, strict=True)))
    (result,) = run_suite([benchmark], scorer, text_only=TextOnly(["rain"]))
    assert result.metrics["toy"] == 1
    assert result.details["text_only"]["strongest"] == "ngram"
    assert result.details["shuffled_images"] == {"accuracy": 0.0, "tie_rate": 1.0}
    (bare,) = run_suite([benchmark], scorer)
    assert "text_only" not in bare.details


def test_a_paraphrase_must_not_lose(make_oracle: Any) -> None:
    refs = [ImageRef(Path(str(i))) for i in range(4)]
    cases = tuple(
        Choice(str(i), ref, f"true {i}", f"false {i}", "g", str(i), also=((f"same {i}", f"false {i}"),))
        for i, ref in enumerate(refs)
    )
    truths = [(refs[i], f"true {i}") for i in (0, 1, 2)] + [(refs[i], f"same {i}") for i in (0, 3)]
    scorer = Scorer(make_oracle(truths))
    assert hard_positives(ChoiceBenchmark(CARD, cases), scorer) == HardPositives(0.25, 1 / 3, 4)
    bare = _benchmark([(f"true {i}", f"false {i}") for i in range(4)])
    own = hard_positives(bare, scorer, {"true 0": "same 0", "true 1": "same 1", "never said": "x"})
    assert own == HardPositives(0.5, 0.5, 2)
    with pytest.raises(NoDataError, match="no caption has a paraphrase"):
        hard_positives(bare, scorer)


@pytest.mark.conformance
def test_ngram_model_of_flickr8k_prefers_captions_to_shuffled_words(real_data: Path) -> None:
    from knowclip.data.captions.read import read_captions

    train = read_captions(real_data / "flickr8k", split="train").examples
    dev = read_captions(real_data / "flickr8k", split="val").examples[:1000]
    rng = np.random.default_rng(0)

    def shuffled(example: Example) -> Example:
        words = example.caption.split()
        negative = Negative(" ".join(words[i] for i in rng.permutation(len(words))), "shuffle")
        return Example(example.key, example.image_id, example.image, example.caption, negatives=(negative,))

    benchmark = swaps([shuffled(example) for example in dev])
    control = TextOnly([example.caption for example in train]).measure(benchmark)
    assert control["accuracy"] > 0.97
