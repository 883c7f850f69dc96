"""``knowclip align``: captions -> pairs and negatives -> cached embeddings -> one map -> a drop-in folder."""

from __future__ import annotations

import random
import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import torch
from torch import Tensor

from knowclip.api.align_data import TRAIN, VAL
from knowclip.build.pairs import Pairs, build_pairs
from knowclip.console.progress import Stages
from knowclip.data.captions.collate import text_key
from knowclip.data.captions.dataset import draw_negatives
from knowclip.data.images.readable import refuse_many
from knowclip.evaluation.benchmarks.card import Benchmark
from knowclip.evaluation.benchmarks.retrieval import DIRECTIONS, Retrieval
from knowclip.evaluation.benchmarks.swaps import swaps
from knowclip.evaluation.scoring import Scorer
from knowclip.export.open_clip import Kind, save_pretrained
from knowclip.knowledge.content_hashes import graph_key
from knowclip.models.clip import DualEncoder
from knowclip.models.loading.load import load
from knowclip.models.projection import LinearMap, fold_text_map, text_projection
from knowclip.preflight.overlap import refuse_overlap
from knowclip.preflight.recipes import Sources
from knowclip.recipe.data import DataConfig, NegativesConfig
from knowclip.storage.caches import cache_folder
from knowclip.training.align import Alignment, AlignSettings, EncodedPairs, fit_alignment
from knowclip.training.selection import selection_score
from knowclip.types import Example, Negative

NEGATIVES = 4
"""Negatives kept of a caption, its kinds taking turns: all are in every softmax that the caption is in."""
SELECTION = ("swaps", "image_to_text_R@1", "text_to_image_R@1")
"""Held-out metrics; the highest mean wins."""


@dataclass(frozen=True, slots=True)
class Aligned:
    """What was fitted on what, and what the folder measures on held-out pairs, read from disk again.

    ``before`` and ``after`` are metrics by their names, and own choices by kind of negative (``swaps/KIND``);
    ``unreadable`` names the images left out and says why; ``step`` is 0 where no map did better than the
    identity; ``folding_error`` is the largest difference between a coordinate of the folder's embeddings and
    of the mapped ones, both of length 1.
    """

    kind: Kind
    step: int
    before: dict[str, float]
    after: dict[str, float]
    pairs: dict[str, int]
    skipped: dict[str, int]
    unreadable: dict[str, str]
    without_negative: dict[str, int]
    folding_error: float
    logit_scale: float


def prepare(
    model: DualEncoder, scorer: Scorer, sources: Sources, *, val_images: int, progress: Stages
) -> Pairs:
    """Make the negatives, leave out what cannot be read, refuse what nothing can be fitted on or chosen by.

    Raises:
        ValueError: More than 1% of the images cannot be read or are held out and fitted on alike; no caption
            of either part has a negative.
    """
    config = DataConfig(val_images=val_images, negatives=NegativesConfig(per_caption=NEGATIVES))
    pairs = build_pairs(config, sources, tokenizer=model.tokenizer, progress=progress)
    held_out = [example.image.path for example in pairs.val]
    remedy = "Hold others out: --val-images 200"
    refuse_overlap(pairs.train, held_out, share=config.max_overlap, remedy=remedy)
    images = list(dict.fromkeys(example.image for example in (*pairs.train, *pairs.val)))
    with warnings.catch_warnings():  # the Scorer's own: that they count as wrong, and here they are left out
        warnings.simplefilter("ignore")
        scorer.images(images)
    limits = {"tolerated": config.max_unreadable, "of": pairs.images}
    refuse_many([*scorer.missing.values()], len(images), way="give other captions (--data)", **limits)
    pairs = pairs.without_images(scorer.missing)
    for examples, part in ((pairs.train, "captions to fit on"), (pairs.val, "held-out captions")):
        if not any(example.negatives for example in examples):
            raise ValueError(
                f"none of {len(examples):,} {part} has a negative: they name nothing that surely becomes "
                "false when it is swapped. Bring captions with relations or attributes, or negatives of "
                "your own (a column neg_caption)"
            )
    return pairs


def encode(examples: Sequence[Example], scorer: Scorer, *, seed: int) -> EncodedPairs:
    """Every distinct image and text of the pairs once; ``NEGATIVES`` of a caption, drawn by the seed."""
    drawn = [
        draw_negatives(example.negatives, NEGATIVES, random.Random(f"{seed} {example.key}"))
        for example in examples
    ]
    refs = list(dict.fromkeys(example.image for example in examples))
    texts = list(dict.fromkeys(t for e, ns in zip(examples, drawn, strict=True) for t in _texts(e, ns)))
    image_rows = {ref: row for row, ref in enumerate(refs)}
    text_rows = {text: row for row, text in enumerate(texts)}
    claims = [graph_key(example.caption, example.graph) for example in examples]
    true: dict[str, set[int]] = {}
    for example, claim in zip(examples, claims, strict=True):
        true.setdefault(example.image_id, set()).add(claim)
    # what another caption of the image claims is no negative, however it is worded
    false = [
        [text_rows[n.caption] for n in ns if graph_key(n.caption, n.graph) not in true[example.image_id]]
        for example, ns in zip(examples, drawn, strict=True)
    ]
    return EncodedPairs(
        image_features=torch.from_numpy(scorer.images(refs)),
        text_features=torch.from_numpy(scorer.texts(texts)),
        images=torch.tensor([image_rows[example.image] for example in examples]),
        captions=torch.tensor([text_rows[example.caption] for example in examples]),
        negatives=torch.tensor([row + [0] * (NEGATIVES - len(row)) for row in false]),
        negative_mask=torch.tensor([[slot < len(row) for slot in range(NEGATIVES)] for row in false]),
        image_ids=torch.tensor([text_key(example.image_id) for example in examples]),
        caption_ids=torch.tensor(claims),
    )


