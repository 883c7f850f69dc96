"""What was read and what became of it, in words: counts that add up, for terminals and pages."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from knowclip.console.counts import counted, read_line
from knowclip.evaluation.benchmarks.card import NOT_IN_FILE
from knowclip.evaluation.report.summary import NO_FILES

DROPPED = 5
"""Groups left out of a mean that are named, at most."""
NAMED = 3
"""Benchmarks without files that are named; of more, their number is told."""


def record_lines(summary: Mapping[str, Any]) -> list[str]:
    """What was read of each benchmark, and what became of it: ``read = used + skipped, by reason``."""
    lines: dict[str, list[str]] = {}
    for name, entry in summary["benchmarks"].items():
        for run, found in entry["methods"].items():
            if told := records(found["details"]):
                lines.setdefault(f"{name}: {told}", []).append(run)
    return [
        line if len(runs) == len(summary["methods"]) else f"{line} ({', '.join(runs)})"
        for line, runs in lines.items()
    ]


def records(details: Mapping[str, Any]) -> str:
    """``203 records read = 200 kept + 3 skipped (image not found: 3)``, and what else is told."""
    if "read" not in details:
        return ""
    skipped, used = dict(details["skipped"]), details["used"]
    short = skipped.pop(NOT_IN_FILE, 0)
    split = [details["split"]] if "split" in details else []
    parts = [read_line(used, skipped, what=details.get("what", "records"))]
    parts += [f"{short:,} of the published records are not in the files"] if short else []
    if missing := details.get("missing_images"):
        parts.append(f"{counted(missing, 'image')} cannot be read: items with them count as wrong")
    if dropped := details.get("dropped"):
        small = ", ".join(f"{group}: {count:,}" for group, count in sorted(dropped.items())[:DROPPED])
        more = f" and {len(dropped) - DROPPED} more" if len(dropped) > DROPPED else ""
        parts.append(f"not in the mean over groups: {small}{more}")
    return "; ".join([*parts, *split, *details.get("notes", ())])


def count_or_names(benchmarks: Sequence[str]) -> str:
    """A few benchmarks by name, of more only how many."""
    return ", ".join(benchmarks) if len(benchmarks) <= NAMED else f"{len(benchmarks)} benchmarks"


def absent_lines(summary: Mapping[str, Any]) -> list[str]:
    """Benchmarks that were not measured, by reason; those without files are counted if they are many."""
    reasons: dict[str, list[str]] = {}
    for name, reason in summary["absent"].items():
        reasons.setdefault(NO_FILES if reason.startswith(NO_FILES) else reason, []).append(name)
    bare = reasons.pop(NO_FILES, [])
    lines = [f"{', '.join(names)}: no data: {reason}" for reason, names in reasons.items()]
    if bare:
        told = "no files of theirs are there (`knowclip data NAME` says which they are)"
        lines.append(f"{count_or_names(bare)}: {told}")
    return lines
