"""Models times benchmarks, with a folder's text-only control and paraphrases, and what is kept of them."""

from __future__ import annotations

import sys
import warnings
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from knowclip.console.screen import Screen

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from torch import Tensor

    from knowclip.console.progress import Stages
    from knowclip.evaluation.benchmarks.card import Benchmark
    from knowclip.evaluation.benchmarks.choices import Choice
    from knowclip.evaluation.controls.text_only import TextOnly
    from knowclip.evaluation.scoring import Scorer
    from knowclip.models.clip import DualEncoder
    from knowclip.types import Result

CONTROL_IMAGES = 1000
"""Training images whose mean stands for "some image" in the text-only control."""
CONTROL_CAPTIONS = 5000
"""Training captions parsed for negatives, where no file of negatives is given."""


def measure(
    models: Mapping[str, DualEncoder | None],
    benchmarks: Sequence[Benchmark],
    control: TextOnly | None,
    *,
    data: Path,
    split: str,
    out: Path | None,
    device: str | None,
    allow_missing: bool,
    absent: Mapping[str, str],
) -> tuple[dict[str, list[Result]], dict[str, str]]:
    """Measure every model on every benchmark and keep each result as soon as it is there.

    Args:
        models: By name; None: to be loaded by it, when its turn has come.
        benchmarks: To be run.
        control: The blind reader, of ``text_only``.
        data: Where the benchmarks are from, and their paraphrases.
        split: Kept with the results.
        out: Their folder; None: nothing is kept.
        device: To load models on.
        allow_missing: Count items of unreadable images as wrong, however many.
        absent: Benchmarks that cannot be, and why; kept beside the results, as what fails here.

    Returns:
        Results by the model's name (a KEE has a row of its own); what fails (unreadable images), and why.

    Raises:
        ValueError: none can be measured.
    """
    from knowclip.api.loaded import scorers
    from knowclip.console.progress import stages
    from knowclip.evaluation.scoring import UnreadableError
    from knowclip.evaluation.suites.folder import run_suite
    from knowclip.storage.caches import cache_folder

    said, cache = paraphrases(data), cache_folder() / "features"
    runs: dict[str, list[Result]] = {}
    failed: dict[str, str] = {}
    for name, model in models.items():
        with stages() as update:
            model = _ready(name, model, device, benchmarks, update)
            for suffix, scorer in scorers(model, cache=cache, allow_missing=allow_missing):
                runs[name + suffix] = results = []
                for benchmark in benchmarks:
                    _begin(update, benchmark, suffix, scorer)
                    try:
                        found = run_suite([benchmark], scorer, text_only=control, paraphrases=said)
                    except UnreadableError as error:
                        failed[benchmark.card.name] = str(error)
                        continue
                    results += found
                    if out is not None:
                        keep(found, [benchmark], scorer, out, name + suffix, split)
                if results and out is not None:
                    keep_absent({**absent, **failed}, scorer, out, name + suffix, split)
    if not any(runs.values()):
        raise ValueError("; ".join(dict.fromkeys(failed.values())))
    return runs, failed


class _Blank:
    """Embeds anything at random, and reads nothing: what a benchmark measures is told by any scores."""

    def encode_image(self, images: Sequence[object], *, normalize: bool = False) -> Tensor:
        return self._drawn(images)

    def encode_text(self, texts: Sequence[str], *, normalize: bool = False) -> Tensor:
        return self._drawn(texts)

    def _drawn(self, things: Sequence[object]) -> Tensor:
        import torch

        drawn = torch.randn(len(things), 8, generator=torch.Generator().manual_seed(0))
        return torch.nn.functional.normalize(drawn, dim=-1)


def blank_results(benchmarks: Sequence[Benchmark]) -> list[Result]:
    """Results of a model that knows nothing, in seconds: for the names of what will be measured."""
    from knowclip.evaluation.scoring import Scorer
    from knowclip.evaluation.suites.folder import run_suite

    return run_suite(benchmarks, Scorer(_Blank()))


def _ready(
    name: str, model: DualEncoder | None, device: str | None, benchmarks: Sequence[Benchmark], update: Stages
) -> DualEncoder:
    """The model, loaded where only its name is given; warn of a run that was trained on these images."""
    from knowclip.api.loaded import load_model
    from knowclip.api.trained_on import seen

    source = name if model is None else model.loaded_from
    images = (case.image for each in benchmarks for case in shown_cases(each))
    if source is not None and (told := seen(source, images)):
        warnings.warn(told, stacklevel=4)  # who called evaluate
    if model is not None:
        return model
    update(f"loading {name}", 0, None)
    return load_model(name, device=device).with_kee()


def _begin(update: Stages, benchmark: Benchmark, suffix: str, scorer: Scorer) -> None:
    """Say what comes, and how many images it has: the first batch of them may take long."""
    label = f"{benchmark.card.name}{suffix}"
    images = {case.image for case in shown_cases(benchmark)}
    update(f"{label}: images" if images else label, 0, len(images) or None)
    scorer.progress = partial(_encoding, update, label)


def _encoding(update: Stages, label: str, what: str, done: int, total: int) -> None:
    update(f"{label}: {what}", done, total)


