"""VL-CheckList: phrases about objects, attributes and relations against altered ones.

Official layout (read from genuine records): ``data/{Attribute,Object,Relation}/**/*.json``, lists of ``[image
path, {"POS": [...], "NEG": [...]}]``; image roots ``vg/``, ``hake/`` and ``swig/``, told by the file's path.
"""

from __future__ import annotations

import re
from pathlib import Path

from knowclip.evaluation.benchmarks.card import Card
from knowclip.evaluation.benchmarks.choices import Choice, ChoiceBenchmark
from knowclip.evaluation.benchmarks.collect import collect, text
from knowclip.evaluation.benchmarks.images import Images
from knowclip.evaluation.benchmarks.locating import locate, matching
from knowclip.evaluation.benchmarks.records import Record, json_records
from knowclip.evaluation.metrics import NoDataError

SOURCES = {"vg": "vg", "vaw": "vg", "hake": "hake", "swig": "swig"}
"""What a file's path says of its source, and the source's image folder (VAW's images are Visual Genome's)."""
_REVISION = "fd644b1503b9fb378ec0761bdfcf3f5947c6d3a4"

VL_CHECKLIST = Card(
    name="vl_checklist",
    title="VL-CheckList",
    paper="Zhao et al., VL-CheckList: Evaluating pre-trained vision-language models with objects, attributes "
    "and relations (EMNLP 2022 demos)",
    address="https://github.com/om-ai-lab/VL-CheckList",
    licence="as the repository states (annotations; images as upstream)",
    main="vl_checklist",
    protocol="right if the first POS phrase scores strictly above the first NEG phrase (official task itc)",
    layout="data/{Attribute,Object,Relation}/**/*.json; vg/, hake/, swig/",
    flaws="Many negatives are implausible or true; phrases of the object part are not about composition.",
    crop="whole image",
    average="mean over the annotation files; _micro over records",
    differs="The official script silently skips records whose image is not there, and its MAX_NUM of 2,000 "
    "takes the first 1,000 of each file.",
    chance=0.5,
    revision=_REVISION,
    obtain="Annotations: `git clone https://github.com/om-ai-lab/VL-CheckList DATA/vl_checklist`; images as "
    "its DATASETS.md says (Visual Genome, HAKE, SWiG).",
)


def read_vl_checklist(folder: Path, *, split: str = "test", allow_missing: bool = False) -> ChoiceBenchmark:
    """All annotation files there are; each file is a group."""
    patterns = [
        f"{place}{part}*/**/*.json" for place in ("data/", "") for part in ("Attribute", "Object", "Relation")
    ]
    base = locate(VL_CHECKLIST, folder, patterns, split=split)
    root = base / "data" if (base / "data").is_dir() else base
    paths = sorted(matching(root, *patterns[3:]))
    images = {source: Images((base, folder), (source,)) for source in SOURCES.values()}
    records = [
        record
        for path in paths
        for record in json_records(
            path, file=str(path.relative_to(root).with_suffix("")), one_of_several=True
        )
    ]

    def make(record: Record) -> Choice:
        name, texts = record.content
        ref = images[source_of(record.file)](name)
        return Choice(record.key, ref, text(texts["POS"][0]), text(texts["NEG"][0]), record.file, name)

    cases, skipped = collect(VL_CHECKLIST, records, make, allow_missing=allow_missing)
    return ChoiceBenchmark(VL_CHECKLIST, cases, skipped=skipped)


def source_of(file: str) -> str:
    """Image folder of an annotation file: ``Relation/swig/action`` -> ``swig``."""
    words = re.split(r"[/_.]", file.lower())
    found = next((SOURCES[word] for word in words if word in SOURCES), None)
    if found is None:
        raise NoDataError(f"vl_checklist: {file} names none of the sources {', '.join(SOURCES)}")
    return found
