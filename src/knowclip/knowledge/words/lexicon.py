"""Closed word classes of English that the parser rules and the negatives consult: facts of the language only.

Nothing here knows a data set or a caption template. Everything is lower case.
"""

from __future__ import annotations


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


ARTICLES = _words("a an the")
POSSESSIVES = _words("his her its their my your our")
PRONOUNS = POSSESSIVES | _words("he she it they him them himself herself itself themselves")
DEFINITE = _words("the this that these those said")
OTHER = _words("another other different second")
"""Modifiers that say the noun is not the one mentioned before."""

DETERMINERS = ARTICLES | _words("this that these those another some any each every several many both all no")
"""Words that open a noun phrase and claim nothing about the object (counts and possessives do)."""

WORN = _words(
    "shirt t-shirt top blouse sweater sweatshirt jacket coat vest hoodie jersey suit tuxedo dress skirt "
    "gown robe costume outfit uniform wetsuit swimsuit bikini snowsuit shorts pants jeans trousers overalls "
    "hat cap helmet hood beanie headband bandana mask goggles glasses sunglasses scarf tie gloves apron "
    "boots shoes sandals sneakers socks clothes clothing gear collar leash harness backpack"
)
"""What is worn, and does nothing but hang on its wearer."""

COUNTS = {
    word: number
    for number, word in enumerate("one two three four five six seven eight nine ten eleven twelve".split(), 1)
}

COLOURS = _words(
    "red blue green yellow purple orange pink brown black white gray grey tan beige gold golden silver "
    "violet teal turquoise maroon navy cyan magenta lime olive crimson blond blonde brunette"
)
SHADES = _words("dark light bright pale deep")
"""Adjectives that refine a colour: "dark green" is one attribute."""

MATERIALS = _words(
    "wooden wood metal metallic brick stone concrete glass plastic leather rubber steel iron marble ceramic "
    "cloth cotton denim wool silk paper cardboard chrome bamboo wicker tin bronze copper clay straw velvet "
    "cement"
)
_SAME = {
    "colour": ("gray grey", "blond blonde", "gold golden"),
    "material": ("wooden wood", "metal metallic"),
    "size": ("big large huge giant enormous great massive oversized", "small little tiny miniature mini"),
    "height": ("tall high", "short low"),
    "width": ("wide broad thick", "narrow thin slim"),
    "age": ("young youthful", "old elderly aged older"),
}
"""Words of one dimension that mean the same."""

VALUES = {
    **{word: ("colour", word) for word in COLOURS},
    **{word: ("material", word) for word in MATERIALS},
    **{word: ("count", str(number)) for word, number in COUNTS.items()},
    **{word: (kind, group) for kind, groups in _SAME.items() for group in groups for word in group.split()},
}
"""Attribute -> its dimension and value: equal values mean the same, different ones exclude each other."""


VAGUE = _words(
    "one other another different same own such several many few fewer less various more most next only main "
    "first second last left right far half"
)
"""Modifiers that claim nothing a picture shows of the object alone."""

RELATIONAL_NOUNS = _words(
    "front top left right back side sides middle center centre edge end bottom corner rear base foot inside "
    "outside foreground background"
)
"""Nouns that make a compound preposition with "of": "in front of", "to the left of", "on the side of"."""

QUANTITY_NOUNS = _words(
    "group pair couple bunch lot lots row set stack pile number herd flock crowd team kind type piece bit "
    "series variety collection line cluster dozen"
)
"""Nouns whose "of" names the object itself: "a group of people" is people."""

PREPOSITIONS = _words(
    "in on at to from by with of for off into onto over under above below behind beside between through "
    "across along around inside outside near against down up toward towards next left right beneath "
    "underneath atop past about after before among amongst amid upon within without out away close via"
)
BEFORE_INFINITIVE = _words("to can could will would may might must should do does did")

PICTURE_NOUNS = _words("picture photo photograph image drawing illustration shot closeup close-up view")
"""Nouns that speak of the image and not of the scene, before "of"."""

