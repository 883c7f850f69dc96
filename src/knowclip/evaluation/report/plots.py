"""Plots of a summary (see ``summary.summarise``) as PNG bytes, drawn for a light or a dark page."""

from __future__ import annotations

import io
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from knowclip.evaluation.report.summary import strongest_control

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

MAX_CLASSES = 24
WIDTH = 8.2
"""Inches."""
LEGEND = 96
"""Letters that fit beside each other above a panel."""


@dataclass(frozen=True, slots=True)
class Theme:
    """Colours of a page: ``runs`` from the first run to the last."""

    ink: str
    faint: str
    runs: tuple[str, ...]


LIGHT = Theme("#1f2933", "#d5dbe1", ("#a3adb8", "#3f7cac", "#d9622b", "#2f8f6b", "#7a5aa6", "#b08900"))
DARK = Theme("#e4e9ee", "#3a444f", ("#77828e", "#6aa9d8", "#f0854f", "#5cc29b", "#a98ad6", "#d9b84a"))


def all_plots(summary: Mapping[str, Any], theme: Theme) -> dict[str, bytes]:
    """Every plot of a summary: ``scores``, ``abilities`` of two runs or more, ``<benchmark>_classes``."""
    plots = {"scores": scores(summary, theme)}
    if len(summary["abilities"].get("runs", ())) > 1:
        plots["abilities"] = abilities(summary, theme)
    for name, entry in summary["benchmarks"].items():
        if any(len(numbers["details"].get("classes", ())) > 1 for numbers in entry["methods"].values()):
            plots[f"{name}_classes"] = classes(summary, name, theme)
    return plots


def run_colours(summary: Mapping[str, Any], theme: Theme) -> dict[str, str]:
    """Colour of each run: the last one, which the page is about, always gets the accent."""
    names = list(summary["methods"])
    accent, rest = theme.runs[2], [colour for i, colour in enumerate(theme.runs) if i != 2]
    return {name: rest[i % len(rest)] for i, name in enumerate(names[:-1])} | {names[-1]: accent}


def scores(summary: Mapping[str, Any], theme: Theme) -> bytes:
    """Main metric of every benchmark and run with its interval; text-only controls as vertical strokes."""
    entries = list(summary["benchmarks"].values())
    colours = run_colours(summary, theme)
    legend = 0.22 * len(colours)  # one name a line, if they are long
    figure, (axes,) = figure_of(0.9 + legend + len(entries) * (0.22 + 0.17 * len(colours)), theme)
    step = 0.7 / max(1, len(colours))
    for row, entry in enumerate(entries):
        for place, (run, colour) in enumerate(colours.items()):
            if run not in entry["methods"]:
                continue
            found = entry["methods"][run]["interval"]
            y = row + (place - (len(colours) - 1) / 2) * step
            axes.plot([100 * found["low"], 100 * found["high"]], [y, y], color=colour, lw=3, alpha=0.45,
                      solid_capstyle="round")  # fmt: skip
            axes.plot(100 * found["value"], y, "o", color=colour, ms=7, label=run if row == 0 else None)
        control = strongest_control(entry)
        if control:
            x = 100 * control["accuracy"]
            axes.plot([x, x], [row - 0.4, row + 0.4], color=theme.ink, lw=1.4, ls=(0, (2, 2)))
    if any(map(strongest_control, entries)):
        axes.plot([], [], color=theme.ink, lw=1.4, ls=(0, (2, 2)), label="text only")
    _finish(axes, [entry["title"] for entry in entries], theme)
    return png(figure)


def abilities(summary: Mapping[str, Any], theme: Theme) -> bytes:
    """Compositional against general ability, one dot a run; those that no other run beats are joined."""
    points = summary["abilities"]["runs"]
    figure, (axes,) = figure_of(5.0, theme)
    front = sorted((100 * p["general"], 100 * p["compositional"]) for p in points.values() if p["front"])
    axes.plot(*zip(*front, strict=True), color=theme.ink, lw=1, ls=(0, (2, 2)), label="front")
    for run, colour in run_colours(summary, theme).items():
        x, y = 100 * points[run]["general"], 100 * points[run]["compositional"]
        axes.plot(x, y, "o", color=colour, ms=10)
        axes.plot([], [], "o", color=colour, label=run)
    axes.margins(0.2)
    _legend(axes, theme)
    axes.set_xlabel("general ability, %", color=theme.ink)
    axes.set_ylabel("compositional ability, %", color=theme.ink)
    style(axes, theme, grid="both")
    return png(figure)


