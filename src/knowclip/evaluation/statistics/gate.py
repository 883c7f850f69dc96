"""Conditions on results, for users' own CI: ``text_to_image_R@1 >= -1.0pt vs BASE``.

::

    METRIC OP NUMBER [%]          absolute:  vg_relation >= 80%      (or 0.8)
    METRIC OP NUMBER pt vs NAME   relative:  text_to_image_R@1 >= -1.0pt vs ViT-B-32/openai, or vs BASE

``OP`` is one of ``>= > <= <``; ``pt`` are percentage points of the difference to another model on the same
items. The measured value decides, not its interval, which is told beside it: a bound inside the interval
means that the test is too small to be sure.
"""

from __future__ import annotations

import operator
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from difflib import get_close_matches

from knowclip.console.counts import listed
from knowclip.evaluation.statistics.bootstrap import Difference, Interval, compare, interval
from knowclip.types import Result

OPERATORS = {">=": operator.ge, "<=": operator.le, ">": operator.gt, "<": operator.lt}

_GRAMMAR = re.compile(
    r"(?P<metric>\S+?)\s*(?P<op>>=|<=|>|<)\s*(?P<number>[-+]?\d+(?:\.\d*)?|[-+]?\.\d+)\s*(?P<unit>pt|%)?"
    r"(?:\s+vs\s+(?P<against>\S.*))?"
)
BASE = "BASE"
"""The other model of a condition, where a command has one: the baseline, or what was fine-tuned."""
_EXAMPLES = "'vg_relation >= 80%' or 'text_to_image_R@1 >= -1.0pt vs BASE'"


@dataclass(frozen=True, slots=True)
class Condition:
    """A bound on a metric, or on its difference to the model ``against``, as fractions."""

    text: str
    metric: str
    op: str
    bound: float
    against: str | None = None


@dataclass(frozen=True, slots=True)
class Verdict:
    """What became of a condition; ``low`` and ``high`` are the 95% interval where there is one."""

    condition: Condition
    holds: bool
    value: float
    n: int
    low: float | None = None
    high: float | None = None

    @property
    def sure(self) -> bool:
        """Whether the bound lies outside the interval."""
        return (
            self.low is not None
            and self.high is not None
            and not self.low <= self.condition.bound <= self.high
        )

    def __str__(self) -> str:
        sign, unit = ("+", " points") if self.condition.against else ("", "%")
        found = f"{100 * self.value:{sign}.1f}"
        if self.low is not None and self.high is not None and self.n > 1:
            found += f" [{100 * self.low:{sign}.1f}, {100 * self.high:{sign}.1f}]"
        doubt = (
            ""
            if self.sure or self.low is None or self.n < 2
            else ", the interval holds the bound: too few items to be sure"
        )
        outcome = "holds" if self.holds else "FAILS"
        return f"{outcome}: {self.condition.text}: {found}{unit}, n = {self.n:,}{doubt}"


def parse_condition(text: str) -> Condition:
    """Read one condition.

    Raises:
        ValueError: it does not follow the grammar above.
    """
    match = _GRAMMAR.fullmatch(text.strip())
    if match is None:
        raise ValueError(f"{text!r} is no condition; write METRIC OP NUMBER, as in {_EXAMPLES}")
    number, unit, against = float(match["number"]), match["unit"], match["against"]
    if (unit == "pt") != (against is not None):
        raise ValueError(
            f"{text!r}: points are for differences, and differences are in points: write 'pt' and 'vs MODEL' "
            f"both or neither, as in {_EXAMPLES}"
        )
    if unit is None and not 0 <= number <= 1:
        raise ValueError(f"{text!r}: {number:g} is no fraction in 0..1; write {number:g}% for percent")
    bound = number / 100 if unit else number
    return Condition(text.strip(), match["metric"], match["op"], bound, against)


def against_baseline(conditions: Iterable[Condition], baseline: str | None) -> list[Condition]:
    """The conditions with the baseline's name in place of ``BASE``.

    Raises:
        ValueError: There is no baseline.
    """
    given = list(conditions)
    if baseline is None and (asked := [each for each in given if each.against == BASE]):
        raise ValueError(f"{asked[0].text!r}: {BASE} is the model of --baseline: give it, or a model's name")
    return [replace(each, against=baseline) if each.against == BASE else each for each in given]


def refuse_unknown(conditions: Iterable[Condition], results: Sequence[Result]) -> None:
    """Refuse a condition on a metric that ``results`` have not.

    Raises:
        ValueError: Naming the nearest, and all that there are.
    """
    for condition in conditions:
        _find(condition, results)


def check(condition: Condition, runs: Mapping[str, Sequence[Result]], model: str) -> Verdict:
    """Judge one condition on the results of ``model``.

    Args:
        condition: to be judged.
        runs: Results by name of the model; ``condition.against`` must be among them.
        model: whose results are judged.

    Raises:
        ValueError: nothing was measured under the metric's name, or on the other model.
    """
    ours = _find(condition, runs[model])
    value = float(ours.metrics[condition.metric])
    found: Interval | Difference | None = None
    if condition.against is None:
        if condition.metric == ours.main and "correct" in ours.items:
            found = interval(ours)
    elif condition.against not in runs:
        raise ValueError(
            f"{condition.text!r}: {condition.against!r} was not measured; there are {listed(runs)}"
        )
    else:
        theirs = _find(condition, runs[condition.against])
        value -= float(theirs.metrics[condition.metric])
        if condition.metric == ours.main and "correct" in ours.items:
            found = compare(ours, theirs)
    holds = bool(OPERATORS[condition.op](round(value, 12), condition.bound))  # -1.0 points is not below -1.0
    low, high = (found.low, found.high) if found else (None, None)
    return Verdict(condition, holds, value, ours.n, low, high)


def _find(condition: Condition, results: Sequence[Result]) -> Result:
    found = next((result for result in results if condition.metric in result.metrics), None)
    if found is None:
        known = [metric for result in results for metric in result.metrics]
        near = get_close_matches(condition.metric, known, n=1)
        hint = f" Did you mean {near[0]!r}?" if near else ""
        raise ValueError(
            f"{condition.text!r}: no metric {condition.metric!r} is measured.{hint} "
            f"There are: {', '.join(known)}"
        )
    return found