PLURAL_ONLY = _words(
    "scissors rapids pants jeans shorts trousers goggles sunglasses binoculars pliers tights overalls clothes"
)

LEXICAL_COMPOUNDS = {
    ("hot", "dog"),
    ("teddy", "bear"),
    ("ice", "cream"),
    ("polar", "bear"),
    ("hot", "air"),
    ("french", "fry"),
    ("french", "fries"),
    ("remote", "control"),
    ("high", "chair"),
    ("grizzly", "bear"),
    ("cell", "phone"),
    ("stuffed", "animal"),
    ("parking", "lot"),
    ("christmas", "tree"),
    ("rolling", "pin"),
    ("washing", "machine"),
    ("swimming", "pool"),
}
"""Adjective or participle and noun that name one thing."""

SYMMETRIC = _words(
    "and with beside by near alongside facing face against touch meet among amongst around kiss hug embrace "
    "join resemble be marry fight wrestle race like versus opposite between"
) | {
    "next to",
    "close to",
    "near to",
    "adjacent to",
    "across from",
    "connect to",
    "talk to",
    "speak to",
    "side of",
    "compete against",
    "shake hand",
}
"""Relations that hold both ways, or may: swapping their ends is no certain change of meaning (S2).

A longer relation that ends in one of these ("stand next to", "on the side of") is symmetric too.
"""

NOT_SWAPPED = _words("of have for as without during than per via into") | {"dress in"}
"""Relations of part, purpose and time, whose ends cannot change places in a readable sentence."""

INVERSE = {
    "to the left of": "to the right of",
    "left of": "right of",
    "above": "below",
    "in front of": "behind",
}
"""Relation -> the relation that says the same with its ends swapped."""

BE = _words("am are is was were be been being 's 're 'm")
PLURAL_OF = {"is": "are", "was": "were", "has": "have", "does": "do", "'s": "'re"}
"""Third person singular -> plural of the verbs that agree irregularly."""

PLURAL_NOUNS = PLURAL_ONLY | _words("people police cattle")
"""Plural nouns that look like their own singular."""

UNCHANGED_PAST = _words("hit cut put let set shut hurt spread read")
"""Verbs whose past is their base form."""

UNCHANGED_PARTICIPLE = _words("come become overcome run")
"""Verbs whose participle, other than their past, is their base form."""

RARE_PASTS = _words("burnt dreamt dove leant learnt leapt pled spelt spilt spoilt wrought")
"""Pasts beside which the regular one is common: "burned", "worked"."""

UNCHANGED_PLURAL = _words(
    "sheep deer reindeer fish salmon moose aircraft watercraft series species clothing luggage"
)

PLURAL_IN_OES = _words(
    "potato tomato hero echo mosquito torpedo tornado volcano veto domino mango buffalo embargo"
)
"""Nouns in -o with -es; others have -s: "photos"."""

HARD_CH = _words("stomach monarch patriarch matriarch eunuch epoch loch")
"""Words in -ch that is said k."""

NO_MEN = _words("human german roman norman ottoman shaman talisman caiman")
"""Nouns in -man that are no compounds of "man"."""

POSTURE_VERBS = _words("park seat stand sit lie lay kneel locate wait pose gather")
"""Verbs after whose participle "by" says where, not who: "parked by the road"."""

RECIPIENT = {
    **dict.fromkeys("feed teach tell ask pay serve".split(), ""),
    **dict.fromkeys(
        "buy make get pour cook bake draw build fetch order find save knit sew fix".split(), "for"
    ),
    **dict.fromkeys(
        "give hand offer show throw bring pass toss read send lend sell award grant kick roll pitch deliver "
        "promise mail deal loan".split(),
        "to",
    ),
}
"""Verb with two objects -> the preposition its first one may have instead: "gives a treat *to* a dog"."""

COPULAS = _words("be look seem appear become feel stay remain turn")
