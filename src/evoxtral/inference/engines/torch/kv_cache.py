"""The buffers of texts that are being decoded: their kv cache, and how far each is.

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


@dataclass(frozen=True, slots=True)
class Prefilled:
    """Prompts that were read and wait for a place to be decoded in.

    Attributes:
        keys, values: shape (layers, rows, kv heads, length, head_dim).
        logits: after each prompt, float32, shape (rows, vocabulary).
        read: on a GPU the event after which the tensors hold that.
    """

    keys: Tensor
    values: Tensor
    logits: Tensor
    read: Any = None

    @property
    def rows(self) -> int:
        return self.keys.shape[1]

    @property
    def length(self) -> int:
        return self.keys.shape[3]

    @property
    def is_read(self) -> bool:
        return self.read is None or bool(self.read.query())

    def part(self, rows: slice) -> "Prefilled":
        return Prefilled(self.keys[:, rows], self.values[:, rows], self.logits[rows], self.read)

    def is_used_by(self, stream: Any) -> None:
        """Their memory is not given to others before what was queued on another stream has read it."""
        for tensor in (self.keys, self.values, self.logits):
            tensor.record_stream(stream)


class DecodeState:
    """Places for `rows` texts of at most `positions` tokens, prompt included. A place whose text has ended is free.

    Attributes:
        keys, values: of each layer, shape (rows, kv heads, positions, head_dim).
        cosine, sine: of the rotary embedding, shape (positions, head_dim).
        position: where the next token of each row stands: so many positions of its cache are filled. In a free place 0,
            so that next to nothing is attended to there.
        token: the last token of each row; `tokens`: all of them, shape (rows, positions).
        ended: which rows have got their end token, or as many tokens as they may have.
        count, log_probability: of each row's tokens, the end token included.
        limit: how many tokens each row may have.
        graphs: recorded steps, by how many positions they attend to.
        attention, one_row: kernels, where the device has them.
        tokens_between_looks: how many tokens are decoded before it is looked which rows have ended.
    """

    def __init__(self, rows: int, positions: int, *, layers: int, kv_heads: int, head_dim: int, like: Tensor) -> None:
        device = like.device
        self.rows = rows
        # Zeros: what is masked must be finite all the same.
        self._keys, self._values = (
            torch.zeros((layers, rows, kv_heads, positions, head_dim), dtype=like.dtype, device=device)
            for _ in range(2)
        )
        self.keys, self.values = self._keys.unbind(0), self._values.unbind(0)
        self.cosine = self.sine = torch.empty(0)
        self.position = torch.zeros(rows, dtype=torch.long, device=device)
        self.token = torch.zeros(rows, dtype=torch.long, device=device)
        self.tokens = torch.zeros((rows, positions), dtype=torch.long, device=device)
        self.ended = torch.ones(rows, dtype=torch.bool, device=device)
        self.count = torch.zeros(rows, dtype=torch.long, device=device)
        self.log_probability = torch.zeros(rows, device=device)
        self.limit = torch.zeros(rows, dtype=torch.long, device=device)
        self.graphs: dict[int, Any] = {}
        self.attention: Any = None
        self.one_row: Any = None
        self.tokens_between_looks = 1

    def reset(self, limit: int) -> None:
        """Free all places; the next texts may have `limit` tokens."""
        for part in self._progress():
            part.zero_()
        self.ended.fill_(True)
        self.limit.fill_(limit)

    def join(self, places: Sequence[int], prompts: Prefilled, end_token: int) -> None:
        """Begin the texts of prompts in free places, with the first token of each."""
        device = self.token.device
        index = torch.tensor(places, pin_memory=device.type == "cuda").to(device, non_blocking=True)
        self._keys[:, index, :, : prompts.length] = prompts.keys
        self._values[:, index, :, : prompts.length] = prompts.values
        token, log_probability = _likeliest(prompts.logits)
        self.position[index] = prompts.length
        self.token[index] = token
        self.tokens[index, 0] = token
        self.count[index] = 1
        self.log_probability[index] = log_probability
        self.ended[index] = (token == end_token) | (self.limit[index] <= 1)

    def choose(self, logits: Tensor, end_token: int) -> None:
        """Take the likeliest token of each row that has not ended."""
        token, log_probability = _likeliest(logits)
        token = torch.where(self.ended, self.token, token)
        self.log_probability += torch.where(self.ended, 0.0, log_probability)
        # In a free place that is behind the tokens that count.
        self.tokens.scatter_(1, self.count[:, None], token[:, None])
        self.count += ~self.ended
        self.ended |= (token == end_token) | (self.count >= self.limit)
        self.position.copy_(torch.where(self.ended, 0, self.position + 1))
        self.token.copy_(token)

    def copy_of_progress(self) -> tuple[Tensor, ...]:
        return tuple(part.clone() for part in self._progress())

    def restore_progress(self, kept: Sequence[Tensor]) -> None:
        for part, old in zip(self._progress(), kept, strict=True):
            part.copy_(old)

    def decoded_rows(self, places: Sequence[int], end_token: int) -> list[DecodedRow]:
        """The texts in some places."""
        index = torch.tensor(places, device=self.token.device)
        counts = self.count[index].tolist()
        means = (self.log_probability[index] / self.count[index]).tolist()
        tokens = self.tokens[index, : max(counts)].tolist()
        return [
            DecodedRow([token for token in row[:count] if token != end_token], mean)
            for row, count, mean in zip(tokens, counts, means, strict=True)
        ]

    def _progress(self) -> tuple[Tensor, ...]:
        return self.position, self.token, self.tokens, self.ended, self.count, self.log_probability


def _likeliest(logits: Tensor) -> tuple[Tensor, Tensor]:
    """The likeliest token of each row, and its log-probability."""
    best, token = logits.max(dim=-1)
    return token, best - logits.logsumexp(dim=-1)
