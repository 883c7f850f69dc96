"""One self-contained HTML page: numbers, plots, and what each run makes of single pictures."""

from __future__ import annotations

import base64
import io
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from knowclip.console.counts import counted
from knowclip.evaluation.benchmarks.choices import Choice
from knowclip.evaluation.metrics import TIE_TOLERANCE
from knowclip.evaluation.report import plots
from knowclip.evaluation.report.records import records
from knowclip.evaluation.report.standings import MIN_RANKED, ranked_classes
from knowclip.evaluation.report.summary import (
    Report,
    beside,
    bounds,
    controls,
    headline,
    items_note,
    percent,
    points,
    protocol,
    verdict,
)
from knowclip.evaluation.statistics.bootstrap import same_items
from knowclip.storage.pixels import load_pixels
from knowclip.types import ImageRef, Result

if TYPE_CHECKING:
    from markupsafe import Markup

PICTURE_SIDE = 320
"""Longest side of an inlined picture, in pixels."""


def _kinds(does: str, do: str, right: str, wrong: str) -> dict[str, tuple[str, str, str]]:
    """Kind -> title, what became of its cases between baseline and last run, what they are of one alone."""
    widest = "; these are the widest margins"
    return {
        "mended": ("Mended", f"{{ours}} {does}, {{baseline}} does not", ""),
        "lost": ("Lost", f"{{baseline}} {does}, {{ours}} does not", ""),
        "wrong": (
            "Worst errors",
            f"neither {{ours}} nor {{baseline}} {does}{widest} of {{ours}}",
            f"{wrong}{widest}",
        ),
        "right": ("Right", f"{{ours}} and {{baseline}} {do}", right),
    }


KINDS = _kinds(
    "prefers the true caption",
    "prefer the true caption",
    "the true caption is preferred",
    "the true caption is not preferred",
)
"""Of choices between two captions."""

RETRIEVED = _kinds(
    "finds a right match first",
    "find a right match first",
    "a right match comes first",
    "something wrong comes first",
)
"""Of the queries of retrieval."""

SHOWN = {"mended": 6, "lost": 6, "wrong": 9, "right": 3}
"""How many cases of each kind are shown, at most."""


@dataclass(frozen=True, slots=True)
class Verdict:
    """What one run makes of one case; ``width`` is its margin in percent of the largest one shown.

    ``prefers`` is "true", "false" or "tie".
    """

    run: str
    true: float
    false: float
    prefers: str
    width: float


@dataclass(frozen=True, slots=True)
class Found:
    """What of the wrong a run puts first in retrieval: a caption, or a picture as ``source``."""

    run: str
    text: str
    source: str


@dataclass(frozen=True, slots=True)
class Picture:
    """One case as shown."""

    case: Choice
    source: str
    verdicts: tuple[Verdict, ...]
    found: tuple[Found, ...] = ()


