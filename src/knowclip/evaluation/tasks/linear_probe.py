"""Linear probe: logistic regression on frozen image features (CLIP, section 3.2).

The strength of the L2 penalty is chosen on validation images, never on test images.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from knowclip.console.counts import some
from knowclip.evaluation.benchmarks.card import Card
from knowclip.evaluation.benchmarks.classification import read_classification
from knowclip.evaluation.benchmarks.grading import class_table, describe, missing_images
from knowclip.evaluation.benchmarks.zero_shot import ZeroShot, read_zero_shot_objects
from knowclip.evaluation.metrics import NoDataError, macro_average, ranks, topk_accuracy
from knowclip.evaluation.scoring import Scorer
from knowclip.types import Result

LINEAR_PROBE = Card(
    name="linear_probe",
    title="Linear probe",
    paper="Radford et al., Learning transferable visual models from natural language supervision",
    address="https://github.com/openai/CLIP#linear-probe-evaluation",
    licence="that of the images",
    main="linear_probe_acc1",
    protocol="Multinomial logistic regression on normalised image features; L2 strength by accuracy on val "
    "(a fifth of train where there is no val), then fitted again on train and val; accuracy on test.",
    layout="labelled images as for zero_shot_classification, with train and test; else Visual Genome objects",
    flaws="Normalised embeddings, not CLIP's penultimate features: lower than the paper's figures.",
)
STRENGTHS = tuple(10.0**power for power in range(-3, 6))
"""Inverse L2 strengths (scikit-learn's C) that are tried, from strong to weak."""
MAX_ITERATIONS = 1000
"""As in CLIP's own probe."""


@dataclass(frozen=True)
class LinearProbe:
    """Labelled images with the classes of ``train``: to train on, to select by, to measure on.

    ``val`` None: a fifth of the images of train is held out, another one for every seed.
    """

    train: ZeroShot
    val: ZeroShot | None
    test: ZeroShot

    @property
    def _parts(self) -> list[ZeroShot]:
        return [part for part in (self.train, self.val, self.test) if part is not None]

    @property
    def used(self) -> int:
        """Labelled images of all parts."""
        return sum(len(part.images) for part in self._parts)

    @property
    def skipped(self) -> Counter[str]:
        """What the reader left out of all parts, by reason."""
        return sum((Counter(part.skipped) for part in self._parts), Counter())


def read_linear_probe(folder: Path, *, split: str | None = None, allow_missing: bool = False) -> LinearProbe:
    """Read labelled images of train, val (where there is one) and ``split`` (default: test).

    Raises:
        NoDataError: the folder has no labelled images of train and of ``split``.
        ValueError: a class that is tested has no training images.
    """
    for read in (partial(read_classification, named=False), read_zero_shot_objects):
        try:
            train, test = (
                read(folder, split=s, allow_missing=allow_missing) for s in ("train", split or "test")
            )
        except NoDataError as error:
            reason = error
            continue
        val = None if split == "val" else _optional(partial(read, folder, split="val"))
        if val is not None and set(val.images) & set(test.images):
            val = None  # ImageNet: val is what is tested on
        return LinearProbe(train, val and _renumbered(val, train), _renumbered(test, train))
    raise NoDataError(
        f"linear_probe: no labelled images of train and {split or 'test'} in {folder} ({reason})"
    )


def run_linear_probe(probe: LinearProbe, scorer: Scorer, *, seeds: Sequence[int] = (0,)) -> Result:
    """Choose the strength of the penalty, fit again on all but test, measure.

    ``seeds`` matter where ``val`` has to be held out from train.
    """
    classes = len(probe.train.names)
    x, y = scorer.images(probe.train.images), np.asarray(probe.train.labels)
    x_test, scores, chosen = scorer.images(probe.test.images), [], {}
    for seed in seeds:
        if probe.val is None:
            fit, held = _held_out(probe.train, seed)
            parts = x[fit], y[fit], x[held], y[held]
        else:
            parts = x, y, scorer.images(probe.val.images), np.asarray(probe.val.labels)
        x_fit, y_fit, x_val, y_val = parts
        found = {c: topk_accuracy(_fit(x_fit, y_fit, c, classes, x_val), y_val) for c in STRENGTHS}
        # of equals the stronger penalty, which trusts the features less
        best = max(found, key=lambda c: (found[c], -c))
        both, labels = np.concatenate([x_fit, x_val]), np.concatenate([y_fit, y_val])
        scores.append(_fit(both, labels, best, classes, x_test))
        chosen[str(seed)] = {"C": best, "val_acc1": found[best]}
    return _result(probe, scorer, scores, chosen)


def _result(
    probe: LinearProbe, scorer: Scorer, scores: Sequence[NDArray[Any]], chosen: Mapping[str, Any]
) -> Result:
    test = probe.test
    ranked = [ranks(score, [[label] for label in test.labels]) for score in scores]
    correct = np.mean([each < 1 for each in ranked], axis=0)
    told = test.class_labels
    per_class = macro_average(correct, [told[label] for label in test.labels])
    metrics = {"linear_probe_acc1": float(correct.mean()), "linear_probe_mean_per_class": per_class.value}
    keys = test.keys or [str(number) for number in range(len(test.images))]
    items = {"key": np.array(keys), "image_id": np.array(test.image_ids), "correct": correct}
    skipped, missing = probe.skipped, missing_images(scorer, test.images)
    details = describe(LINEAR_PROBE, used=probe.used, skipped=skipped, missing=missing) | {
        "train_items": len(probe.train.images),
        "seeds": dict(chosen),
        "classes": class_table(per_class.accuracies, per_class.counts),
    }
    return Result(LINEAR_PROBE.name, LINEAR_PROBE.main, len(test.images), metrics, items, details)


def _fit(
    x: NDArray[Any], y: NDArray[Any], strength: float, classes: int, x_new: NDArray[Any]
) -> NDArray[Any]:
    """Logits ``[m, classes]`` of new features; -inf for a class that is not in ``y``."""
    from sklearn.linear_model import LogisticRegression

    model = LogisticRegression(C=strength, max_iter=MAX_ITERATIONS).fit(x, y)
    found = np.full((len(x_new), classes), -np.inf)
    logits = model.decision_function(x_new)
    # of two classes scikit-learn gives one column: the second's
    found[:, model.classes_] = logits if logits.ndim == 2 else np.stack([-logits, logits], axis=1)
    return found


def _held_out(train: ZeroShot, seed: int) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """Rows to fit and rows to select by; whole images (an image may have several labelled boxes)."""
    from knowclip.evaluation.tasks.training import hold_out

    rows, held = hold_out(train.image_ids, share=0.2, seed=seed)
    return rows.numpy(), held.numpy()


def _renumbered(part: ZeroShot, train: ZeroShot) -> ZeroShot:
    """The part with the training set's class numbers; classes are told by id, as names may be equal."""
    own, ids = part.ids or part.names, train.ids or train.names
    number = {id: index for index, id in enumerate(ids)}
    missing = sorted({own[label] for label in part.labels} - number.keys())
    if missing:
        raise ValueError(
            f"linear_probe: no training images of classes {some(missing, most=5)}; they cannot be learned"
        )
    labels = [number[own[label]] for label in part.labels]
    return replace(part, labels=labels, names=train.names, ids=train.ids)


def _optional(read: Callable[[], ZeroShot]) -> ZeroShot | None:
    try:
        return read()
    except NoDataError:
        return None
