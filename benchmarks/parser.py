"""Our parser and SceneGraphParser side by side: F1 on a FACTUAL split, and captions a second on one core.

    pip install --no-deps --target /tmp/sng SceneGraphParser tabulate
    OMP_NUM_THREADS=1 PYTHONPATH=/tmp/sng python benchmarks/parser.py FACTUAL/dev.csv

Scores are corpus micro-F1 over tuple sets with spaCy's lemmas on both sides, determiners dropped; exact is
set equality. Times are CPU seconds, the best of ``--rounds`` interleaved rounds in one process, the spaCy
pipeline included, from captions to graphs; the conversion to FACTUAL's scheme is timed apart.

    python benchmarks/parser.py --scenes 1000

scores our graphs, unconverted, on captions of the OpenMoji scenes, whose graphs are exact: told by the
templates that train and validation use, and by those held out for test.
"""

from __future__ import annotations

import argparse
import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from knowclip.knowledge.parsing.factual_graphs import Score, Tuples, lemmatised, read_factual, score
from knowclip.knowledge.parsing.factual_scheme import to_tuples
from knowclip.knowledge.parsing.parsers import parse
from knowclip.knowledge.parsing.spacy_parser import installed_model, phrase_lemmas
from knowclip.knowledge.words.lexicon import COUNTS
from knowclip.types import SceneGraph

if TYPE_CHECKING:
    from knowclip.data.scenes.world import Scene

COLUMNS = ("objects", "attributes", "relations", "f1", "exact")


def theirs_as_tuples(graph: dict[str, Any]) -> Tuples:
    """A graph of SceneGraphParser in FACTUAL's scheme: heads, modifiers but determiners, counts as digits."""
    names = [entity["head"] for entity in graph["entities"]]
    tuples: set[tuple[str, ...]] = {(name,) for name in names}
    for name, entity in zip(names, graph["entities"], strict=True):
        words = [word["span"].lower() for word in entity["modifiers"] if word["dep"] != "det"]
        tuples |= {(name, str(COUNTS.get(word, word))) for word in words}
    for relation in graph["relations"]:
        tuples.add((names[relation["subject"]], relation["relation"], names[relation["object"]]))
    return frozenset(tuple(part.lower() for part in one) for one in tuples)


def ours_as_tuples(graph: SceneGraph) -> Tuples:
    """Our graph as it is."""
    names = [item.name for item in graph.objects]
    return frozenset(
        {(name,) for name in names}
        | {(names[a.object], a.name) for a in graph.attributes}
        | {(names[r.subject], r.name, names[r.object]) for r in graph.relations}
    )


def scene_tuples(scene: Scene) -> Tuples:
    """What the caption of a scene says."""
    wording, relation = scene.wording, scene.relation
    third = relation.third or ""
    verb = third[: -2 if third.endswith(("shes", "ches", "sses")) else -1]
    name = relation.preposition or verb
    tuples: set[tuple[str, ...]] = {(scene.actor.noun, name, scene.patient.noun)}
    for thing, role, coloured in zip((scene.actor, scene.patient), "ab", wording.says_colours, strict=True):
        sized = wording.says_sizes and any(f"{{{key}}}" in wording.template for key in (role, f"the_{role}"))
        said = (thing.colour if coloured else None, thing.size if sized else None)
        tuples |= {(thing.noun,), *((thing.noun, word) for word in said if word)}
    for further in scene.further:
        thing = further.thing
        tuples |= {(thing.noun,), (thing.noun, thing.colour)}
        tuples.add((scene.pair[further.member].noun, further.relation, thing.noun))
    return frozenset(tuples)


def score_scenes(number: int) -> None:
    """Print our scores on test scenes by whether their template is held out."""
    from knowclip.data.scenes.wording import held_out_templates
    from knowclip.data.scenes.world import draw_scenes

    found: dict[str, Score] = {}
    scenes = draw_scenes("test", number, 0)
    for name, held in (("templates of train", False), ("held-out templates", True)):
        chosen = [scene for scene in scenes if (scene.wording.template in held_out_templates()) == held]
        graphs = [ours_as_tuples(graph) for graph in parse(scene.caption for scene in chosen)]
        found[f"{name} ({len(chosen)})"] = score(graphs, [scene_tuples(scene) for scene in chosen])
    show_scores(found)


def fastest(works: dict[str, Callable[[], Any]], rounds: int) -> dict[str, float]:
    """Best CPU seconds of each work, taken in turns."""
    times: dict[str, list[float]] = {name: [] for name in works}
    for _ in range(rounds):
        for name, work in works.items():
            start = time.process_time()
            work()
            times[name].append(time.process_time() - start)
    return {name: min(found) for name, found in times.items()}


def show_scores(scores: dict[str, Score]) -> None:
    """Print a table, a parser a row."""
    print(
        f"{'':26}" + "".join(f"{name:>12}" for name in ("objects", "attributes", "relations", "all", "exact"))
    )
    for name, found in scores.items():
        print(f"{name:26}" + "".join(f"{getattr(found, column):12.3f}" for column in COLUMNS))


def compare(path: Path, rounds: int, limit: int | None) -> None:
    """Print both parsers' scores on a FACTUAL split, and their throughput."""
    import sng_parser
    import spacy

    rows = list(read_factual(path))[:limit]
    captions = [row.caption for row in rows]
    parser = sng_parser.Parser("spacy", model=installed_model())
    bare = spacy.load(installed_model())

    ours = list(parse(captions))
    theirs = [parser.parse(caption) for caption in captions]
    converted = [to_tuples(graph, caption) for graph, caption in zip(ours, captions, strict=True)]
    sets = lemmatised(
        [*converted, *map(theirs_as_tuples, theirs), *(row.tuples for row in rows)], phrase_lemmas
    )
    n = len(rows)
    gold = sets[2 * n :]
    show_scores({"knowclip": score(sets[:n], gold), "SceneGraphParser": score(sets[n : 2 * n], gold)})

    times = fastest(
        {
            "knowclip": lambda: list(parse(captions)),
            "SceneGraphParser": lambda: [parser.parse(caption) for caption in captions],
            "bare spaCy, batched": lambda: list(bare.pipe(captions, batch_size=256)),
            "conversion alone": lambda: [to_tuples(g, c) for g, c in zip(ours, captions, strict=True)],
        },
        rounds,
    )
    print(f"\n{n} captions, best of {rounds}, captions/s on one core")
    for name, best in times.items():
        print(f"{name:22}{n / best:10.0f}")
    print(f"\nknowclip / SceneGraphParser = {times['SceneGraphParser'] / times['knowclip']:.1f}")


def main() -> None:
    """The command."""
    options = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    options.add_argument("factual", type=Path, nargs="?", help="a FACTUAL split")
    options.add_argument("--scenes", type=int, help="score on so many scenes instead")
    options.add_argument("--rounds", type=int, default=3)
    options.add_argument("--limit", type=int, help="first captions only")
    args = options.parse_args()
    if args.scenes:
        return score_scenes(args.scenes)
    if args.factual is None or os.environ.get("OMP_NUM_THREADS") != "1":
        raise SystemExit(
            "give a FACTUAL split, and set OMP_NUM_THREADS=1: the throughput is that of one core"
        )
    compare(args.factual, args.rounds, args.limit)


if __name__ == "__main__":
    main()
