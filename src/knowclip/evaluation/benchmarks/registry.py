"""Every benchmark by name: its card, the reader that makes it from a folder, and named suites of them."""

from __future__ import annotations

from difflib import get_close_matches
from functools import partial
from pathlib import Path
from typing import NamedTuple, Protocol

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


class Reader(Protocol):
    """Makes a benchmark of the files under ``folder``; ``NoDataError`` says what is not there."""

    def __call__(self, folder: Path, *, split: str = "test", allow_missing: bool = False) -> Benchmark:
        """Read the cases of ``split``."""


class Entry(NamedTuple):
    """A registered benchmark; ``on_request`` ones are read only when named, alone or by a suite."""

    card: Card
    read: Reader
    on_request: bool = False


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


def read(name: str, folder: Path, *, split: str = "test", allow_missing: bool = False) -> Benchmark:
    """Read the benchmark ``name`` from the files of ``folder``.

    Args:
        name: in ``BENCHMARKS``.
        folder: data folder with a subfolder for each benchmark, or the benchmark's own.
        split: "test", or "val" where there is one.
        allow_missing: measure an incomplete copy: what is missing is left out and counted.

    Raises:
        ValueError: no such benchmark, or more than 1% of its records or images is missing.
        NoDataError: the folder does not hold its files, or the split has no cases.
    """
    return BENCHMARKS[known(name, BENCHMARKS)].read(folder, split=split, allow_missing=allow_missing)


def members(suite: str) -> tuple[str, ...]:
    """Names of the benchmarks of a suite; ``ValueError`` where there is none of that name."""
    return SUITES[known(suite, SUITES, "suite")]


def known(name: str, names: dict[str, Entry] | dict[str, tuple[str, ...]], kind: str = "benchmark") -> str:
    """The name itself, if it is one; otherwise a ``ValueError`` that suggests the nearest."""
    if name not in names:
        near = get_close_matches(name, names, n=1)
        hint = f"Did you mean {near[0]!r}? " if near else ""
        raise ValueError(f"no {kind} {name!r}. {hint}There are: {', '.join(names)}")
    return name
