"""Text towers at the length of the batch instead of the full context length.

In a context of 77 a caption of 12 tokens costs as much as one of 77. Cutting is exact in two families:

- causal towers pooled at EOT (``argmax`` or ``eos`` pooling): nothing after EOT reaches the pooled position;
- Hugging Face towers, which mask their padding.

All others get full length: SigLIP's unmasked towers pooled at the last position, CoCa's appended class token.
open_clip's own forward raises on short input, because it slices neither positions nor mask: here it is done
through the model's submodules.

Shape legend: B batch, L tokens, D embedding width, W tower width.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, NamedTuple

import torch
from open_clip import CLIP
from open_clip.hf_model import HFTextEncoder, MaxPooler
from open_clip.transformer import text_global_pool
from torch import nn
from torch.nn import functional as F

from knowclip.models.text_trunk import TextTrunk

if TYPE_CHECKING:
    from jaxtyping import Bool, Float, Int
    from torch import Tensor


GROUPS = 4
SMALLEST_GROUP = 16
"""Below this many texts a group, a group costs more in calls than it saves in padding."""
WORTHWHILE = 0.8
"""Share of the ungrouped work above which grouping is left alone."""


class TextOutput(NamedTuple):
    """What a text tower says of a batch: pooled, every token, and which tokens are not padding."""

    pooled: Float[Tensor, "B D"]
    tokens: Float[Tensor, "B L W"]
    mask: Bool[Tensor, "B L"]


@dataclass(frozen=True, slots=True)
class LengthRule:
    """Where a tower's texts end, apart from the tower: a process that loads data needs no more of the model.

    ``mark`` says how it is seen: the first ``id``, the first highest id, the first of a tail of ``id``; None:
    every text needs the full length.
    """

    mark: Literal["first", "highest", "padding"] | None
    id: int | None = None

    @classmethod
    def of(cls, model: nn.Module) -> LengthRule:
        """Give the rule of an open_clip model."""
        return cls.of_tower(text_tower(model))

    @classmethod
    def of_tower(cls, tower: nn.Module) -> LengthRule:
        """Give the rule of its text tower."""
        if isinstance(tower, HFTextEncoder):
            padding = None if isinstance(tower.pooler, MaxPooler) else tower.config.pad_token_id
            return cls(None) if padding is None else cls("padding", padding)
        if not _is_causal_at_eot(tower):
            return cls(None)
        return cls("first", _eos_id(tower)) if _pool_type(tower) == "eos" else cls("highest")

    def lengths(self, ids: Int[Tensor, "B L"]) -> Int[Tensor, " B"] | None:
        """Return how many leading tokens each text needs, or None where the tower needs full length."""
        if self.mark is None:
            return None
        if self.mark == "padding":
            positions = torch.arange(1, ids.shape[1] + 1, device=ids.device)
            return ((ids != self.id) * positions).amax(dim=1)
        return ((ids == self.id).int() if self.mark == "first" else ids).argmax(dim=-1) + 1

    def trim(self, ids: Int[Tensor, "B L"]) -> Int[Tensor, "B L"]:
        """Cut ids to the leading columns that give the same embeddings as all of them."""
        lengths = self.lengths(ids)
        return ids if lengths is None else ids[:, : int(lengths.max())]


@dataclass(frozen=True, slots=True)
class TextReader:
    """Texts to ids, cut to what the longest needs, as ``DualEncoder.tokenize`` does; without the model."""

    tokenizer: Callable[[list[str]], Int[Tensor, "B L"]]
    rule: LengthRule

    def __call__(self, texts: list[str]) -> Int[Tensor, "B L"]:
        """Tokenize."""
        return self.rule.trim(self.tokenizer(texts))


def text_tower(model: nn.Module) -> nn.Module:
    """Return the module that holds the text tower: open_clip's ``CLIP`` holds its parts itself."""
    return model if isinstance(model, CLIP) else model.text


def word_embedding(model: nn.Module) -> nn.Embedding:
    """Return the matrix of the text tower's token embeddings."""
    tower = text_tower(model)
    if isinstance(tower, HFTextEncoder):
        return tower.transformer.get_input_embeddings()
    return tower.token_embedding


