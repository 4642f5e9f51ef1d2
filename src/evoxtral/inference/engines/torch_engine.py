"""The `torch` engine: Voxtral or Whisper in transformers, with LoRA adapters, on a GPU or the processor.

Voxtral's texts are written by `GreedyDecoder`; Whisper's by a loop here. Knows windows, prompts and tokens; nothing of
files or long recordings.
"""

import json
import logging
import sys
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from evoxtral.audio import SAMPLE_RATE_HZ
from evoxtral.errors import ModelError
from evoxtral.inference.engines.detokenizer import decoded, stripped
from evoxtral.inference.engines.greedy_decoding import GreedyDecoder, Written
from evoxtral.inference.engines.protocol import Hypothesis
from evoxtral.models.log_mel import LogMel

_LOG = logging.getLogger(__name__)

WINDOW_S = 30.0
# Windows at a time: what fills an 80 GB GPU's time (it halves where memory is short), and what helps a processor.
_BATCH_ON_GPU = 64
_BATCH_ON_CPU = 2
# The audio encoder's memory grows with its batch and its speed no longer does.
_ENCODER_BATCH = 16
# Nobody says more in thirty seconds, tags included.
_MAX_NEW_TOKENS = 400


class TorchEngine:
    """A Voxtral or Whisper checkpoint in transformers' format.

    Args:
        base: folder or hub id of the base model.
        model: the name that the user gave.
        adapter: folder or hub id of a PEFT adapter, which is merged into the base's weights in memory.
        compiled: on a GPU, compile Voxtral's layers; worth its ten seconds where there is much to hear.

    Raises:
        ModelError: a package is missing, the model cannot be had, or it is of another kind.
    """

    name = "torch"
    max_window_s = WINDOW_S

    def __init__(self, base: str, *, model: str, adapter: str | None = None, compiled: bool = False) -> None:
        self.model = model
        on_gpu = torch.cuda.is_available()
        device = torch.device("cuda" if on_gpu else "cpu")
        dtype = torch.bfloat16 if on_gpu else torch.float32
        self.batch_size = _BATCH_ON_GPU if on_gpu else _BATCH_ON_CPU
        self._listener: _Listener
        with _loading(base):
            weights, kind = load_weights(base, adapter, dtype)
            weights.to(device).eval()
            if kind == "voxtral":
                self._listener = VoxtralListener(weights, _voxtral_processor(base), compiled=compiled and on_gpu)
            else:
                self._listener = WhisperListener(weights, base)

    def transcribe_windows(self, windows: Sequence[NDArray[np.float32]], *, language: str = "en") -> list[Hypothesis]:
        """See `TranscriptionEngine`. Raises ModelError if one window alone does not fit into memory."""
        # Windows of like length end together; a batch is as slow as its longest text.
        order = sorted(range(len(windows)), key=lambda index: len(windows[index]))
        hypotheses: list[Hypothesis | None] = [None] * len(windows)
        first = 0
        while first < len(order):
            batch = order[first : first + self.batch_size]
            try:
                heard = self._listener.transcribe([windows[index] for index in batch], language)
            except torch.OutOfMemoryError as error:
                self._halve(len(batch), error)
                continue
            for index, hypothesis in zip(batch, heard, strict=True):
                hypotheses[index] = hypothesis
            first += len(batch)
        return [hypothesis for hypothesis in hypotheses if hypothesis is not None]

    def stream_window(self, window: NDArray[np.float32], *, language: str = "en") -> Iterator[str]:
        """See `TokenStreamer`. Raises ModelError if the window does not fit into memory."""
        try:
            yield from stripped(self._listener.stream(window, language))
        except torch.OutOfMemoryError as error:
            raise self._too_large() from error

    def _halve(self, windows: int, error: Exception) -> None:
        if windows == 1:
            raise self._too_large() from error
        self.batch_size = windows // 2
        self._listener.forget_buffers()
        torch.cuda.empty_cache()
        _LOG.warning("out of GPU memory with %d windows at a time; going on with %d", windows, self.batch_size)

    def _too_large(self) -> ModelError:
        return ModelError(
            f"{self.model}: one window does not fit into the GPU's memory", "free some, or use a smaller model"
        )


