"""Margins of the true over the false, as histograms that all runs share, for plots and ``results.json``."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from knowclip.evaluation.metrics import TIE_TOLERANCE
from knowclip.types import Result

BINS = 40
"""An even number: 0 is an edge, so that no bar holds both what is right and what is wrong. Ties, which are
wrong, are in none."""
WIDEST = 99
"""Percentile of the widths of all margins at which the axis ends: one outlier would squeeze all others."""


def margins(results: Mapping[str, Result]) -> dict[str, Any] | None:
    """Histograms of ``true_score - false_score`` by run, in JSON types; None where no run has both.

    Retrieval has no given false caption, so it has none: its margins are over whatever came nearest.

    Returns:
        ``{"edges": [BINS + 1], "runs": {run: {"counts": [BINS], "ties", "median", "above", "n",
        "missing"}}}``: ``ties`` is the number of margins of 0, which ``counts`` leave out, ``above`` the
        share of those that count as right, ``missing`` the items without a score. What lies beyond an end is
        counted in the last bar.
    """
    found = {
        run: np.asarray(result.items["true_score"] - result.items["false_score"], dtype=float)
        for run, result in results.items()
        if {"true_score", "false_score"} <= set(result.items) and "found" not in result.items
    }
    scored = {run: margin[np.isfinite(margin)] for run, margin in found.items()}
    scored = {run: margin for run, margin in scored.items() if len(margin)}
    if not scored:
        return None
    limit = float(np.percentile(np.abs(np.concatenate(list(scored.values()))), WIDEST))
    edges = np.linspace(-1, 1, BINS + 1) * (limit if limit > TIE_TOLERANCE else 1.0)
    runs = {
        run: {
            "counts": np.histogram(_apart(margin).clip(edges[0], edges[-1]), edges)[0].tolist(),
            "ties": len(margin) - len(_apart(margin)),
            "median": float(np.median(margin)),
            "above": float(np.mean(margin > TIE_TOLERANCE)),
            "n": len(margin),
            "missing": len(found[run]) - len(margin),
        }
        for run, margin in scored.items()
    }
    return {"edges": edges.tolist(), "runs": runs}


def _apart(margin: np.ndarray) -> np.ndarray:
    """The margins that are no ties."""
    return margin[np.abs(margin) > TIE_TOLERANCE]
