"""Compile the table of words that knowclip ships: ``python scripts/compile_wordnet.py DICT FACTUAL_CSV``.

DICT is the folder of WordNet 3.0's dict files (Debian: wordnet-base, /usr/share/wordnet). FACTUAL_CSV
is FACTUAL's train.csv (Visual Genome captions with human scene graphs, CC BY 4.0): which things, attributes
and relations people name in pictures, and how often, is counted there. Same files, same bytes.
"""

from __future__ import annotations

import csv
import gzip
import json
import re
import sys
from collections import Counter, defaultdict
from collections.abc import Container, Iterable, Iterator
from pathlib import Path
from typing import Any

OUT = Path(__file__).parents[1] / "src/knowclip/knowledge/words/data/wordnet.json.gz"
FILES = {"noun": "n", "verb": "v", "adjective": "a"}
CONCRETE = {3, 5, 6, 8, 13, 14, 15, 17, 18, 19, 20, 25, 27}
"""lexnames(5WN) of what a picture can show: Tops, animal, artifact, body, food, group, location, object,
person, phenomenon, plant, shape, substance."""
UP = {"noun": ("@", "@i"), "verb": ("@", "*", "$"), "adjective": ("&",)}
"""Pointers to what a word implies; of a verb also entailments and its group, of an adjective its cluster."""
MIN_COUNT = 3
_LEMMA = re.compile(r"[a-z]+(?:[ -][a-z]+)?")
_TRIPLE = re.compile(r"\( ([^()]*) \)")


def main() -> None:
    """Read both sources and write the table."""
    folder, captions = Path(sys.argv[1]), Path(sys.argv[2])
    counted = count(captions)
    table: dict[str, Any] = {part: compile_part(folder, part, counted[part]) for part in FILES}
    lemmas = {part: table[part]["senses"].keys() for part in FILES}
    table["forms"] = {part: dict(exceptions(folder, part, lemmas[part])) for part in ("noun", "verb")}
    for part in FILES:
        frequent = {word: n for word, n in counted[part].items() if n >= MIN_COUNT and word in lemmas[part]}
        table[part]["counts"] = dict(sorted(frequent.items()))
    table["relations"] = {name: n for name, n in sorted(counted["relation"].items()) if n >= MIN_COUNT}
    OUT.parent.mkdir(parents=True, exist_ok=True)
    text = json.dumps(table, separators=(",", ":"), sort_keys=True)
    OUT.write_bytes(gzip.compress(text.encode(), compresslevel=9, mtime=0))
    print(f"{OUT}: {OUT.stat().st_size:,} bytes, " + ", ".join(f"{len(lemmas[p]):,} {p}s" for p in FILES))


def count(path: Path) -> dict[str, Counter[str]]:
    """How often FACTUAL's graphs name each object, attribute, verb and relation."""
    found: dict[str, Counter[str]] = defaultdict(Counter)
    for _, graph in rows(path):
        for fact in _TRIPLE.findall(graph):
            parts = [part.strip() for part in fact.split(" , ")]
            if len(parts) != 3:
                continue
            head, relation, tail = parts
            found["noun"][singular(head)] += 1
            if relation == "is":
                found["adjective"][tail] += 1
                found["verb"][tail.split()[0]] += tail.endswith("ing")
            else:
                found["noun"][singular(tail)] += 1
                found["relation"][relation] += 1
                found["verb"][relation.split()[0]] += 1
    return found


def rows(path: Path) -> Iterator[tuple[str, str]]:
    """Caption and graph of each row."""
    with path.open(encoding="utf-8", newline="") as file:
        for row in csv.DictReader(file):
            yield row["caption"], row["scene_graph"]


def singular(noun: str) -> str:
    """Undo the commonest plurals; what is then no word of WordNet is dropped."""
    for ending, replacement in (("ies", "y"), ("shes", "sh"), ("ches", "ch"), ("xes", "x"), ("ves", "f")):
        if noun.endswith(ending):
            return noun.removesuffix(ending) + replacement
    return noun[:-1] if noun.endswith("s") and not noun.endswith(("ss", "us")) else noun


