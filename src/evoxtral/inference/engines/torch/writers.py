"""From windows to texts: by the fast decoder where a model's decoder is a Llama, else by steps of the model itself.

Knows prompts, tokens and log-probabilities; nothing of batches that do not fit, files or long recordings.
"""

from collections.abc import Callable, Iterator, Sequence
from typing import Any, Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from evoxtral.errors import ModelError
from evoxtral.inference.engines.detokenizer import decoded
from evoxtral.inference.engines.protocol import Hypothesis
from evoxtral.inference.engines.torch.frame_decoder import decode_frames, stream_frames
from evoxtral.inference.engines.torch.frame_streams import FrameStream, FrameStreams
from evoxtral.inference.engines.torch.greedy_decoder import GreedyDecoder
from evoxtral.inference.engines.torch.kv_cache import DecodedRow
from evoxtral.models.families.protocol import FrameReader, KeywordPrompter, PromptEmbedder, SpeechModel, StepReader
from evoxtral.models.log_mel import to_rows

# Nobody says more in thirty seconds, tags included.
_MAX_NEW_TOKENS = 400
# Prompts that are made and read at a time. On a GPU more are no faster, and take memory; a processor does one by one.
_GROUP_ON_GPU, _GROUP_ON_CPU = 16, 1
# Prompts of other languages are a few tokens longer than that for English.
_SPARE_POSITIONS = 8


class Writer(Protocol):
    """Writes greedily what windows say.

    Attributes:
        takes_keywords: whether keywords change anything.
    """

    takes_keywords: bool

    def transcribe(
        self, windows: Sequence[NDArray[np.float32]], language: str, *, rows: int, keywords: Sequence[str] = ()
    ) -> Iterator[tuple[int, Hypothesis]]:
        """One hypothesis a window, with the window's number, as texts end.

        Args:
            rows: how many texts are written at a time.
            keywords: for all windows.
        """
        ...

    def stream(self, window: NDArray[np.float32], language: str) -> Iterator[str]:
        """The text of one window as it is written."""
        ...

    def forget_buffers(self) -> None:
        """Give back memory that was kept for the next batch."""


def make_writer(speech: SpeechModel, *, compiled: bool = False, delay: int | None = None) -> Writer:
    """The fastest writer that a model has.

    Args:
        speech: the model, on its device and in evaluation.
        compiled: also compile the layers, where the writer can.
        delay: see `FrameReader`; None for the model's own.

    Raises:
        ModelError: the model offers neither `PromptEmbedder` nor `StepReader` nor `FrameReader`.
    """
    if isinstance(speech, FrameReader):
        return FrameWriter(speech, delay)
    if isinstance(speech, PromptEmbedder):
        return LlamaWriter(speech, compiled=compiled)
    if isinstance(speech, StepReader):
        return StepWriter(speech)
    raise ModelError(f"{speech.family.title} models cannot be transcribed with", "their family offers no reader")


class LlamaWriter:
    """Writes by `GreedyDecoder` after embedded prompts."""

    takes_keywords = False

    def __init__(self, speech: Any, *, compiled: bool = False) -> None:
        self._speech = speech
        if compiled:
            for layer in speech.encoder.layers:
                layer.compile()
        positions = len(speech.prompt(1, "en")) + _SPARE_POSITIONS + _MAX_NEW_TOKENS
        self._group = _GROUP_ON_GPU if speech.model.device.type == "cuda" else _GROUP_ON_CPU
        self._decoder = GreedyDecoder(
            speech.decoder, speech.output_layer, end_token=speech.end_token, positions=positions, compiled=compiled
        )

    def transcribe(
        self, windows: Sequence[NDArray[np.float32]], language: str, *, rows: int, keywords: Sequence[str] = ()
    ) -> Iterator[tuple[int, Hypothesis]]:
        groups = (
            self._prompts(windows[first : first + self._group], language)
            for first in range(0, len(windows), self._group)
        )
        for number, row in self._decoder.decode(groups, _MAX_NEW_TOKENS, rows=min(rows, len(windows))):
            yield number, _hypotheses(self._speech, [row])[0]

    def stream(self, window: NDArray[np.float32], language: str) -> Iterator[str]:
        tokens = self._decoder.stream(self._prompts([window], language), _MAX_NEW_TOKENS)
        return _detokenized(self._speech, tokens)

    def forget_buffers(self) -> None:
        self._decoder.forget_buffers()

    @torch.inference_mode()
    def _prompts(self, windows: Sequence[NDArray[np.float32]], language: str) -> Tensor:
        """The embedded prompts, shape (rows, length, width)."""
        prompt = self._speech.prompt(1, language)
        embedded: Tensor = self._speech.embed_prompts(prompt, _features(self._speech, windows))
        return embedded