def alpha_curve(rows: Sequence[Mapping[str, Any]], *, chosen: float, theme: Theme) -> bytes:
    """Metrics along the line between two checkpoints: ``rows`` of ``{"alpha", "metrics", "allowed"}``."""
    figure, (axes,) = figure_of(4.6, theme)
    alphas = [row["alpha"] for row in rows]
    for metric, colour in zip(rows[0]["metrics"], theme.runs[1:] * len(rows[0]["metrics"]), strict=False):
        values = [100 * row["metrics"][metric] for row in rows]
        axes.plot(alphas, values, "o-", color=colour, label=metric)
    axes.axvline(chosen, color=theme.ink, lw=1.2, ls=(0, (2, 2)), label=f"chosen: {chosen:g}")
    axes.set_xlabel("alpha: 0 is the base, 1 the tuned model", color=theme.ink)
    axes.set_ylabel("%", color=theme.ink)
    style(axes, theme, grid="both")
    _legend(axes, theme)
    return png(figure)


def classes(summary: Mapping[str, Any], benchmark: str, theme: Theme) -> bytes:
    """Accuracy by class (relation, attribute pair, noun) as grouped bars, the commonest classes if many."""
    methods = summary["benchmarks"][benchmark]["methods"]
    counts = {
        name: row["n"] for numbers in methods.values() for name, row in numbers["details"]["classes"].items()
    }
    shown = sorted(counts, key=lambda name: (-counts[name], name))[:MAX_CLASSES]
    last = list(methods.values())[-1]["details"]["classes"]
    shown.sort(key=lambda name: (-last.get(name, {"accuracy": 0})["accuracy"], name))
    colours = {run: colour for run, colour in run_colours(summary, theme).items() if run in methods}
    figure, (axes,) = figure_of(0.9 + len(shown) * (0.10 + 0.115 * len(colours)), theme)
    height = 0.8 / len(colours)
    for place, (run, colour) in enumerate(colours.items()):
        table = methods[run]["details"]["classes"]
        rows = [row for row, name in enumerate(shown) if name in table]
        y = [row + (place - (len(colours) - 1) / 2) * height for row in rows]
        values = [100 * table[shown[row]]["accuracy"] for row in rows]
        axes.barh(y, values, height=height * 0.9, color=colour, label=run)
    _finish(axes, [f"{name.replace('_', ' / ')}  ({counts[name]})" for name in shown], theme)
    return png(figure)


def figure_of(height: float, theme: Theme, *, panels: int = 1, columns: int = 1) -> tuple[Figure, list[Axes]]:
    """An empty figure with panels in rows of ``columns``, each row of ``height`` inches, see-through."""
    from matplotlib.figure import Figure  # no pyplot: no global state, no display

    rows = math.ceil(panels / columns)
    figure = Figure(figsize=(WIDTH, rows * height), dpi=144, layout="constrained")
    figure.patch.set_alpha(0)
    axes = [figure.add_subplot(rows, columns, panel + 1) for panel in range(panels)]
    for panel in axes:
        panel.patch.set_alpha(0)
    return figure, axes


def _finish(axes: Axes, labels: list[str], theme: Theme) -> None:
    axes.set_yticks(range(len(labels)), labels)
    axes.set_ylim(len(labels) - 0.4, -0.6)
    axes.set_xlim(0, 101)
    axes.set_xlabel("%", color=theme.ink)
    style(axes, theme, grid="x")
    _legend(axes, theme)


def _legend(axes: Axes, theme: Theme) -> None:
    """A legend above the panel in as many columns as its names leave room for."""
    labels = axes.get_legend_handles_labels()[1]
    if labels:
        columns = max(1, min(len(labels), LEGEND // (max(map(len, labels)) + 6)))
        where: dict[str, Any] = {"loc": "lower center", "bbox_to_anchor": (0.5, 1.0), "ncols": columns}
        axes.legend(**where, frameon=False, labelcolor=theme.ink)


def style(axes: Axes, theme: Theme, *, grid: Literal["x", "both"]) -> None:
    """Grid lines and no frame."""
    axes.tick_params(colors=theme.ink, length=0)
    axes.grid(axis=grid, color=theme.faint, lw=0.8)
    axes.set_axisbelow(True)
    for spine in axes.spines.values():
        spine.set_visible(False)


def png(figure: Figure) -> bytes:
    """The same bytes for the same figure."""
    buffer = io.BytesIO()
    # matplotlib writes its version there
    figure.savefig(buffer, format="png", metadata={"Software": None})
    return buffer.getvalue()
