"""ConceptNet 5.7 assertions, and CN-100K, its cleaned subset of commonsense facts.

Files: ``conceptnet-assertions-5.7.0.csv`` or ``.csv.gz`` (five tab-separated columns without quoting: URI,
relation, head, tail, JSON), and ``train100k.txt`` or ``.txt.gz`` (relation, head, tail, weight).
"""

from __future__ import annotations

from pathlib import Path

from knowclip.console.counts import listed
from knowclip.knowledge.graph.staging import GraphBuilder
from knowclip.knowledge.graph.store import Source, literal
from knowclip.knowledge.readers.tables import MALFORMED, blank, number, read_lines, wordless

ASSERTIONS = Source("conceptnet", "CC BY-SA 4.0", "https://github.com/commonsense/conceptnet5/wiki/Downloads")
CN100K = Source("cn100k", "CC BY-SA 4.0", "https://home.ttic.edu/~kgimpel/commonsense.html")

TEMPLATES = {
    "Antonym": "is the opposite of", "AtLocation": "is located at", "CapableOf": "is capable of",
    "Causes": "causes", "CausesDesire": "causes the desire to", "CreatedBy": "is created by",
    "DefinedAs": "is defined as", "DerivedFrom": "is derived from",
    "DesireOf": "has the desire to", "Desires": "desires",
    "DistinctFrom": "is distinct from", "Entails": "entails",
    "EtymologicallyDerivedFrom": "is etymologically derived from",
    "EtymologicallyRelatedTo": "is etymologically related to", "ExternalURL": "has the address",
    "FormOf": "is a form of", "HasA": "has", "HasContext": "is used in the context of",
    "HasFirstSubevent": "begins with", "HasLastSubevent": "ends with",
    "HasPainCharacter": "has pain character",
    "HasPainIntensity": "has pain intensity",
    "HasPrerequisite": "requires", "HasProperty": "has the property",
    "HasSubevent": "includes", "InheritsFrom": "inherits from", "InstanceOf": "is an instance of",
    "IsA": "is a",
    "LocatedNear": "is located near", "LocationOfAction": "takes place at",
    "MadeOf": "is made of", "MannerOf": "is a manner of", "MotivatedByGoal": "is motivated by the goal",
    "PartOf": "is part of", "ReceivesAction": "can be", "RelatedSize": "is of similar size as",
    "RelatedTo": "is related to", "SimilarTo": "is similar to", "SymbolOf": "is a symbol of",
    "Synonym": "is a synonym of", "UsedFor": "is used for",
    "NotCapableOf": "is not capable of", "NotCauses": "does not cause", "NotDesires": "does not desire",
    "NotHasA": "does not have", "NotHasProperty": "does not have the property", "NotIsA": "is not a",
    "NotMadeOf": "is not made of", "NotUsedFor": "is not used for",
}  # fmt: skip
"""Relation -> the words a text encoder reads. Relations not listed are split at capitals ("field of")."""

URI_COLUMNS = ("uri", "relation", "head", "tail", "info")
CN100K_COLUMNS = ("relation", "head", "tail", "weight")


