"""Transformers over sets: no positions, so that the order of the elements does not matter.

Shape legend: M sets, K elements, W width.
"""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from torch import nn

from knowclip.console.quiet import quiet_transformers

if TYPE_CHECKING:
    from jaxtyping import Bool, Float
    from torch import Tensor

HEAD_WIDTH = 64
"""As in CLIP and BERT; a narrower transformer has one head."""


class SetTransformer(nn.Module):
    """A pre-norm Transformer with random weights, GELU, four times the width inside, heads of width 64."""

    def __init__(self, width: int, *, layers: int) -> None:
        super().__init__()
        layer = nn.TransformerEncoderLayer(
            width,
            max(1, width // HEAD_WIDTH),
            4 * width,
            dropout=0.0,
            activation="gelu",
            batch_first=True,
            norm_first=True,
        )
        # torch has no nested tensors for norm_first: left on, it says so in a warning
        self.layers = nn.TransformerEncoder(
            layer, layers, norm=nn.LayerNorm(width), enable_nested_tensor=False
        )
        for block in self.layers.layers:  # copies of one layer begin as equals
            for parameter in block.parameters():
                if parameter.ndim > 1:
                    nn.init.normal_(parameter, std=width**-0.5)

    def forward(self, elements: Float[Tensor, "M K W"], mask: Bool[Tensor, "M K"]) -> Float[Tensor, "M K W"]:
        """Encode the elements for which ``mask`` is True; what it says of the others means nothing."""
        return self.layers(elements, src_key_padding_mask=~mask)


class BertOverSet(nn.Module):
    """A BERT that reads vectors in place of words, all of them at its first position."""

    def __init__(self, bert: nn.Module, tokenizer: Any) -> None:
        super().__init__()
        self.bert = bert
        self.tokenizer = tokenizer
        self.phrase_ids = partial(_phrase_ids, tokenizer)

    @property
    def words(self) -> nn.Embedding:
        """Its word embeddings."""
        return self.bert.get_input_embeddings()

    def forward(self, elements: Float[Tensor, "M K W"], mask: Bool[Tensor, "M K"]) -> Float[Tensor, "M K W"]:
        """Encode the elements for which ``mask`` is True; what it says of the others means nothing."""
        # one position for all: a set has no order
        positions = torch.zeros(elements.shape[:2], dtype=torch.long, device=elements.device)
        output = self.bert(inputs_embeds=elements, attention_mask=mask.long(), position_ids=positions)
        return output.last_hidden_state


def _phrase_ids(tokenizer: Any, phrase: str) -> list[int]:
    """Token ids of a phrase, without those that mark beginning and end."""
    return tokenizer.encode(phrase, add_special_tokens=False)


def open_bert(folder: Path, *, layers: int) -> BertOverSet:
    """Open the first layers of a BERT from a local folder in transformers' format.

    Args:
        folder: With configuration, tokenizer and weights.
        layers: How many to keep.

    Raises:
        ValueError: If the folder holds no BERT, or one with fewer layers.
    """
    from transformers import AutoConfig, AutoTokenizer, BertModel

    if not (folder / "config.json").is_file():
        raise ValueError(f"{folder} holds no config.json: give the folder of a BERT of transformers")
    config = AutoConfig.from_pretrained(folder, local_files_only=True)
    if config.model_type != "bert" or config.num_hidden_layers < layers:
        raise ValueError(
            f"{folder} holds a {config.model_type!r} of {config.num_hidden_layers} layers: the knowledge "
            f"encoder starts from a 'bert' of at least layers={layers}"
        )
    # set before loading, so that the layers above are never made
    config.num_hidden_layers = layers
    tokenizer = AutoTokenizer.from_pretrained(folder, local_files_only=True)
    with quiet_transformers():
        bert = BertModel.from_pretrained(
            folder, config=config, add_pooling_layer=False, local_files_only=True
        )
    return BertOverSet(bert, tokenizer)