def render(report: Report, summary: Mapping[str, Any], light: Mapping[str, bytes]) -> str:
    """Write the page as one string without any external reference.

    Args:
        report: what is to be told.
        summary: ``summarise(report)``.
        light: its plots; those for a phone are drawn here.
    """
    from jinja2 import Environment, StrictUndefined

    environment = Environment(
        autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    environment.filters |= {"percent": percent, "points": points, "controls": controls}
    environment.filters |= {
        "bounds": bounds,
        "beside": beside,
        "records": records,
        "items_note": items_note,
        "protocol": protocol,
        "code": with_code,
    }
    environment.filters |= {"classes": ranked_classes, "counted": counted}
    room = files("knowclip.evaluation.report")
    template = environment.from_string(room.joinpath("report.html.jinja").read_text(encoding="utf-8"))
    shown = galleries(report)
    cells = [cell for entry in summary["benchmarks"].values() for cell in entry["methods"].values()]
    metrics = {metric for cell in cells for metric in cell["metrics"]}
    return template.render(
        report=report,
        summary=summary,
        verdict=verdict(summary),
        headline=report.headline or headline(summary),
        plots=_sources(summary, light),
        galleries=shown,
        filters=_filters(summary, shown),
        script=room.joinpath("filters.js").read_text(encoding="utf-8"),
        colours=plots.run_colours(summary, plots.LIGHT),
        turned=plots.TURNED,
        dark_colours={run: plots.turned(c) for run, c in plots.run_colours(summary, plots.LIGHT).items()},
        cells=cells,
        recalled=any("_R@" in metric for metric in metrics),
        two_by_two=any(metric.endswith("_group") for metric in metrics),
        short=endings(list(summary["methods"])),
        blind=any(map(controls, summary["benchmarks"].values())),
        run_number={run: number for number, run in enumerate(summary["methods"])},
        provenance=dict(flatten(report.provenance)),
        max_classes=plots.MAX_CLASSES,
        min_ranked=MIN_RANKED,
    )


def with_code(text: str) -> Markup:
    """A text whose words between backticks, as Markdown has them, are code; the rest of it is escaped."""
    from markupsafe import Markup, escape

    return Markup(re.sub(r"`([^`]+)`", r"<code>\1</code>", str(escape(text))))


def endings(names: Sequence[str]) -> dict[str, str]:
    """The shortest end of each path that tells it from the others, for places too narrow for the whole."""
    short = {}
    for name in names:
        parts = [part for part in name.split("/") if part]
        ends = ["/".join(parts[-size:]) for size in range(1, len(parts) + 1)]
        unique = (end for end in ends if sum(f"/{other}".endswith(f"/{end}") for other in names) == 1)
        short[name] = next(unique, name)
    return short


def _sources(summary: Mapping[str, Any], light: Mapping[str, bytes]) -> dict[str, dict[str, str]]:
    """Addresses of each plot: ``whole``, and for a ``phone``, but of classes.

    A table stands beneath the plot of classes, and tells a phone all of it.
    """
    drawn = {"whole": light, "phone": plots.all_plots(summary, plots.LIGHT.narrow(), tabled=False)}
    return {
        name: {kind: data_uri(images[name]) for kind, images in drawn.items() if name in images}
        for name in light
    }


def _filters(summary: Mapping[str, Any], shown: Sequence[Mapping[str, Any]]) -> dict[str, dict[str, str]]:
    """What the page can be narrowed to: values and words of benchmarks, outcomes and kinds of cases."""
    kinds = [kind for gallery in shown for kind in gallery["kinds"] if kind["pictures"]]
    groups = sorted({picture.case.group for kind in kinds for picture in kind["pictures"]} - {""})
    return {
        "benchmark": {name: entry["title"] for name, entry in summary["benchmarks"].items()},
        "outcome": {kind["name"]: kind["title"] for kind in kinds},
        "kind": {group: group.replace("_", " ") for group in groups},
    }


def galleries(report: Report) -> list[dict[str, Any]]:
    """Pick cases of each choice benchmark.

    Returns:
        ``[{name, title, n, retrieval, kinds: [{name, title, meaning, n, pictures}]}]``
    """
    ours = list(report.runs)[-1]
    found = []
    for name, cases in report.choices.items():
        results = {run: result for run in report.runs if (result := report.result(run, name)) is not None}
        if ours not in results:
            continue
        baseline = results.get(report.baseline, results[ours])
        if len(cases) != len(results[ours].items["key"]):
            continue  # the cases are those of another run's items
        results = {run: found for run, found in results.items() if same_items(found, results[ours])}
        if report.baseline not in results:
            baseline = results[ours]
        retrieval = "found" in results[ours].items
        margins = results[ours].items["true_score"] - results[ours].items["false_score"]
        kinds = []
        for kind, indices in sort_cases(baseline, results[ours]).items():
            if kind == "wrong":
                shown = sorted(indices, key=lambda i: (margins[i], i))[: SHOWN[kind]]
            else:
                shown = spread(indices, [cases[i].group for i in indices], SHOWN[kind])
            title, between, alone = (RETRIEVED if retrieval else KINDS)[kind]
            meaning = alone if baseline is results[ours] else between
            meaning = meaning.format(baseline=report.baseline, ours=ours)
            pictures = _pictures(cases, results, shown)
            named = {"name": kind, "title": title, "meaning": meaning}
            kinds.append({**named, "n": len(indices), "pictures": pictures})
        title = results[ours].details.get("title", name)
        told: dict[str, Any] = {"name": name, "title": title, "n": len(cases)}
        found.append({**told, "kinds": kinds, "retrieval": retrieval})
    return found


def sort_cases(baseline: Result, ours: Result) -> dict[str, list[int]]:
    """Indices of the cases of each kind of ``KINDS``; both results hold the same cases in the same order."""
    if not np.array_equal(baseline.items["key"], ours.items["key"]):
        raise ValueError(f"{ours.benchmark}: the runs were measured on different cases")
    before, after = baseline.items["correct"], ours.items["correct"]
    masks = {
        "mended": ~before & after,
        "lost": before & ~after,
        "wrong": ~before & ~after,
        "right": before & after,
    }
    return {kind: np.flatnonzero(mask).tolist() for kind, mask in masks.items()}


def spread(indices: Sequence[int], groups: Sequence[str], count: int, *, seed: int = 0) -> list[int]:
    """Draw up to ``count`` indices, from as many different groups as possible."""
    order = np.random.default_rng(seed).permutation(len(indices))
    taken: dict[str, int] = {}
    turns: list[tuple[int, int, int]] = []
    for place in order:
        turn = taken[groups[place]] = taken.get(groups[place], 0) + 1
        turns.append((turn, len(turns), indices[place]))
    return [index for _, _, index in sorted(turns)[:count]]


def _pictures(
    cases: Sequence[Choice], results: Mapping[str, Result], indices: Sequence[int]
) -> list[Picture]:
    margins = {
        run: result.items["true_score"] - result.items["false_score"] for run, result in results.items()
    }
    scale = max((abs(float(margin[i])) for margin in margins.values() for i in indices), default=0) or 1
    pictures = []
    for index in indices:
        verdicts = tuple(
            Verdict(
                run=run,
                true=float(result.items["true_score"][index]),
                false=float(result.items["false_score"][index]),
                prefers=_preference(float(margins[run][index])),
                width=100 * float(margins[run][index]) / scale,
            )
            for run, result in results.items()
        )
        case = cases[index]
        found = tuple(
            _found(run, result, index) for run, result in results.items() if "found" in result.items
        )
        pictures.append(Picture(case, picture_uri(case.image), verdicts, found))
    return pictures


def _found(run: str, result: Result, index: int) -> Found:
    """The best wrong match of a query: a caption for an image, an image for a caption."""
    name = str(result.items["found"][index])
    if result.benchmark.endswith("image_to_text"):
        return Found(run, name, "")
    return Found(run, Path(name).name, picture_uri(ImageRef(Path(name))) if name else "")


def _preference(margin: float) -> str:
    if abs(margin) <= TIE_TOLERANCE:
        return "tie"
    return "true" if margin > 0 else "false"


def picture_uri(ref: ImageRef) -> str:
    """Inline the image, cropped as the model saw it; empty where it cannot be read (the page says so)."""
    try:
        image = load_pixels(ref)
    except ValueError:
        return ""
    image.thumbnail((PICTURE_SIDE, PICTURE_SIDE))
    buffer = io.BytesIO()
    image.save(buffer, "JPEG", quality=88)
    return data_uri(buffer.getvalue(), "image/jpeg")


def data_uri(content: bytes, kind: str = "image/png") -> str:
    """``data:`` address of a file's content."""
    return f"data:{kind};base64,{base64.b64encode(content).decode('ascii')}"


def flatten(tree: Mapping[str, Any], prefix: str = "") -> list[tuple[str, str]]:
    """``{"seeds": {"train": 0}}`` to ``[("seeds.train", "0")]``."""
    rows = []
    for key, value in tree.items():
        if isinstance(value, Mapping):
            rows += flatten(value, f"{prefix}{key}.")
        else:
            text = ", ".join(map(str, value)) if isinstance(value, (list, tuple)) else str(value)
            rows.append((f"{prefix}{key}", text))
    return rows
