"""WordNet's lines, field by field: all that the graph holds of them, and what is said of damaged ones."""

from __future__ import annotations

from pathlib import Path

import pytest

from graph_contents import Calls, entities, facts, readings, relations
from knowclip.knowledge.graph.knowledge_graph import KnowledgeGraph
from knowclip.knowledge.graph.store import Source
from knowclip.knowledge.graph.tally import Tally
from knowclip.knowledge.readers.registry import import_graph

PET = "00000020 05 n 01 pet 0 000 | a kept animal"
DOG = "00000010 05 n 01 dog 0 001 @ 00000020 n 0000 | a pet"


def write(folder: Path, **files: list[str]) -> Path:
    folder.mkdir()
    for part, lines in files.items():
        licence = "  1 This software and database"
        (folder / f"data.{part}").write_text("\n".join([licence, *lines, ""]), encoding="latin-1")
    return folder


def read(tmp_path: Path, lines: list[str]) -> KnowledgeGraph:
    return import_graph("wordnet", write(tmp_path / "wn", noun=lines), tmp_path / "g")


def test_all_that_is_asked_for_is_taken(tmp_path: Path) -> None:
    folder = write(
        tmp_path / "wn",
        noun=[DOG, PET],
        verb=["00000030 29 v 01 bark 0 001 @ 00000040 v 0000 02 + 02 00 + 08 01 | say woof",
              "00000040 29 v 01 utter 0 000 01 + 08 00 | say"],
        adj=['00000050 00 a 01 good(p) 0 001 & 00000060 s 0000 | fine; "a good | one"',
             "00000060 00 s 01 fine 0 000 | good"],
    )  # fmt: skip
    calls: Calls = []
    graph = import_graph(
        "wordnet",
        folder,
        tmp_path / "g",
        options={"glosses": True, "names": True, "inverses": True},
        report=lambda *call: calls.append(call),
    )
    dog, pet, bark, utter, good, fine = (
        f"wn/000000{end}" for end in ("10-n", "20-n", "30-v", "40-v", "50-a", "60-a")
    )
    assert facts(graph) == dict.fromkeys(
        [
            (dog, "wn:hypernym", pet), (bark, "wn:hypernym", utter), (good, "wn:similar_to", fine),
            ("/c/en/dog", "wn:names", dog), ("/c/en/pet", "wn:names", pet),
            ("/c/en/bark", "wn:names", bark), ("/c/en/utter", "wn:names", utter),
            ("/c/en/good", "wn:names", good), ("/c/en/fine", "wn:names", fine),
        ],
        1.0,
    )  # fmt: skip
    assert {id: text for id, text in entities(graph).items() if id.startswith("wn/")} == {
        dog: "dog: a pet", pet: "pet: a kept animal", bark: "bark: say woof", utter: "utter: say",
        good: 'good: fine; "a good | one"', fine: "fine: good",
    }  # fmt: skip
    assert relations(graph) == {
        "wn:hypernym": "is a kind of", "wn:similar_to": "is similar to", "wn:names": "is a name of",
    }  # fmt: skip
    assert readings(calls) == [
        ("reading data.noun", 0),
        ("reading data.verb", 1 / 3),
        ("reading data.adj", 2 / 3),
    ]
    assert graph.tally == Tally(read=15, kept=9, described=6)


def test_a_count_of_words_is_hexadecimal(tmp_path: Path) -> None:
    words = " ".join(f"word{number} 0" for number in range(16))
    folder = write(tmp_path / "wn", noun=[f"00000010 05 n 10 {words} 000 | many", PET])
    graph = import_graph("wordnet", folder, tmp_path / "g", options={"names": True})
    named = {head for head, _, tail in facts(graph) if tail == "wn/00000010-n"}
    assert named == {f"/c/en/word{number}" for number in range(16)}
    assert graph.tally == Tally(read=19, kept=17, described=2)


def test_pointers_to_what_is_not_there_are_counted(tmp_path: Path) -> None:
    lost = "00000030 05 n 01 cat 0 002 @ 00000098 n 0000 @ 00000099 n 0000 | x"
    graph = read(tmp_path, [DOG, PET, lost])
    assert graph.sources == (
        Source(
            "wordnet",
            "WordNet licence",
            "https://wordnet.princeton.edu",
            path=str(tmp_path / "wn"),
            skipped={"pointer to a synset that is not there": 2},
        ),
    )


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        ("00000030 05 n 01 caf\xe9 0 000 | x", "it is not UTF-8"),
        ("00000030 05 n 01 cat 0 000", "it is cut off or damaged"),
        ("0000030 05 n 01 cat 0 000 | x", "it is cut off or damaged"),
        ("00000030 05 n 00 000 | x", "it is cut off or damaged"),
        ("00000030 05 n 01 _ 0 000 | x", "it is cut off or damaged"),
        ("00000030 05 n 01 cat 0 002 @ 00000020 n 0000 | x", "it is cut off or damaged"),
        ("00000030 05 n 01 cat 0 001 ? 00000020 n 0000 | x", "unknown pointer '?'"),
    ],
)
def test_a_damaged_line_is_counted_with_what_is_wrong(tmp_path: Path, line: str, reason: str) -> None:
    graph = read(tmp_path, [DOG, line, PET])
    told = f"malformed: not a synset of wndb(5WN) ({reason})"
    assert facts(graph) == {("wn/00000010-n", "wn:hypernym", "wn/00000020-n"): 1.0}
    assert graph.tally == Tally(
        read=4,
        kept=1,
        described=2,
        skipped={told: 1},
        first={told: f"{tmp_path / 'wn' / 'data.noun'}, line 3"},
    )
