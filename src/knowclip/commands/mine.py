"""``knowclip mine CAPTIONS --model M --out TABLE``: hard negatives found by embedding among the captions."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, NamedTuple

import typer

from knowclip.commands.columns import CaptionColumn, ImageColumn, ImagesFolder, SplitColumn, columns_of

if TYPE_CHECKING:
    from torch import Tensor

    from knowclip.types import Example


def command(
    captions: Annotated[Path, typer.Argument(help="Captioned images, as `knowclip train` reads them.")],
    model: Annotated[str, typer.Option("--model", "-m", help="What embeds: a run, a checkpoint, a name.")],
    out: Annotated[Path, typer.Option("--out", "-o", help="CSV to write; its images stay where they are.")],
    by: Annotated[
        str, typer.Option(help="What a negative is to be like: the caption ('text') or the image ('image').")
    ] = "text",
    num_negatives: Annotated[int, typer.Option(min=1, help="Negatives a caption at most.")] = 3,
    range_min: Annotated[int, typer.Option(min=0, help="Most similar captions to pass over.")] = 0,
    range_max: Annotated[int, typer.Option(min=1, help="Captions to look at, those included.")] = 100,
    max_score: Annotated[float | None, typer.Option(help="Highest cosine of a negative.")] = None,
    relative_margin: Annotated[
        float,
        typer.Option(max=1, help="Share of the pair's cosine by which a negative's is lower; < 0: higher."),
    ] = 0.05,
    split: Annotated[str | None, typer.Option(help="Split; Karpathy's train takes in restval.")] = None,
    images: ImagesFolder = None,
    parser: Annotated[str, typer.Option(help="Parser.")] = "spacy",
    image_column: ImageColumn = None,
    caption_column: CaptionColumn = None,
    split_column: SplitColumn = None,
) -> None:
    """Add to each caption the captions of other images that a model finds most like it, or like its image.

    Those that may be true are left out: what reads like a caption of the image, what says nothing that these
    do not say, what is too like by margin or score. Negatives that CAPTIONS has already stay beside.
    """
    from knowclip.commands.summary import show, tell_replaced
    from knowclip.preflight import machine as preflight
    from knowclip.preflight.models import check_model

    preflight.captions(captions, "CAPTIONS")
    preflight.one_of("--by", by, ("text", "image"))
    preflight.check_parser(parser)
    check_model(model)
    preflight.writable_file(out, suffixes=(".csv",), read=[captions])

    from knowclip.console.progress import counting, waiting
    from knowclip.data.captions.read import UNREADABLE, read_captions, repeated
    from knowclip.data.captions.selection import write_table

    columns = columns_of(images, image_column, caption_column, split_column)
    with waiting("reading captions"):
        source = read_captions(captions, split=split, **columns)
        from knowclip.data.captions.mining import Mining, mine  # torch: after what can be refused without it

        options = Mining(num_negatives, range_min, range_max, max_score, relative_margin)
    tell_replaced(out)
    encoded = _encoded(model, source.examples, by)
    examples = _parsed(encoded.examples, parser)
    with counting("mining", total=len(examples), unit="captions") as progress:
        mined = mine(
            examples,
            queries=encoded.queries,
            texts=encoded.texts,
            text_features=encoded.text_features,
            options=options,
            progress=progress,
        )
    write_table(out, mined.examples)
    counts = {"negatives mined": mined.kept, "captions without one": mined.without}
    counts |= {f"candidates: {reason}": count for reason, count in sorted(mined.left_out.items())}
    skipped = source.skipped + Counter({UNREADABLE: len(source.examples) - len(examples)})
    left_out = [*source.missing.values(), *encoded.unreadable]
    told = {"kept": len(examples), "repeated": repeated(examples), "left_out": left_out}
    show(f"written: {out}", counts, skipped, **told)


class _Encoded(NamedTuple):
    """The pairs whose images can be read, where they are looked at, and all that is compared."""

    examples: list[Example]
    queries: Tensor
    texts: list[str]
    text_features: Tensor
    unreadable: list[str]


def _encoded(model: str, examples: list[Example], by: str) -> _Encoded:
    import torch  # ``mine`` has loaded it

    from knowclip.api.loaded import load_model, scorers
    from knowclip.console.progress import stages
    from knowclip.storage.caches import cache_folder

    with stages() as progress:
        progress(f"loading {model}", 0, None)
        _, scorer = next(scorers(load_model(model).clip, cache=cache_folder() / "features"))
        scorer.progress = progress
        if by == "image":
            scorer.images([example.image for example in examples])
            examples = [example for example in examples if example.image not in scorer.missing]
        texts = list(dict.fromkeys(example.caption for example in examples))
        text_features = scorer.texts(texts)
        queries = (
            scorer.images([example.image for example in examples])
            if by == "image"
            else scorer.texts([example.caption for example in examples])
        )
    features = torch.from_numpy(text_features)
    return _Encoded(examples, torch.from_numpy(queries), texts, features, [*scorer.missing.values()])


def _parsed(examples: list[Example], parser: str) -> list[Example]:
    """The pairs with the graphs of their captions, each caption parsed once."""
    from knowclip.console.progress import counting
    from knowclip.knowledge.parsing.parsers import parse

    texts = list(dict.fromkeys(example.caption for example in examples if example.graph is None))
    graphs = {}
    with counting("parsing", total=len(texts), unit="captions") as progress:
        for number, (text, graph) in enumerate(zip(texts, parse(texts, parser=parser), strict=True), start=1):
            graphs[text] = graph
            progress(number)
    return [replace(e, graph=graphs[e.caption]) if e.graph is None else e for e in examples]
