"""MMVP-VLM: pairs of images that CLIP takes for each other and a self-supervised tower does not.

Layout from the official loader's documented fields: ``Questions.csv`` with ``Question ID, Type, Statement``,
rows in pairs, and ``MLLM_VLM Images/<Type>/<Question ID>.jpg``.
"""

from __future__ import annotations

from pathlib import Path

from knowclip.evaluation.benchmarks.card import Card, Download
from knowclip.evaluation.benchmarks.collect import collect, text
from knowclip.evaluation.benchmarks.images import Images
from knowclip.evaluation.benchmarks.locating import locate
from knowclip.evaluation.benchmarks.protocols import TwoByTwo, TwoByTwoBenchmark
from knowclip.evaluation.benchmarks.records import Record, csv_records

IMAGES = "MLLM_VLM Images"
PROMPT = "a photo of "
_REVISION = "211372d5357398f914d806d07dc305aea1f257d2"

MMVP_VLM = Card(
    name="mmvp_vlm",
    title="MMVP-VLM",
    paper="Tong et al., Eyes wide shut? Exploring the visual shortcomings of multimodal LLMs (CVPR 2024)",
    address="https://huggingface.co/datasets/MMVP/MMVP_VLM",
    licence="MIT",
    main="mmvp_vlm_image_macro",
    protocol=f'two images, two statements after "{PROMPT}"; right if for both statements the own image '
    "scores strictly above the other (the image score); text and group scores beside it",
    layout=f"Questions.csv; {IMAGES}/<Type>/<Question ID>.jpg",
    flaws="135 pairs, 15 a pattern: intervals are wide. Pairs were chosen to fool OpenAI's ViT-L/14.",
    crop="whole image",
    average="mean over the nine patterns",
    n=135,
    chance=0.25,
    revision=_REVISION,
    downloads=(
        Download(
            f"https://huggingface.co/datasets/MMVP/MMVP_VLM/resolve/{_REVISION}/Questions.csv",
            "Questions.csv",
        ),
    ),
    obtain="Images: `hf download MMVP/MMVP_VLM --repo-type dataset --revision REVISION --local-dir "
    "DATA/mmvp_vlm`",
)


def read_mmvp_vlm(folder: Path, *, split: str = "test", allow_missing: bool = False) -> TwoByTwoBenchmark:
    """MMVP-VLM's pairs of rows; visual patterns are the groups."""
    base = locate(MMVP_VLM, folder, [IMAGES], split=split)
    images = Images((base,), (IMAGES,))
    rows = csv_records(base / "Questions.csv")
    pairs = [
        Record("Questions", str(i // 2), [row.content for row in rows[i : i + 2]])
        for i in range(0, len(rows), 2)
    ]

    def make(record: Record) -> TwoByTwo:
        first, second = record.content
        refs = tuple(images(f"{row['Type']}/{int(row['Question ID'])}.jpg") for row in (first, second))
        captions = tuple(PROMPT + text(row["Statement"]) for row in (first, second))
        return TwoByTwo(record.key, (refs[0], refs[1]), (captions[0], captions[1]), first["Type"])

    cases, skipped = collect(MMVP_VLM, pairs, make, allow_missing=allow_missing)
    return TwoByTwoBenchmark(MMVP_VLM, cases, skipped)
