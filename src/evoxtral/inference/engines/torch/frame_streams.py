"""Streams of sound that go on for any length, written frame by frame while they are heard, many at a time.

    write ──> samples wait until a frame is whole ──> a step: a frame of each stream that has one ──> encoder, decoder
                                                       (a row for each stream, in rings of what it read last)

A stream writes what `decode_frames` writes of the same sound, whatever pieces it comes in: what a stream holds is its
rings and less than a frame of sound. The silence before all sound is read once, and each stream begins as a copy of
that. Knows samples, frames and tokens; nothing of servers or utterances.
"""

import codecs
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Final

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from evoxtral.inference.engines.torch.frame_decoder import frames_of
from evoxtral.inference.engines.torch.sliding_cache import SlidingCache
from evoxtral.models.families.protocol import FrameReader

_FIRST_ROWS: Final = 4


@dataclass(slots=True, eq=False)
class FrameStream:
    """One stream; see `LiveText`.

    Attributes:
        delay: frames between sound and text.
        row: of the rings; None before its first sound and after its end.
        position: of the frame that is read next.
        pending: sound that is in no frame yet, from a little before that frame.
        heard: samples that came in.
    """

    delay: int
    opening: list[int]
    row: int | None = None
    position: int = 0
    pending: NDArray[np.float32] = field(default_factory=lambda: np.zeros(0, np.float32))
    heard: int = 0
    last: int | None = None  # the position after the last that is read, once its sound is over
    closed: bool = False
    text: Any = field(default_factory=lambda: codecs.getincrementaldecoder("utf-8")("replace"))
    log_probability: float = 0.0
    tokens: int = 0

    @property
    def mean_log_probability(self) -> float | None:
        return self.log_probability / self.tokens if self.tokens else None

    def close(self) -> None:
        """Nothing more is wanted of it; may be called in any thread."""
        self.closed = True


