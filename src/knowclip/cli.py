"""The ``knowclip`` command: one file a subcommand under ``commands/``, mounted here."""

from __future__ import annotations

import atexit
import gc
import logging
import os
import sys
import warnings
from importlib import import_module
from itertools import groupby

import typer

from knowclip.console.flags import plain_flags
from knowclip.console.screen import Notes, Screen, warning_line
from knowclip.plugins import involved

GROUPS = {
    "See it work": {
        "demo": "See the difference knowledge makes: train twice, compare, write a report.",
        "scenes": "Write the embedded OpenMoji scenes in Visual Genome, COCO and ARO formats.",
    },
    "Captions into graphs, negatives and tests": {
        "parse": "Turn captions into scene graphs.",
        "negatives": "Turn captions into hard-negative captions.",
        "mine": "Find hard negatives among the captions of other images, by a model's embeddings.",
        "prepare": "Parse a corpus of any size into shards of graphs and negatives.",
        "swaps": "Build a test from captioned images that no text-only model can solve.",
        "select": "Choose the pairs whose captions teach structure, without the images of benchmarks.",
    },
    "Train": {
        "train": "Train a CLIP from a YAML recipe.",
        "align": "Fit one linear map behind a CLIP's text tower and fold it in: trains no tower; a control.",
        "interpolate": "Trade compositional against general ability: weights between base and tuned model.",
        "ablate": "Compare recipes over several seeds: train, measure, tell the differences.",
    },
    "Measure": {
        "evaluate": "Measure a CLIP on benchmarks.",
        "diagnose": "Say which tower, or what between them, loses whose attribute is which, who does what.",
        "task": "Train a small head on a CLIP's features and measure it: VQA, SNLI-VE, GLUE, linear probe.",
        "compare": "Compare two evaluated models: paired differences with intervals and p-values.",
        "report": "Make one page and a Markdown table of evaluated models.",
        "benchmarks": "List the benchmarks and their protocols.",
        "data": "Say where a benchmark's files come from; download them.",
        "audit": "Count the images of benchmarks that training data share.",
    },
    "Knowledge graphs": {
        "graph": "Import, inspect, filter and split knowledge graphs.",
        "link-prediction": "Measure how well a CLIP completes the triplets of a knowledge graph.",
        "predict": "Complete one triplet: the best tails of a head and a relation.",
    },
    "Use a model": {
        "index": "Make an index of photos, to be searched by what they show.",
        "search": "Find photos by a text, by another photo, and by what they are not to show.",
        "serve": "Serve a model over HTTP: vectors, scores, graphs, search.",
        "app": "Open a page: two models on a picture and its captions; search, results, a knowledge graph.",
    },
    "Take it elsewhere": {
        "convert": "Export a CLIP to open_clip, transformers, ONNX, sentence-transformers; compare it there.",
        "push": "Publish a checkpoint on the Hugging Face hub, with a card of what was measured.",
    },
    "This machine": {
        "doctor": "Tell versions, devices, extras, caches and disk, and what to do about them.",
        "cache": "List what lies in the cache folder, by kind and size; clear it.",
        "plugins": "List what other packages add: methods, losses, parsers, benchmarks, readers, formats.",
    },
}
"""What people want -> subcommand -> its line in ``knowclip --help``, in that order.

``commands/<name>.py`` has ``app`` (a group) or ``command`` (a function); its own help is its docstring."""
COMMANDS = {name: text for commands in GROUPS.values() for name, text in commands.items()}

TAKE_KEYS = ("train", "demo", "ablate")
"""Commands that take keys of a recipe: what they do not know as an option is told how keys are written."""