class _Listener(Protocol):
    """What differs between the families."""

    def transcribe(self, windows: Sequence[NDArray[np.float32]], language: str) -> list[Hypothesis]:
        """One hypothesis a window."""
        ...

    def stream(self, window: NDArray[np.float32], language: str) -> Iterator[str]:
        """The text of one window as it is written."""
        ...

    def forget_buffers(self) -> None:
        """Give back memory that was kept for the next batch."""


class VoxtralListener:
    """Hears with Voxtral: audio embeddings stand in its own transcription request, and text follows.

    Args:
        weights: `VoxtralForConditionalGeneration`, in evaluation.
        processor: its `VoxtralProcessor`.
    """

    def __init__(self, weights: Any, processor: Any, *, compiled: bool = False) -> None:
        self._weights = weights
        self._processor = processor
        self._features = LogMel(processor.feature_extractor).to(weights.device)
        if compiled:
            for layer in weights.model.audio_tower.layers:
                layer.compile()
        self._requests: dict[str, tuple[list[int], int, list[int]]] = {}
        head, audio, tail = self._request("en")
        positions = len(head) + audio + len(tail) + 8 + _MAX_NEW_TOKENS
        end = processor.tokenizer.eos_token_id
        self._decoder = GreedyDecoder(
            weights.model.language_model, weights.lm_head, end=end, positions=positions, compiled=compiled
        )

    @torch.inference_mode()
    def transcribe(self, windows: Sequence[NDArray[np.float32]], language: str) -> list[Hypothesis]:
        written = self._decoder.write(self._prompts(windows, language), _MAX_NEW_TOKENS)
        texts = self._processor.tokenizer.batch_decode([row.tokens for row in written], skip_special_tokens=True)
        return [_hypothesis(text, row) for text, row in zip(texts, written, strict=True)]

    def stream(self, window: NDArray[np.float32], language: str) -> Iterator[str]:
        tokens = self._decoder.stream(self._prompts([window], language), _MAX_NEW_TOKENS)
        return decoded(tokens, lambda read: str(self._processor.tokenizer.decode(read, skip_special_tokens=True)))

    @torch.inference_mode()
    def _prompts(self, windows: Sequence[NDArray[np.float32]], language: str) -> Tensor:
        """The embedded requests, shape (windows, length, width)."""
        head, count, tail = self._request(language)
        features = self._features.of_windows(windows).to(self._weights.dtype)
        model = self._weights.model
        parts = []
        for batch in torch.split(features, _ENCODER_BATCH):
            encoded = model.audio_tower(batch).last_hidden_state
            joined = encoded.reshape(-1, model.config.audio_config.intermediate_size)
            parts.append(model.multi_modal_projector(joined).view(len(batch), count, -1))
        audio = torch.cat(parts)
        embed = model.language_model.embed_tokens
        before, after = (
            embed(torch.tensor(tokens, device=audio.device)).expand(len(windows), -1, -1) for tokens in (head, tail)
        )
        return torch.cat([before, audio, after], dim=1)

    def forget_buffers(self) -> None:
        self._decoder.forget_buffers()

    def _request(self, language: str) -> tuple[list[int], int, list[int]]:
        """The tokens of the request for one window: before the audio, how many for the audio, after it."""
        if language not in self._requests:
            try:
                request = self._processor.apply_transcription_request(
                    audio=[np.zeros(SAMPLE_RATE_HZ, np.float32)],
                    model_id="voxtral",
                    language=language,
                    sampling_rate=SAMPLE_RATE_HZ,
                    format=["WAV"],
                )
            except ValueError as error:  # mistral-common checks the code
                raise _unknown_language(language) from error
            tokens = request["input_ids"][0].tolist()
            audio = self._weights.config.audio_token_id
            first, count = tokens.index(audio), tokens.count(audio)
            self._requests[language] = tokens[:first], count, tokens[first + count :]
        return self._requests[language]


