"""``nn.MultiheadAttention`` with its projections as layers, so that adapters reach them.

Shape legend: B batch, L tokens, W width, H heads.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from open_clip.transformer import ResidualAttentionBlock
from torch import nn
from torch.nn import functional as F

if TYPE_CHECKING:
    from jaxtyping import Float
    from torch import Tensor


class OpenAttention(nn.Module):
    """Self-attention as the module computes it that it is made of, with layers that are called.

    PEFT has a LoRA of its own for ``nn.MultiheadAttention``, which reads its weights without calling a layer:
    it merges into them before each forward and takes that off again. Frozen weights then drift by rounding,
    and there is no dropout and no DoRA. Two plain layers have none of that.

    Args:
        attention: Of one width for queries, keys and values; its parameters are shared.
    """

    def __init__(self, attention: nn.MultiheadAttention) -> None:
        super().__init__()
        self.in_proj = _linear(attention.in_proj_weight, attention.in_proj_bias)
        self.out_proj = _linear(attention.out_proj.weight, attention.out_proj.bias)
        self.num_heads = attention.num_heads
        self.dropout = attention.dropout
        self.batch_first = attention.batch_first

    def forward(
        self,
        query: Float[Tensor, "B L W"],
        key: Float[Tensor, "B L W"],
        value: Float[Tensor, "B L W"],
        *,
        need_weights: bool = False,
        attn_mask: Float[Tensor, ...] | None = None,
    ) -> tuple[Float[Tensor, "B L W"], None]:
        """Attend; as ``nn.MultiheadAttention`` returns it, without weights.

        Args:
            query: Tokens; ``[L, B, W]`` where the module was not ``batch_first``.
            key: The same tensor.
            value: The same tensor.
            need_weights: Must be False.
            attn_mask: Added to the scores; ``[L, L]``, or one for each text and head, ``[B * H, L, L]``.

        Raises:
            ValueError: It is asked for what it does not do.
        """
        if need_weights or key is not query or value is not query:
            raise ValueError("OpenAttention attends from tokens to themselves, without weights")
        x = query if self.batch_first else query.transpose(0, 1)
        q, k, v = (self._split(part) for part in self.in_proj(x).chunk(3, dim=-1))
        mask = None if attn_mask is None else attn_mask.to(q.dtype)
        if mask is not None and mask.ndim == 3:
            mask = mask.unflatten(0, q.shape[:2])
        dropout = self.dropout if self.training else 0.0
        heads = F.scaled_dot_product_attention(q, k, v, attn_mask=mask, dropout_p=dropout)
        out = self.out_proj(heads.transpose(1, 2).flatten(2))
        return out if self.batch_first else out.transpose(0, 1), None

    def _split(self, x: Float[Tensor, "B L W"]) -> Float[Tensor, "B H L V"]:
        return x.unflatten(-1, (self.num_heads, -1)).transpose(1, 2)


def open_attention(model: nn.Module) -> None:
    """Open the attention of open_clip's blocks that is trained; what they compute stays."""
    for block in model.modules():
        if isinstance(block, ResidualAttentionBlock) and isinstance(block.attn, nn.MultiheadAttention):
            attention = block.attn
            if attention._qkv_same_embed_dim and attention.in_proj_weight.requires_grad:
                block.attn = OpenAttention(attention)


def closed_name(name: str, opened: set[str]) -> str:
    """Name of a tensor as the stock module has it; ``opened`` names the modules that were opened."""
    module, _, last = name.rpartition(".in_proj.")
    return f"{module}.in_proj_{last}" if module in opened else name


def _linear(weight: nn.Parameter, bias: nn.Parameter | None) -> nn.Linear:
    # on no device: its own weights would draw random numbers, only to be replaced
    layer = nn.Linear(weight.shape[1], weight.shape[0], bias=bias is not None, device="meta")
    layer.weight, layer.bias = weight, bias
    return layer
