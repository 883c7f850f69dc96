"""Damage at any place of any file: an import, or an error that names the file; never anything else."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from knowclip.knowledge.readers.registry import import_graph

WEIGHT = json.dumps({"dataset": "/d/test", "weight": 1.0})
BOX = {"x": 1, "y": 2, "w": 3, "h": 4}
MAN, HAT = {"object_id": 1, "name": "man", **BOX}, {"object_id": 2, "names": ["hat"], **BOX}
FILES: dict[str, tuple[str, dict[str, str]]] = {
    "conceptnet": ("conceptnet", {"a.csv": f"/a/x\t/r/IsA\t/c/en/dog\t/c/en/animal\t{WEIGHT}\n" * 3}),
    "cn100k": ("cn100k", {"train.txt": "AtLocation\tferret\tpet store\t2.0\nIsA\tcat\tpet\t1\n"}),
    "tsv": ("triples", {"a.tsv": "a\tr\tb\nc\tr\td\n"}),
    "csv": ("triples", {"a.csv": 'head,relation,tail,weight\na,r,"b, c",1\nc,r,d,2\n'}),
    "wordnet": (
        "wordnet",
        {"data.noun": "00000010 05 n 01 dog 0 001 @ 00000020 n 0000 | pet\n00000020 05 n 01 pet 0 000 | x\n"},
    ),
    "visual-genome": (
        "visual-genome",
        {
            "relationships.json": json.dumps(
                [{"image_id": 5, "relationships": [{"predicate": "wears", "subject": MAN, "object": HAT}]}]
            ),
            "attributes.json": json.dumps([{"image_id": 5, "attributes": [{**MAN, "attributes": ["old"]}]}]),
        },
    ),
    "visualsem": (
        "visualsem",
        {
            "nodes.v2.json": json.dumps({"bn:1n": {"ms": "dog", "ims": []}, "bn:2n": {"ms": "pet"}}),
            "tuples.v2.json": json.dumps({"bn:2n": [{"s": "bn:1n", "r": "is-a"}]}),
            "nodes.glosses.json": json.dumps([{"available_languages": ["en"]}, {"bn:1n": {"en": ["x"]}}]),
        },
    ),
}
FOLDERS = ("wordnet", "visual-genome", "visualsem")


@pytest.mark.parametrize("kind", FILES)
@settings(max_examples=12, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_damage_anywhere(tmp_path_factory: Any, kind: str, data: st.DataObject) -> None:
    reader, files = FILES[kind]
    folder = tmp_path_factory.mktemp("fuzz")
    damaged = data.draw(st.sampled_from(sorted(files)))
    for name, text in files.items():
        content = text.encode()
        if name == damaged:
            at, length = data.draw(st.integers(0, len(content))), data.draw(st.integers(0, 8))
            content = content[:at] + data.draw(st.binary(max_size=6)) + content[at + length :]
            content = content[: data.draw(st.sampled_from([len(content), len(content) // 2]))]
        (folder / name).write_bytes(content)
    try:
        graph = import_graph(reader, folder if reader in FOLDERS else folder / damaged, folder / "graph")
    except ValueError as error:
        assert damaged in str(error) or "no triplet left" in str(error)
        assert not (folder / "graph").exists()
    else:
        assert graph.counts["triplets"] >= 1
