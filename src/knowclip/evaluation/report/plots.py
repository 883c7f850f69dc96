"""Plots of a summary (``summary.summarise``) as PNG bytes, for a light page; ``TURNED`` for a dark one."""

from __future__ import annotations

import io
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from textwrap import fill
from typing import TYPE_CHECKING, Any, Literal

from knowclip.evaluation.report.summary import controls, metric_group

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

MAX_CLASSES = 24
WIDTH, NARROW = 8.2, 4.3
"""Inches, of a plot on a page, and on a phone."""
LEGEND = 11.5
"""Letters of a legend that fit beside each other in an inch."""
LABELS = 3.4
"""Letters in an inch of a plot that the names of its rows may take before they are broken."""
LINE = 0.17
"""Inches of a line of these."""


@dataclass(frozen=True, slots=True)
class Theme:
    """Colours of a page, ``runs`` from the first run to the last, and its width in inches."""

    ink: str
    faint: str
    runs: tuple[str, ...]
    width: float = WIDTH

    def narrow(self) -> Theme:
        """The same for a phone."""
        return replace(self, width=NARROW)


LIGHT = Theme("#1f2933", "#d5dbe1", ("#87919c", "#3f7cac", "#d9622b", "#2f8f6b", "#7a5aa6", "#b08900"))
TURNED = "invert(0.9) hue-rotate(180deg)"
"""The CSS filter by which a dark page shows plots: light and dark change places, hues stay."""


def turned(colour: str) -> str:
    """What ``TURNED`` makes of ``#rrggbb`` (Filter Effects Module Level 1, sections 9.5 and 9.7)."""
    red, green, blue = (0.9 - 0.8 * int(colour[place : place + 2], 16) / 255 for place in (1, 3, 5))
    rotated = (
        -0.574 * red + 1.430 * green + 0.144 * blue,
        0.426 * red + 0.430 * green + 0.144 * blue,
        0.426 * red + 1.430 * green - 0.856 * blue,
    )
    return "#" + "".join(f"{round(255 * min(max(part, 0.0), 1.0)):02x}" for part in rotated)


def all_plots(summary: Mapping[str, Any], theme: Theme, *, tabled: bool = True) -> dict[str, bytes]:
    """Every plot of a summary.

    They are ``scores``, ``abilities`` of two runs or more, ``<benchmark>_margins`` and, unless not
    ``tabled``, ``<benchmark>_classes``, whose numbers the page has in a table too.
    """
    plots = {"scores": scores(summary, theme)}
    if len(summary["abilities"].get("runs", ())) > 1:
        plots["abilities"] = abilities(summary, theme)
    for name, entry in summary["benchmarks"].items():
        if entry["margins"]:
            plots[f"{name}_margins"] = margins(summary, name, theme)
        if tabled and any(
            len(numbers["details"].get("classes", ())) > 1 for numbers in entry["methods"].values()
        ):
            plots[f"{name}_classes"] = classes(summary, name, theme)
    return plots


def run_colours(summary: Mapping[str, Any], theme: Theme) -> dict[str, str]:
    """Colour of each run: the last one, which the page is about, always gets the accent."""
    names = list(summary["methods"])
    accent, rest = theme.runs[2], [colour for i, colour in enumerate(theme.runs) if i != 2]
    return {name: rest[i % len(rest)] for i, name in enumerate(names[:-1])} | {names[-1]: accent}


def scores(summary: Mapping[str, Any], theme: Theme) -> bytes:
    """Main metric of every benchmark and run with its interval; text-only controls as vertical strokes.

    Each group of metrics (``summary.metric_group``) has an axis of its own, that ends where its values do.
    """
    groups: dict[str, list[Mapping[str, Any]]] = {}
    for name, entry in summary["benchmarks"].items():
        groups.setdefault(metric_group(name, entry["main"]), []).append(entry)
    colours = run_colours(summary, theme)
    titles = {group: [entry["title"] for entry in entries] for group, entries in groups.items()}
    bars = 0.24 + 0.17 * len(colours)
    heights = [0.55 + len(of) * row_height(bars, of, theme) for of in titles.values()]
    figure, panels = figure_of(0.0, theme, heights=heights)
    for axes, (group, entries) in zip(panels, groups.items(), strict=True):
        values = [
            x for row, entry in enumerate(entries) for x in _score_row(axes, row, entry, colours, theme)
        ]
        _finish(axes, titles[group], theme, limits=_limits(values))
        axes.set_title(group, loc="left", fontsize=10, fontweight="bold", color=theme.ink)
    for run, colour in colours.items():
        panels[0].plot([], [], "o", color=colour, ms=7, label=run)
    if any(map(controls, summary["benchmarks"].values())):
        panels[0].plot([], [], color=theme.ink, lw=1.4, ls=(0, (2, 2)), label="text only")
    _legend(panels[0], theme)
    return png(figure)


