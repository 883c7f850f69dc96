"""The two questions that a ladder asks: whose attribute is which, and who is subject and who object.

Both are one: two holders and two properties, and which holder has which. Of "a red horse and a blue dog" the
holders are horse and dog, the properties red and blue; of "an astronaut rides a horse" the holders are
astronaut and horse, the properties "rides: subject" and "rides: object". The swap gives each the other's.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Literal

from knowclip.types import ImageRef

Kind = Literal["attributes", "roles"]
KINDS: tuple[Kind, ...] = ("attributes", "roles")
Pair = tuple[str, str]
"""A holder and a property."""
BLIND = "the swap is true of no other image, so that text alone could tell"
UNKNOWN = "a noun or property that the probes never learned"
SAME_IMAGE = "an image of the training part"
LEAST_SEEN = 3
"""Questions of the training part that must name a noun or a property before the probes are asked about it."""
MOST_HOLDERS, MOST_PROPERTIES = 1000, 300
"""The commonest that probes learn: bounds their size on photos, whose captions name thousands."""


@dataclass(frozen=True, slots=True)
class Question:
    """An image, its caption, and the caption's swap; ``holders[i]`` has ``properties[i]``.

    ``combination`` is what has to have been seen in training for the question not to be a new one: the four
    (noun, attribute) pairs that caption and swap claim, or the relation with its two nouns in either order.
    """

    key: str
    image: ImageRef
    image_id: str
    caption: str
    swap: str
    holders: Pair
    properties: Pair
    combination: frozenset[tuple[str, ...]]

    @property
    def true(self) -> tuple[Pair, Pair]:
        """What the caption claims."""
        (one, other), (first, second) = self.holders, self.properties
        return (one, first), (other, second)

    @property
    def false(self) -> tuple[Pair, Pair]:
        """What its swap claims."""
        (one, other), (first, second) = self.holders, self.properties
        return (one, second), (other, first)


def about_attributes(
    key: str, image: ImageRef, image_id: str, texts: Pair, nouns: Pair, values: Pair
) -> Question:
    """Whose attribute is which: ``nouns[i]`` has ``values[i]``; ``texts`` are caption and swap."""
    pairs = frozenset((noun, value) for noun in nouns for value in values)
    return Question(key, image, image_id, *texts, nouns, values, pairs)


def about_roles(
    key: str, image: ImageRef, image_id: str, texts: Pair, nouns: Pair, relation: str
) -> Question:
    """Who is subject and who object: ``nouns`` are these two."""
    roles = (f"{relation}: subject", f"{relation}: object")
    told = frozenset([(relation, *sorted(nouns))])
    return Question(key, image, image_id, *texts, nouns, roles, told)


@dataclass(frozen=True)
class Questions:
    """Of one kind: those that probes are fitted on, those that every rung answers, and what was left out."""

    kind: Kind
    fit: list[Question]
    test: list[Question]
    skipped: Counter[str]
    holders: dict[str, int]
    properties: dict[str, int]

    @property
    def new(self) -> list[bool]:
        """Of each test question whether it asks about a combination that no question of ``fit`` names."""
        seen = frozenset().union(*(question.combination for question in self.fit))
        return [not question.combination <= seen for question in self.test]


def prepare(kind: Kind, fit: Sequence[Question], test: Sequence[Question]) -> Questions:
    """Keep the questions that are fair to ask, equal for all rungs; count the others by reason.

    A question is fair if both claims of its swap are true of some other image of its part (else a reader that
    knows what goes with what answers without looking, and probes learn to), if its image is none that the
    probes are fitted on, and if the probes have met its nouns and properties.
    """
    skipped: Counter[str] = Counter()
    trained = {question.image_id for question in fit}
    other = [question for question in test if question.image_id not in trained]
    skipped[SAME_IMAGE] = len(test) - len(other)
    fair_fit, fair_test = _attested(fit), _attested(other)
    skipped[BLIND] = len(other) - len(fair_test)
    holders = _numbered((name for q in fair_fit for name in q.holders), MOST_HOLDERS)
    properties = _numbered((name for q in fair_fit for name in q.properties), MOST_PROPERTIES)

    def known(question: Question) -> bool:
        return all(n in holders for n in question.holders) and all(
            p in properties for p in question.properties
        )

    kept = [question for question in fair_test if known(question)]
    skipped[UNKNOWN] = len(fair_test) - len(kept)
    return Questions(kind, [q for q in fair_fit if known(q)], kept, +skipped, holders, properties)


def _attested(questions: Sequence[Question]) -> list[Question]:
    """Those whose swap claims what is true of other images."""
    images: dict[Pair, set[str]] = {}
    for question in questions:
        for pair in question.true:
            images.setdefault(pair, set()).add(question.image_id)
    return [q for q in questions if all(images.get(pair, set()) - {q.image_id} for pair in q.false)]


def _numbered(names: Iterable[str], most: int) -> dict[str, int]:
    """Number the commonest names, from the most frequent on."""
    common = [name for name, count in Counter(names).most_common(most) if count >= LEAST_SEEN]
    return {name: number for number, name in enumerate(common)}
