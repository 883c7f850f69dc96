"""The kinds of benchmarks besides choosing a caption: which image, two by two, true or false, text only.

One tie rule for all (``metrics.TIE_TOLERANCE``): right is only what is strictly higher, so an encoder that
cannot tell anything apart scores 0.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np

from knowclip.evaluation.benchmarks.card import Card
from knowclip.evaluation.benchmarks.choices import hardest_pairs
from knowclip.evaluation.benchmarks.grading import (
    check_cases,
    compared,
    describe,
    grades,
    image_name,
    missing_images,
)
from knowclip.evaluation.metrics import TIE_TOLERANCE, binary_correct, group_correct, roc_auc
from knowclip.evaluation.scoring import Scorer
from knowclip.types import ImageRef, Result


@dataclass(frozen=True, slots=True)
class ImageChoice:
    """One caption, an image it is true of, and images it is false of."""

    key: str
    text: str
    true: ImageRef
    false: tuple[ImageRef, ...]
    group: str

    @property
    def refs(self) -> tuple[ImageRef, ...]:
        """The images it needs."""
        return (self.true, *self.false)


@dataclass(frozen=True)
class ImageChoiceBenchmark:
    """Which image is the caption true of? Right if its cosine is strictly higher than every other's."""

    card: Card
    cases: tuple[ImageChoice, ...]
    macro: bool = True
    skipped: Mapping[str, int] = field(default_factory=dict)

    def __post_init__(self) -> None:
        check_cases(self.card, [case.key for case in self.cases])

    def run(self, scorer: Scorer) -> Result:
        """Score the caption of every case against its images."""
        pairs = [(number, case, ref) for number, case in enumerate(self.cases) for ref in case.false]
        texts = [case.text for _, case, _ in pairs]
        true, false = hardest_pairs(
            scorer.pair_scores([case.true for _, case, _ in pairs], texts),
            scorer.pair_scores([ref for _, _, ref in pairs], texts),
            [number for number, _, _ in pairs],
        )
        groups = [case.group for case in self.cases]
        return compared(
            self.card,
            true,
            false,
            grades(self.card, true - false > TIE_TOLERANCE, groups, macro=self.macro),
            keys=[case.key for case in self.cases],
            image_ids=[image_name(case.true) for case in self.cases],
            skipped=self.skipped,
            missing=missing_images(scorer, [ref for case in self.cases for ref in case.refs]),
        )


@dataclass(frozen=True, slots=True)
class TwoByTwo:
    """Two images and two captions; ``texts[i]`` is true of ``images[i]`` and false of the other."""

    key: str
    images: tuple[ImageRef, ImageRef]
    texts: tuple[str, str]
    group: str

    @property
    def refs(self) -> tuple[ImageRef, ...]:
        """The images it needs."""
        return self.images


@dataclass(frozen=True)
class TwoByTwoBenchmark:
    """Winoground's three scores (Thrush et al., CVPR 2022, section 4), each strict.

    Text score: for both images the own caption wins. Image score: for both captions the own image wins.
    Group score: both. No reader of one side alone can score above 0, so there is no blind control.

    Args:
        card: ``card.main`` is ``<name>_text``, ``_image`` or ``_group`` (mean over cases), or one of these
            with ``_macro`` (mean over groups).
        cases: the quadruples.
        skipped: records the reader left out, by reason.
        apart: give the three scores of each group too, as ``<name>_<group>_text`` and so on.
    """

    card: Card
    cases: tuple[TwoByTwo, ...]
    skipped: Mapping[str, int] = field(default_factory=dict)
    apart: bool = False

    def __post_init__(self) -> None:
        check_cases(self.card, [case.key for case in self.cases])

    def run(self, scorer: Scorer) -> Result:
        """Score both captions of every case against both its images."""
        cells = [
            scorer.pair_scores([c.images[i] for c in self.cases], [c.texts[t] for c in self.cases])
            for i in (0, 1)
            for t in (0, 1)
        ]
        scores = np.stack(cells, axis=1).reshape(-1, 2, 2)
        outcomes = group_correct(scores)
        groups, prefix = [case.group for case in self.cases], f"{self.card.name}_"
        main, macro = self.card.main.removesuffix("_macro"), self.card.main.endswith("_macro")
        graded = {part: grades(self.card, right, groups, macro=macro) for part, right in outcomes.items()}
        metrics = {f"{prefix}{part}": each.micro_value for part, each in graded.items()}
        metrics |= {f"{prefix}{part}_macro": each.by_group.value for part, each in graded.items()}
        if self.apart:
            metrics |= {
                f"{prefix}{group}_{part}": value
                for part, each in graded.items()
                for group, value in each.by_group.accuracies.items()
            }
        chosen = graded[main.removeprefix(prefix)]
        items = {
            "key": np.array([case.key for case in self.cases]),
            "image_id": np.array([image_name(case.images[0]) for case in self.cases]),
            **{f"score_image{i}_text{t}": scores[:, i, t] for i in (0, 1) for t in (0, 1)},
            **{f"{part}_correct": right for part, right in outcomes.items()},
        }
        missing = missing_images(scorer, [ref for case in self.cases for ref in case.refs])
        details = (
            describe(self.card, used=len(self.cases), skipped=self.skipped, missing=missing)
            | chosen.details()
        )
        return Result(self.card.name, self.card.main, chosen.n, metrics, items | chosen.columns(), details)