def _score_row(
    axes: Axes, row: int, entry: Mapping[str, Any], colours: Mapping[str, str], theme: Theme
) -> list[float]:
    """Draw a benchmark's runs and its control; return all that was drawn, in percent."""
    step, blind = 0.7 / max(1, len(colours)), controls(entry)
    drawn = []
    for place, (run, colour) in enumerate(colours.items()):
        if run not in entry["methods"]:
            continue
        low, value, high = (100 * entry["methods"][run]["interval"][key] for key in ("low", "value", "high"))
        y = row + (place - (len(colours) - 1) / 2) * step
        axes.plot([low, high], [y, y], color=colour, lw=3, alpha=0.45, solid_capstyle="round")
        axes.plot(value, y, "o", color=colour, ms=7)
        drawn += [low, value, high]
        if run in blind:
            drawn.append(_control(axes, blind[run], y, 0.5 * step, theme))
    if "" in blind:
        drawn.append(_control(axes, blind[""], row, 0.4, theme))
    return drawn


def _control(axes: Axes, control: Mapping[str, Any], y: float, half: float, theme: Theme) -> float:
    x = 100 * control["accuracy"]
    axes.plot([x, x], [y - half, y + half], color=theme.ink, lw=1.4, ls=(0, (2, 2)))
    return x


