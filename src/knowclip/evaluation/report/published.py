"""Numbers that papers published on benchmarks we run, for comparison; every one with its source.

They stand in percent in the papers and as fractions here. A comparison is only shown where the run covers the
published test set: numbers on other cases (our scenes in ARO's format) are not comparable.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

STRUCTURE_CLIP = "Huang et al., Structure-CLIP (AAAI 2024), arXiv 2305.06152"
RERUNS = "independent re-runs of Structure-CLIP's code; lowest and highest"


class Published(NamedTuple):
    """A model's main metric by benchmark, and where it was published."""

    model: str
    values: Mapping[str, float]
    source: str


def _aro(model: str, attribution: float, relation: float, source: str = STRUCTURE_CLIP) -> Published:
    values = {"vg_relation": relation / 100, "vg_attribution": attribution / 100}
    return Published(model, values, source)


PUBLISHED: tuple[Published, ...] = (
    _aro("CLIP ViT-B/32", 60.1, 59.8),
    _aro("CLIP ViT-B/32, fine-tuned on its data", 64.0, 66.5),
    _aro("NegCLIP", 71.0, 81.0),
    _aro("Structure-CLIP, random negatives only", 73.9, 77.7),
    _aro("Structure-CLIP, semantic negatives only", 77.8, 79.0),
    _aro("Structure-CLIP, knowledge encoder only", 65.7, 68.8),
    _aro("Structure-CLIP base", 82.3, 84.7),
    _aro("Structure-CLIP large", 83.5, 85.1),
    _aro("Structure-CLIP base, lowest re-run", 77.6, 81.8, RERUNS),
    _aro("Structure-CLIP base, highest re-run", 81.3, 83.8, RERUNS),
)
"""Second-hand: taken from readers' notes of the papers, not from their own tables."""
