"""Ladders as one picture: a panel a kind, a rung a row, new combinations hollow beside all questions."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from knowclip.evaluation.diagnosis.ladder import TITLES
from knowclip.evaluation.diagnosis.output import BLIND
from knowclip.evaluation.report.plots import LIGHT, Theme, figure_of, png, style

if TYPE_CHECKING:
    from matplotlib.axes import Axes

ROW = 0.42
"""Inches a rung."""


def draw(summaries: Sequence[dict[str, Any]], *, title: str, theme: Theme = LIGHT) -> bytes:
    """The picture as PNG bytes, on white.

    Args:
        summaries: of ``output.summary``, one or more.
        title: above the first panel.
        theme: colours.
    """
    figure, panels = figure_of(ROW * (len(TITLES) + 1) + 0.9, theme, panels=len(summaries))
    figure.patch.set_alpha(1)
    for axes, found in zip(panels, summaries, strict=True):
        _panel(axes, found, theme)
    panels[0].legend(
        loc="lower center", bbox_to_anchor=(0.4, 1.1), ncols=3, frameon=False, labelcolor=theme.ink
    )
    panels[-1].set_xlabel("questions answered right, % (chance 50)", color=theme.ink)
    figure.suptitle(title, color=theme.ink, fontsize=12)
    return png(figure)


def _panel(axes: Axes, found: dict[str, Any], theme: Theme) -> None:
    rows = [*TITLES, BLIND]
    for row, name in enumerate(rows):
        measured = found["text_only"] if name == BLIND else found["rungs"][name]
        falls = name == found["falls"]
        colour = theme.runs[2] if falls else theme.runs[0] if name == BLIND else theme.runs[1]
        _mark(axes, row - 0.12, measured["all"], colour, filled=True)
        _mark(axes, row + 0.16, measured["new"], colour, filled=False)
        if falls:
            axes.annotate("falls", (100 * measured["all"]["value"], row - 0.12), (8, 5), color=colour,
                          textcoords="offset points", weight="bold", va="bottom")  # fmt: skip
    axes.plot([], [], "o", color=theme.runs[1], label="all questions")
    axes.plot([], [], "o", color=theme.runs[1], mfc="none", label="combinations never seen in training")
    axes.axvline(50, color=theme.ink, lw=1.2, ls=(0, (2, 2)), label="chance")
    axes.set_yticks(range(len(rows)), [*TITLES.values(), f"text alone ({found['text_only']['strongest']})"])
    axes.set_ylim(len(rows) - 0.4, -0.6)
    lowest = min(100 * each["all"]["low"] for each in (*found["rungs"].values(), found["text_only"]))
    axes.set_xlim(min(35, lowest - 2), 101)  # below chance where an encoder gives ties
    n = found["n"]
    axes.set_title(f"{found['kind']}: {n['all']:,} questions, {n['new']:,} of them new", loc="left",
                   color=theme.ink, fontsize=10, weight="bold")  # fmt: skip
    style(axes, theme, grid="x")


def _mark(axes: Axes, y: float, found: dict[str, Any] | None, colour: str, *, filled: bool) -> None:
    """A dot with its interval; nothing where there is no question."""
    if found is None:
        return
    axes.plot([100 * found["low"], 100 * found["high"]], [y, y], color=colour, lw=3 if filled else 1.5,
              alpha=0.45, solid_capstyle="round")  # fmt: skip
    face = colour if filled else "white"
    axes.plot(100 * found["value"], y, "o", color=colour, mfc=face, ms=7 if filled else 5.5)
