"""Which rung falls, and what is known to help: one sentence a ladder."""

from __future__ import annotations

from collections.abc import Mapping

from knowclip.evaluation.diagnosis.ladder import COSINE, IMAGE, MAP, PATCHES, TEXT, TITLES, WORDS
from knowclip.evaluation.statistics.bootstrap import Interval

FALL = 0.1
"""How far below both towers the cosine counts as fallen, and how much a map must bring."""
KNOWS = 0.75
"""Share of questions, half way from chance to all, from which on something counts as known."""
LESS = 0.02
"""How far below a later rung a probe must stay to be the one that learned too little: less is chance."""
LATER = {
    PATCHES: (IMAGE, MAP, COSINE),
    WORDS: (TEXT, MAP, COSINE),
    IMAGE: (MAP, COSINE),
    TEXT: (MAP, COSINE),
    MAP: (COSINE,),
}
"""Probe, or map -> the rungs that read nothing but what it reads, or less."""
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
    "by the softmax over each caption and its own swaps, brings most of it, and no tower is trained",
}
"""Rung that falls -> what it means and what is known to help (docs/diagnose.md has the sources)."""


def fallen(values: Mapping[str, float]) -> str | None:
    """The rung to mend first, by accuracies; None where nothing falls, or a later rung reads more.

    None where the cosine itself knows, too.
    """
    told = _lowest(values)
    return None if told is None or _outdone(values, told) else told


def _outdone(values: Mapping[str, float], probe: str) -> str | None:
    """The rung after a probe that reads most, where it reads more: the probe had too little to learn from."""
    most = max(LATER.get(probe, ()), key=lambda name: values[name], default=None)
    return most if most is not None and values[most] - values[probe] >= LESS else None


def _lowest(values: Mapping[str, float]) -> str | None:
    """The rung that is lowest for what stands before it, whether or not its probe learned enough.

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


def sentence(kind: str, intervals: Mapping[str, Interval], *, blind: Interval, fitted: int) -> str:
    """What falls and what helps, or why neither can be said; ``fitted`` questions taught the probes."""
    values = {name: found.value for name, found in intervals.items()}
    told = _lowest(values)
    if told is None:
        said = f"{kind}: no rung falls; the cosine tells {values[COSINE]:.1%}, about what both towers hold"
    elif more := _outdone(values, told):
        said = (
            f"{kind}: which rung falls cannot be said: the probe of '{TITLES[told]}' ({values[told]:.1%}) "
            f"reads less than '{TITLES[more]}' ({values[more]:.1%}): too few questions ({fitted:,}) to fit "
            "it on; take more with --most, or more data"
        )
    else:
        said = f"{kind}: the rung that falls is '{TITLES[told]}' ({values[told]:.1%}): {HELP[told]}"
    if blind.low > 0.5 and blind.value > 0.55:
        said += f"; read with care, text alone answers {blind.value:.1%}"
    return f"{said}."
