"""WordNet's dict files: ``data.noun``, ``data.verb``, ``data.adj``, ``data.adv`` (Debian: wordnet-base).

Format: wndb(5WN). Pointers between words, such as antonyms, are lifted to their synsets, as WN18 does.
"""

from __future__ import annotations

import re
from pathlib import Path

from knowclip.knowledge.graph.staging import GraphBuilder
from knowclip.knowledge.graph.store import Source
from knowclip.knowledge.readers.conceptnet import concept
from knowclip.storage.text_files import is_utf8, open_text

SOURCE = Source("wordnet", "WordNet licence", "https://wordnet.princeton.edu")

POINTERS = {
    "@": ("hypernym", "is a kind of"), "@i": ("instance_hypernym", "is an instance of"),
    "#m": ("member_holonym", "is a member of"), "#s": ("substance_holonym", "is a substance of"),
    "#p": ("part_holonym", "is a part of"), "!": ("antonym", "is the opposite of"),
    "=": ("attribute", "is an attribute of"), "+": ("derivation", "is derivationally related to"),
    ";c": ("topic", "belongs to the topic"), ";r": ("region", "is used in the region"),
    ";u": ("usage", "is used as"), "*": ("entailment", "entails"), ">": ("cause", "causes"),
    "^": ("also_see", "is related to"), "$": ("verb_group", "is in the same group as"),
    "&": ("similar_to", "is similar to"), "<": ("participle", "is the participle of"),
    "\\": ("pertainym", "pertains to"),
}  # fmt: skip
INVERSE = {
    "~": ("hyponym", "has the kind"), "~i": ("instance_hyponym", "has the instance"),
    "%m": ("member_meronym", "has the member"), "%s": ("substance_meronym", "has the substance"),
    "%p": ("part_meronym", "has the part"), "-c": ("topic_member", "is the topic of"),
    "-r": ("region_member", "is the region of"), "-u": ("usage_member", "is the usage of"),
}  # fmt: skip
"""Pointers that state again, the other way round, what one of ``POINTERS`` states."""
SYMMETRIC = frozenset(("!", "=", "+", "$", "&"))

FILES = {"noun": "n", "verb": "v", "adj": "a", "adv": "r"}
_MARKER = re.compile(r"\((a|p|ip)\)$")


def read_wordnet(
    path: Path, build: GraphBuilder, *, inverses: bool = False, glosses: bool = False, names: bool = False
) -> Source:
    """Read WordNet's dict folder; a synset's text is its first word.

    Args:
        path: The folder (``/usr/share/wordnet`` on Debian).
        build: What to write to.
        inverses: Also take hyponyms, meronyms and the second statement of symmetric relations. Without them
            each fact is stated once.
        glosses: Append the definition to a synset's text.
        names: Also (word, names, synset), with ConceptNet's URIs for words, which joins the two.
    """
    files = {path / f"data.{part}": pos for part, pos in FILES.items() if (path / f"data.{part}").is_file()}
    if not files:
        raise FileNotFoundError(f"{path}: no data.noun, data.verb, data.adj or data.adv of WordNet")
    for name, text in (*POINTERS.values(), *INVERSE.values(), ("names", "is a name of")):
        build.relation(f"wn:{name}", text)
    for step, (file, pos) in enumerate(files.items()):
        build.report(f"reading {file.name}", step / len(files))
        with open_text(file) as lines:
            for number, line in enumerate(lines, start=1):
                if line.startswith("  ") or not line.strip():
                    continue  # the licence
                build.records += 1
                try:
                    _read_synset(line, pos, build, inverses=inverses, glosses=glosses, names=names)
                except (ValueError, IndexError) as error:
                    build.bad(f"{file}, line {number}", f"not a synset of wndb(5WN) ({error})")
    _drop_unknown(build)
    return SOURCE


def _read_synset(
    line: str, pos: str, build: GraphBuilder, *, inverses: bool, glosses: bool, names: bool
) -> None:
    """``offset file type words [word lex_id]... pointers [symbol offset pos words]... | gloss``."""
    if not is_utf8(line):
        raise ValueError("it is not UTF-8")
    data, bar, gloss = line.partition(" | ")
    fields = data.split()
    word_count = int(fields[3], 16)
    if not bar or len(fields[0]) != 8 or word_count < 1:
        raise ValueError("it is cut off or damaged")
    words = [_MARKER.sub("", word).replace("_", " ") for word in fields[4 : 4 + 2 * word_count : 2]]
    start = 5 + 2 * word_count
    pointer_count = int(fields[start - 1])
    pointers = fields[start : start + 4 * pointer_count]
    if len(pointers) != 4 * pointer_count or not all(map(str.strip, words)):
        raise ValueError("it is cut off or damaged")
    synset = f"wn/{int(fields[0]):08d}-{pos}"
    targets = []
    for symbol, offset, target_pos in zip(pointers[::4], pointers[1::4], pointers[2::4], strict=True):
        if symbol not in POINTERS and symbol not in INVERSE:
            raise ValueError(f"unknown pointer {symbol!r}")
        # satellites ("s") stand in the file of adjectives, and their offsets count there
        targets.append((symbol, f"wn/{int(offset):08d}-{'a' if target_pos == 's' else target_pos}"))
    build.entity(synset, f"{words[0]}: {gloss.strip()}" if glosses else words[0])
    build.described += 1
    build.records += len(targets) + (len(words) if names else 0)
    for symbol, target in targets:
        if not inverses and (symbol in INVERSE or (symbol in SYMMETRIC and target < synset)):
            build.skip("stated the other way round")
        else:
            name = POINTERS[symbol][0] if symbol in POINTERS else INVERSE[symbol][0]
            build.triplet(synset, f"wn:{name}", target)
    for word in words if names else ():
        build.triplet(concept(word), "wn:names", synset)


def _drop_unknown(build: GraphBuilder) -> None:
    """Leave out pointers into a file that is not there, or to a synset that could not be read."""
    build.flush()
    (dropped,) = build.connection.execute(
        """DELETE FROM stage_triplets WHERE starts_with(tail, 'wn/')
           AND tail NOT IN (SELECT id FROM stage_entities)"""
    ).fetchone() or (0,)
    build.skip("pointer to a synset that is not there", dropped)