def read_assertions(
    path: Path,
    build: GraphBuilder,
    *,
    language: str = "en",
    relations: tuple[str, ...] = (),
    negated: bool = False,
    senses: bool = False,
    min_weight: float = 0.0,
) -> Source:
    """Read ConceptNet 5.7 assertions between concepts of one language.

    Args:
        path: ``.csv`` or ``.csv.gz``.
        build: What to write to.
        language: ISO code both ends must have.
        relations: Relations to take, such as ``IsA``; empty takes all.
        negated: Take negated relations (``NotDesires``) too; they stay relations of their own.
        senses: Keep ``/c/en/test/n/wn/act`` apart from ``/c/en/test`` (the default joins them).
        min_weight: Least weight.
    """
    _check_relations(relations)
    term = r"regexp_replace({}, '/$', '')" if senses else "regexp_extract({}, '^/c/[^/]*/[^/]*')"
    weight = "try_cast(regexp_extract(info, '\"weight\": *([0-9.eE+-]+)', 1) AS FLOAT)"
    here = literal(f"/c/{language}/")
    left_out = [
        (MALFORMED, f"relation NOT LIKE '/r/_%' OR {blank('substr(relation, 4)')}"),
        *((MALFORMED, f"NOT ({end} LIKE '/c/_%/_%' OR {end} LIKE 'http%')") for end in ("head", "tail")),
        ("other language", f"NOT starts_with(head, {here}) OR NOT starts_with(tail, {here})"),
        ("relation not asked for", _unwanted("substr(relation, 4)", relations)),
        ("negated relation", "false" if negated else "relation LIKE '/r/Not%'"),
        (MALFORMED, f"{weight} IS NULL OR {wordless('head')} OR {wordless('tail')}"),
        ("weight too low", f"{weight} < {float(min_weight)}"),
    ]
    read_lines(
        path,
        build,
        columns=URI_COLUMNS,
        left_out=left_out,
        triplet=(term.format("head"), "trim(relation)", term.format("tail"), weight),
        expected="/a/[..] /r/Relation /c/lang/head /c/lang/tail {json with a weight}",
        mostly_left_out=True,
    )
    _describe_relations(build)
    return ASSERTIONS


def read_cn100k(
    path: Path, build: GraphBuilder, *, relations: tuple[str, ...] = (), negated: bool = False
) -> Source:
    """Read CN-100K: training triples with weights, or a labelled set of which the true triples are taken.

    Terms get ConceptNet's URIs ("pet store" -> ``/c/en/pet_store``), so that both meet when merged.
    """
    _check_relations(relations)
    weight = number("weight")
    labelled = path.name.startswith(("dev", "test"))  # their fourth column is a label, 0 or 1
    left_out = [
        *((MALFORMED, blank(f"replace({column}, '_', ' ')")) for column in CN100K_COLUMNS[:3]),
        (MALFORMED, f"{weight} IS NULL"),
        ("labelled false", f"{weight} = 0" if labelled else "false"),
        ("relation not asked for", _unwanted("relation", relations)),
        ("negated relation", "false" if negated else "relation LIKE 'Not%'"),
    ]
    uri = "'/c/en/' || replace(lower(trim({0})), ' ', '_')"
    read_lines(
        path,
        build,
        columns=CN100K_COLUMNS,
        left_out=left_out,
        triplet=(uri.format("head"), "'/r/' || trim(relation)", uri.format("tail"), weight),
        expected="Relation, head, tail, weight",
    )
    _describe_relations(build)
    return CN100K


def relation_text(name: str) -> str:
    """``"AtLocation"`` -> ``"is located at"``, the text encoder's input."""
    if name in TEMPLATES:
        return TEMPLATES[name]
    words = "".join(f" {letter.lower()}" if letter.isupper() else letter for letter in name.split("/")[-1])
    return words.replace("_", " ").strip()


def concept(text: str, language: str = "en") -> str:
    """ConceptNet's URI of some words: ``"Hot dog"`` -> ``/c/en/hot_dog``."""
    return f"/c/{language}/{'_'.join(text.lower().replace('/', ' ').split())}"


def concept_sql(words: str) -> str:
    """SQL: what :func:`concept` makes of ``words``, SQL too."""
    return f"'/c/en/' || regexp_replace(trim(lower(replace({words}, '/', ' '))), '\\s+', '_', 'g')"


def _describe_relations(build: GraphBuilder) -> None:
    rows = build.connection.execute("SELECT DISTINCT relation FROM stage_triplets").fetchall()
    for (relation,) in rows:
        build.relation(relation, relation_text(relation.removeprefix("/r/")))


def _check_relations(relations: tuple[str, ...]) -> None:
    unknown = sorted(set(relations) - set(TEMPLATES))
    if unknown:
        raise ValueError(f"ConceptNet has no relations {listed(unknown)}; it has {', '.join(TEMPLATES)}")


def _unwanted(name: str, relations: tuple[str, ...]) -> str:
    return f"{name} NOT IN ({', '.join(map(literal, relations))})" if relations else "false"
