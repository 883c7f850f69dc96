"""``knowclip diagnose MODEL --data FOLDER``: which tower, or what between them, loses who has what."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated, Any

import typer

from knowclip.commands.columns import CaptionColumn, ImageColumn, ImagesFolder, SplitColumn, columns_of


def command(
    model: Annotated[str, typer.Argument(help="Checkpoint folder or file, open_clip name, hf-hub:name.")],
    data: Annotated[
        Path,
        typer.Option(
            help="Scenes, captioned images, or a folder with Visual Genome's annotations and images."
        ),
    ],
    out: Annotated[
        Path | None, typer.Option("--out", "-o", help="Folder for diagnosis.json and ladder.png.")
    ] = None,
    json: Annotated[bool, typer.Option("--json", help="Print JSON instead of a table.")] = False,
    most: Annotated[int, typer.Option(min=2, help="Images that probes are fitted on, at most.")] = 4000,
    seed: Annotated[int, typer.Option(help="Of what is held out, and of the probes.")] = 0,
    device: Annotated[str | None, typer.Option(help="cpu, cuda, cuda:1, mps.")] = None,
    images: ImagesFolder = None,
    image_column: ImageColumn = None,
    caption_column: CaptionColumn = None,
    split_column: SplitColumn = None,
) -> None:
    """Ask of a CLIP, rung by rung, whose attribute is which and who is subject and who object.

    Probes of both towers, tokens and pooled; the cosine; the cosine after the best linear map. They are
    fitted on the split 'train' and asked about 'test', else about images held out. What falls is named, with
    what is known to help (docs/diagnose.md).
    """
    from knowclip.console.screen import Screen
    from knowclip.evaluation.diagnosis.annotated import is_annotated
    from knowclip.preflight import machine as preflight
    from knowclip.preflight.models import check_model

    check_model(model, device=device)
    preflight.captions(data, "--data")
    if out is not None:
        preflight.results_folder(out)
    if not is_annotated(data):
        preflight.check_parser("spacy")
    columns = columns_of(images, image_column, caption_column, split_column)
    content = _diagnose(model, data, columns, most=most, seed=seed, device=device)
    _show(content, json=json)
    if out is not None:
        _write(out, content)
        console = Screen(stderr=json)
        console.print(f"written: {out / 'diagnosis.json'} and ladder.png beside it")


def _diagnose(
    model: str, data: Path, columns: dict[str, Any], *, most: int, seed: int, device: str | None
) -> dict[str, Any]:
    """What ``diagnosis.json`` holds."""
    from knowclip.console.progress import counting, waiting
    from knowclip.storage.caches import cache_folder

    cache = cache_folder()
    reading = {"most": most, "seed": seed, "cache": cache / "negatives", "columns": columns}
    with counting("parsing captions", unit="captions") as count:
        from knowclip.evaluation.diagnosis.sources import read_source

        source = read_source(data, progress=count, **reading)
    with waiting(f"loading {model}") as tell:
        from knowclip.evaluation.diagnosis.ladder import climb  # torch: after all that can be refused before
        from knowclip.evaluation.diagnosis.output import summary
        from knowclip.evaluation.scoring import Scorer
        from knowclip.models.loading.load import load

        # what cannot be read is left out of every rung, and counted
        scorer = Scorer(load(model, device=device), cache=cache / "features", max_missing=1.0)
        ladders = climb(source.questions, scorer, seed=seed, tell=tell)
    read = source.read.without_images(scorer.missing)
    records = {"what": read.what, "kept": len(read.kept), "skipped": dict(+read.skipped)}
    return {
        "model": model,
        "model_hash": scorer.model_hash,
        "data": str(data),
        "questions_from": source.made_from,
        "seed": seed,
        "ladders": [summary(ladder) for ladder in ladders],
        "not_measured": source.absent,
        "skipped": dict(source.skipped),
        "records": records | {"left_out": read.left_out},
        "command": " ".join(["knowclip", *sys.argv[1:]]),
    }


def _show(content: dict[str, Any], *, json: bool) -> None:
    from knowclip.console.counts import read_lines
    from knowclip.console.screen import Screen
    from knowclip.evaluation.diagnosis.output import console_table, to_json

    if json:
        print(to_json(content))
    else:
        Screen().print(console_table(content["ladders"]))
    console = Screen(stderr=json)
    for line in (*(ladder["verdict"] for ladder in content["ladders"]), *_left_out(content)):
        console.print(line)
    records = content["records"]
    for line in read_lines(records["kept"], records["skipped"], records["left_out"], what=records["what"]):
        console.print(line)


def _left_out(content: dict[str, Any]) -> list[str]:
    """What was not measured, and which questions were not asked, and why."""
    from knowclip.console.counts import by_reason

    lines = [f"not measured: {kind}: {why}" for kind, why in content["not_measured"].items()]
    parts = {"": content["skipped"], **{f"{each['kind']}: ": each["skipped"] for each in content["ladders"]}}
    for name, skipped in parts.items():
        lines += [f"{name}left out: {by_reason(skipped)}"] if skipped else []
    return lines


def _write(out: Path, content: dict[str, Any]) -> None:
    from knowclip.evaluation.diagnosis.output import to_json
    from knowclip.evaluation.diagnosis.picture import draw
    from knowclip.storage.atomic import atomic_file

    picture = draw(content["ladders"], title=f"{content['model']}: who has what, rung by rung")
    for name, written in (("diagnosis.json", to_json(content).encode()), ("ladder.png", picture)):
        with atomic_file(out / name) as path:
            path.write_bytes(written)
