"""Conditions for CI: the grammar, the judgement, and what is told."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from knowclip.evaluation.statistics.gate import Condition, check, parse_condition
from knowclip.types import Result


def result(right: int, n: int = 100) -> Result:
    correct = np.arange(n) < right
    metrics = {"r@1": right / n, "r@5": min(1.0, 2 * right / n)}
    return Result("r", "r@1", n, metrics, {"key": np.arange(n).astype(str), "correct": correct})


@pytest.mark.parametrize(
    ("text", "condition"),
    [
        ("vg_relation >= 80%", ("vg_relation", ">=", 0.8, None)),
        ("vg_relation>0.8", ("vg_relation", ">", 0.8, None)),
        ("text_to_image_R@1 >= -1.0pt vs BASE", ("text_to_image_R@1", ">=", -0.01, "BASE")),
        ("r@1 < +.5 pt vs runs/my base", ("r@1", "<", 0.005, "runs/my base")),
    ],
)
def test_grammar(text: str, condition: tuple[str, str, float, str | None]) -> None:
    assert parse_condition(text) == Condition(text, *condition)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("r@1 good", "is no condition; write METRIC OP NUMBER"),
        ("r@1 == 5%", "is no condition"),
        ("r@1 >= 1pt", "write 'pt' and 'vs MODEL' both or neither"),
        ("r@1 >= 1% vs BASE", "write 'pt' and 'vs MODEL' both or neither"),
        ("r@1 >= 80", "80 is no fraction in 0..1; write 80% for percent"),
    ],
)
def test_mistakes_teach(text: str, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        parse_condition(text)


@given(st.text())
def test_any_text_is_a_condition_or_a_value_error(text: str) -> None:
    try:
        assert parse_condition(text).metric
    except ValueError as error:
        assert repr(text) in str(error)


@pytest.mark.parametrize(
    ("text", "holds", "value"),
    [
        ("r@1 >= 60%", True, 0.6),
        ("r@1 > 60%", False, 0.6),
        ("r@5 >= 100%", True, 1.0),
        ("r@1 >= -1.0pt vs BASE", True, -0.01),
        ("r@1 > -1.0pt vs BASE", False, -0.01),
        ("r@5 <= 0pt vs BASE", True, 0.0),
    ],
)
def test_judgement(text: str, holds: bool, value: float) -> None:
    runs = {"BASE": [result(61)], "ours": [result(60)]}
    verdict = check(parse_condition(text), runs, "ours")
    assert (verdict.holds, verdict.value, verdict.n) == (holds, pytest.approx(value), 100)
    assert (verdict.low is not None) == ("@1" in text)  # intervals are those of the main metric


def test_a_bound_inside_the_interval_is_told() -> None:
    runs = {"BASE": [result(61)], "ours": [result(60)]}
    verdict = check(parse_condition("r@1 >= -1pt vs BASE"), runs, "ours")
    assert not verdict.sure
    assert str(verdict).startswith(
        "holds: r@1 >= -1pt vs BASE: -1.0 [-3.0, +0.0] points, n = 100, the interval"
    )
    far = check(parse_condition("r@1 >= 10%"), runs, "ours")
    assert far.sure and str(far).endswith("%, n = 100")


def test_what_was_not_measured_is_named() -> None:
    runs = {"ours": [result(60)]}
    with pytest.raises(ValueError, match=r"no metric 'r@2' is measured\. Did you mean 'r@"):
        check(parse_condition("r@2 >= 1%"), runs, "ours")
    with pytest.raises(ValueError, match=r"'BASE' was not measured; there are 'ours'"):
        check(parse_condition("r@1 >= 1pt vs BASE"), runs, "ours")
