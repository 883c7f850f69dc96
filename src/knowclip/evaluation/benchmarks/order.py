"""ARO's order tests: a caption against four shuffles of its words, on COCO and Flickr30k.

Layout from the official loader's documented fields: ``coco_karpathy_test.json`` or ``flickr30k_test.json``,
lists of ``{image, caption: [...]}``, image paths relative to the file. ARO draws the shuffles anew in every
run; here they are drawn from a hash of the caption, so that two runs see the same negatives.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from knowclip.evaluation.benchmarks.aro import ADDRESS, PAPER
from knowclip.evaluation.benchmarks.card import Card, Download
from knowclip.evaluation.benchmarks.choices import Choice, ChoiceBenchmark
from knowclip.evaluation.benchmarks.collect import collect, text
from knowclip.evaluation.benchmarks.images import CocoImages
from knowclip.evaluation.benchmarks.locating import locate
from knowclip.evaluation.benchmarks.records import Record, json_records
from knowclip.evaluation.metrics import NoDataError
from knowclip.knowledge.content_hashes import stable_hash
from knowclip.knowledge.parsing.spacy_parser import installed_model

MAX_WORDS = 30
_STORE = "https://storage.googleapis.com/sfr-vision-language-research/datasets"
_COMMON: dict[str, Any] = {
    "paper": PAPER,
    "address": ADDRESS,
    "protocol": "right if the caption scores strictly above its four shuffles: nouns and adjectives; all "
    "other words; within trigrams; trigrams",
    "flaws": "Shuffled captions are no English: a language model alone scores far above CLIP (SugarCrepe, "
    "section 3).",
    "crop": "whole image",
    "average": "mean over captions",
    "drop": "shuffles equal to the caption; captions with no other shuffle",
    "differs": "ARO draws new shuffles in every run, tokenises trigrams with NLTK and counts a shuffle equal "
    "to the caption as won.",
    "chance": 0.2,
    "revision": "09e1fcffea60b7e8f31f93cb0844b344af1d0642",
}
COCO_ORDER = Card(
    name="coco_order",
    title="COCO-Order",
    licence="MIT (code; captions and images: COCO, CC BY 4.0)",
    main="coco_order",
    layout="coco_karpathy_test.json (coco_karpathy_val.json), val2014/",
    n=25010,
    downloads=tuple(
        Download(f"{_STORE}/coco_karpathy_{split}.json", f"coco_karpathy_{split}.json")
        for split in ("test", "val")
    ),
    obtain="COCO val2014 images: http://images.cocodataset.org/zips/val2014.zip, unpacked to "
    "coco_order/val2014",
    **_COMMON,
)
FLICKR30K_ORDER = Card(
    name="flickr30k_order",
    title="Flickr30k-Order",
    licence="MIT (code; captions and images: Flickr30k, research only)",
    main="flickr30k_order",
    layout="flickr30k_test.json (flickr30k_val.json), flickr30k-images/",
    n=5000,
    downloads=tuple(
        Download(f"{_STORE}/flickr30k_{split}.json", f"flickr30k_{split}.json") for split in ("test", "val")
    ),
    obtain="Images: request them at https://shannon.cs.illinois.edu/DenotationGraph, unpacked to "
    "flickr30k_order/flickr30k-images",
    **_COMMON,
)


def read_coco_order(folder: Path, *, split: str = "test", allow_missing: bool = False) -> ChoiceBenchmark:
    """COCO-Order over Karpathy's test (or val) captions."""
    return _read(COCO_ORDER, folder, f"coco_karpathy_{split}.json", split, allow_missing)


def read_flickr30k_order(
    folder: Path, *, split: str = "test", allow_missing: bool = False
) -> ChoiceBenchmark:
    """Flickr30k-Order over Karpathy's test (or val) captions."""
    return _read(FLICKR30K_ORDER, folder, f"flickr30k_{split}.json", split, allow_missing)


def shuffles(words: Sequence[str], tags: Sequence[str], seed: int) -> list[str]:
    """ARO's four perturbations of a tokenised caption, in its order.

    Args:
        words: tokens.
        tags: Penn Treebank tag of each.
        seed: of the draws.
    """
    random = np.random.default_rng(seed)
    nouns = [i for i, tag in enumerate(tags) if tag.startswith("NN")]
    adjectives = [i for i, tag in enumerate(tags) if tag.startswith("JJ")]
    others = sorted(set(range(len(words))) - {*nouns, *adjectives})
    content, rest = list(words), list(words)
    for target, places in ((content, nouns), (content, adjectives), (rest, others)):
        for place, source in zip(places, random.permutation(places), strict=True):
            target[place] = words[int(source)]
    trigrams = [list(words[start : start + 3]) for start in range(0, len(words), 3)]
    within = [trigram[i] for trigram in trigrams for i in random.permutation(len(trigram))]
    across = [word for i in random.permutation(len(trigrams)) for word in trigrams[i]]
    return [" ".join(words) for words in (content, rest, within, across)]


def normalise(caption: str) -> str:
    """ARO's (BLIP's) caption: lower case, without ``.!"()*#:;~``, at most 30 words."""
    return " ".join(re.sub(r'[.!"()*#:;~]', " ", caption.lower()).split()[:MAX_WORDS])


def _read(card: Card, folder: Path, file: str, split: str, allow_missing: bool) -> ChoiceBenchmark:
    if split not in ("test", "val"):
        raise NoDataError(f"{card.name} has the splits test and val, not {split!r}")
    base = locate(card, folder, [file], split="test", places=["coco", "flickr30k"])
    images = CocoImages(base, folder, folder / "flickr30k")
    captions = [caption for record in json_records(base / file) for caption in _captions(record)]
    tagged = _tagged([str(caption or "") for _, (_, caption) in captions])
    records = [
        Record(record.file, record.name, (*content, *found))
        for (record, content), found in zip(captions, tagged, strict=True)
    ]

    def make(record: Record) -> Choice | None:
        image, caption, words, tags = record.content
        true = normalise(text(caption))
        # NumPy takes no negative seed, and the hash is signed
        drawn = (normalise(shuffled) for shuffled in shuffles(words, tags, stable_hash(caption) & 0xFFFFFFFF))
        wrong = [shuffled for shuffled in dict.fromkeys(drawn) if shuffled != true]
        if not wrong:
            return None
        also = tuple((true, other) for other in wrong[1:])
        return Choice(record.key, images(image), true, wrong[0], "all", image, also)

    cases, skipped = collect(card, records, make, allow_missing=allow_missing)
    return ChoiceBenchmark(card, cases, macro=False, skipped=skipped)


def _captions(record: Record) -> Iterator[tuple[Record, tuple[Any, Any]]]:
    """Image and caption of each caption of a record; one broken record is one that says neither."""
    row = record.content
    listed = row.get("caption") if isinstance(row, dict) else None
    for number, caption in enumerate(listed if isinstance(listed, list) and listed else [None]):
        named = record._replace(name=f"{record.name}.{number}")
        yield named, (row.get("image") if isinstance(row, dict) else None, caption)


def _tagged(captions: list[str]) -> Iterator[tuple[list[str], list[str]]]:
    """Words and Penn Treebank tags by spaCy's small English pipeline, as ARO."""
    import spacy

    # the tagger alone is asked
    excluded = ["parser", "ner", "senter", "attribute_ruler", "lemmatizer"]
    pipeline = spacy.load(installed_model(), exclude=excluded)
    for document in pipeline.pipe(captions, batch_size=512):
        yield [token.text for token in document], [token.tag_ for token in document]
