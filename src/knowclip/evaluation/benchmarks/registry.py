"""Every benchmark by name: its card, the reader that makes it from a folder, and named suites of them."""

from __future__ import annotations

from difflib import get_close_matches
from functools import partial
from pathlib import Path
from typing import Literal, NamedTuple, Protocol

from knowclip.evaluation.benchmarks import (
    aro,
    bivlc,
    classification,
    cola,
    crepe,
    eqben,
    half_truth,
    mmvp,
    order,
    probes,
    retrieval,
    scene_twins,
    spec,
    sugarcrepe,
    svo_probes,
    swaps,
    valse,
    vl_checklist,
    vsr,
    whatsup,
    winoground,
    zero_shot,
)
from knowclip.evaluation.benchmarks.card import Benchmark, Card
from knowclip.plugins import PluginError, find, found, names, usable


class Reader(Protocol):
    """Makes a benchmark of the files under ``folder``; ``NoDataError`` says what is not there."""

    def __call__(self, folder: Path, *, split: str = "test", allow_missing: bool = False) -> Benchmark:
        """Read the cases of ``split``."""


Ability = Literal["compositional", "general"]


class Entry(NamedTuple):
    """A registered benchmark; ``on_request`` ones are read only when named, alone or by a suite.

    ``ability`` is the mean that a plug-in's counts in; of our own the suites say it.
    """

    card: Card
    read: Reader
    on_request: bool = False
    ability: Ability = "compositional"


COMPOSITIONAL: tuple[Entry, ...] = (
    Entry(aro.VG_RELATION, aro.read_vg_relation),
    Entry(aro.VG_ATTRIBUTION, aro.read_vg_attribution),
    Entry(order.COCO_ORDER, order.read_coco_order),
    Entry(order.FLICKR30K_ORDER, order.read_flickr30k_order),
    Entry(sugarcrepe.SUGARCREPE, sugarcrepe.read_sugarcrepe),
    Entry(sugarcrepe.SUGARCREPE_PP, sugarcrepe.read_sugarcrepe_pp),
    Entry(sugarcrepe.SUGARCREPE_PP_TEXT, sugarcrepe.read_sugarcrepe_pp_text),
    Entry(winoground.WINOGROUND, winoground.read_winoground),
    Entry(valse.VALSE, valse.read_valse),
    Entry(vsr.VSR, vsr.read_vsr),
    Entry(vl_checklist.VL_CHECKLIST, vl_checklist.read_vl_checklist),
    Entry(whatsup.WHATSUP, whatsup.read_whatsup),
    Entry(cola.COLA, cola.read_cola),
    Entry(winoground.COLORSWAP, winoground.read_colorswap),
    Entry(eqben.EQBEN, eqben.read_eqben),
    Entry(eqben.EQBEN_FULL, eqben.read_eqben_full, on_request=True),
    Entry(svo_probes.SVO_PROBES, svo_probes.read_svo_probes),
    Entry(crepe.CREPE_SYSTEMATICITY, crepe.read_crepe_systematicity),
    Entry(crepe.CREPE_PRODUCTIVITY, crepe.read_crepe_productivity),
    Entry(mmvp.MMVP_VLM, mmvp.read_mmvp_vlm),
    Entry(bivlc.BIVLC, bivlc.read_bivlc),
    Entry(winoground.COCO_COUNTERFACTUALS, winoground.read_coco_counterfactuals),
    Entry(spec.SPEC_IMAGE_TO_TEXT, spec.read_spec_image_to_text),
    Entry(spec.SPEC_TEXT_TO_IMAGE, spec.read_spec_text_to_image),
    Entry(half_truth.HALF_TRUTH, half_truth.read_half_truth, on_request=True),
    Entry(swaps.SWAPS, swaps.read_swaps),
    Entry(probes.PROBES, probes.read_probes),
    Entry(scene_twins.SCENE_TWINS, scene_twins.read_scene_twins),
)
GENERAL: tuple[Entry, ...] = (
    Entry(retrieval.IMAGE_TO_TEXT, retrieval.read_image_to_text),
    Entry(retrieval.TEXT_TO_IMAGE, retrieval.read_text_to_image),
    *(
        Entry(retrieval.CARDS[name, direction], partial(retrieval.read_published, name, direction))
        for name in retrieval.SETS
        for direction in retrieval.DIRECTIONS
    ),
    Entry(zero_shot.ZERO_SHOT_OBJECTS, zero_shot.read_zero_shot_objects),
    Entry(classification.CLASSIFICATION, classification.read_classification),
)
BENCHMARKS: dict[str, Entry] = {entry.card.name: entry for entry in (*COMPOSITIONAL, *GENERAL)}

SUITES: dict[str, tuple[str, ...]] = {
    "aro": ("vg_relation", "vg_attribution", "coco_order", "flickr30k_order"),
    "scenes": (
        "vg_relation",
        "vg_attribution",
        "scene_twins",
        "probes",
        "image_to_text",
        "text_to_image",
        "zero_shot_objects",
    ),
    "sugarcrepe": ("sugarcrepe", "sugarcrepe_pp", "sugarcrepe_pp_text"),
    "compositional": tuple(entry.card.name for entry in COMPOSITIONAL),
    "general": tuple(entry.card.name for entry in GENERAL),
    "all": tuple(BENCHMARKS),
}
"""Suite -> its benchmarks, in order; measured are those that have data, for the others the reason is told."""


def entry(name: str) -> Entry:
    """The benchmark of a name: our own, or a plug-in's, which is imported.

    Raises:
        ValueError: There is none, several, or it cannot be imported.
    """
    chosen = find("benchmark", name, BENCHMARKS, Entry)
    for plugin in found("benchmark").get(name, ()):
        plugin.check_name(chosen.card.name)
    return chosen


def every() -> tuple[str, ...]:
    """Names of all benchmarks, our own and of plug-ins, which are not imported."""
    return tuple(names("benchmark", BENCHMARKS))


def ability(name: str) -> Ability | None:
    """Which mean a benchmark counts in; None for what is no benchmark, or no longer installed."""
    for kind in ("compositional", "general"):
        if name in SUITES[kind]:
            return kind
    if name not in found("benchmark"):
        return None
    try:
        return entry(name).ability
    except PluginError:
        return None


def read(name: str, folder: Path, *, split: str = "test", allow_missing: bool = False) -> Benchmark:
    """Read the benchmark ``name`` from the files of ``folder``.

    Args:
        name: in ``BENCHMARKS``, or a plug-in's.
        folder: data folder with a subfolder for each benchmark, or the benchmark's own.
        split: "test", or "val" where there is one.
        allow_missing: measure an incomplete copy: what is missing is left out and counted.

    Raises:
        ValueError: no such benchmark, or more than 1% of its records or images is missing.
        NoDataError: the folder does not hold its files, or the split has no cases.
    """
    return entry(name).read(folder, split=split, allow_missing=allow_missing)


def members(suite: str) -> tuple[str, ...]:
    """Names of the benchmarks of a suite, plug-ins among "all"; ``ValueError`` where there is no such suite.

    Plug-ins that cannot be used are left out with a warning.
    """
    if suite not in SUITES:
        near = get_close_matches(suite, SUITES, n=1)
        hint = f"Did you mean {near[0]!r}? " if near else ""
        raise ValueError(f"no suite {suite!r}. {hint}There are: {', '.join(SUITES)}")
    return tuple(usable("benchmark", BENCHMARKS, entry)) if suite == "all" else SUITES[suite]