class FrameStreams:
    """The streams of one model.

    Args:
        speech: the model, on its device and in evaluation.
    """

    def __init__(self, speech: FrameReader) -> None:
        self._speech = speech
        self._state = _State(speech)
        self._rows: list[FrameStream | None] = []
        self._silences: dict[int, _Copied] = {}
        features = speech.frame_samples // speech.log_mel.hop
        # What the features of a frame hear.
        self._length: int = (features - 1) * speech.log_mel.hop + 2 * speech.log_mel.margin

    @property
    def state_bytes(self) -> int:
        """What all that is remembered of all streams takes: rings, convolutions and sound that waits."""
        return self._state.nbytes + sum(stream.pending.nbytes for stream in self._rows if stream is not None)

    @torch.inference_mode()
    def write(
        self, streams: Sequence[FrameStream], sounds: Sequence[NDArray[np.float32]], ends: Sequence[bool]
    ) -> list[str]:
        """The further text of each stream after further samples of it; with its end all that is still to be written."""
        self._let_go()
        for stream, samples, is_end in zip(streams, sounds, ends, strict=True):
            if stream.row is None:
                self._begin(stream)
            stream.pending = np.concatenate([stream.pending, samples])
            stream.heard += len(samples)
            if is_end:
                frames = frames_of(self._speech, stream.heard, stream.delay)
                stream.last = frames - 1
                missing = (frames - stream.position) * self._speech.frame_samples + self._length
                stream.pending = np.pad(stream.pending, (0, max(0, missing - len(stream.pending))))
        texts = [""] * len(streams)
        while ready := [place for place, stream in enumerate(streams) if self._has_frame(stream)]:
            written = self._step([streams[place] for place in ready])
            for place, token in zip(ready, written, strict=True):
                texts[place] += self._take(streams[place], token)
        for place, stream in enumerate(streams):
            if stream.last is not None:
                texts[place] += stream.text.decode(b"", final=True)
                stream.close()
        self._let_go()
        return texts

    def _begin(self, stream: FrameStream) -> None:
        free = next((row for row, held in enumerate(self._rows) if held is None), len(self._rows))
        if free == len(self._rows):
            self._rows.append(None)
        self._rows[free] = stream
        stream.row = free
        if stream.delay not in self._silences:
            self._silences[stream.delay] = _silence(self._speech, stream)
        silence = self._silences[stream.delay]
        rows = _FIRST_ROWS
        while rows < len(self._rows):
            rows *= 2
        self._state.reserve(rows, silence.positions + 1)
        self._state.paste(free, silence)
        stream.position = silence.positions
        # The last of the silence is in a frame with the first of the sound.
        stream.pending = np.zeros(self._speech.log_mel.margin + self._speech.frame_samples, np.float32)

    def _has_frame(self, stream: FrameStream) -> bool:
        if stream.closed or (stream.last is not None and stream.position >= stream.last):
            return False
        return len(stream.pending) >= self._length

    def _step(self, ready: Sequence[FrameStream]) -> list[tuple[int | None, float]]:
        """Read a frame of each; gives the token that each writes, and its log-probability; None in the opening."""
        rows = len(self._rows)
        device = self._speech.model.device
        audio = np.zeros((rows, self._length), np.float32)
        # What stands still reads silence at its next position, which is written over when its frame comes.
        numbers = np.zeros((4, rows), np.int64)
        positions, delays, forced, active = numbers
        forced[:] = -1
        for held in self._rows:
            if held is not None and held.row is not None:
                positions[held.row], delays[held.row] = held.position, held.delay
        for stream in ready:
            assert stream.row is not None
            audio[stream.row] = stream.pending[: self._length]
            active[stream.row] = 1
            if stream.position < len(stream.opening):
                forced[stream.row] = stream.opening[stream.position]
        self._state.reserve(self._state.rows, int(positions.max()) + 1)
        scores, tokens = self._state.step(torch.from_numpy(audio).to(device), torch.from_numpy(numbers).to(device))
        told = torch.stack([tokens.double(), scores.double()]).tolist()
        written: list[tuple[int | None, float]] = []
        for stream in ready:
            assert stream.row is not None
            stream.position += 1
            stream.pending = stream.pending[self._speech.frame_samples :]
            is_read = stream.position >= len(stream.opening)
            written.append((int(told[0][stream.row]) if is_read else None, told[1][stream.row]))
        return written

    def _take(self, stream: FrameStream, written: tuple[int | None, float]) -> str:
        token, score = written
        if token is None:  # what comes next is read, whatever is written
            return ""
        if token == self._speech.end_token:
            stream.close()
        if token in self._speech.control_tokens:
            return ""
        stream.log_probability += score
        stream.tokens += 1
        return str(stream.text.decode(self._speech.token_bytes(token)))

    def _let_go(self) -> None:
        """Free the rows of streams that are over."""
        for row, stream in enumerate(self._rows):
            if stream is not None and stream.closed:
                stream.row, stream.pending = None, np.zeros(0, np.float32)
                self._rows[row] = None
        while self._rows and self._rows[-1] is None:
            self._rows.pop()


@dataclass(frozen=True, slots=True)
class _Copied:
    """What a row holds after so many positions."""

    positions: int
    encoder: list[tuple[Tensor, Tensor]]
    decoder: list[tuple[Tensor, Tensor]]
    convolutions: dict[str, Tensor]
    token: Tensor


