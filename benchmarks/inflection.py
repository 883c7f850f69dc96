"""Forms and lemmas of words: ours against lemminflect and inflect, on what captioners wrote.

    pip install --target /tmp/forms lemminflect inflect
    OMP_NUM_THREADS=1 PYTHONPATH=/tmp/forms python benchmarks/inflection.py FLICKR8K FACTUAL/train.csv
    ... --differences                                           # and the words on which they differ

No lemmatiser has a say in the truth: spaCy's tagger counts how often each word is written as NN, NNS, VB (or
VBP), VBZ, VBG and VBN (or VBD). Every word written ``LEAST`` times with the first tag is asked for its form
with the second. Where two systems differ, the one whose form is written at least ``LEAST`` times with that
tag, and ``TIMES`` times as often as the other's, is right; else nobody knows. Printed are distinct words, in
brackets how often they are written.
"""

from __future__ import annotations

import argparse
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable
from itertools import product
from pathlib import Path

from knowclip.knowledge.negatives.caption_editing import inflected, plural, third_person
from knowclip.knowledge.parsing.caption_texts import read_texts
from knowclip.knowledge.parsing.lemmas import Lemmas
from knowclip.knowledge.parsing.spacy_parser import installed_model
from knowclip.knowledge.words import wordnet

LEAST = 3
TIMES = 3
TAGS = {tag: tag for tag in ("NN", "NNS", "VB", "VBZ", "VBG", "VBN")} | {"VBP": "VB", "VBD": "VBN"}
"""spaCy's tag -> the tag it counts as: past tense and participle are one, as our forms have it."""

Written = dict[str, Counter[str]]
"""Tag -> lower-case word -> how often it is written so."""
System = Callable[[str], str | None]


def written(paths: Iterable[Path]) -> Written:
    """Count the words of captions by tag."""
    import spacy

    nlp = spacy.load(installed_model(), exclude=["parser", "ner", "senter", "attribute_ruler", "lemmatizer"])
    found: Written = defaultdict(Counter)
    for path in paths:
        texts = (text.caption for text in read_texts(path, skipped=Counter()))
        for token in (token for doc in nlp.pipe(texts, batch_size=512) for token in doc):
            if token.tag_ in TAGS and token.text.isalpha() and token.text.islower():
                found[TAGS[token.tag_]][token.text] += 1
    return found


def our_forms() -> dict[str, System]:
    """Tag -> our form of a base word."""
    return {
        "NNS": plural,
        "VBZ": third_person,
        "VBG": lambda verb: inflected(verb, like="eating", lemma="eat"),
        "VBN": lambda verb: inflected(verb, like="asked", lemma="ask"),
    }


def our_lemmas() -> dict[str, dict[str, System]]:
    """Part of speech -> the parser's lemmas, and those of the negatives."""
    import spacy

    lemmas = Lemmas(spacy.load(installed_model(), exclude=["parser", "ner", "senter", "attribute_ruler"]))
    return {
        "NOUN": {"parser": lambda w: lemmas(w, "NOUN"), "negatives": lambda w: wordnet.lemma(w, "noun")},
        "VERB": {"parser": lambda w: lemmas(w, "VERB"), "negatives": lambda w: wordnet.lemma(w, "verb")},
    }


def theirs(tag: str) -> dict[str, System]:
    """The libraries that give words this tag, or take it off (``NN`` and ``VB``)."""
    import inflect
    from lemminflect import getInflection, getLemma

    engine = inflect.engine()
    theirs_of_inflect: dict[str, Callable[[str], str | bool]] = {
        "NNS": engine.plural_noun, "NN": engine.singular_noun, "VBG": engine.present_participle,
    }  # fmt: skip
    base = {"NN": "NOUN", "VB": "VERB"}.get(tag)

    def of_lemminflect(word: str) -> str | None:
        return next(iter(getLemma(word, base) if base else getInflection(word, tag)), None)

    found: dict[str, System] = {"lemminflect": of_lemminflect}
    if function := theirs_of_inflect.get(tag):
        found["inflect"] = lambda word: function(word) or None
    return found


def judge(words: Counter[str], truth: Counter[str], our: System, their: System) -> dict[str, list[str]]:
    """Words by verdict: the same form, or whose is the one that people write; one entry a writing."""
    found: dict[str, list[str]] = defaultdict(list)
    for word, times in words.items():
        if times < LEAST:
            continue
        pair = our(word), their(word)
        left, right = (truth[form or ""] for form in pair)
        if pair[0] == pair[1]:
            verdict = "same"
        elif max(left, right) < LEAST or max(left, right) < TIMES * min(left, right):
            verdict = "unknown"
        else:
            verdict = "ours" if left > right else "theirs"
        found[verdict] += [f"{word}: {pair[0]}/{pair[1]}"] * times
    return found


def main() -> None:
    options = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    options.add_argument("captions", nargs="+", type=Path)
    options.add_argument("--differences", action="store_true")
    given = options.parse_args()
    counted = written(given.captions)
    asked = [(("NN" if tag == "NNS" else "VB"), tag, {"ours": form}) for tag, form in our_forms().items()]
    lemmas = our_lemmas()
    asked += [("NNS", "NN", lemmas["NOUN"]), *((tag, "VB", lemmas["VERB"]) for tag in ("VBZ", "VBG", "VBN"))]
    print(f"{'':34}{'same':>14}{'ours right':>14}{'theirs right':>14}{'unknown':>14}")
    for before, after, ours in asked:
        for (mine, our), (library, their) in product(ours.items(), theirs(after).items()):
            found = judge(counted[before], counted[after], our, their)
            cells = [
                f"{len(set(found[v])):,} ({len(found[v]):,})" for v in ("same", "ours", "theirs", "unknown")
            ]
            print(
                f"{f'{before} -> {after}: {mine} / {library}':34}" + "".join(f"{cell:>14}" for cell in cells)
            )
            for verdict in ("ours", "theirs", "unknown") if given.differences else ():
                print(f"    {verdict}: {', '.join(dict.fromkeys(found[verdict]))}")


if __name__ == "__main__":
    main()