def _limits(values: Sequence[float], *, step: float = 5.0, least: float = 20.0) -> tuple[float, float]:
    """Ends of an axis in percent: multiples of 5 around the values, at least 20 points apart."""
    # rounded: a bound of 0 that a bootstrap has as -1e-16 would begin the axis at -5
    low, high = (round(min(values), 6) // step) * step, -(-round(max(values), 6) // step) * step
    while high - low < least:
        low, high = max(low - step, 0.0), min(high + step, 100.0)
    return low - 0.01 * (high - low), high + 0.01 * (high - low)  # a dot at an end is seen whole


def margins(summary: Mapping[str, Any], benchmark: str, theme: Theme) -> bytes:
    """Histogram of a benchmark's margins, a panel a run on one axis; what is wrong, up to 0, in grey."""
    entry = summary["benchmarks"][benchmark]["margins"]
    edges, colours = entry["edges"], run_colours(summary, theme)
    middles = [(a + b) / 2 for a, b in pairwise(edges)]
    figure, panels = figure_of(0.0, theme, heights=[1.15] * len(entry["runs"]))
    for axes, (run, found) in zip(panels, entry["runs"].items(), strict=True):
        shares = [100 * count / found["n"] for count in found["counts"]]
        fills = [theme.faint if middle < 0 else colours[run] for middle in middles]
        axes.bar(middles, shares, width=edges[1] - edges[0], color=fills, edgecolor=colours[run], lw=0.6)
        if found["ties"]:
            tied = 100 * found["ties"] / found["n"]
            axes.bar(
                0, tied, width=edges[1] - edges[0], color=theme.faint, edgecolor=theme.ink, lw=0.6, zorder=3
            )
        axes.axvline(0, color=theme.ink, lw=1)
        axes.axvline(found["median"], color=theme.ink, lw=1.2, ls=(0, (2, 2)))
        above = f"{100 * found['above']:.1f}% of items above 0"
        ties = f", {100 * found['ties'] / found['n']:.1f}% ties" if found["ties"] else ""
        told = f"{run}: median {found['median']:+.3f}, {above}{ties} (n {found['n']:,})"
        axes.set_title(fill(told, _letters(theme)), loc="left", fontsize=8.5, color=theme.ink)
        axes.set_xlim(edges[0], edges[-1])
        style(axes, theme, grid="x")
        axes.tick_params(labelsize=8)
    for axes in panels[:-1]:
        axes.tick_params(labelbottom=False)
    panels[-1].set_xlabel("score of the true minus score of the false; bars: % of items", color=theme.ink,
                          fontsize=8.5)  # fmt: skip
    return png(figure)


def abilities(summary: Mapping[str, Any], theme: Theme) -> bytes:
    """Compositional against general ability, one dot a run; those that no other run beats are joined."""
    points = summary["abilities"]["runs"]
    figure, (axes,) = figure_of(5.0, theme)
    front = sorted((100 * p["general"], 100 * p["compositional"]) for p in points.values() if p["front"])
    if len(front) > 1:
        axes.plot(*zip(*front, strict=True), color=theme.ink, lw=1, ls=(0, (2, 2)), label="front")
    for run, colour in run_colours(summary, theme).items():
        x, y = 100 * points[run]["general"], 100 * points[run]["compositional"]
        axes.plot(x, y, "o", color=colour, ms=10, clip_on=False)
        axes.plot([], [], "o", color=colour, label=run)
    axes.set_xlim(*_limits([100 * point["general"] for point in points.values()]))
    axes.set_ylim(*_limits([100 * point["compositional"] for point in points.values()]))
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
    labels = [f"{name.replace('_', ' / ')}  ({counts[name]})" for name in shown]
    row = row_height(0.10 + 0.115 * len(colours), labels, theme)
    figure, (axes,) = figure_of(0.9 + len(shown) * row, theme)
    height = 0.8 / len(colours)
    for place, (run, colour) in enumerate(colours.items()):
        table = methods[run]["details"]["classes"]
        rows = [row for row, name in enumerate(shown) if name in table]
        y = [row + (place - (len(colours) - 1) / 2) * height for row in rows]
        values = [100 * table[shown[row]]["accuracy"] for row in rows]
        axes.barh(y, values, height=height * 0.9, color=colour, label=run)
    _finish(axes, labels, theme)
    _legend(axes, theme)
    return png(figure)


def figure_of(
    height: float, theme: Theme, *, panels: int = 1, columns: int = 1, heights: Sequence[float] = ()
) -> tuple[Figure, list[Axes]]:
    """An empty figure with panels in rows of ``columns``, each row of ``height`` inches, see-through.

    With ``heights``, one column of panels of these heights.
    """
    from matplotlib.figure import Figure  # no pyplot: no global state, no display

    rows = list(heights) or [height] * math.ceil(panels / columns)
    figure = Figure(figsize=(theme.width, sum(rows)), dpi=144, layout="constrained")
    figure.patch.set_alpha(0)
    grid = figure.add_gridspec(len(rows), columns, height_ratios=rows)
    axes = [figure.add_subplot(grid[divmod(panel, columns)]) for panel in range(len(heights) or panels)]
    for panel in axes:
        panel.patch.set_alpha(0)
    return figure, axes


def row_height(bars: float, labels: Sequence[str], theme: Theme) -> float:
    """Inches of a row: what its bars take, or the lines of the longest label."""
    lines = max((len(_folded(label, theme).splitlines()) for label in labels), default=1)
    return max(bars, LINE * lines + 0.04)


def _folded(label: str, theme: Theme) -> str:
    """A row's label in lines that leave room for the rows."""
    return fill(label, int(LABELS * theme.width))


def _finish(axes: Axes, labels: list[str], theme: Theme, *, limits: tuple[float, float] = (0, 101)) -> None:
    axes.set_yticks(range(len(labels)), [_folded(label, theme) for label in labels])
    axes.set_ylim(len(labels) - 0.4, -0.6)
    axes.set_xlim(*limits)
    axes.set_xlabel("%", color=theme.ink)
    style(axes, theme, grid="x")


def _letters(theme: Theme) -> int:
    """Letters that fit beside each other above a panel."""
    return int(LEGEND * theme.width)


def _legend(axes: Axes, theme: Theme) -> None:
    """A legend above the whole figure, higher by it, in as many columns as its names leave room for."""
    handles, labels = axes.get_legend_handles_labels()
    if not labels:
        return
    told = [fill(label, _letters(theme) - 6) for label in labels]
    longest = max(len(line) for label in told for line in label.splitlines())
    columns = max(1, min(len(told), _letters(theme) // (longest + 6)))
    figure = axes.get_figure(root=True)
    assert figure is not None
    lines = -(-sum(label.count("\n") + 1 for label in told) // columns)
    width, height = figure.get_size_inches()
    figure.set_size_inches(width, height + 0.2 * lines + 0.1)
    # the figure's own, not the panel's: constrained layout makes room for it, so nothing is cut off
    figure.legend(
        handles, told, loc="outside upper center", ncols=columns, frameon=False, labelcolor=theme.ink
    )


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
