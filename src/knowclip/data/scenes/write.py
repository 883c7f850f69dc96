"""``knowclip scenes``: draw a world into a folder, in the original formats; same seed, same bytes."""

from __future__ import annotations

import json
from collections.abc import Mapping
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from random import Random
from types import MappingProxyType
from typing import Any

from knowclip.console.counts import listed
from knowclip.console.progress import Stages
from knowclip.data.scenes import formats, questions
from knowclip.data.scenes.drawing import draw
from knowclip.data.scenes.entailment import snli_ve
from knowclip.data.scenes.formats import Drawn
from knowclip.data.scenes.sprites import LICENCE
from knowclip.data.scenes.twins import Twins, draw_twins, karpathy_images, quadruples
from knowclip.data.scenes.world import SPLITS, Scene, draw_scenes
from knowclip.storage.atomic import atomic_folder
from knowclip.types import Box

MARK = "scenes.json"
"""File with the settings of a folder of scenes."""
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
twins/twins_<split>.json      two pictures and two captions that differ in who acts, or in whose colour it is
twins/dataset.json            the twins as captions, Karpathy style
scenes_with_twins.json        dataset.json with train's twins, where there are any

{licence}. The scenes are adaptations and stand under the same licence.
"""


@dataclass(frozen=True, slots=True)
class _Job:
    """A picture to be drawn: its place in the folder, and what its jitter and background come from."""

    file: str
    stream: str
    scene: Scene


def _draw_chunk(jobs: list[_Job], *, folder: Path, size: int) -> list[tuple[Box, ...]]:
    """Draw pictures; their boxes."""
    boxes = []
    for job in jobs:
        drawing = draw(job.scene, size=size, random=Random(job.stream))
        drawing.image.save(folder / job.file, "JPEG", quality=92, subsampling=0)
        boxes.append(drawing.boxes)
    return boxes


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


def _write_twins(out: Path, twins: list[Twins], drawn: list[Drawn]) -> None:
    """Each split's quadruples, and the twins as captions: alone, and those of train with all scenes."""
    for split in dict.fromkeys(each.split for each in twins):
        records = quadruples(each for each in twins if each.split == split)
        _dump(out / "twins" / f"twins_{split}.json", records)
    _dump(
        out / "twins" / "dataset.json",
        {"dataset": "openmoji-twins", "images": karpathy_images(twins, filepath="images")},
    )
    if train := [each for each in twins if each.split == "train"]:
        scenes = formats.karpathy(drawn)
        images = scenes["images"] + karpathy_images(train, filepath="twins/images")
        _dump(out / "scenes_with_twins.json", scenes | {"images": images})


def _jobs(scenes: list[Drawn], twins: list[Twins], seed: int) -> list[_Job]:
    """All pictures; twins have one stream, so that nothing differs but what their captions say."""
    jobs = [
        _Job(f"images/{each.file_name}", f"{seed}/{each.split}/{each.image_id}", each.scene)
        for each in scenes
    ]
    return jobs + [
        _Job(f"twins/images/{name}", f"{seed}/{each.split}/twins/{each.number}", scene)
        for each in twins
        for name, scene in zip(each.file_names, each.scenes, strict=True)
    ]


def _check(numbers: Mapping[str, int], twins: Mapping[str, int], size: int) -> None:
    if unknown := {*numbers, *twins} - set(SPLITS):
        raise ValueError(f"unknown split {listed(sorted(unknown))}; scenes have {', '.join(SPLITS)}")
    if size < 32:
        raise ValueError(f"size {size}: drawings below 32 pixels cannot be told apart")


def write_scenes(
    out: Path,
    *,
    numbers: Mapping[str, int],
    twins: Mapping[str, int] = MappingProxyType({}),
    seed: int = 0,
    size: int = 64,
    workers: int = 1,
    progress: Stages = lambda label, done, total: None,
) -> list[Drawn]:
    """Draw ``numbers[split]`` scenes a split into the folder ``out``, replacing it when all is done.

    Args:
        out: the folder to make.
        numbers: scenes of ``train``, ``val`` and ``test``; even numbers, as scenes come in pairs of roles.
        twins: pairs of swapped twins of these splits; even numbers, half of each kind. The scenes do not
            depend on them.
        seed: of everything but the compositional hold-out, which is the same for all seeds.
        size: pixels a side, at least 32.
        workers: processes that draw; the result does not depend on it.
        progress: told of the pictures drawn so far, then that what they say is written.

    Returns:
        The scenes, without the twins.

    Raises:
        ValueError: for an odd number, an unknown split or a size below 32.
    """
    _check(numbers, twins, size)
    undrawn: list[Drawn] = []
    for split in SPLITS:
        first = len(undrawn) + 1
        scenes = draw_scenes(split, numbers.get(split, 0), seed)
        undrawn += [Drawn(first + i, split, scene, ()) for i, scene in enumerate(scenes)]
    pairs = [each for split in SPLITS for each in draw_twins(split, twins.get(split, 0), seed)]
    jobs = _jobs(undrawn, pairs, seed)
    chunks = [jobs[i : i + _CHUNK] for i in range(0, len(jobs), _CHUNK)]
    progress("getting ready", 0, None)  # what a killed one left is removed: thousands of files
    with atomic_folder(out, durable=False) as folder:
        for images in ("images", *(["twins/images"] if pairs else [])):
            (folder / images).mkdir(parents=True)
        work = partial(_draw_chunk, folder=folder, size=size)
        boxes: list[tuple[Box, ...]] = []
        progress("drawing scenes", 0, len(jobs))
        with ProcessPoolExecutor(workers) as pool:
            for done in pool.map(work, chunks) if workers > 1 else map(work, chunks):
                boxes += done
                progress("drawing scenes", len(boxes), len(jobs))
        progress("writing captions and questions", 0, None)
        drawn = [replace(each, boxes=box) for each, box in zip(undrawn, boxes, strict=False)]
        _write_annotations(folder, drawn, size)
        _write_tasks(folder, drawn, seed)
        if pairs:
            _write_twins(folder, pairs, drawn)
        _write_settings(folder, numbers, twins, seed=seed, size=size)
    return drawn


def already_drawn(
    out: Path, numbers: Mapping[str, int], twins: Mapping[str, int], *, seed: int, size: int
) -> bool:
    """Whether scenes of these settings stand in a folder; they are of :func:`write_scenes`.

    Raises:
        ValueError: Scenes of other settings do; naming what differs.
    """
    try:
        there = json.loads((out / MARK).read_text(encoding="utf-8"))
        settings = {name: (there[name], asked) for name, asked in _told(numbers, twins, seed, size).items()}
    except (OSError, ValueError, KeyError, TypeError):
        return False
    if others := [f"{name} {was} (asked: {now})" for name, (was, now) in settings.items() if was != now]:
        raise ValueError(
            f"{out} holds scenes of other settings: {', '.join(others)}; choose another folder, or remove "
            "this one"
        )
    return True


def _told(numbers: Mapping[str, int], twins: Mapping[str, int], seed: int, size: int) -> dict[str, int]:
    settings = {split: numbers.get(split, 0) for split in SPLITS}
    settings |= {f"{split}_twins": twins.get(split, 0) for split in SPLITS}
    return settings | {"seed": seed, "size": size}


def _write_settings(
    out: Path, numbers: Mapping[str, int], twins: Mapping[str, int], *, seed: int, size: int
) -> None:
    settings = _told(numbers, twins, seed, size)
    _dump(out / MARK, settings | {"licence": LICENCE})
    (out / "README.txt").write_text(_README.format(settings=settings, licence=LICENCE), encoding="utf-8")