def shown_cases(benchmark: Benchmark) -> Sequence[Choice]:
    """The pictures and captions that pages show of a benchmark."""
    from knowclip.evaluation.benchmarks.choices import ChoiceBenchmark
    from knowclip.evaluation.benchmarks.retrieval import Retrieval

    return benchmark.cases if isinstance(benchmark, (ChoiceBenchmark, Retrieval)) else ()


def keep(
    results: Sequence[Result],
    benchmarks: Sequence[Benchmark],
    scorer: Scorer,
    out: Path,
    name: str,
    split: str,
) -> None:
    """Write every Result with its per-item scores; what was written before stays."""
    from knowclip.evaluation.store import save

    about = {"model": name, "model_hash": scorer.model_hash, "split": split, "provenance": provenance(name)}
    for result, benchmark in zip(results, benchmarks, strict=True):
        save(result, out, cases=shown_cases(benchmark), **about)


def keep_absent(absent: Mapping[str, str], scorer: Scorer, out: Path, name: str, split: str) -> None:
    """Write why benchmarks could not be measured, beside the results of those that could."""
    from knowclip.evaluation.store import save_absent

    save_absent(absent, out, model=name, model_hash=scorer.model_hash, split=split)


def keep_found(results: Sequence[Result], model_hash: str, out: Path, name: str, split: str) -> None:
    """Write the Results of tasks or of link prediction, which have no cases to show."""
    from knowclip.evaluation.store import save

    for result in results:
        save(result, out, model=name, model_hash=model_hash, split=split, provenance=provenance(name))


def provenance(name: str) -> dict[str, str]:
    """How a Result came about: the command line, and which step of a run the model of that name is.

    Or that it is none yet, of towers pretrained apart.
    """
    from knowclip.api.loaded import WITH_KEE
    from knowclip.models.loading.architectures import own_names
    from knowclip.preflight.untrained import checkpoint_of

    drawn = "untrained: its projections are drawn" if name in own_names() else ""
    step = drawn or checkpoint_of(Path(name.removesuffix(WITH_KEE)))
    return {"command": " ".join(["knowclip", *sys.argv[1:]])} | ({"checkpoint": step} if step else {})


def text_only(
    data: Path, benchmarks: list[Benchmark], *, language_model: str | None = None, device: str | None = None
) -> TextOnly | None:
    """Train the control on the training captions beside the benchmark, where there are any."""
    from knowclip.data.captions.read import read_captions
    from knowclip.data.formats.rows import NoSuchSplitError
    from knowclip.evaluation.benchmarks.choices import ChoiceBenchmark
    from knowclip.evaluation.benchmarks.swaps import BlindScored
    from knowclip.evaluation.controls.language_model import CausalLanguageModel
    from knowclip.evaluation.controls.text_only import TextOnly

    choices = [benchmark for benchmark in benchmarks if isinstance(benchmark, ChoiceBenchmark)]
    without = [b.card.name for b in choices if not (isinstance(b, BlindScored) and b.blind)]
    if not choices or not (without or language_model):
        return None
    readers = {language_model: CausalLanguageModel(language_model, device=device)} if language_model else {}
    try:
        examples = read_captions(data, split="train").examples
    except ValueError as error:
        if readers:
            return TextOnly((), readers=readers)
        why = "no captions of a split 'train'" if isinstance(error, NoSuchSplitError) else str(error)
        Screen(stderr=True).print(
            f"no text-only control for {', '.join(without)}: no training captions beside the data ({why})"
        )
        return None
    captions = [example.caption for example in examples]
    images = list(dict.fromkeys(example.image for example in examples))[:CONTROL_IMAGES]
    return TextOnly(captions, negatives=_negative_pairs(data, captions), images=images, readers=readers)


def _negative_pairs(data: Path, captions: list[str]) -> list[tuple[str, str]]:
    """Captions with their negatives: those of ``negatives.jsonl``, else made here from a sample."""
    from knowclip.evaluation.benchmarks.swaps import read_negatives
    from knowclip.knowledge.negatives.generate import generate
    from knowclip.knowledge.parsing.parsers import parse

    path = (data if data.is_dir() else data.parent) / "negatives.jsonl"
    if path.is_file():
        negatives = read_negatives(path)
        return [(text, negative.caption) for text in captions for negative in negatives.get(text, ())]
    sample = list(dict.fromkeys(captions))[:CONTROL_CAPTIONS]
    try:
        graphs = list(parse(sample))
    except ImportError as error:
        Screen(stderr=True).print(f"text-only control without its classifier: {error}")
        return []
    pairs = zip(sample, graphs, strict=True)
    return [(text, negative.caption) for text, graph in pairs for negative in generate(text, graph)]


def paraphrases(data: Path) -> dict[str, str]:
    """Caption to paraphrase: lines ``{"caption", "paraphrase"}`` of the user's own ``paraphrases.jsonl``."""
    import json

    from knowclip.storage.text_files import read_text

    path = (data if data.is_dir() else data.parent) / "paraphrases.jsonl"
    if not path.is_file():
        return {}
    found = {}
    for number, line in enumerate(read_text(path).split("\n"), start=1):
        if not line.strip():
            continue
        try:
            record = json.loads(line)
            found[str(record["caption"]).strip()] = str(record["paraphrase"]).strip()
        except (ValueError, KeyError, TypeError) as error:
            raise ValueError(f"{path}, line {number}: {error!r}; expected caption and paraphrase") from error
    return found
