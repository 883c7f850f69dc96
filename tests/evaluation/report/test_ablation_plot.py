"""The picture of a study stays readable however many metrics it has."""

from __future__ import annotations

import io

from PIL import Image

from knowclip.evaluation.report.ablation import PANELS, plot
from knowclip.evaluation.report.plots import LIGHT


def size(metrics: int) -> tuple[int, int]:
    row = {"mean": 0.5, "values": [0.4, 0.6]}
    table = {
        "metrics": {f"metric {number}": {"plain": row, "other": row} for number in range(metrics)},
        "baseline": "plain",
        "text_only": {"metric 0": {"accuracy": 0.5}},
    }
    return Image.open(io.BytesIO(plot(table, LIGHT))).size


def test_more_metrics_than_fit_side_by_side_stand_in_further_rows() -> None:
    width, height = size(PANELS)
    assert size(1) == (width, height)
    wider, higher = size(PANELS + 1)
    assert wider == width and abs(higher - 2 * height) <= 1  # whole pixels
