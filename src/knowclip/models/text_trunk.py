"""Outputs of a text tower's locked layers, kept in memory: each distinct text goes through them once.

The text sibling of ``data.cache=trunk``. A text of which the outputs are known takes part in the stock
forward all the same, with its locked layers passed by: nothing of open_clip's or Transformers' is repeated.

Shape legend: B batch, L tokens, W tower width.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import torch
from torch import nn
from torch.nn import functional as F
from torch.nn.utils.rnn import pad_sequence

if TYPE_CHECKING:
    from jaxtyping import Float, Int
    from torch import Tensor

Key = tuple[torch.dtype | None, bytes]
"""Precision, and the token ids that a text needs."""


class TextTrunk:
    """What the locked layers gave for the texts so far.

    Kept as they were computed, so under autocast in its precision; what was computed in another one, or by
    other weights, is computed anew. Locked layers must be in eval mode: dropout would be frozen otherwise.

    Args:
        layers: The locked ones, in their order; what comes before them must be locked too.
        most_bytes: Beyond it texts are computed each time.

    Raises:
        ValueError: There is no layer.
    """

    def __init__(self, layers: Sequence[nn.Module], *, most_bytes: int) -> None:
        if not layers:
            raise ValueError(
                "model.text_cache keeps what locked text layers give, and none is locked: lower "
                "model.unlocked_text_layers, or leave model.text_cache out"
            )
        self.layers = list(layers)
        self.most_bytes = most_bytes
        self.bytes = 0
        self.computed = 0
        """Texts that went through the locked layers."""
        self._known: dict[Key, Float[Tensor, "n W"]] = {}
        self._form: tuple[None, ...] | None = None
        self._weights: tuple[tuple[int, int], ...] = ()

    @contextmanager
    def passed_by(
        self,
        ids: Int[Tensor, "B L"],
        lengths: Int[Tensor, " B"] | None,
        encode: Callable[[Int[Tensor, "X L"]], object],
    ) -> Iterator[None]:
        """Within it, the tower run on ``ids`` skips its locked layers.

        Args:
            ids: Token ids of the texts.
            lengths: Tokens that each text needs; None: all, and any that the tower adds.
            encode: Runs the tower on some of the texts.

        Raises:
            ValueError: The locked layers are in training mode, or hand on more than hidden states.
        """
        if any(layer.training for layer in self.layers):
            raise ValueError("locked layers are passed by in eval mode alone: set it before")
        self._forget_other_weights()
        needed = [None] * len(ids) if lengths is None else lengths.tolist()
        precision, rows = _precision(ids.device), ids.cpu().numpy()
        keys = [(precision, row[:length].tobytes()) for row, length in zip(rows, needed, strict=True)]
        fresh = {key: number for number, key in enumerate(keys) if key not in self._known}
        found = self._computed(ids, needed, fresh, encode) if fresh else {}
        outputs = pad_sequence([found.get(key, self._known.get(key)) for key in keys], batch_first=True)
        outputs = F.pad(outputs, (0, 0, 0, max(ids.shape[1] - outputs.shape[1], 0)))
        first, *between = self.layers
        with self._in_place_of([first], lambda hidden: outputs):
            with self._in_place_of(between, lambda hidden: hidden):
                yield

    def _computed(
        self,
        ids: Int[Tensor, "B L"],
        needed: Sequence[int | None],
        fresh: Mapping[Key, int],
        encode: Callable[[Int[Tensor, "X L"]], object],
    ) -> dict[Key, Float[Tensor, "n W"]]:
        """Run texts through the locked layers, and keep as much as there is room for."""
        numbers = list(fresh.values())
        longest = max((needed[number] or ids.shape[1]) for number in numbers)
        found = {}
        for row, (key, number) in zip(self._run(encode, ids[numbers, :longest]), fresh.items(), strict=True):
            # a copy: a view would keep the whole batch, padding included
            found[key] = row[: needed[number]].clone()
            size = found[key].numel() * found[key].element_size()
            if self.bytes + size <= self.most_bytes:
                self._known[key] = found[key]
                self.bytes += size
        self.computed += len(found)
        return found

    def _run(self, encode: Callable[[Tensor], object], ids: Int[Tensor, "X L"]) -> Float[Tensor, "X n W"]:
        """Stop at the last locked layer: what follows would draw dropout, and be computed for nothing."""

        def stop(layer: nn.Module, given: object, output: Any) -> None:
            raise _ReachedError(output)

        hook = self.layers[-1].register_forward_hook(stop)
        try:
            # not in inference mode: training saves these tensors for its backward pass
            with torch.inference_mode(False), torch.no_grad():
                encode(ids)
        except _ReachedError as reached:
            self._form, hidden = _taken_apart(reached.output)
            return hidden
        finally:
            hook.remove()
        raise ValueError(
            "this text tower does not run the layers that are locked: leave model.text_cache out"
        )

    def _forget_other_weights(self) -> None:
        weights = tuple((p.data_ptr(), p._version) for layer in self.layers for p in layer.parameters())
        if weights != self._weights:
            self._weights, self._known, self.bytes = weights, {}, 0

    @contextmanager
    def _in_place_of(self, layers: Sequence[nn.Module], answer: Callable[[Tensor], Tensor]) -> Iterator[None]:
        """Within it, ``answer`` stands for the forward of each layer, whose output keeps its form."""

        def forward(hidden: Tensor, *others: object, **options: object) -> object:
            return answer(hidden) if self._form is None else (answer(hidden), *self._form)

        for layer in layers:
            layer.forward = forward
        try:
            yield
        finally:
            for layer in layers:
                del layer.forward  # the class's own shows again


class _ReachedError(Exception):
    def __init__(self, output: Any) -> None:
        self.output = output


def _taken_apart(output: Any) -> tuple[tuple[None, ...] | None, Tensor]:
    """The form of what a layer hands on, None for a bare tensor, and the hidden states in it.

    Raises:
        ValueError: It hands on something else too, as T5's position bias.
    """
    if isinstance(output, torch.Tensor):
        return None, output
    if isinstance(output, tuple) and all(more is None for more in output[1:]):
        return output[1:], output[0]
    raise ValueError(
        "the layers of this text tower hand on more than hidden states, which model.text_cache would lose: "
        "leave it out"
    )


def _precision(device: torch.device) -> torch.dtype | None:
    """The dtype of autocast, None without."""
    return torch.get_autocast_dtype(device.type) if torch.is_autocast_enabled(device.type) else None
