"""Visual entailment in SNLI-VE's files: each hypothesis is entailed, contradicted and left open once.

Against the exact graph of a picture a hypothesis is *entailed* if the graph says it, *contradicted* if the
graph says the opposite of the same things (the other role, another colour or size), and *neutral* if
something it speaks of is not in the picture. Every text has each label equally often, so the hypothesis
alone (which is worth about 66% on SNLI-VE) is worth a third.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from random import Random

from knowclip.data.scenes.facts import things_shown
from knowclip.data.scenes.formats import Drawn, Json

LABELS = ("entailment", "contradiction", "neutral")


@dataclass(slots=True)
class _Claim:
    """A hypothesis, the nouns it speaks of, and the scenes that entail and that contradict it."""

    nouns: tuple[str, ...]
    entailed: list[Drawn] = field(default_factory=list)
    contradicted: list[Drawn] = field(default_factory=list)


def snli_ve(drawn: Sequence[Drawn], random: Random) -> list[Json]:
    """Lines of ``snli_ve_<split>.jsonl``, at most one a scene on average."""
    claims = _claims(drawn)
    by_noun: dict[str, list[Drawn]] = {}
    for scene in drawn:
        for thing in things_shown(scene):
            by_noun.setdefault(thing.noun, []).append(scene)
    triples = []
    for text in sorted(claims):
        claim = claims[text]
        random.shuffle(claim.entailed)
        random.shuffle(claim.contradicted)
        for entailed, contradicted in zip(claim.entailed, claim.contradicted, strict=False):
            if (neutral := _open_to(claim, drawn, by_noun, random)) is not None:
                triples.append((text, (entailed, contradicted, neutral)))
    random.shuffle(triples)
    return [
        _line(number, scene, text, label)
        for number, (text, scenes) in enumerate(triples[: len(drawn) // 3])
        for scene, label in zip(scenes, LABELS, strict=True)
    ]


def _claims(drawn: Sequence[Drawn]) -> dict[str, _Claim]:
    """Every claim on roles, colours and sizes that some scene makes, and who contradicts it."""
    claims: dict[str, _Claim] = {}
    values: dict[tuple[str, str], dict[str, list[Drawn]]] = {}
    for scene in drawn:
        actor, patient, name = scene.scene.actor.noun, scene.scene.patient.noun, scene.scene.relation.name
        for a, b, holds in ((actor, patient, True), (patient, actor, False)):
            claim = claims.setdefault(f"The {a} is {name} the {b}.", _Claim((a, b)))
            (claim.entailed if holds else claim.contradicted).append(scene)
        for thing in things_shown(scene):
            for aspect, value in (("colour", thing.colour), ("size", thing.size)):
                if value:
                    values.setdefault((thing.noun, aspect), {}).setdefault(value, []).append(scene)
    for (noun, _), scenes in values.items():
        for value, entailed in scenes.items():
            others = [scene for other, some in scenes.items() if other != value for scene in some]
            claims[f"The {noun} is {value}."] = _Claim((noun,), list(entailed), others)
    return claims


def _open_to(
    claim: _Claim, drawn: Sequence[Drawn], by_noun: dict[str, list[Drawn]], random: Random
) -> Drawn | None:
    """A scene without one of the claim's things; with the other, where there is one."""
    pool = by_noun[random.choice(claim.nouns)] if len(claim.nouns) > 1 else drawn
    for _ in range(20):
        scene = random.choice(pool)
        if not set(claim.nouns) <= {thing.noun for thing in things_shown(scene)}:
            return scene
    return None


def _line(number: int, drawn: Drawn, hypothesis: str, label: str) -> Json:
    caption = f"{drawn.file_name}#0"
    return {
        "Flickr30K_ID": drawn.file_name.removesuffix(".jpg"),
        "annotator_labels": [label],
        "captionID": caption,
        "gold_label": label,
        "pairID": f"{caption}r{number}{label[0]}",
        "sentence1": drawn.scene.caption,
        "sentence2": hypothesis,
    }
