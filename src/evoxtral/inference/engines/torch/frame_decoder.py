"""Greedy decoding of whole recordings by a model that writes a token for each frame of sound.

The sound is encoded at once; then all rows of a batch read it frame by frame. All is causal, so that silence after a
shorter row changes nothing of what it writes. Knows samples, frames and tokens; nothing of texts.
"""

from collections.abc import Iterator, Sequence

import torch
from torch import Tensor

from evoxtral.inference.engines.torch.kv_cache import DecodedRow
from evoxtral.inference.engines.torch.sliding_cache import SlidingCache
from evoxtral.models.families.protocol import FrameReader

# Whether all rows have ended is asked now and then: to be told, the processor waits for the GPU.
_ASK_EVERY = 32


def frames_of(speech: FrameReader, samples: int, delay: int) -> int:
    """How many frames a recording has, with the silence around it."""
    return speech.left_frames + -(-samples // speech.frame_samples) + speech.right_frames(delay)


@torch.inference_mode()
def decode_frames(speech: FrameReader, audio: Tensor, lengths: Sequence[int], delay: int) -> list[DecodedRow]:
    """What each row writes.

    Args:
        audio: (rows, n), silence after shorter ones.
        lengths: samples of each row.

    Returns:
        tokens of text without those between words, and their mean log-probability (0 where there are none).
    """
    counts = [frames_of(speech, length, delay) for length in lengths]
    steps = _Steps(speech, audio, delay)
    ends = torch.tensor(counts, device=audio.device)
    ended = torch.zeros(len(counts), dtype=torch.bool, device=audio.device)
    control = torch.tensor(sorted(speech.control_tokens), device=audio.device)
    written, scores = [], []
    token = steps.first()
    for position in range(steps.position, max(counts)):
        best, token = token.max(dim=-1)
        ended |= (position >= ends) | (token == speech.end_token)
        is_text = ~ended & ~torch.isin(token, control)
        written.append(torch.where(is_text, token, -1))
        scores.append(torch.where(is_text, best, 0.0))
        if position + 1 == max(counts) or (position % _ASK_EVERY == 0 and bool(ended.all())):
            break
        token = steps.next(token)
    tokens, totals = torch.stack(written, dim=1).tolist(), torch.stack(scores, dim=1).sum(dim=1).tolist()
    rows = [[token for token in row if token >= 0] for row in tokens]
    return [DecodedRow(row, total / max(len(row), 1)) for row, total in zip(rows, totals, strict=True)]


@torch.inference_mode()
def stream_frames(speech: FrameReader, audio: Tensor, delay: int) -> Iterator[int]:
    """The same of one row, token by token."""
    count = frames_of(speech, audio.shape[1], delay)
    steps = _Steps(speech, audio, delay)
    scores = steps.first()
    for position in range(steps.position, count):
        token = scores.argmax(dim=-1)
        if int(token) == speech.end_token:
            return
        if int(token) not in speech.control_tokens:
            yield int(token)
        if position + 1 < count:
            scores = steps.next(token)


class _Steps:
    """Rows that read their frames one after the other; gives log-probabilities (rows, vocabulary)."""

    def __init__(self, speech: FrameReader, audio: Tensor, delay: int) -> None:
        self._speech = speech
        self._opening = torch.tensor([speech.opening(delay)] * len(audio), device=audio.device)
        features = speech.whole_features(audio, delay).to(speech.model.dtype)
        self._heard = speech.hear(features)
        self._condition = speech.condition(torch.full((len(audio),), delay, device=audio.device))
        self._cache = SlidingCache(speech.decoder.config.sliding_window, queries=self._opening.shape[1])
        self._cache.reserve(*self._heard.shape[:2])
        self.position = 0

    def first(self) -> Tensor:
        return self._read(self._opening)

    def next(self, token: Tensor) -> Tensor:
        return self._read(token[:, None])

    def _read(self, tokens: Tensor) -> Tensor:
        start, self.position = self.position, self.position + tokens.shape[1]
        positions = torch.arange(start, self.position, device=tokens.device).expand(len(tokens), -1)
        mask = self._cache.place(positions)
        heard = self._heard[:, start : self.position]
        logits = self._speech.read(
            tokens,
            heard,
            self._condition,
            position_ids=positions,
            attention_mask=mask,
            past_key_values=self._cache,
        )
        return logits.log_softmax(dim=-1)