class StepWriter:
    """Writes by steps of the model itself."""

    def __init__(self, speech: Any) -> None:
        self._speech = speech
        self.takes_keywords = isinstance(speech, KeywordPrompter)

    def transcribe(
        self, windows: Sequence[NDArray[np.float32]], language: str, *, rows: int, keywords: Sequence[str] = ()
    ) -> Iterator[tuple[int, Hypothesis]]:
        """See `Writer`: batch by batch, each as slow as its longest text."""
        prompt = self._speech.prompt(1, language)
        if keywords and self.takes_keywords:
            prompt = [*self._speech.keyword_tokens(keywords), *prompt]
        for first in range(0, len(windows), rows):
            yield from enumerate(self._write_batch(windows[first : first + rows], prompt), first)

    @torch.inference_mode()
    def _write_batch(self, windows: Sequence[NDArray[np.float32]], prompt: list[int]) -> list[Hypothesis]:
        read = self._speech.reader(_features(self._speech, windows))
        return _hypotheses(
            self._speech, decode_by_steps(read, [prompt] * len(windows), self._speech, self._limit(prompt))
        )

    def stream(self, window: NDArray[np.float32], language: str) -> Iterator[str]:
        return _detokenized(self._speech, self._stream_tokens(window, self._speech.prompt(1, language)))

    def forget_buffers(self) -> None:
        """Nothing is kept."""

    @torch.inference_mode()
    def _stream_tokens(self, window: NDArray[np.float32], prompt: list[int]) -> Iterator[int]:
        read = self._speech.reader(_features(self._speech, [window]))
        tokens = torch.tensor([prompt], device=self._speech.model.device)
        for _ in range(self._limit(prompt)):
            token = read(tokens).argmax(dim=-1)
            if int(token) == self._speech.end_token:
                return
            yield int(token)
            tokens = token[:, None]

    def _limit(self, prompt: list[int]) -> int:
        positions: int | None = self._speech.max_positions
        return _MAX_NEW_TOKENS if positions is None else min(_MAX_NEW_TOKENS, positions - len(prompt))


class FrameWriter:
    """Writes a token for each frame of sound: all of a window is heard first, and then written frame by frame.

    Attributes:
        streams: what writes while it hears.
    """

    takes_keywords = False

    def __init__(self, speech: Any, delay: int | None) -> None:
        self._speech = speech
        self._delay: int = speech.default_delay if delay is None else delay
        self._opening = speech.opening(self._delay)
        self.streams = FrameStreams(speech)

    def transcribe(
        self, windows: Sequence[NDArray[np.float32]], language: str, *, rows: int, keywords: Sequence[str] = ()
    ) -> Iterator[tuple[int, Hypothesis]]:
        """See `Writer`: batch by batch, each as slow as its longest window. The model finds the language itself."""
        for first in range(0, len(windows), rows):
            batch = windows[first : first + rows]
            audio = to_rows(batch, self._speech.model.device)
            decoded_rows = decode_frames(self._speech, audio, [len(window) for window in batch], self._delay)
            yield from enumerate(_hypotheses(self._speech, decoded_rows), first)

    def stream(self, window: NDArray[np.float32], language: str) -> Iterator[str]:
        audio = to_rows([window], self._speech.model.device)
        return _detokenized(self._speech, stream_frames(self._speech, audio, self._delay))

    def new_stream(self) -> FrameStream:
        """A stream for `streams`."""
        return FrameStream(self._delay, self._opening)

    def forget_buffers(self) -> None:
        """Nothing is kept."""


def decode_by_steps(
    read: Callable[[Tensor], Tensor], prompts: Sequence[Sequence[int]], speech: SpeechModel, max_new_tokens: int
) -> list[DecodedRow]:
    """Take the likeliest token of each row until all rows have ended.

    Args:
        read: see `StepReader`.
        prompts: of one length.
    """
    device = speech.model.device
    tokens = torch.tensor(prompts, device=device)
    rows, end = len(prompts), speech.end_token
    ended = torch.zeros(rows, dtype=torch.bool, device=device)
    log_probability = torch.zeros(rows, device=device)
    counts = torch.zeros(rows, dtype=torch.long, device=device)
    text: list[Tensor] = []
    for _ in range(max_new_tokens):
        best, token = (logits := read(tokens)).max(dim=-1)
        log_probability += torch.where(ended, 0.0, best - logits.logsumexp(dim=-1))
        counts += ~ended
        token = torch.where(ended, end, token)
        ended |= token == end
        text.append(token)
        if bool(ended.all()):
            break
        tokens = token[:, None]
    decoded_tokens = torch.stack(text, dim=1).tolist()
    means = (log_probability / counts).tolist()
    return [
        DecodedRow([token for token in row if token != end], mean)
        for row, mean in zip(decoded_tokens, means, strict=True)
    ]


def _features(speech: SpeechModel, windows: Sequence[NDArray[np.float32]]) -> Tensor:
    audio = to_rows(windows, speech.model.device)
    return speech.features(audio, [1] * len(windows)).to(speech.model.dtype)


def _hypotheses(speech: SpeechModel, rows: Sequence[DecodedRow]) -> list[Hypothesis]:
    texts = speech.tokenizer.batch_decode([row.tokens for row in rows], skip_special_tokens=True)
    return [
        Hypothesis(text.strip(), row.mean_log_probability if row.tokens else None)
        for text, row in zip(texts, rows, strict=True)
    ]


def _detokenized(speech: SpeechModel, tokens: Iterator[int]) -> Iterator[str]:
    return decoded(tokens, lambda read: str(speech.tokenizer.decode(read, skip_special_tokens=True)))
