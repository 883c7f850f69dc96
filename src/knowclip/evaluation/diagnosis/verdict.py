"""Which rung falls, and what is known to help: one sentence a ladder."""

from __future__ import annotations

from collections.abc import Mapping

from knowclip.evaluation.diagnosis.ladder import COSINE, IMAGE, MAP, PATCHES, TEXT, WORDS
from knowclip.evaluation.statistics.bootstrap import Interval

FALL = 0.1
"""How far below both towers the cosine counts as fallen, and how much a map must bring."""
KNOWS = 0.75
"""Share of questions, half way from chance to all, from which on something counts as known."""
HELP = {
    PATCHES: "the image tower's own tokens do not hold it: train the image tower on what tells it apart "
    "(dense labels, larger pictures, more objects in a picture and complete captions)",
    IMAGE: "it is lost where the image tower pools: the image tower, or its attention pooling, must train, "
    "with swapped twins in one batch; training the text tower alone cannot bring it",
    WORDS: "the text tower's own tokens do not hold it: teach the text tower (its captions' graphs, told at "
    "the tokens first)",
    TEXT: "it is lost where the text tower pools: teach the text tower, with the caption's own swaps as "
    "negatives or by reading its triples from the pooled vector",
    MAP: "both towers hold it and no linear map brings them together: align them with a softmax over "
    "each caption and its own swaps, the image tower unlocked",
    COSINE: "both towers hold it and the cosine does not read it: a D x D map on the text embedding, fitted "
    "by the softmax over each caption and its own swaps, brings most of it in seconds",
}
"""Rung that falls -> what it means and what is known to help (docs/diagnose.md has the sources)."""


def fallen(values: Mapping[str, float]) -> str | None:
    """The rung to mend first, by accuracies; None where the cosine itself knows and nothing falls.

    Towers come before their alignment: no alignment brings what an embedding does not hold. The tower that
    holds less comes first; its pooling is to blame if its tokens know, else the tokens are.
    """
    towers = sorted(((IMAGE, PATCHES), (TEXT, WORDS)), key=lambda names: values[names[0]])
    for pooled, tokens in towers:
        if values[pooled] < KNOWS:
            return tokens if values[tokens] < KNOWS else pooled
    held = min(values[IMAGE], values[TEXT])
    if held - values[COSINE] < FALL:
        return None
    return COSINE if values[MAP] - values[COSINE] >= FALL else MAP


def sentence(kind: str, intervals: Mapping[str, Interval], *, blind: Interval) -> str:
    """What falls and what helps; first, where it is so, that text alone answers too much to say."""
    values = {name: found.value for name, found in intervals.items()}
    told = fallen(values)
    if told is None:
        said = f"{kind}: no rung falls; the cosine tells {values[COSINE]:.2f}, about what both towers hold"
    else:
        said = f"{kind}: the rung that falls is '{told}' ({values[told]:.2f}): {HELP[told]}"
    if blind.low > 0.5 and blind.value > 0.55:
        said += f"; read with care, text alone answers {blind.value:.2f}"
    return f"{said}."
