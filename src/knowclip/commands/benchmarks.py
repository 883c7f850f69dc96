"""``knowclip benchmarks``: what can be measured, by which protocol, and what is known to be wrong with it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from knowclip.evaluation.benchmarks.card import Card

SAME = "same"
"""Instead of a main metric that is called as its benchmark."""


def command(
    suite: Annotated[
        str, typer.Option(help="Only those of a suite: aro, compositional, general, ...")
    ] = "all",
    json: Annotated[bool, typer.Option("--json", help="Print everything as JSON.")] = False,
    markdown: Annotated[
        bool, typer.Option("--markdown", help="Print the protocol table of docs/benchmarks.md.")
    ] = False,
) -> None:
    """List the benchmarks; --json adds paper, licence, revision, protocol, layout and known flaws."""
    from rich.box import SIMPLE_HEAD
    from rich.table import Column, Table

    from knowclip.console.screen import Screen
    from knowclip.evaluation.benchmarks import registry

    cards = [registry.entry(name).card for name in registry.members(suite)]
    if json:
        import json as writer

        print(writer.dumps([described(card) for card in cards], indent=2))
    elif markdown:
        print(protocol_table(cards))
    else:
        name, title, n = Column("benchmark", no_wrap=True), Column("title"), Column("n", justify="right")
        table = Table(name, title, n, "main metric", "chance", box=SIMPLE_HEAD, padding=(0, 1, 0, 0))
        table.caption = f"main metric: {SAME} is called as the benchmark, _group BENCHMARK_group"
        for card in cards:
            main = SAME if card.main == card.name else card.main.removeprefix(card.name)
            table.add_row(card.name, card.title, card.size, main, _percent(card.chance))
        Screen().print(table)


def described(card: Card) -> dict[str, Any]:
    """A card in JSON types; unknown numbers are null."""
    from dataclasses import asdict

    from knowclip.evaluation.benchmarks import registry

    suites = [suite for suite in registry.SUITES if card.name in registry.members(suite)]
    return asdict(card) | {"n": card.n or None, "rules": card.rules, "suites": suites}


def protocol_table(cards: list[Card]) -> str:
    """Markdown: how each number comes about, and where other harnesses differ."""
    columns = ("benchmark", "n", "image", "right if", "average", "left out", "chance", "elsewhere", "flaws")
    rows = [
        (
            f"[{card.title}]({card.address})<br>`{card.name}`" if "://" in card.address else f"`{card.name}`",
            card.size,
            card.crop,
            card.protocol,
            f"`{card.main}`: {card.average}" if card.average else f"`{card.main}`",
            card.drop,
            _percent(card.chance),
            card.differs,
            card.flaws,
        )
        for card in cards
    ]
    lines = [columns, tuple("---" for _ in columns), *rows]
    return "\n".join(f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in line)} |" for line in lines)


def _percent(share: float | None) -> str:
    return "" if share is None else f"{100 * share:.1f}%"
