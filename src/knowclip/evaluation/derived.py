"""Results made of other results: of some of the items only, or with another metric as the main one."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import replace

import numpy as np

from knowclip.types import Result


def of_groups(result: Result, name: str, groups: Collection[str]) -> Result:
    """The mean outcome over the items of some groups (kinds of swap, relations), each item counting once.

    Args:
        result: With the item columns ``correct`` and ``group``, or ``kind`` where groups do not count in its
            main metric.
        name: Stands after the benchmark's in the new one's.
        groups: Groups whose items are kept.

    Raises:
        ValueError: The benchmark has no groups, or not one of these.
    """
    grouping = next((name for name in ("group", "kind") if name in result.items), None)
    if grouping is None:
        raise ValueError(f"{result.benchmark} has no groups of items to take {', '.join(groups)} from")
    found = np.asarray(result.items[grouping])
    if unknown := sorted(set(groups) - set(found)):
        raise ValueError(
            f"{result.benchmark} has no items of {', '.join(unknown)}; it has {', '.join(sorted(set(found)))}"
        )
    kept = np.isin(found, list(groups))
    items = {key: np.asarray(column)[kept] for key, column in result.items.items() if key != grouping}
    main = f"{result.main}: {name}"
    value = float(np.mean(items["correct"]))
    return Result(f"{result.benchmark}: {name}", main, int(kept.sum()), {main: value}, items)


def with_main(result: Result, metric: str) -> Result:
    """The same with another metric to quote; without items, whose outcomes belong to the first.

    Raises:
        ValueError: It has no such metric.
    """
    if metric not in result.metrics:
        raise ValueError(f"{result.benchmark} has no metric {metric!r}; it has {', '.join(result.metrics)}")
    return replace(result, main=metric, items={}, details={})
