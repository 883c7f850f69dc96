"""Any causal language model as a blind reader of captions: the likelier text wins."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray


class CausalLanguageModel:
    """Log-probability of texts under a causal language model of transformers.

    Args:
        name: folder, or name on the hub.
        batch_size: texts per forward pass.
        device: where to put it.

    Raises:
        ValueError: it cannot be loaded, or has no token to start a text with.
    """

    def __init__(self, name: str, *, batch_size: int = 32, device: str | None = None) -> None:
        import torch
        from transformers import AutoModelForCausalLM, AutoTokenizer

        try:
            self.tokenizer = AutoTokenizer.from_pretrained(name)
            self.model = AutoModelForCausalLM.from_pretrained(name, dtype=torch.float32)
        except (OSError, ValueError, KeyError) as error:
            raise ValueError(f"{name} is no causal language model of transformers: {error}") from error
        self.model.train(False).to(torch.device(device or "cpu"))
        self.batch_size = batch_size
        start = self.tokenizer.bos_token_id
        self.start = start if start is not None else self.tokenizer.eos_token_id
        if self.start is None:
            raise ValueError(
                f"{name}: its tokenizer has neither a begin nor an end of text to start a text with"
            )

    def __call__(self, texts: Sequence[str]) -> NDArray[np.float64]:
        """Summed log-probability of the tokens of each text after a start token, ``[n]``, in nats.

        Blanks at the ends are no part of a text: a tokenizer makes a token of them, which costs some 8 nats.
        """
        ids = [self._ids(text) for text in texts]
        order = np.argsort([len(row) for row in ids], kind="stable")  # like lengths together
        scores = np.empty(len(texts))
        for first in range(0, len(order), self.batch_size):
            rows = order[first : first + self.batch_size]
            scores[rows] = self._score([ids[row] for row in rows])
        return scores

    def _ids(self, text: str) -> list[int]:
        return [self.start, *self.tokenizer(text.strip(), add_special_tokens=False).input_ids]

    def _score(self, rows: list[list[int]]) -> Any:
        import torch

        device = self.model.device
        lengths = torch.tensor([len(row) for row in rows], device=device)
        # any id will do for padding: the mask leaves it out of attention and of the sum
        padded = torch.full((len(rows), int(lengths.max())), self.start, device=device)
        for number, row in enumerate(rows):
            padded[number, : len(row)] = torch.tensor(row, device=device)
        real = torch.arange(padded.shape[1], device=device) < lengths[:, None]
        with torch.inference_mode():
            logits = self.model(input_ids=padded, attention_mask=real.long()).logits[:, :-1].float()
        gathered = logits.log_softmax(dim=-1).gather(2, padded[:, 1:, None]).squeeze(2)
        return (gathered * real[:, 1:]).sum(dim=1).cpu().double().numpy()