def compile_part(folder: Path, part: str, counted: Container[str]) -> dict[str, Any]:
    """Senses of each word (commonest first), what each sense implies, and the antonyms of words."""
    name = {"adjective": "adj"}.get(part, part)
    synsets: dict[int, tuple[int, list[str], list[tuple[str, int, int, int]]]] = {}
    for line in lines(folder / f"data.{name}"):
        fields = line.partition(" | ")[0].split()
        size = 2 * int(fields[3], 16)
        words = [re.sub(r"\(.*\)", "", word).replace("_", " ") for word in fields[4 : 4 + size : 2]]
        rest = fields[5 + size :]
        pointers = [
            (s, int(target), int(ends[:2], 16), int(ends[2:], 16))
            for s, target, pos, ends in zip(rest[::4], rest[1::4], rest[2::4], rest[3::4], strict=False)
            if pos in (FILES[part], "s") and len(ends) == 4
        ]
        synsets[int(fields[0])] = int(fields[1]), words, pointers
    senses = dict(read_senses(folder / f"index.{name}", part, counted, synsets))
    kept = closure((s for several in senses.values() for s in several), part, synsets)
    numbers = {synset: number for number, synset in enumerate(sorted(kept))}
    return {
        "senses": {word: [numbers[s] for s in several] for word, several in sorted(senses.items())},
        "up": [[numbers[t] for t in implied(s, part, synsets)] for s in sorted(kept)],
        "antonyms": antonyms(synsets, senses.keys()),
    }


def read_senses(
    path: Path, part: str, counted: Container[str], synsets: Any
) -> Iterator[tuple[str, list[int]]]:
    """Words and the senses that take part: of nouns the concrete ones.

    Names of two words are read where the last one is counted: "hot dog" is no dog.
    """
    for line in lines(path):
        fields = line.split()
        word, found = fields[0].replace("_", " "), [int(s) for s in fields[-int(fields[2]) :]]
        if part == "noun":
            found = [s for s in found if synsets[s][0] in CONCRETE]
        lower = any(word in synsets[s][1] for s in found)
        if lower and _LEMMA.fullmatch(word) and (word.isalpha() or re.split("[ -]", word)[-1] in counted):
            yield word, found[:6]


def implied(synset: int, part: str, synsets: Any) -> list[int]:
    """Hypernyms and the like of a sense."""
    _, _, pointers = synsets[synset]
    return sorted({t for symbol, t, here, there in pointers if symbol in UP[part] and not here and not there})


def closure(start: Iterable[int], part: str, synsets: Any) -> set[int]:
    """Senses and all they imply."""
    waiting, found = list(start), set()
    while waiting:
        synset = waiting.pop()
        if synset not in found:
            found.add(synset)
            waiting += implied(synset, part, synsets)
    return found


def antonyms(synsets: Any, words: Iterable[str]) -> dict[str, list[str]]:
    """Antonyms that WordNet states, word to word."""
    known = set(words)
    found: dict[str, set[str]] = defaultdict(set)
    for _, names, pointers in synsets.values():
        for symbol, target, here, there in pointers:
            if symbol == "!" and here and there:
                pair = names[here - 1], synsets[target][1][there - 1]
                if known.issuperset(pair):
                    found[pair[0]].add(pair[1])
    return {word: sorted(several) for word, several in sorted(found.items())}


def exceptions(folder: Path, part: str, words: Iterable[str]) -> Iterator[tuple[str, str]]:
    """Irregular forms: "men" of "man", "rode" of "ride"."""
    known = set(words)
    for line in (folder / f"{part}.exc").read_text(encoding="ascii").splitlines():
        form, lemma, *_ = line.split(" ")
        if lemma in known and _LEMMA.fullmatch(form):
            yield form, lemma


def lines(path: Path) -> Iterator[str]:
    """Lines of a dict file behind its licence."""
    with path.open(encoding="utf-8") as file:
        yield from (line for line in file if not line.startswith("  "))


if __name__ == "__main__":
    main()