def _texts(example: Example, negatives: Sequence[Negative]) -> list[str]:
    return [example.caption, *(negative.caption for negative in negatives)]


class MappedTexts:
    """A Scorer's text features behind a map (``Scorer.with_texts_of``)."""

    def __init__(self, mapped: LinearMap) -> None:
        self.mapped = mapped

    def enhance(self, plain: Tensor, texts: list[str]) -> Tensor:
        """Map normalised features ``[m, D]``."""
        return self.mapped(plain.to(self.mapped.matrix.device))


def benchmarks_of(examples: Sequence[Example]) -> list[Benchmark]:
    """Retrieval both ways, and the choice between each caption and its negative."""
    return [*(Retrieval(direction, examples) for direction in DIRECTIONS), swaps(examples)]


def measure(benchmarks: Sequence[Benchmark], scorer: Scorer) -> dict[str, float]:
    """Metrics by name; of choices by kind of negative too, ``swaps/KIND``."""
    found: dict[str, float] = {}
    for benchmark in benchmarks:
        result = benchmark.run(scorer)
        found |= result.metrics
        for kind, row in result.details.get("classes", {}).items():
            found[f"{result.benchmark}/{kind}"] = row["accuracy"]
    return found


def align(
    name: str,
    sources: Sources,
    out: Path,
    settings: AlignSettings,
    *,
    val_images: int,
    device: str | None,
    progress: Stages,
) -> Aligned:
    """Fit the map, fold it into the text projection, write the folder and measure it as it lies on disk.

    Args:
        name: Of the model, as ``knowclip.load`` takes it.
        sources: Pairs to fit on, and to choose by where they are not held out of these.
        out: Folder to write.
        settings: Of the fit; its seed draws the negatives kept, too.
        val_images: Images to hold out where ``sources`` has no validation pairs.
        device: To encode and fit on.
        progress: Told of everything.

    Raises:
        ValueError: The text tower has no projection; the pairs do not do; the loss is no longer finite.
    """
    progress("loading the model", 0, None)
    model = load(name, device=device)
    text_projection(model)  # refuses, before anything is encoded
    scorer = _scorer(model, progress, cache=cache_folder() / "features")
    pairs = prepare(model, scorer, sources, val_images=val_images, progress=progress)
    train = encode(pairs.train, scorer, seed=settings.seed).to(model.device)
    benchmarks = benchmarks_of(pairs.val)
    before = measure(benchmarks, scorer)
    scorer.progress = None  # what follows is encoded already
    fitted = fit_alignment(
        model,
        train,
        settings,
        measure=lambda mapped: selection_score(measure(benchmarks, _mapped(scorer, mapped)), SELECTION),
        progress=partial(progress, "fitting the map"),
    )
    fold(model, fitted.alignment)
    kind = save_pretrained(model, out)
    written = _scorer(load(out, device=device), progress)
    captions = [example.caption for example in pairs.val]
    wanted = _mapped(scorer, fitted.alignment.map).texts(captions)
    return Aligned(
        kind=kind,
        step=fitted.step,
        before=before,
        after=measure(benchmarks, written),
        pairs={TRAIN: len(pairs.train), VAL: len(pairs.val), "negatives": int(train.negative_mask.sum())},
        skipped=dict(+pairs.skipped),
        unreadable=pairs.unreadable,
        without_negative=dict(+pairs.without),
        folding_error=float(abs(written.texts(captions) - wanted).max()),
        logit_scale=model.logit_scale.exp().item(),
    )


def _mapped(scorer: Scorer, mapped: LinearMap) -> Scorer:
    """The same features, texts behind the map."""
    return scorer.with_texts_of(MappedTexts(mapped))


@torch.no_grad()
def fold(model: DualEncoder, alignment: Alignment) -> None:
    """Put map, temperature and bias into the model's own weights."""
    fold_text_map(model, alignment.map.matrix)
    model.logit_scale.copy_(alignment.logit_scale)
    if model.logit_bias is not None and alignment.logit_bias is not None:
        model.logit_bias.copy_(alignment.logit_bias)


def _scorer(model: DualEncoder, progress: Stages, *, cache: Path | None = None) -> Scorer:
    """A Scorer that tells what it encodes, and that leaves to others to refuse unreadable images."""
    scorer = Scorer(model, cache=cache, max_missing=1.0)
    scorer.progress = lambda what, done, total: progress(f"encoding {what}", done, total)
    return scorer
