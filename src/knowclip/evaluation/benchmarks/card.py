"""What every benchmark is: a card of metadata, and ``run(scorer) -> Result``."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from knowclip.evaluation.scoring import Scorer
from knowclip.types import Result

NOT_IN_FILE = "record not in the file"
"""What ``skipped`` calls the records of the published set that no file holds: they were never read."""


@dataclass(frozen=True, slots=True)
class Download:
    """A file that may be fetched: its address, its place in the benchmark's folder, a checksum if known."""

    url: str
    path: str
    sha256: str = ""


@dataclass(frozen=True, slots=True)
class Card:
    """What a reader must know of a benchmark before trusting its number.

    Args:
        name: its key in the registry.
        title: as the paper writes it.
        paper: authors, title, venue.
        address: where it is published.
        licence: of annotations and images.
        main: name of the metric to quote.
        protocol: when an item counts as right, and what else decides the number.
        layout: files read, under ``DATA/<name>/`` or ``DATA/``.
        flaws: what is known to be wrong with it.
        crop: what of the image is shown.
        average: how outcomes become the main metric.
        drop: what is left out by the official rules.
        differs: where other harnesses give other numbers.
        n: records of the published test set; 0 where the folder decides, or no number is published.
        n_confirmed: whether ``n`` was found again in a second source.
        fixed: whether fewer records than ``n`` mean an incomplete copy (ARO's format also serves scenes).
        no_information: main metric of an encoder that cannot tell anything apart.
        chance: main metric expected of random scores, where there is one number.
        revision: commit of the published files that ``layout`` and ``downloads`` were taken from.
        downloads: files that ``knowclip data`` fetches.
        obtain: what to do by hand: images, gated files.
    """

    name: str
    title: str
    paper: str
    address: str
    licence: str
    main: str
    protocol: str
    layout: str
    flaws: str = ""
    crop: str = ""
    average: str = ""
    drop: str = ""
    differs: str = ""
    n: int = 0
    n_confirmed: bool = True
    fixed: bool = True
    no_information: float = 0.0
    chance: float | None = None
    revision: str = ""
    downloads: tuple[Download, ...] = ()
    obtain: str = ""

    @property
    def size(self) -> str:
        """``n`` in words; empty where there is none."""
        return f"{self.n:,}{'' if self.n_confirmed else ' (unconfirmed)'}" if self.n else ""

    @property
    def rules(self) -> str:
        """The whole protocol in one sentence."""
        drop = f"left out: {self.drop}" if self.drop else ""
        parts = (self.crop, self.protocol, self.average, drop)
        return "; ".join(part.rstrip(".") for part in parts if part)


class Benchmark(Protocol):
    """Cases read from files, ready to be run on any model."""

    @property
    def card(self) -> Card:
        """The metadata."""

    def run(self, scorer: Scorer) -> Result:
        """Score every case and average by the protocol."""