class _State:
    """What is remembered of all rows."""

    def __init__(self, speech: FrameReader) -> None:
        self._speech = speech
        self._features: int = speech.frame_samples // speech.log_mel.hop
        self._hidden = speech.encoder_frames
        self._encoder = SlidingCache(speech.encoder.config.sliding_window, queries=self._hidden)
        self._decoder = SlidingCache(speech.decoder.config.sliding_window, queries=1)
        self._convolutions = _Convolutions()
        self._token = torch.zeros(0, dtype=torch.long, device=speech.model.device)

    @property
    def rows(self) -> int:
        return self._decoder.rows

    @property
    def nbytes(self) -> int:
        return self._encoder.nbytes + self._decoder.nbytes + self._convolutions.nbytes

    def reserve(self, rows: int, positions: int) -> None:
        self._encoder.reserve(rows, positions * self._hidden)
        self._decoder.reserve(rows, positions)
        self._convolutions.rows = self._decoder.rows
        if len(self._token) < self._decoder.rows:
            self._token = torch.nn.functional.pad(self._token, (0, self._decoder.rows - len(self._token)))

    def step(self, audio: Tensor, numbers: Tensor) -> tuple[Tensor, Tensor]:
        """Read a frame in the first rows.

        Args:
            audio: (rows, samples), as `LogMel.within` takes them.
            numbers: of each row its position, its delay, the token that it reads or -1 for that it wrote last, and
                whether it goes on; shape (4, rows).

        Returns:
            log-probabilities and ids of the tokens that are written, (rows,).
        """
        speech, rows = self._speech, len(audio)
        positions, delays, forced, active = numbers
        self._convolutions.active = active.bool()
        inner = positions[:, None] * self._hidden + torch.arange(self._hidden, device=positions.device)
        features = speech.log_mel.to(audio.device).within(audio).to(speech.model.dtype)
        heard = speech.hear(
            features,
            position_ids=inner,
            attention_mask=self._encoder.place(inner),
            past_key_values=self._encoder,
            padding_cache=self._convolutions,
        )
        outer = positions[:, None]
        read = torch.where(forced >= 0, forced, self._token[:rows])
        logits = speech.read(
            read[:, None],
            heard,
            speech.condition(delays),
            position_ids=outer,
            attention_mask=self._decoder.place(outer),
            past_key_values=self._decoder,
        )
        scores, tokens = logits.log_softmax(dim=-1).max(dim=-1)
        self._token[:rows] = torch.where(active.bool(), tokens, self._token[:rows])
        return scores, tokens

    def copy(self, positions: int) -> _Copied:
        """What the first row holds."""
        return _Copied(
            positions,
            self._encoder.copy_row(positions * self._hidden),
            self._decoder.copy_row(positions),
            {key: state[0].clone() for key, state in self._convolutions.states.items()},
            self._token[0].clone(),
        )

    def paste(self, row: int, copied: _Copied) -> None:
        self._encoder.paste_row(row, copied.encoder)
        self._decoder.paste_row(row, copied.decoder)
        self._convolutions.paste(row, copied.convolutions)
        self._token[row] = copied.token


class _Convolutions:
    """What causal convolutions still hear of the frame before; takes the place of transformers' padding cache.

    Attributes:
        rows: how many are remembered.
        active: which of the rows go on.
    """

    def __init__(self) -> None:
        self.rows = 0
        self.active: Tensor | None = None
        self.states: dict[str, Tensor] = {}

    def update(self, hidden: Tensor, key: str, convolution: Any) -> Tensor:
        rows, channels = hidden.shape[:2]
        state = self._of(key, hidden.new_zeros(channels, convolution.left_pad))
        padded = torch.cat([state[:rows], hidden], dim=-1)
        assert self.active is not None
        kept = torch.where(self.active[:, None, None], padded[..., -convolution.left_pad :], state[:rows])
        state[:rows] = kept
        return padded

    def paste(self, row: int, copied: dict[str, Tensor]) -> None:
        for state in self.states.values():
            state[row] = 0
        for key, part in copied.items():
            self._of(key, part)[row] = part

    def _of(self, key: str, like: Tensor) -> Tensor:
        """The rows of one convolution; new ones hold nothing."""
        state = self.states.get(key)
        if state is None or len(state) < self.rows:
            grown = like.new_zeros(self.rows, *like.shape)
            if state is not None:
                grown[: len(state)] = state
            self.states[key] = state = grown
        return state

    @property
    def nbytes(self) -> int:
        return sum(state.nbytes for state in self.states.values())


def _silence(speech: FrameReader, stream: FrameStream) -> _Copied:
    """What a row holds after the silence before all sound, but for the last frame of it, which hears some sound."""
    state = _State(speech)
    device = speech.model.device
    positions = speech.left_frames - 1
    state.reserve(1, max(positions, 1))
    hop, margin = speech.log_mel.hop, speech.log_mel.margin
    audio = torch.zeros(1, speech.frame_samples - hop + 2 * margin, device=device)
    for position in range(positions):
        numbers = torch.tensor([[position], [stream.delay], [stream.opening[position]], [1]], device=device)
        state.step(audio, numbers)
    return state.copy(positions)