class WhisperListener:
    """Hears with Whisper, nothing suppressed.

    Args:
        weights: `WhisperForConditionalGeneration`, in evaluation.
        base: folder or hub id of its tokenizer and feature extractor.
    """

    def __init__(self, weights: Any, base: str) -> None:
        from transformers import WhisperFeatureExtractor, WhisperTokenizerFast

        self._weights = weights
        self._features = LogMel(WhisperFeatureExtractor.from_pretrained(base)).to(weights.device)
        self._tokenizer: Any = WhisperTokenizerFast.from_pretrained(base)
        if "<|notimestamps|>" not in self._tokenizer.get_vocab():
            raise ModelError(f"{base}: has no tokenizer of a Whisper", "copy it there from the model it was made from")
        self._end: int = self._tokenizer.convert_tokens_to_ids("<|endoftext|>")

    @torch.inference_mode()
    def transcribe(self, windows: Sequence[NDArray[np.float32]], language: str) -> list[Hypothesis]:
        prompt = self._prompt(language)
        read = self._reader(windows)
        written = _write_greedily(read, prompt, len(windows), self._end, self._limit(prompt), self._weights.device)
        texts = self._tokenizer.batch_decode([row.tokens for row in written], skip_special_tokens=True)
        return [_hypothesis(text, row) for text, row in zip(texts, written, strict=True)]

    def stream(self, window: NDArray[np.float32], language: str) -> Iterator[str]:
        return decoded(
            self._stream_tokens(window, self._prompt(language)),
            lambda read: str(self._tokenizer.decode(read, skip_special_tokens=True)),
        )

    @torch.inference_mode()
    def _stream_tokens(self, window: NDArray[np.float32], prompt: list[int]) -> Iterator[int]:
        read = self._reader([window])
        tokens = torch.tensor([prompt], device=self._weights.device)
        for _ in range(self._limit(prompt)):
            token = read(tokens).argmax(dim=-1)
            if int(token) == self._end:
                return
            yield int(token)
            tokens = token[:, None]

    def _prompt(self, language: str) -> list[int]:
        names = ["<|startoftranscript|>", "<|notimestamps|>"]
        is_multilingual = getattr(self._weights.generation_config, "is_multilingual", False)
        if is_multilingual:
            names[1:1] = [f"<|{language}|>", "<|transcribe|>"]
        if language != "en" and not (is_multilingual and names[1] in self._tokenizer.get_vocab()):
            raise _unknown_language(language)
        tokens: list[int] = self._tokenizer.convert_tokens_to_ids(names)
        return tokens

    def _limit(self, prompt: list[int]) -> int:
        positions: int = self._weights.config.max_target_positions
        return min(_MAX_NEW_TOKENS, positions - len(prompt))

    def _reader(self, windows: Sequence[NDArray[np.float32]]) -> Callable[[Tensor], Tensor]:
        """Encode the windows; gives what reads further tokens of each and gives the logits of the next."""
        features = self._features.of_windows(windows).to(self._weights.dtype)
        encoded = self._weights.model.encoder(features)
        cache: Any = None

        def read(tokens: Tensor) -> Tensor:
            nonlocal cache
            output = self._weights(
                encoder_outputs=encoded, decoder_input_ids=tokens, past_key_values=cache, use_cache=True
            )
            cache = output.past_key_values
            logits: Tensor = output.logits[:, -1].float()
            return logits

        return read

    def forget_buffers(self) -> None:
        """Nothing is kept."""


def _unknown_language(language: str) -> ModelError:
    return ModelError(f"the model knows no language {language!r}", "languages are ISO 639-1 codes, such as en")


