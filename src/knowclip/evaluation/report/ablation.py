"""Arms compared over several seeds: one table and one plot (see ``seeds.across_seeds`` for the numbers)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from textwrap import fill
from typing import Any

from knowclip.evaluation.report.plots import Theme, figure_of, png, style
from knowclip.evaluation.report.summary import strongest
from knowclip.types import Result

TEXT_ONLY = "text only"
COSTS = ("seconds", "images", "texts")


def text_only(results: Sequence[Result]) -> dict[str, dict[str, Any]]:
    """The strongest text-only control of each benchmark over ``results``, by main metric."""
    by_metric = {
        metric: strongest(result.details.get("text_only") for result in results if result.main == metric)
        for metric in dict.fromkeys(result.main for result in results)
    }
    return {metric: control for metric, control in by_metric.items() if control}


def markdown(table: Mapping[str, Any]) -> str:
    """Rows are arms: mean ± standard deviation over seeds, difference to the baseline with its interval.

    Args:
        table: of ``seeds.across_seeds``, with ``title``, ``n`` (items by metric), ``text_only`` and ``costs``
            (``{arm: {"seconds", "images", "texts"}}``, means over seeds; empty where nobody counted).
    """
    return "\n".join([f"## {table['title']}", "", *lines(rows(table)), "", legend(table), ""])


def rows(table: Mapping[str, Any]) -> list[list[str]]:
    """The cells of ``markdown``, the header first."""
    metrics, costs = list(table["metrics"]), table["costs"]
    header = ["%", *(f"{metric} ({table['n'][metric]:,})" for metric in metrics)]
    found = [
        [
            arm,
            *(_cell(table["metrics"][metric].get(arm)) for metric in metrics),
            *(_cost(costs.get(arm)) if costs else ()),
        ]
        for arm in arms(table)
    ]
    controls = [table["text_only"].get(metric) for metric in metrics]
    told = [f"{100 * c['accuracy']:.1f} ({c['strongest']})" if c else "" for c in controls]
    found.append([TEXT_ONLY, *told, *([""] * len(COSTS) if costs else ())])
    return [[*header, *(COSTS if costs else ())], *found]


def lines(cells: Sequence[Sequence[str]]) -> list[str]:
    """A Markdown table, its first column at the left, the others at the right."""
    header, *below = cells
    return [f"| {' | '.join(row)} |" for row in (header, ["---", *["---:"] * (len(header) - 1)], *below)]


def arms(table: Mapping[str, Any]) -> list[str]:
    """Names of the arms in order."""
    return list(dict.fromkeys(arm for of in table["metrics"].values() for arm in of))


PANELS = 6
"""Side by side; more would write over each other's titles."""


def plot(table: Mapping[str, Any], theme: Theme) -> bytes:
    """A panel a metric: means of the arms as bars, their seeds as dots, the text-only control dashed."""
    metrics, names = list(table["metrics"]), arms(table)
    columns = min(len(metrics), PANELS)
    figure, panels = figure_of(0.9 + 0.32 * len(names), theme, panels=len(metrics), columns=columns)
    for place, (axes, metric) in enumerate(zip(panels, metrics, strict=True)):
        of = table["metrics"][metric]
        for row, arm in enumerate(names):
            if arm in of:
                colour = theme.runs[0] if arm == table["baseline"] else theme.runs[1]
                axes.barh(row, 100 * of[arm]["mean"], height=0.55, color=colour, alpha=0.75)
                values = [100 * value for value in of[arm]["values"]]
                axes.plot(values, [row] * len(values), ".", color=theme.ink, ms=5)
        control = table["text_only"].get(metric)
        if control:
            axes.axvline(100 * control["accuracy"], color=theme.ink, lw=1, ls=(0, (2, 2)))
        axes.set_yticks(range(len(names)), [""] * len(names) if place % columns else names)
        axes.set_ylim(len(names) - 0.4, -0.6)
        axes.set_title(fill(metric.replace("_", " "), 13), color=theme.ink, fontsize=8)
        style(axes, theme, grid="x")
        axes.tick_params(labelsize=8)
    return png(figure)


def _cell(row: Mapping[str, Any] | None) -> str:
    if row is None:
        return ""
    text, difference = f"{100 * row['mean']:.1f} ± {100 * row['sd']:.1f}", row["difference"]
    if difference is None:
        return text
    text += f"; {100 * difference['mean']:+.1f}{'*' if difference['clear'] else ''}"
    items = difference["items"]
    return text if items is None else f"{text} [{100 * items['low']:+.1f}, {100 * items['high']:+.1f}]"


def _cost(cost: Mapping[str, float] | None) -> list[str]:
    return [""] * len(COSTS) if cost is None else [f"{cost[key]:,.0f}" for key in COSTS]


def legend(table: Mapping[str, Any]) -> str:
    """What stands in a cell of ``rows``."""
    costs = (
        " Seconds, images and texts are of one training; texts are those that went through the text tower, "
        "captions and negatives."
    )
    return (
        f"Mean ± standard deviation of seeds {', '.join(map(str, table['seeds']))} (n above); "
        f"difference to *{table['baseline']}* in points, with an asterisk where it has the same sign for all "
        "seeds and its mean is above 2 standard deviations of the paired differences, with the 95% paired "
        "bootstrap interval over items of the seeds' mean outcomes." + (costs if table["costs"] else "")
    )
