"""The frozen model of K7, and whether a model can be one: it is given what is prepared for another."""

from __future__ import annotations

from copy import deepcopy
from typing import TYPE_CHECKING, Any

import torch
from open_clip.tokenizer import HFTokenizer

from knowclip.data.images.decoding import fingerprint, probe_image
from knowclip.methods.terms import encoded
from knowclip.models.clip import DualEncoder
from knowclip.types import Batch, Phrases

if TYPE_CHECKING:
    from jaxtyping import Float, Int
    from torch import Tensor


_REMEMBERED = 50_000
"""Phrases whose embeddings are kept: at a width of 512, 100 MB."""


class Teacher:
    """A frozen model that is no part of the method's parameters, nor of its checkpoints.

    Args:
        model: Copied, so the original may be trained.
    """

    def __init__(self, model: DualEncoder) -> None:
        self.model = deepcopy(model).requires_grad_(False).eval()
        self._phrases: dict[int, Tensor] = {}

    def __deepcopy__(self, memo: dict[int, Any]) -> Teacher:
        """Itself: copies of a method may share what is frozen."""
        return self

    def __call__(self, batch: Batch) -> dict[str, Tensor]:
        """Its features of the pairs, and its temperature."""
        return {
            "teacher_image_features": self.images(batch),
            "teacher_text_features": self.texts(batch.texts),
            "teacher_logit_scale": self.logit_scale,
        }

    @torch.no_grad()
    def images(self, batch: Batch) -> Float[Tensor, "B E"]:
        """Its embeddings of the images, L2-normalised."""
        if batch.images is not None:
            return self.of_pixels(batch.images)
        return self.model.encode_trunk(batch.trunk_features, normalize=True).float()

    @torch.no_grad()
    def of_pixels(self, images: Float[Tensor, "B 3 H W"]) -> Float[Tensor, "B E"]:
        """Its embeddings of images that are prepared already, L2-normalised."""
        return self.model.encode_image(images, normalize=True).float()

    @torch.no_grad()
    def texts(self, tokens: Int[Tensor, "M L"]) -> Float[Tensor, "M E"]:
        """Its embeddings of texts, L2-normalised."""
        return encoded(self.model, tokens)

    @torch.no_grad()
    def phrases(self, phrases: Phrases) -> Float[Tensor, "O E"]:
        """Its embeddings of phrases, L2-normalised: captions name the same ones again, so they are kept.

        Each is encoded by itself, so that its last bits do not hang on those that it first came with: a run
        that was resumed, and kept others, learns the same.
        """
        found = []
        for row, key in enumerate(phrases.ids.tolist()):
            if key not in self._phrases:
                self._phrases[key] = self.texts(phrases.texts[row : row + 1])[0]
            found.append(self._phrases[key])
        while len(self._phrases) > _REMEMBERED:
            del self._phrases[next(iter(self._phrases))]
        return torch.stack(found) if found else self.texts(phrases.texts)

    @property
    def logit_scale(self) -> Float[Tensor, ""]:
        """``1 / tau``."""
        return self.model.logit_scale.detach().exp()


@torch.no_grad()
def different_inputs(one: DualEncoder, other: DualEncoder, *, cache: str) -> str | None:
    """What keeps a model from reading batches made for another, told by what both make of probes.

    Returns:
        In words; None: token ids, pixels and, with ``cache`` "trunk", trunk features mean the same to both.
    """
    if not all(torch.equal(one.tokenize(texts), other.tokenize(texts)) for texts in probe_texts(other)):
        return "tokenizer or context length"
    if fingerprint(one.preprocess) != fingerprint(other.preprocess):
        return "image preprocessing"
    if cache == "trunk" and not torch.equal(*(m.trunk_features(probe_image()) for m in (one, other))):
        return "image trunk (with data.cache=pixels or none it may)"
    return None


def probe_texts(model: DualEncoder) -> list[list[str]]:
    """Texts by which a tokenizer is recognised: one short, one beyond any context, words of its own."""
    texts = [["A photo of 2 cafés; the dog's ball?"], ["dog " * 1000]]
    if isinstance(model.tokenizer, HFTokenizer):  # a word-level one knows nothing but its own words
        words = sorted(model.tokenizer.tokenizer.get_vocab())
        texts.append(words[:: len(words) // 1000 + 1])
    return texts