def load_weights(base: str, adapter: str | None, dtype: torch.dtype) -> tuple[Any, str]:
    """Load a checkpoint and merge an adapter into it; gives the model and its kind, "voxtral" or "whisper"."""
    try:
        from transformers import AutoConfig, VoxtralForConditionalGeneration, WhisperForConditionalGeneration
        from transformers.utils.logging import disable_progress_bar
    except ImportError as error:
        raise ModelError(f"{base}: transformers is missing", "pip install 'evoxtral[train]'") from error
    if not sys.stderr.isatty():
        disable_progress_bar()
    classes = {"voxtral": VoxtralForConditionalGeneration, "whisper": WhisperForConditionalGeneration}
    kind = AutoConfig.from_pretrained(base).model_type
    if kind not in classes:
        raise ModelError(f"{base}: is a {kind} model", "Voxtral and Whisper models can be run")
    weights = classes[kind].from_pretrained(base, dtype=dtype)
    if adapter is not None:
        weights = _merge(weights, adapter)
    return weights, kind


def _merge(weights: Any, adapter: str) -> Any:
    try:
        from peft import PeftModel
    except ImportError as error:
        raise ModelError(f"{adapter}: adapters need PEFT", "pip install 'evoxtral[train]'") from error
    with _loading(adapter), warnings.catch_warnings():
        # An adapter of another architecture would be left out in silence.
        warnings.filterwarnings("error", message="Found missing adapter keys")
        return PeftModel.from_pretrained(weights, adapter).merge_and_unload()


@contextmanager
def _loading(folder: str) -> Iterator[None]:
    """Turn whatever loaders raise for damaged and wrong files into one line."""
    try:
        yield
    except ModelError:
        raise
    except torch.OutOfMemoryError as error:
        raise ModelError(
            f"{folder}: does not fit into the GPU's memory", "free some, or use a smaller model"
        ) from error
    except Exception as error:
        cause = " ".join(str(error).split())[:200] or type(error).__name__
        raise ModelError(
            f"{folder}: cannot be loaded: {cause}", "check that it is whole, and of the kind meant"
        ) from error


def base_of_adapter(folder: Path) -> str | None:
    """The base that a folder with an adapter names; None if it holds no adapter."""
    path = folder / "adapter_config.json"
    if not path.is_file():
        return None
    with _loading(str(folder)):
        name: str | None = json.loads(path.read_text(encoding="utf-8")).get("base_model_name_or_path")
    if not name:
        raise ModelError(f"{folder}: its adapter names no base model", "write the model as BASE+ADAPTER")
    return name


def _voxtral_processor(base: str) -> Any:
    from transformers import VoxtralProcessor

    try:
        return VoxtralProcessor.from_pretrained(base)
    except ImportError as error:
        raise ModelError(
            f"{base}: its tokenizer needs mistral-common", "pip install 'mistral-common[audio]'"
        ) from error


def _write_greedily(
    read: Callable[[Tensor], Tensor], prompt: list[int], rows: int, end: int, limit: int, device: torch.device
) -> list[Written]:
    """Take the likeliest token of each row until all rows have ended; `read` gives the logits after new tokens."""
    tokens = torch.tensor([prompt] * rows, device=device)
    ended = torch.zeros(rows, dtype=torch.bool, device=device)
    sums = torch.zeros(rows, device=device)
    counts = torch.zeros(rows, dtype=torch.long, device=device)
    text: list[Tensor] = []
    for _ in range(limit):
        best, token = (logits := read(tokens)).max(dim=-1)
        sums += torch.where(ended, 0.0, best - logits.logsumexp(dim=-1))
        counts += ~ended
        token = torch.where(ended, end, token)
        ended |= token == end
        text.append(token)
        if bool(ended.all()):
            break
        tokens = token[:, None]
    written = torch.stack(text, dim=1).tolist()
    means = (sums / counts).tolist()
    return [Written([token for token in row if token != end], mean) for row, mean in zip(written, means, strict=True)]


def _hypothesis(text: str, written: Written) -> Hypothesis:
    return Hypothesis(text.strip(), written.mean_log_probability if written.tokens else None)
