"""Zero-shot classification: images or crops against class names in prompt templates (CLIP, section 3.1.4)."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from knowclip.console.counts import TOLERATED_SHARE, by_reason
from knowclip.evaluation.benchmarks.card import Card
from knowclip.evaluation.benchmarks.class_names import shared_names
from knowclip.evaluation.benchmarks.grading import class_table, describe, missing_images
from knowclip.evaluation.benchmarks.locating import captioned
from knowclip.evaluation.feature_cache import Features
from knowclip.evaluation.image_data import images_by_id
from knowclip.evaluation.metrics import NoDataError, NotHereError, feature_ranks, macro_average
from knowclip.evaluation.scoring import Scorer
from knowclip.knowledge.readers.json_stream import iterate_array
from knowclip.types import Box, ImageRef, Result

TEMPLATES = ("{a} {name}",)
"""Default prompts: ``{name}`` (or CLIP_benchmark's ``{c}``) is the class name, ``{a}`` its article."""
FIVE = 5

ZERO_SHOT_OBJECTS = Card(
    name="zero_shot_objects",
    title="Zero-shot nouns",
    paper="Radford et al., Learning transferable visual models from natural language supervision",
    address="https://github.com/LAION-AI/CLIP_benchmark",
    licence="that of the annotated images (Visual Genome: CC BY 4.0)",
    main="zero_shot_objects_acc1",
    protocol="Box of every annotated object against the names of all objects of the split, prompts averaged "
    "per class; the right class strictly above all others; micro average (mean per class beside it).",
    layout="visual_genome/objects.json, visual_genome/image_data.json, captions of the split",
    flaws="Boxes may show parts of other objects; near-synonyms count as different classes.",
)


@dataclass(frozen=True)
class ZeroShot:
    """Classify ``images[i]`` into ``names``; ``labels[i]`` is its index there.

    Args:
        card: metadata.
        images: whole images, or boxes of them.
        image_ids: image of each, resampled together.
        labels: index of each in ``names``.
        names: of the classes; those of equal name share their prompts, and any of them is right.
        templates: prompts, averaged per class; see ``TEMPLATES``.
        keys: names the items in paired comparisons; default: their numbers.
        skipped: what the reader left out, by reason.
        ids: what tells classes of equal name apart, in order of ``names``; default: the names.
        notes: what a reader of the result must be told of how it was read.
    """

    card: Card
    images: Sequence[ImageRef]
    image_ids: Sequence[str]
    labels: Sequence[int]
    names: Sequence[str]
    templates: Sequence[str] = TEMPLATES
    keys: Sequence[str] = ()
    skipped: Mapping[str, int] = field(default_factory=dict)
    ids: Sequence[str] = ()
    notes: Sequence[str] = ()

    def __post_init__(self) -> None:
        if not self.images:
            raise NoDataError(f"{self.card.name}: no labelled images")
        if len(set(self.names)) < 2:
            raise NoDataError(f"{self.card.name}: one class ({self.names[0]!r}) leaves nothing to choose")

    @property
    def class_labels(self) -> list[str]:
        """A label of its own for each class: its name, with its id where several have that name."""
        ids = self.ids or self.names
        shared = shared_names(self.names, ids)
        return [
            f"{name} ({id})" if name in shared else name for name, id in zip(self.names, ids, strict=True)
        ]

    def prompts(self, name: str) -> list[str]:
        """Write the texts of one class."""
        article = "an" if name[0].lower() in "aeiou" else "a"
        return [template.format(name=name, c=name, a=article) for template in self.templates]

    def run(self, scorer: Scorer) -> Result:
        """Cosine of every image with every class; accuracy at 1, at 5 of more classes, and mean per class."""
        images, classes = scorer.images(self.images), self._class_features(scorer)
        right: dict[str, list[int]] = {}
        for number, name in enumerate(self.names):
            right.setdefault(name, []).append(number)
        ranks = feature_ranks(images, classes, [right[self.names[label]] for label in self.labels])
        correct, prefix, told = ranks < 1, self.card.name, self.class_labels
        per_class = macro_average(correct, [told[label] for label in self.labels])
        metrics = {
            f"{prefix}_acc1": float(correct.mean()),
            f"{prefix}_mean_per_class": per_class.value,
        }
        if len(self.names) > FIVE:
            metrics[f"{prefix}_acc5"] = float(np.mean(ranks < FIVE))
        items = {
            "key": np.array(self.keys or [str(index) for index in range(len(self.images))]),
            "image_id": np.array(self.image_ids),
            "rank": ranks,
            "correct": correct,
        }
        missing = missing_images(scorer, self.images)
        details = describe(self.card, used=len(self.images), skipped=self.skipped, missing=missing) | {
            "classes": class_table(per_class.accuracies, per_class.counts),
            "templates": list(self.templates),
            "notes": [*self.notes, *self._tie_rule()],
        }
        return Result(prefix, self.card.main, len(self.images), metrics, items, details)

    def _tie_rule(self) -> list[str]:
        """What is done about classes of equal name, where there are any."""
        shared = shared_names(self.names, self.ids or self.names)
        if not shared:
            return []
        owners = "; ".join(f"{name}: {', '.join(ids)}" for name, ids in list(shared.items())[:FIVE])
        return [
            f"several classes have one name ({owners}) and so the same prompts: any of them counts as right "
            "(elsewhere the tie goes to the first)"
        ]

    def _class_features(self, scorer: Scorer) -> Features:
        """Mean of the normalised prompt features of each class, normalised again, ``[C, D]``."""
        texts = [prompt for name in self.names for prompt in self.prompts(name)]
        features = scorer.texts(texts).reshape(len(self.names), len(self.templates), -1).mean(axis=1)
        norms = np.linalg.norm(features, axis=1, keepdims=True)
        return np.divide(features, norms, out=np.zeros_like(features), where=norms > 0)


def read_zero_shot_objects(folder: Path, *, split: str = "test", allow_missing: bool = False) -> ZeroShot:
    """Object boxes of ``visual_genome/objects.json`` on the images that the split's captions name."""
    objects_path, images_path = (
        folder / "visual_genome" / f"{name}.json" for name in ("objects", "image_data")
    )
    if not objects_path.is_file() or not images_path.is_file():
        raise NotHereError(f"no visual_genome/objects.json with image_data.json under {folder}")
    examples = captioned(folder, split, allow_missing=allow_missing).examples
    path_of = {example.image.path.name: example.image.path for example in examples}
    images, strange = images_by_id(images_path)
    crops: list[tuple[ImageRef, str, str]] = []
    skipped: Counter[str] = Counter()
    annotated, malformed = _annotated(objects_path)
    for path, bad, good in (images_path, strange, len(images)), (objects_path, malformed, len(annotated)):
        if bad > TOLERATED_SHARE * (bad + good) and not allow_missing:
            raise ValueError(
                f"zero_shot_objects: {path} has {bad:,} malformed records of {bad + good:,}; no more than "
                f"{TOLERATED_SHARE:.0%} may be: get it anew, or pass --allow-missing to measure the rest"
            )
        skipped[f"malformed record of {path.name}"] = bad
    for image_id, things in annotated:
        shown = path_of.get(Path(images[image_id]["url"]).name) if image_id in images else None
        if shown is None:
            skipped["object of an image that is not of the split"] += len(things)
            continue
        for thing in things:
            if crop := _crop(shown, thing):
                crops.append(crop)
            else:
                skipped["object without name or box"] += 1
    # sorted: class numbers do not depend on the order of the annotations
    numbers = {name: number for number, name in enumerate(sorted({name for _, _, name in crops}))}
    if not numbers:
        left_out = by_reason(skipped) or "it has none"
        raise NoDataError(
            f"zero_shot_objects: no object to classify in {objects_path}, on the {len(images):,} images of "
            f"{images_path.name} ({left_out})"
        )
    return ZeroShot(
        ZERO_SHOT_OBJECTS,
        images=[crop for crop, _, _ in crops],
        image_ids=[image for _, image, _ in crops],
        labels=[numbers[name] for _, _, name in crops],
        names=list(numbers),
        skipped=+skipped,
    )


def _annotated(path: Path) -> tuple[list[tuple[int | str, list[Any]]], int]:
    """Image id and objects of each record, and how many records have none."""
    found, malformed = [], 0
    for record in iterate_array(path):
        known = record if isinstance(record, dict) else {}
        image_id, things = known.get("image_id"), known.get("objects")
        if isinstance(image_id, (int, str)) and isinstance(things, list):
            found.append((image_id, things))
        else:
            malformed += 1
    return found, malformed


def _crop(path: Path, thing: Any) -> tuple[ImageRef, str, str] | None:
    """Box, file name and object name of an annotated object; None where it lacks one of them."""
    try:
        name, box = thing["names"][0].strip(), _box(thing)
        sound = all(math.isfinite(side) for side in box) and min(box[2:]) > 0
    except (LookupError, TypeError, AttributeError, OverflowError):
        return None
    return (ImageRef(path, box), path.name, name) if name and sound else None


def _box(thing: dict[str, Any]) -> Box:
    return (thing["x"], thing["y"], thing["w"], thing["h"])
