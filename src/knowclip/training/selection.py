"""What selects the best checkpoint: the mean of the chosen validation metrics, the earliest of equals."""

from __future__ import annotations

import math
from collections.abc import Mapping
from difflib import get_close_matches


def is_best(score: float, best: float | None) -> bool:
    """Whether a score beats the best so far; strictly, so that the earlier of equals stays."""
    return best is None or score > best


def selection_score(metrics: Mapping[str, float], selection: tuple[str, ...]) -> float:
    """Mean of the selection metrics.

    Raises:
        ValueError: If one is missing or not finite.
    """
    for name in selection:
        if not math.isfinite(metrics.get(name, math.nan)):
            near = [] if name in metrics else get_close_matches(name, metrics, n=1)
            hint = f"did you mean {near[0]!r}? " if near else ""
            raise ValueError(
                f"selection.metrics: {name!r} is {metrics.get(name, 'not measured')}; {hint}"
                f"validation gives {', '.join(sorted(metrics)) or 'nothing'}"
            )
    return sum(metrics[name] for name in selection) / len(selection)
