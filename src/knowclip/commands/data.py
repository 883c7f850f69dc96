"""``knowclip data NAME``: where a benchmark's files come from and how they must lie; fetches what it may."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from knowclip.console.screen import Screen

if TYPE_CHECKING:
    from knowclip.evaluation.benchmarks.card import Card


def command(
    name: Annotated[
        str | None, typer.Argument(help="Benchmark or suite, as `knowclip benchmarks` lists them.")
    ] = None,
    out: Annotated[
        Path | None, typer.Option(help="Data folder to download to, each benchmark to OUT/NAME.")
    ] = None,
    formats: Annotated[
        bool, typer.Option("--formats", help="List the captions formats that are read.")
    ] = False,
) -> None:
    """Say where NAME's files come from, and with --out download those that may be downloaded."""
    if formats:
        for line in list_formats().splitlines():
            Screen().print(line, soft_wrap=line.startswith(" "))  # a sample is to be copied
        return
    if name is None:
        raise ValueError("give a benchmark or suite of `knowclip benchmarks`, or --formats")
    from knowclip.evaluation.benchmarks import registry
    from knowclip.preflight import machine as preflight

    if out is not None:
        preflight.writable_folder(out)
    names = registry.members(name) if name in registry.SUITES else (name,)
    cards = [registry.entry(each).card for each in names]
    for card in cards:
        Screen().print(instructions(card))
        if out is not None:
            fetch(card, out / card.name)


def list_formats() -> str:
    """The captions formats by name: how each is recognised, and a sample of its files."""
    from knowclip.data.formats.registry import CODE, FORMATS, added

    lines = []
    for each in (*FORMATS, *added()):
        lines.append(f"{each.name}: {each.told}")
        for file, sample in each.samples.items():
            lines.append(f"  {file}" if file != CODE else "  written by")
            lines += [f"    {line}" for line in sample.rstrip("\n").split("\n")]
    return "\n".join(lines)


def instructions(card: Card) -> str:
    """What a reader needs to get the files of a benchmark and put them in place."""
    lines = {
        "paper": card.paper,
        "address": card.address,
        "licence": card.licence,
        "revision": card.revision,
        "layout": f"under DATA/{card.name}/: {card.layout}",
        "to do": card.obtain.replace("REVISION", card.revision),
        "n": card.size,
    }
    told = [f"  {label + ':':<10}{value}" for label, value in lines.items() if value]
    files = [f"  {'--out gets:':<12}{file.url} -> {file.path}" for file in card.downloads]
    return "\n".join([f"{card.title} ({card.name})", *told, *files])


def fetch(card: Card, folder: Path) -> None:
    """Download the files of a benchmark that may be downloaded, with a bar for each."""
    from knowclip.console.progress import counting
    from knowclip.data.download import download

    if not card.downloads:
        Screen().print("  nothing here may be downloaded by a program; see «to do»")
    for file in card.downloads:
        with counting(file.path, unit="bytes") as progress:
            fetched = download(file.url, folder / file.path, sha256=file.sha256, progress=progress)
        Screen().print(f"  {'written' if fetched else 'there already'}: {folder / file.path}")