def encode_grouped(
    model: nn.Module, ids: Int[Tensor, "B L"], *, trunk: TextTrunk | None = None
) -> TextOutput:
    """Encode token ids, texts of like length together where that saves a good part of the work.

    Captions differ in length: cut to the longest of its batch, an average text of the OpenMoji scenes is
    half padding (19 of 40 tokens), one of CN-100K four fifths. The output is that of ``encode_text``, in the
    order of ``ids``; only what tokens say where ``mask`` is False may differ.

    Args:
        model: open_clip's.
        ids: Token ids.
        trunk: Passes by the locked layers for texts that went through them before.
    """
    lengths = LengthRule.of(model).lengths(ids)
    if lengths is None or len(ids) < GROUPS * SMALLEST_GROUP:
        return _encode(model, ids, trunk)
    # by length, so that each chunk is padded to texts of its own kind
    order = lengths.argsort()
    groups = [(rows, int(lengths[rows[-1]])) for rows in order.chunk(GROUPS)]
    if sum(len(rows) * longest for rows, longest in groups) > WORTHWHILE * ids.numel():
        return _encode(model, ids, trunk)
    back, length = order.argsort(), ids.shape[1]
    outputs = [_encode(model, ids[rows, :longest], trunk) for rows, longest in groups]
    pooled = torch.cat([output.pooled for output in outputs])
    tokens = torch.cat([F.pad(o.tokens, (0, 0, 0, length - o.tokens.shape[1])) for o in outputs])
    mask = torch.cat([F.pad(o.mask, (0, length - o.mask.shape[1])) for o in outputs])
    return TextOutput(pooled[back], tokens[back], mask[back])


def _encode(model: nn.Module, ids: Int[Tensor, "B L"], trunk: TextTrunk | None) -> TextOutput:
    if trunk is None or not len(ids):
        return encode_text(model, ids)
    lengths = LengthRule.of(model).lengths(ids)
    with trunk.passed_by(ids, lengths, lambda some: encode_text(model, some)):
        return encode_text(model, ids)


def encode_text(model: nn.Module, ids: Int[Tensor, "B L"]) -> TextOutput:
    """Encode token ids, cut by their ``LengthRule`` or not, as the stock model would at full length.

    Raises:
        ValueError: If the tower needs full length and ``ids`` are shorter.
    """
    tower = text_tower(model)
    if isinstance(tower, HFTextEncoder):
        return _encode_hf(tower, ids)
    if not _is_causal_at_eot(tower) and ids.shape[1] != tower.context_length:
        raise ValueError(
            f"this text tower ({_pool_type(tower)!r} pooling) needs token ids of its full context length "
            f"{tower.context_length}, got {ids.shape[1]}: take them from DualEncoder.tokenize"
        )
    if getattr(tower, "cls_emb", None) is not None:
        output = tower.forward_intermediates(
            ids, indices=1, normalize_intermediates=True, output_fmt="NLC"
        )  # fmt: skip
        return TextOutput(output["text_features"], output["text_intermediates"][-1], ids != tower.pad_id)
    return _encode_transformer(tower, ids)


def _encode_transformer(tower: nn.Module, ids: Int[Tensor, "B L"]) -> TextOutput:
    """Run ``CLIP.encode_text`` / ``TextTransformer.forward`` with positions and causal mask sliced."""
    length = ids.shape[1]
    dtype = tower.transformer.get_cast_dtype()
    x = tower.token_embedding(ids).to(dtype) + tower.positional_embedding[:length].to(dtype)
    attn_mask = None if tower.attn_mask is None else tower.attn_mask[:length, :length]
    tokens = tower.ln_final(tower.transformer(x, attn_mask=attn_mask))
    pooled = text_global_pool(tokens, ids, _pool_type(tower), eos_token_id=_eos_id(tower))
    projection = tower.text_projection
    if isinstance(projection, nn.Linear):
        pooled = projection(pooled)
    elif projection is not None:
        pooled = pooled @ projection
    if _is_causal_at_eot(tower):
        positions = torch.arange(length, device=ids.device)
        mask = positions < LengthRule.of_tower(tower).lengths(ids).unsqueeze(1)
    else:  # an unmasked tower reads and fills every position
        mask = torch.ones_like(ids, dtype=torch.bool)
    return TextOutput(pooled, tokens, mask)


def _encode_hf(tower: HFTextEncoder, ids: Int[Tensor, "B L"]) -> TextOutput:
    mask = ids != tower.config.pad_token_id
    attention_mask = mask.long()
    output = tower.transformer(input_ids=ids, attention_mask=attention_mask)
    pooled = tower.proj(tower.pooler(output, attention_mask))
    return TextOutput(pooled, output.last_hidden_state, mask)


def _is_causal_at_eot(tower: nn.Module) -> bool:
    return (
        tower.attn_mask is not None
        and getattr(tower, "cls_emb", None) is None
        and _pool_type(tower) in ("argmax", "eos")
    )


def _pool_type(tower: nn.Module) -> str:
    return tower.text_pool_type if isinstance(tower, CLIP) else tower.pool_type


def _eos_id(tower: nn.Module) -> int:
    return tower.text_eos_id if isinstance(tower, CLIP) else tower.eos_id
