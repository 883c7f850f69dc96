"""``knowclip predict MODEL KG HEAD RELATION``: the best tails of a head, in words or as an image."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from knowclip.evaluation.links.scorers import View
    from knowclip.knowledge.graph.knowledge_graph import KnowledgeGraph


def command(
    model: Annotated[str, typer.Argument(help="Checkpoint folder or file, open_clip name, hf-hub:name.")],
    graph: Annotated[Path, typer.Argument(help="Folder of a graph, whose entities are ranked.")],
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
    from contextlib import suppress
    from typing import get_args

    import numpy as np
    from rich.console import Console
    from rich.table import Table

    from knowclip.preflight import machine as preflight
    from knowclip.recipe.selection import Shown

    preflight.one_of("--modality", modality, get_args(Shown))
    preflight.existing(graph, "KG", folder=True)
    preflight.check_model(model, device=device)
    from knowclip.commands.loaded import load_model
    from knowclip.console.progress import waiting
    from knowclip.evaluation.links.prediction import known_tails, predict_tails, tails_like, view_of
    from knowclip.evaluation.links.scorers import TAUGHT
    from knowclip.evaluation.tasks.output import to_json
    from knowclip.knowledge.graph.knowledge_graph import KnowledgeGraph
    from knowclip.types import ImageRef

    opened = KnowledgeGraph(graph)
    a = opened.arrays
    entities = np.unique(np.concatenate([a.head, a.tail]))
    given: View = ImageRef(Path(head)) if _is_file(head) else head
    known: set[int] = set()
    notes = _unknown_relation(opened, relation)
    if isinstance(given, str):
        with suppress(ValueError):  # no entity, or several of this text: then it is any text
            number = opened.entity(head)
            given = view_of(opened, number, modality)  # type: ignore[arg-type]
            known = known_tails(opened, number, relation)
            entities = entities[entities != number]
            notes.append(f"the head, {a.entity_id[number]}, is left out of the tails")
    views = [view_of(opened, int(entity), modality) for entity in entities]  # type: ignore[arg-type]
    with waiting(f"loading {model}"):
        scorers = load_model(model, device=device).link_scorers(cache=cache)
    answering = [name for name, scorer in scorers.items() if scorer.answers("tail", ())]
    if not plain and "fusion" in scorers and "fusion" not in answering:
        notes.append(f"plain CLIP answers: fusion did not learn tails ({TAUGHT})")
    answers = "plain" if plain else answering[0]
    scorer = scorers[answers]
    with waiting(f"comparing {len(views):,} tails"):
        best = predict_tails(scorer, given, relation, views, k=k)
    if answers == "plain":
        same = len({place for place, _ in best} & tails_like(scorer, given, views, k=k))
        notes.append(
            "plain CLIP ranks by likeness to the words of head and relation: without the relation "
            f"{same} of these {len(best)} tails would be the same"
        )
    for note in notes:
        Console(stderr=True, soft_wrap=True).print(note, highlight=False, markup=False)
    tails = [
        {
            "tail": a.entity_id[entities[place]],
            "text": a.entity_text[entities[place]],
            "score": score,
            "known": int(entities[place]) in known,
        }
        for place, score in best
    ]
    if json:
        print(to_json({"head": head, "relation": relation, "tails": tails, "notes": notes}))
        return
    table = Table("tail", "text", "cosine", "in the graph", title=f"{head} {relation} ...")
    for tail in tails:
        table.add_row(
            tail["tail"], tail["text"] or "", f"{tail['score']:.3f}", "yes" if tail["known"] else ""
        )
    Console().print(table)


def _unknown_relation(graph: KnowledgeGraph, relation: str) -> list[str]:
    """A note where no relation of the graph is in these words, with those it has."""
    texts = sorted({str(graph.arrays.relation_text[i]) for i in range(graph.counts["relations"])})
    if relation in texts:
        return []
    shown = ", ".join(map(repr, texts[:8])) + (f" and {len(texts) - 8:,} more" if len(texts) > 8 else "")
    return [f"no relation of the graph is called {relation!r}; it has {shown}"]


def _is_file(head: str) -> bool:
    try:
        return Path(head).is_file()
    except OSError:  # words may be longer than a file's name can be
        return False
