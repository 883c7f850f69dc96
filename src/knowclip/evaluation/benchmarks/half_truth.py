"""Half-truths from any captioned folder: "a dog" against "a dog on a skateboard" that is not there.

A model that adds up what it recognises prefers the longer, false caption, since one more of its words fits an
image of its kind. The false detail is an object that another caption states the same relation to.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from knowclip.data.captions.read import CaptionSet
from knowclip.evaluation.benchmarks.card import Card
from knowclip.evaluation.benchmarks.choices import Choice, ChoiceBenchmark
from knowclip.evaluation.benchmarks.locating import captioned
from knowclip.knowledge.content_hashes import stable_hash
from knowclip.knowledge.negatives.mentions import Layout
from knowclip.knowledge.parsing.parsers import parse
from knowclip.types import Example, SceneGraph

HALF_TRUTH = Card(
    name="half_truth",
    title="Half-truths",
    paper="After the half-truth test of recent work on CLIP's compositionality; built here from captions",
    address="knowclip evaluate --benchmark half_truth",
    licence="that of the captions",
    main="half_truth",
    protocol='right if a phrase of the caption ("a dog") scores strictly above the same with a false detail '
    '("a dog on a skateboard"), whose object no caption of the image names',
    layout="captioned images in any format of read_captions",
    flaws="Whoever prefers short texts wins, so the text-only control is high: a low score is telling, a "
    "high one is not. Captions do not name everything, so some details are true.",
    crop="whole image",
    average="mean over cases; _macro over relations",
    chance=0.5,
)


class Detail(NamedTuple):
    """``phrase + link + item``: a caption's words for a subject, a relation and its object."""

    example: Example
    relation: str
    phrase: str
    link: str
    item: str
    item_name: str


def read_half_truth(folder: Path, *, split: str = "test", allow_missing: bool = False) -> ChoiceBenchmark:
    """One case a caption at most: its first relation that can be falsified."""
    return of_captions(captioned(folder, split, allow_missing=allow_missing))


def of_captions(captions: CaptionSet) -> ChoiceBenchmark:
    """Half-truths of captions that were read, whose graphs are parsed here."""
    graphs = list(parse([example.caption for example in captions.examples]))
    return half_truths(captions.examples, graphs, skipped=captions.skipped)


def half_truths(
    examples: Sequence[Example], graphs: Sequence[SceneGraph], *, skipped: Mapping[str, int] | None = None
) -> ChoiceBenchmark:
    """Half-truths of captions ``[n]`` with scene graphs ``[n]``; ``skipped`` is what the reader left out."""
    named: Mapping[str, set[str]] = defaultdict(set)
    for example, graph in zip(examples, graphs, strict=True):
        named[example.image_id] |= {item.name for item in graph.objects}
    details = [
        detail for example, graph in zip(examples, graphs, strict=True) for detail in _details(example, graph)
    ]
    donors: Mapping[str, dict[str, str]] = defaultdict(dict)
    for detail in details:
        donors[detail.relation].setdefault(detail.item_name, detail.item)
    cases: dict[str, Choice] = {}
    for detail in details:
        # sorted, and drawn by the key: the same detail in every process
        absent = sorted(donors[detail.relation].keys() - named[detail.example.image_id])
        if absent and detail.example.key not in cases:
            name = absent[stable_hash(detail.example.key) % len(absent)]
            cases[detail.example.key] = Choice(
                key=detail.example.key,
                image=detail.example.image,
                true=detail.phrase,
                false=detail.phrase + detail.link + donors[detail.relation][name],
                group=detail.relation,
                image_id=detail.example.image_id,
            )
    left_out = {
        **(skipped or {}),
        "caption without a relation that can be falsified": len(examples) - len(cases),
    }
    return ChoiceBenchmark(HALF_TRUTH, tuple(cases.values()), macro=False, skipped=left_out)


def _details(example: Example, graph: SceneGraph) -> Iterator[Detail]:
    """The relations that a caption says as "subject relation object", one after the other."""
    layout = Layout(example.caption, graph)
    for relation in graph.relations:
        ends = layout.ends(relation)
        if ends is None or relation.span is None:
            continue
        subject, item = (
            layout.phrase(number, mention)
            for number, mention in zip((relation.subject, relation.object), ends, strict=True)
        )
        if subject[1] <= relation.span[0] and relation.span[1] <= item[0]:
            gaps = example.caption[subject[1] : relation.span[0]], example.caption[relation.span[1] : item[0]]
            if gaps[0].strip() in ("", "is", "are") and not gaps[1].strip():
                yield Detail(
                    example,
                    relation.name,
                    example.caption[slice(*subject)],
                    example.caption[subject[1] : item[0]],
                    example.caption[slice(*item)],
                    graph.objects[relation.object].name,
                )
