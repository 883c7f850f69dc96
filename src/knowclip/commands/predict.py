"""``knowclip predict MODEL KG HEAD RELATION``: the best tails of a head, in words or as an image."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from knowclip.evaluation.links.prediction import Modality
    from knowclip.evaluation.links.scorers import LinkScorer, View
    from knowclip.knowledge.graph.knowledge_graph import KnowledgeGraph


def command(
    model: Annotated[str, typer.Argument(help="Checkpoint folder or file, open_clip name, hf-hub:name.")],
    graph: Annotated[
        Path, typer.Argument(help="Folder of a graph, whose entities are ranked.", metavar="KG")
    ],
    head: Annotated[str, typer.Argument(help="An image file, an entity's id or text, or any text.")],
    relation: Annotated[str, typer.Argument(help="In words, such as 'used for'.")],
    k: Annotated[int, typer.Option("-k", min=1, help="Tails to show.")] = 10,
    modality: Annotated[str, typer.Option(help="How tails with both are shown: text or image.")] = "text",
    plain: Annotated[bool, typer.Option("--plain", help="Plain CLIP, not the method's own answer.")] = False,
    cache: Annotated[Path | None, typer.Option(help="Folder to keep features in.")] = None,
    device: Annotated[str | None, typer.Option(help="cpu, cuda, cuda:1, mps.")] = None,
    json: Annotated[bool, typer.Option("--json", help="Print JSON instead of a table.")] = False,
) -> None:
    """Rank the graph's entities, but for the head itself, as tails of (HEAD, RELATION, ?).

    A method trained without E2E has not learned to answer; plain CLIP does then, as with --plain.
    """
    from typing import get_args

    from knowclip.preflight import machine as preflight
    from knowclip.preflight.models import check_model
    from knowclip.recipe.selection import Shown

    preflight.one_of("--modality", modality, get_args(Shown))
    preflight.existing(graph, "KG", folder=True)
    check_model(model, device=device)
    from knowclip.api.loaded import load_model
    from knowclip.console.progress import counting, waiting
    from knowclip.console.screen import Screen

    with waiting("reading the graph") as following:
        from knowclip.evaluation.links.prediction import predict_tails, view_of
        from knowclip.knowledge.graph.knowledge_graph import KnowledgeGraph

        opened = KnowledgeGraph(graph)
        asked = _asked(opened, head, relation, modality)  # type: ignore[arg-type]
        views = [view_of(opened, int(entity), modality) for entity in asked.entities]  # type: ignore[arg-type]
        following(f"loading {model}")
        scorers = load_model(model, device=device).link_scorers(cache=cache)
    answers, notes = _answering(scorers, plain=plain)
    for note in (*_unknown_relation(opened, relation), *asked.notes, *notes):  # before minutes of comparing
        Screen(stderr=True).print(note)
    with counting("comparing", total=len(views), unit="tails") as progress:
        best = predict_tails(scorers[answers], asked.head, relation, views, k=k, progress=progress)
    notes = [*_unknown_relation(opened, relation), *asked.notes, *notes]
    if answers == "plain":
        notes.append(_likeness(scorers[answers], asked.head, views, best, k=k))
        Screen(stderr=True).print(notes[-1])
    a = opened.arrays
    tails = [
        {
            "tail": a.entity_id[asked.entities[place]],
            "text": a.entity_text[asked.entities[place]],
            "score": score,
            "known": int(asked.entities[place]) in asked.known,
        }
        for place, score in best
    ]
    _show(head, relation, tails, notes, json=json)


@dataclass(frozen=True)
class _Asked:
    """How the head is shown, the entities to rank, and those of them that the graph knows as tails."""

    head: View
    entities: NDArray[np.integer]
    known: set[int]
    notes: list[str]


def _asked(graph: KnowledgeGraph, head: str, relation: str, modality: Modality) -> _Asked:
    """Find the head in the graph; what is none of its entities is asked as it is, among all of them."""
    import numpy as np

    from knowclip.evaluation.links.prediction import known_tails, view_of
    from knowclip.types import ImageRef

    a = graph.arrays
    entities = np.unique(np.concatenate([a.head, a.tail]))
    if _is_file(head):
        return _Asked(ImageRef(Path(head)), entities, set(), [])
    try:
        number = graph.entity(head)
        given = view_of(graph, number, modality)
    except ValueError:  # no entity, or several of this text: then it is any text
        return _Asked(head, entities, set(), [])
    note = f"the head, {a.entity_id[number]}, is left out of the tails"
    known = known_tails(graph, number, relation)
    return _Asked(given, entities[entities != number], known, [note])


def _answering(scorers: Mapping[str, LinkScorer], *, plain: bool) -> tuple[str, list[str]]:
    """Which scorer answers, and a note where it is another than the method's own."""
    from knowclip.evaluation.links.scorers import TAUGHT

    answering = [name for name, scorer in scorers.items() if scorer.answers("tail", ())]
    if plain:
        return "plain", []
    untaught = "fusion" in scorers and "fusion" not in answering
    notes = [f"plain CLIP answers: fusion did not learn tails ({TAUGHT})"] if untaught else []
    return answering[0], notes


def _likeness(
    scorer: LinkScorer, head: View, views: Sequence[View], best: Sequence[tuple[int, float]], *, k: int
) -> str:
    """How many of the tails the head alone would have given."""
    from knowclip.evaluation.links.prediction import tails_like

    same = len({place for place, _ in best} & tails_like(scorer, head, views, k=k))
    return (
        "plain CLIP ranks by likeness to the words of head and relation: without the relation "
        f"{same} of these {len(best)} tails would be the same"
    )


def _show(
    head: str, relation: str, tails: Sequence[Mapping[str, Any]], notes: Sequence[str], *, json: bool
) -> None:
    """Print the tails, the best first."""
    from rich.table import Table

    from knowclip.console.screen import Screen
    from knowclip.evaluation.tasks.output import to_json

    if json:
        print(to_json({"head": head, "relation": relation, "tails": tails, "notes": notes}))
        return
    table = Table("tail", "text", "cosine", "in the graph", title=f"{head} {relation} ...")
    for tail in tails:
        known = "yes" if tail["known"] else ""
        table.add_row(tail["tail"], tail["text"] or "", f"{tail['score']:.3f}", known)
    Screen().print(table)


def _unknown_relation(graph: KnowledgeGraph, relation: str) -> list[str]:
    """A note where no relation of the graph is in these words, with those it has."""
    texts = sorted({str(graph.arrays.relation_text[i]) for i in range(graph.counts["relations"])})
    if relation in texts:
        return []
    near = get_close_matches(relation, texts, n=1)
    hint = f" did you mean {near[0]!r}?" if near else ""
    shown = ", ".join(map(repr, texts[:8])) + (f" and {len(texts) - 8:,} more" if len(texts) > 8 else "")
    return [f"no relation of the graph is called {relation!r};{hint} it has {shown}"]


def _is_file(head: str) -> bool:
    try:
        return Path(head).is_file()
    except OSError:  # words may be longer than a file's name can be
        return False
