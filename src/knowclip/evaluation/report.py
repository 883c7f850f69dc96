"""A summary to JSON, a console table, plots and one HTML page."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from knowclip.atomic import atomic_file
from knowclip.evaluation import plots, report_html
from knowclip.evaluation.summary import Report, percent, points, strongest_control, summarise

if TYPE_CHECKING:
    from rich.table import Table


def console_table(summary: Mapping[str, Any]) -> Table:
    """Main metrics with 95% intervals and paired differences, for a terminal."""
    from rich.table import Table

    baseline = summary["baseline"]
    paired = f"; differences are paired, in points, against {baseline}" if len(summary["methods"]) > 1 else ""
    table = Table(caption=f"95% bootstrap intervals{paired}")
    table.add_column("benchmark")
    table.add_column("n", justify="right")
    table.add_column("text only", justify="right")
    for run in summary["methods"]:
        table.add_column(run, justify="right")
    for entry in summary["benchmarks"].values():
        control = strongest_control(entry)
        row = [entry["main"], f"{max(m['n'] for m in entry['methods'].values()):,}"]
        row.append(f"{100 * control['accuracy']:.1f}%\n{control['strongest']}" if control else "")
        for run in summary["methods"]:
            numbers = entry["methods"].get(run)
            cell = percent(numbers["interval"]) if numbers else "no data"
            row.append(
                f"{cell}\n{points(numbers['difference'])}" if numbers and numbers["difference"] else cell
            )
        table.add_row(*row)
    for name, reason in summary["absent"].items():
        table.add_row(name, "", "", f"no data: {reason}")
    return table


def to_json(summary: Mapping[str, Any]) -> str:
    """Text of ``results.json``; NaN is refused."""
    return json.dumps(summary, indent=1, allow_nan=False)


def write_report(report: Report, out: Path) -> dict[str, Any]:
    """Write ``results.json``, ``report.html`` and ``plots/*.png`` to ``out``; return the summary."""
    summary = summarise(report)
    drawn = plots.all_plots(summary, plots.LIGHT)
    files = {f"plots/{name}.png": image for name, image in drawn.items()}
    files["report.html"] = report_html.render(report, summary, drawn).encode()
    files["results.json"] = f"{to_json(summary)}\n".encode()
    for name, content in files.items():
        with atomic_file(out / name) as path:
            path.write_bytes(content)
    return summary