def build_app() -> typer.Typer:
    """Mount every subcommand; heavy imports happen inside the command functions."""
    app = typer.Typer(
        name="knowclip",
        no_args_is_help=True,
        pretty_exceptions_show_locals=False,
        help="CLIP models that understand structure.",
    )
    for panel, commands in GROUPS.items():
        for name, text in commands.items():
            module = import_module(f"knowclip.commands.{name.replace('-', '_')}")
            if hasattr(module, "app"):
                app.add_typer(module.app, name=name, help=text, rich_help_panel=panel)
            else:
                settings = {"ignore_unknown_options": True} if name in TAKE_KEYS else None
                mounted = app.command(name, short_help=text, rich_help_panel=panel, context_settings=settings)
                mounted(module.command)
    return plain_flags(app)


QUIET = {"TRANSFORMERS_VERBOSITY": "error", "TOKENIZERS_PARALLELISM": "false"}
"""Keeps reports and advice of other libraries out of the output; what is set already stays."""
ADVICE = ("This DataLoader will create", "'pin_memory' argument is set as true", "Corrupt EXIF data")
"""Warnings of torch and Pillow on what recipes say on purpose, or what makes no difference."""

SPINS = "5000"
"""How often one of torch's threads (libgomp's, on Linux) looks whether the others are ready before it sleeps.
By itself it looks for milliseconds, which is dear where others want the processor: benchmarks/threads.py."""

PARTED = ("Connection closed by peer", "Connection reset by peer", "remote process exited")
"""How gloo and NCCL say that another process is gone."""


def quieten() -> None:
    """Say which of the other libraries' messages are for nobody; errors, real warnings and our notes stay."""
    for name, value in QUIET.items():
        os.environ.setdefault(name, value)
    warnings.formatwarning = warning_line
    for message in ADVICE:
        warnings.filterwarnings("ignore", message)
    own = logging.getLogger("knowclip")
    own.setLevel(logging.INFO)
    if not any(isinstance(handler, Notes) for handler in own.handlers):
        own.addHandler(Notes())


def share_processors() -> None:
    """Keep a training from crawling beside other programs; torch reads this when it is imported."""
    if "OMP_WAIT_POLICY" not in os.environ:
        os.environ.setdefault("GOMP_SPINCOUNT", SPINS)


def main() -> None:
    """Console entry point: what a user can mend (``ValueError``, ``OSError``) is a line, not a traceback."""
    quieten()
    share_processors()
    atexit.register(leave)
    try:
        build_app()()
    except (ValueError, OSError, ImportError) as error:
        Screen(stderr=True).print(f"error: {error}", style="red")
        tell_plugins(error)
        sys.exit(1)
    except SystemExit as end:
        if stopped_in_silence(end):
            Screen(stderr=True).print("stopped: what was saved before, if anything, is kept")
        raise
    except Exception as error:
        if another_ended(error):
            Screen(stderr=True).print("another process of this training has ended: what it said tells why")
            sys.exit(1)
        tell_plugins(error)
        raise


def leave() -> None:
    """End sooner: a process that has loaded torch takes a second to search what it still holds for cycles.

    Not where DuckDB is loaded: its binding calls what is still there at the end a leak, in fifty lines.
    """
    if "torch" in sys.modules and "duckdb" not in sys.modules:
        gc.freeze()


def another_ended(error: Exception) -> bool:
    """Whether this is how a process learns that another one of its training is gone, be it by a refusal."""
    several = int(os.environ.get("WORLD_SIZE", "1")) > 1
    return several and any(sign in str(error) for sign in PARTED)


def stopped_in_silence(end: BaseException | None) -> bool:
    """Whether Ctrl-C ended a command that says nothing of it: typer makes an exit code of it."""
    while end is not None:
        if type(end) is KeyboardInterrupt:
            return True
        end = end.__cause__ or end.__context__
    return False


def tell_plugins(error: Exception) -> None:
    """Say which other packages' code an error came through, with their versions."""
    for origin, plugins in groupby(involved(error), key=lambda plugin: plugin.origin):
        if origin not in str(error):
            Screen(stderr=True).print(f"this came through another package: {', '.join(map(str, plugins))}")


if __name__ == "__main__":
    main()
