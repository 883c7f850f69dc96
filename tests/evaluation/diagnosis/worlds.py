"""Questions about a made-up world, and encoders of it whose towers bind, or see bags of words."""

from __future__ import annotations

from itertools import product
from pathlib import Path
from random import Random

import torch

from knowclip.evaluation.diagnosis.questions import Question, Questions, about_attributes, prepare
from knowclip.types import ImageRef

NOUNS, COLOURS = ("cat", "dog", "horse", "frog", "owl", "crab"), ("red", "blue", "green", "grey")
PAIRS = {pair: number for number, pair in enumerate(product(NOUNS, COLOURS))}
WIDTH = len(PAIRS)


def questions(number: int, *, seed: int) -> list[Question]:
    """Every question stands beside its twin, of which caption and swap are exchanged."""
    random, made = Random(seed), []
    for index in range(number // 2):
        nouns, colours = tuple(random.sample(NOUNS, 2)), tuple(random.sample(COLOURS, 2))
        for twin, values in enumerate((colours, colours[::-1])):
            true, false = (f"a {v[0]} {nouns[0]} and a {v[1]} {nouns[1]}" for v in (values, values[::-1]))
            name = f"{seed}-{index}-{twin}"
            image = ImageRef(Path(true))
            made.append(about_attributes(name, image, name, (true, false), nouns, values))
    return made


def asked(fit: int = 600, test: int = 200) -> Questions:
    return prepare("attributes", questions(fit, seed=1), questions(test, seed=2))


class Tower:
    """Embeds "a red cat and a blue dog" as its two (noun, colour) pairs, or as its four words."""

    def __init__(self, *, binds: bool, turned: bool = False) -> None:
        self.binds = binds
        random = torch.Generator().manual_seed(int(turned))
        self.turn = (
            torch.linalg.qr(torch.randn(WIDTH, WIDTH, generator=random))[0] if turned else torch.eye(WIDTH)
        )
        self.words = torch.randn(len(NOUNS) + len(COLOURS), WIDTH, generator=random)

    def __call__(self, texts: list[str]) -> torch.Tensor:
        tokens = torch.stack([torch.stack(self.tokens(text)) for text in texts])
        return torch.nn.functional.normalize(tokens.sum(1), dim=1)

    def tokens(self, text: str) -> list[torch.Tensor]:
        _, first, one, _, _, second, other = text.split()
        if self.binds:
            return [self.turn[PAIRS[pair]] for pair in ((one, first), (other, second))]
        vocabulary = (*NOUNS, *COLOURS)
        return [self.words[vocabulary.index(word)] for word in sorted((first, one, second, other))]


class World:
    """A model whose pictures are the captions that are true of them: ``ImageRef(Path(caption))``."""

    def __init__(self, image: Tower, text: Tower) -> None:
        self.image, self.text = image, text

    def encode_image(self, images: list[ImageRef], *, normalize: bool = False) -> torch.Tensor:
        return self.image([str(ref.path) for ref in images])

    def encode_text(self, texts: list[str], *, normalize: bool = False) -> torch.Tensor:
        return self.text(texts)

    def encode_image_tokens(self, images: list[ImageRef]) -> tuple[torch.Tensor, torch.Tensor]:
        tokens = [torch.stack(self.image.tokens(str(ref.path))) for ref in images]
        return self.encode_image(images), torch.stack(tokens)

    def encode_text_tokens(self, texts: list[str]) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        tokens = torch.stack([torch.stack(self.text.tokens(text)) for text in texts])
        return self.encode_text(texts), tokens, torch.ones(tokens.shape[:2], dtype=torch.bool)
