"""A summary to JSON, a console table, Markdown, plots, a model card and one HTML page."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from shlex import quote
from typing import TYPE_CHECKING, Any

from knowclip.console.counts import listed
from knowclip.evaluation.report import html_page as report_html
from knowclip.evaluation.report import plots
from knowclip.evaluation.report.records import absent_lines, count_or_names, record_lines
from knowclip.evaluation.report.standings import MIN_RANKED
from knowclip.evaluation.report.summary import (
    Report,
    beside,
    controls,
    items_note,
    percent,
    points,
    protocol,
    summarise,
)
from knowclip.evaluation.store import stored
from knowclip.storage.atomic import atomic_file
from knowclip.storage.text_files import read_json

if TYPE_CHECKING:
    from rich.table import Table


def files_line(folder: Path) -> str:
    """Where ``write_report`` wrote, the page to be opened first, and what it does not show of the stored."""
    line = f"written: {folder / 'report.html'}, report.md and results.json beside it"
    shown = list(read_json(folder / "results.json")["methods"])
    others = []
    for place, name in stored(folder).items():
        label = next((label for label in shown if label in (name, "/".join(name.split("/")[-2:]))), None)
        if label is None:
            others.append(f"{name} ({place.name})")
        else:
            shown.remove(label)
    if not others:
        return line
    return (
        f"{line}\nstored there too, by earlier evaluations, and not on that page: {', '.join(others)}; "
        f"`knowclip report {quote(str(folder))} --out PAGE` shows all of them"
    )


def console_table(summary: Mapping[str, Any]) -> Table:
    """Main metrics with 95% intervals and paired differences, a row a model, for a terminal of 80 columns."""
    from rich.box import SIMPLE_HEAD
    from rich.table import Column, Table

    several = len(summary["methods"]) > 1
    columns = [
        Column("metric, model" if several else "metric", overflow="fold"),
        Column("n", justify="right"),
    ]
    columns += [Column("% [95% interval]", justify="right", no_wrap=True)]
    compared = several or any(map(controls, summary["benchmarks"].values()))
    last = "points [interval]" if several else "text only"
    columns += [Column(last, justify="right", no_wrap=True)] if compared else []
    table = Table(*columns, box=SIMPLE_HEAD, padding=(0, 1, 0, 0))
    captions = [f"points: paired difference to {summary['baseline']} on the same items"] if several else []
    captions += [f"no data: {count_or_names(list(summary['absent']))}"] if summary["absent"] else []
    table.caption = "\n".join(captions) or None
    for entry in summary["benchmarks"].values():
        blind = {run: _blind(control) for run, control in controls(entry).items()}
        if several:
            table.add_row(entry["main"])
        for run, found in entry["methods"].items():
            score = "\n".join([percent(found["interval"]), *beside(found["metrics"], entry["main"])])
            if several:
                difference = points(found["difference"]) if found["difference"] else ""
                table.add_row(f"  {run}", f"{found['n']:,}", score, difference)
                if run in blind:
                    table.add_row(f"    text only, {blind[run][1]}", "", blind[run][0])
            else:
                cells = ["\n".join(blind.get("", ()))] if compared else []
                table.add_row(entry["main"], f"{found['n']:,}", score, *cells)
        if several and "" in blind:
            table.add_row(f"  text only, {blind[''][1]}", "", blind[""][0])
    return table


def _blind(control: Mapping[str, Any]) -> tuple[str, str]:
    """What text alone reads, and which blind reader does."""
    return f"{100 * control['accuracy']:.1f}%", str(control.get("strongest", "")).replace("_", " ")


def markdown(summary: Mapping[str, Any]) -> str:
    """The scores as a Markdown table: value, interval, n, paired difference in every cell; best in bold."""
    runs = list(summary["methods"])
    lines = [
        f"| % [95% interval] | n | text only | {' | '.join(runs)} |",
        f"|---|---|---|{'---|' * len(runs)}",
    ]
    for entry in summary["benchmarks"].values():
        told = [
            f"{100 * control['accuracy']:.1f} {control.get('strongest', '')} {run}".strip()
            for run, control in controls(entry).items()
        ]
        blind = " / ".join(told) or "none"
        n = max(numbers["n"] for numbers in entry["methods"].values())
        cells = [_markdown_cell(entry, run, summary["baseline"]) for run in runs]
        lines.append(f"| {entry['title']} (`{entry['main']}`) | {n:,} | {blind} | {' | '.join(cells)} |")
    if len(runs) > 1:
        lines += ["", f"In brackets after a score: paired difference to {summary['baseline']} in points."]
    told = [*record_lines(summary), *absent_lines(summary)]
    return "\n".join([*lines, *([""] if told else []), *(f"- {line}" for line in told)]) + "\n"


def _markdown_cell(entry: Mapping[str, Any], run: str, baseline: str) -> str:
    if run not in entry["methods"]:
        return "no data: not run"
    found = entry["methods"][run]
    text = percent(found["interval"])
    text = f"**{text}**" if run in entry["best"] else text
    text = f"{text} ({points(found['difference'])})" if found["difference"] else text
    text = f"{text} {' · '.join(beside(found['metrics'], entry['main']))}".strip()
    note = items_note(entry, run, baseline)
    text = f"{text}, {note}" if note else text
    return text if found["n"] >= MIN_RANKED else f"{text} n < {MIN_RANKED}, not ranked"


def model_card(
    summary: Mapping[str, Any],
    run: str,
    *,
    loading: str,
    library: str = "open_clip",
    notes: Sequence[str] = (),
) -> str:
    """``README.md`` of a checkpoint: how to load it, and what it scores with n, intervals and controls.

    Args:
        summary: as ``summarise`` gives it.
        run: the run whose checkpoint it is.
        loading: one paragraph on how the checkpoint is loaded.
        library: that loads it, as the Hugging Face hub names it.
        notes: lines on how what that library makes of it differs from what was measured.
    """
    if run not in summary["methods"]:
        raise ValueError(f"no run {run!r}; there are {listed(summary['methods'])}")
    entries = {name: e for name, e in summary["benchmarks"].items() if run in e["methods"]}
    known = {name: f" Known flaws: {e['flaws']}" if e["flaws"] else "" for name, e in entries.items()}
    flaws = [f"- {e['title']}: {protocol(e)}{known[name]}" for name, e in entries.items()]
    return "\n".join(
        [
            *card_head(run, library=library),
            loading.strip(),
            "",
            *(["## What differs in this library", "", *(f"- {note}" for note in notes), ""] if notes else []),
            "## Evaluation",
            "",
            "Measured by knowclip on this checkpoint as it was saved and loaded again"
            + (", before it was converted." if notes else "."),
            "",
            markdown(summary),
            "### Protocols and known flaws",
            "",
            *flaws,
            "",
        ]
    )


def card_head(name: str, *, library: str) -> list[str]:
    """The first lines of a card: what the Hugging Face hub reads, and the title."""
    front = {"library_name": library, "pipeline_tag": "zero-shot-image-classification", "tags": ["clip"]}
    return ["---", *(f"{key}: {json.dumps(value)}" for key, value in front.items()), "---", f"# {name}", ""]


def to_json(summary: Mapping[str, Any]) -> str:
    """Text of ``results.json``; NaN is refused."""
    return json.dumps(summary, indent=1, allow_nan=False)


def write_report(report: Report, out: Path) -> dict[str, Any]:
    """Write ``results.json``, ``report.{html,md}`` and ``plots/*.png`` to ``out``; return the summary."""
    summary = summarise(report)
    drawn = plots.all_plots(summary, plots.LIGHT)
    # the page first, which tells whose the rest is; the numbers last: with them all is there
    files = {"report.html": report_html.render(report, summary, drawn).encode()}
    files["report.md"] = f"# {report.title}\n\n{markdown(summary)}".encode()
    files |= {f"plots/{name}.png": image for name, image in drawn.items()}
    files["results.json"] = f"{to_json(summary)}\n".encode()
    for name, content in files.items():
        with atomic_file(out / name) as path:
            path.write_bytes(content)
    return summary