@dataclass(frozen=True, slots=True)
class Statement:
    """An image, a caption, and whether it is true."""

    key: str
    image: ImageRef
    text: str
    label: bool
    group: str

    @property
    def refs(self) -> tuple[ImageRef, ...]:
        """The images it needs."""
        return (self.image,)


@dataclass(frozen=True)
class StatementBenchmark:
    """Is the caption true? Called true are the captions with the highest cosines, as many as are true.

    A cosine has no natural threshold between true and false. This one uses nothing of the labels but their
    number; a perfect ranking scores 1, random scores 0.5. The ROC AUC beside it needs no threshold at all.
    """

    card: Card
    cases: tuple[Statement, ...]
    skipped: Mapping[str, int] = field(default_factory=dict)

    def __post_init__(self) -> None:
        check_cases(self.card, [case.key for case in self.cases])

    def run(self, scorer: Scorer) -> Result:
        """Score every caption against its image."""
        refs = [case.image for case in self.cases]
        labels = np.array([case.label for case in self.cases])
        scores = scorer.pair_scores(refs, [case.text for case in self.cases])
        correct = binary_correct(scores, labels)
        graded = grades(self.card, correct, [case.group for case in self.cases], macro=False)
        metrics = {
            self.card.main: graded.micro_value,
            f"{self.card.name}_micro": graded.micro_value,
            f"{self.card.name}_macro": graded.by_group.value,
            f"{self.card.name}_auc": roc_auc(scores, labels),
        }
        items = {
            "key": np.array([case.key for case in self.cases]),
            "image_id": np.array([image_name(ref) for ref in refs]),
            "score": scores,
            "label": labels,
        }
        missing = missing_images(scorer, refs)
        details = describe(self.card, used=len(self.cases), skipped=self.skipped, missing=missing)
        details |= graded.details()
        return Result(self.card.name, self.card.main, graded.n, metrics, items | graded.columns(), details)


@dataclass(frozen=True, slots=True)
class Paraphrase:
    """Two captions that say the same and one that does not."""

    key: str
    first: str
    second: str
    false: str
    group: str

    @property
    def refs(self) -> tuple[ImageRef, ...]:
        """The images it needs: none."""
        return ()


@dataclass(frozen=True)
class ParaphraseBenchmark:
    """The text tower alone: two captions of one meaning are nearer each other than to the false one."""

    card: Card
    cases: tuple[Paraphrase, ...]
    macro: bool = True
    skipped: Mapping[str, int] = field(default_factory=dict)

    def __post_init__(self) -> None:
        check_cases(self.card, [case.key for case in self.cases])

    def run(self, scorer: Scorer) -> Result:
        """Cosines of the three captions of every case."""
        first = scorer.texts([case.first for case in self.cases])
        second = scorer.texts([case.second for case in self.cases])
        false = scorer.texts([case.false for case in self.cases])
        # the nearer of the two false pairs counts: either caption could be the one confused
        true_scores = np.sum(first * second, axis=1)
        false_scores = np.maximum(np.sum(first * false, axis=1), np.sum(second * false, axis=1))
        groups = [case.group for case in self.cases]
        keys = [case.key for case in self.cases]
        return compared(
            self.card,
            true_scores,
            false_scores,
            grades(self.card, true_scores - false_scores > TIE_TOLERANCE, groups, macro=self.macro),
            keys=keys,
            image_ids=keys,
            skipped=self.skipped,
            missing=0,
        )
