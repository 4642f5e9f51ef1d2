"""The buffers of a batch that is being decoded: its kv cache, and how far each row is.

All have fixed sizes, so that one recorded step serves every token. Knows tensors; nothing of layers.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor


@dataclass(frozen=True, slots=True)
class DecodedRow:
    """What was decoded for one row: token ids without the end token, and the mean log-probability of all of them."""

    tokens: list[int]
    mean_log_probability: float


class DecodeState:
    """Buffers for `rows` texts of at most `positions` tokens, prompt included.

    Attributes:
        keys, values: of each layer, shape (rows, kv heads, positions, head_dim).
        cosine, sine: of the rotary embedding, shape (positions, head_dim).
        position: where the next token stands, shape (1,): so many positions of the cache are filled.
        decode_count: how many tokens each row has got, shape (1,).
        token: the last token of each row; `tokens`: all of them, shape (rows, positions).
        ended: which rows have got their end token.
        count, log_probability: of each row's tokens, the end token included.
        graphs: recorded steps, by how many positions they attend to.
        attention, one_row: kernels, where the device has them.
        tokens_between_looks: how many tokens are decoded before it is looked whether all rows have ended.
    """

    def __init__(self, rows: int, positions: int, *, layers: int, kv_heads: int, head_dim: int, like: Tensor) -> None:
        device = like.device
        self.rows = rows
        shape = (rows, kv_heads, positions, head_dim)
        self.keys = [torch.zeros(shape, dtype=like.dtype, device=device) for _ in range(layers)]
        self.values = [torch.zeros(shape, dtype=like.dtype, device=device) for _ in range(layers)]
        self.cosine = self.sine = torch.empty(0)
        self.position = torch.zeros(1, dtype=torch.long, device=device)
        self.decode_count = torch.zeros(1, dtype=torch.long, device=device)
        self.token = torch.zeros(rows, dtype=torch.long, device=device)
        self.tokens = torch.zeros((rows, positions), dtype=torch.long, device=device)
        self.ended = torch.zeros(rows, dtype=torch.bool, device=device)
        self.count = torch.zeros(rows, dtype=torch.long, device=device)
        self.log_probability = torch.zeros(rows, device=device)
        self.graphs: dict[int, Any] = {}
        self.attention: Any = None
        self.one_row: Any = None
        self.tokens_between_looks = 1

    def choose(self, logits: Tensor, end_token: int) -> None:
        """Take the likeliest token of each row; a row that has ended goes on with end tokens that do not count."""
        best, token = logits.max(dim=-1)
        log_probability = best - logits.logsumexp(dim=-1)
        token = torch.where(self.ended, end_token, token)
        self.log_probability += torch.where(self.ended, 0.0, log_probability)
        self.count += ~self.ended
        self.ended |= token == end_token
        self.tokens.index_copy_(1, self.decode_count, token[:, None])
        self.decode_count += 1
        self.token.copy_(token)

    def reset(self, position: int) -> None:
        """Begin new texts after prompts of `position` tokens."""
        for part in self._progress():
            part.zero_()
        self.position.fill_(position)

    def copy_of_progress(self) -> tuple[Tensor, ...]:
        return tuple(part.clone() for part in self._progress())

    def restore_progress(self, kept: Sequence[Tensor]) -> None:
        for part, old in zip(self._progress(), kept, strict=True):
            part.copy_(old)

    def decoded_rows(self, rows: int, end_token: int) -> list[DecodedRow]:
        """The first `rows` rows."""
        counts = self.count[:rows].tolist()
        means = (self.log_probability / self.count.clamp(min=1))[:rows].tolist()
        tokens = self.tokens[:rows].tolist()
        return [
            DecodedRow([token for token in row[:count] if token != end_token], mean)
            for row, count, mean in zip(tokens, counts, means, strict=True)
        ]

    def _progress(self) -> tuple[Tensor, ...]:
        return (
            self.position,
            self.decode_count,
            self.token,
            self.tokens,
            self.ended,
            self.count,
            self.log_probability,
        )
