"""``knowclip scenes``: draw a world into a folder, in the original formats; same seed, same bytes."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from pathlib import Path
from random import Random
from typing import Any

from knowclip.data.scenes import formats, questions
from knowclip.data.scenes.drawing import draw
from knowclip.data.scenes.entailment import snli_ve
from knowclip.data.scenes.formats import Drawn
from knowclip.data.scenes.sprites import LICENCE
from knowclip.data.scenes.world import SPLITS, Scene, draw_scenes
from knowclip.storage.atomic import atomic_folder

_CHUNK = 500
_README = """OpenMoji scenes, made by `knowclip scenes` with {settings}.

images/                       the drawings
captions_<split>.json         COCO captions
dataset.json                  all splits, Karpathy style
visual_genome/                image_data, objects, attributes, relationships, as Visual Genome has them
aro/, aro_val/                ARO's two files over the test and the validation scenes
vqa/                          questions and annotations of the splits, as VQA v2 has them
snli_ve/                      sentences that a scene entails, leaves open or contradicts, as SNLI-VE has them
probes/                       captions that are wrong in colour, place, size or a negation

{licence}. The scenes are adaptations and stand under the same licence.
"""


def _draw_chunk(jobs: list[tuple[int, str, Scene]], *, folder: Path, size: int, seed: int) -> list[Drawn]:
    done = []
    for image_id, split, scene in jobs:
        drawing = draw(scene, size=size, random=Random(f"{seed}/{split}/{image_id}"))
        drawn = Drawn(image_id, split, scene, drawing.boxes)
        drawing.image.save(folder / drawn.file_name, "JPEG", quality=92, subsampling=0)
        done.append(drawn)
    return done


def _dump(path: Path, content: Any) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(content, separators=(",", ":")) + "\n", encoding="utf-8")


def _write_annotations(out: Path, drawn: list[Drawn], size: int) -> None:
    by_split = {split: [d for d in drawn if d.split == split] for split in SPLITS}
    for split, some in by_split.items():
        _dump(out / f"captions_{split}.json", formats.coco_captions(some, size=size))
    _dump(out / "dataset.json", formats.karpathy(drawn))
    for name, content in formats.visual_genome(drawn, size=size).items():
        _dump(out / "visual_genome" / f"{name}.json", content)
    for folder, split in (("aro", "test"), ("aro_val", "val")):
        _dump(out / folder / "visual_genome_relation.json", formats.aro_relation(by_split[split]))
        _dump(out / folder / "visual_genome_attribution.json", formats.aro_attribution(by_split[split]))


def _write_tasks(out: Path, drawn: list[Drawn], seed: int) -> None:
    """VQA v2 questions, SNLI-VE pairs and semantics probes, from streams of their own."""
    for split in SPLITS:
        some = [d for d in drawn if d.split == split]
        asked = questions.draw_questions(some, Random(f"{seed}/{split}/questions"))
        for_vqa, answers = questions.vqa(asked, split=split)
        _dump(out / "vqa" / f"v2_OpenEnded_scenes_{split}_questions.json", for_vqa)
        _dump(out / "vqa" / f"v2_scenes_{split}_annotations.json", answers)
        _dump(out / "probes" / f"probes_{split}.json", questions.probes(asked))
        pairs = snli_ve(some, Random(f"{seed}/{split}/snli_ve"))
        path = out / "snli_ve" / f"snli_ve_{'dev' if split == 'val' else split}.jsonl"
        path.parent.mkdir(exist_ok=True)
        lines = (json.dumps(pair, separators=(",", ":")) + "\n" for pair in pairs)
        path.write_text("".join(lines), encoding="utf-8")


def write_scenes(
    out: Path,
    *,
    numbers: Mapping[str, int],
    seed: int = 0,
    size: int = 64,
    workers: int = 1,
    progress: Callable[[int], None] = lambda done: None,
) -> list[Drawn]:
    """Draw ``numbers[split]`` scenes a split into the folder ``out``, replacing it when all is done.

    Args:
        out: the folder to make.
        numbers: scenes of ``train``, ``val`` and ``test``; even numbers, as scenes come in twins.
        seed: of everything but the compositional hold-out, which is the same for all seeds.
        size: pixels a side, at least 32.
        workers: processes that draw; the result does not depend on it.
        progress: called with the number of scenes drawn so far.

    Raises:
        ValueError: for an odd number, an unknown split or a size below 32.
    """
    if unknown := set(numbers) - set(SPLITS):
        raise ValueError(f"unknown split {sorted(unknown)}; scenes have {', '.join(SPLITS)}")
    if size < 32:
        raise ValueError(f"size {size}: drawings below 32 pixels cannot be told apart")
    jobs: list[tuple[int, str, Scene]] = []
    for split in SPLITS:
        first = len(jobs) + 1
        jobs += [(first + i, split, s) for i, s in enumerate(draw_scenes(split, numbers.get(split, 0), seed))]
    chunks = [jobs[i : i + _CHUNK] for i in range(0, len(jobs), _CHUNK)]
    with atomic_folder(out, durable=False) as folder:
        (folder / "images").mkdir()
        work = partial(_draw_chunk, folder=folder / "images", size=size, seed=seed)
        drawn: list[Drawn] = []
        with ProcessPoolExecutor(workers) as pool:
            for done in pool.map(work, chunks) if workers > 1 else map(work, chunks):
                drawn += done
                progress(len(drawn))
        _write_annotations(folder, drawn, size)
        _write_tasks(folder, drawn, seed)
        settings = {**{split: numbers.get(split, 0) for split in SPLITS}, "seed": seed, "size": size}
        _dump(folder / "scenes.json", settings | {"licence": LICENCE})
        (folder / "README.txt").write_text(
            _README.format(settings=settings, licence=LICENCE), encoding="utf-8"
        )
    return drawn
