"""Windows through a model of transformers: as many at a time as the memory holds.

Knows windows, devices and memory; how a text is written is known by `writers`, what differs between models by their
families (`evoxtral.models.families`).
"""

import logging
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from evoxtral.errors import ModelError
from evoxtral.inference.engines.detokenizer import stripped
from evoxtral.inference.engines.protocol import Hypothesis
from evoxtral.inference.engines.registry import Weights, no_delay
from evoxtral.inference.engines.torch.frame_streams import FrameStream
from evoxtral.inference.engines.torch.rounded_weights import Precision, round_linears
from evoxtral.inference.engines.torch.writers import FrameWriter, make_writer
from evoxtral.models.checkpoints import attach_adapter, load_checkpoint, loading
from evoxtral.models.families.protocol import FrameReader, LanguageHead, PromptEmbedder, SpeechModel
from evoxtral.models.families.voxtral_realtime import delay_frames
from evoxtral.models.log_mel import to_rows

_LOG = logging.getLogger(__name__)

WINDOW_S = 30.0
# Texts at a time: what fills an 80 GB GPU's time (it halves where memory is short), and what helps a processor.
_ROWS_ON_GPU = 64
_ROWS_ON_CPU = 2
# Beside the weights: CUDA, what reading a group of prompts takes, and some places for texts.
_SPARE_BYTES = 3e9
# Windows of a call for each of them: as texts end, others take their places. With more, live speech would wait longer.
_WINDOWS_A_ROW = 2


class TorchEngine:
    """A checkpoint in transformers' format, of any family.

    Args:
        weights: folder of the base model, and of a PEFT adapter, which is merged into the base's weights in memory.
        model: the name that the user gave.
        compiled: on a GPU, compile the layers; worth its ten seconds where there is much to hear.
        precision: of a Voxtral's matrices. By default they are bfloat16 on a GPU, int8 where that does not fit, and
            float32 on a processor. With fp8 texts are others, and the GPU must have it (`rounded_weights`).
        delay_ms: how long a Voxtral Realtime listens on before it writes a word; None for its own.

    Raises:
        ModelError: a package is missing, or the folders hold nothing that can be run.
    """

    name = "torch"

    def __init__(
        self,
        weights: Weights,
        *,
        model: str,
        compiled: bool = False,
        precision: Precision | None = None,
        delay_ms: int | None = None,
    ) -> None:
        self.model = model
        delay = None if delay_ms is None else delay_frames(delay_ms)
        on_gpu = torch.cuda.is_available()
        self._set_rows(_ROWS_ON_GPU if on_gpu else _ROWS_ON_CPU)
        speech = load_checkpoint(weights.folder, dtype=torch.bfloat16 if on_gpu else torch.float32)
        if delay is not None and not isinstance(speech, FrameReader):
            raise no_delay(model)
        # An adapter that was trained on one language answers that, whatever it hears; its base does not.
        self._base_weights: dict[str, torch.Tensor] = {}
        if weights.adapter is not None:
            self._base_weights = _merge(speech, weights.adapter)
        self.max_window_s = min(WINDOW_S, speech.max_window_s or WINDOW_S)
        with loading(weights.folder):
            if isinstance(speech, PromptEmbedder):
                if precision is None and on_gpu:
                    size = sum(weight.nbytes for weight in speech.model.parameters())
                    precision = _precision_that_fits(size, free_bytes=torch.cuda.mem_get_info()[0])
                    if precision is not None:
                        _LOG.warning(
                            "%s: %.1f GB do not fit into the GPU's memory; going on with int8", model, size / 1e9
                        )
                if precision is not None:
                    round_linears(speech.model, precision, kept=speech.output_layer)
            speech.model.to("cuda" if on_gpu else "cpu").eval()
            self._speech = speech
            self._base_weights = {name: weight.to(speech.model.device) for name, weight in self._base_weights.items()}
            self._writer = make_writer(speech, compiled=compiled and on_gpu, delay=delay)

    def transcribe_windows(self, windows: Sequence[NDArray[np.float32]], *, language: str = "en") -> list[Hypothesis]:
        """See `TranscriptionEngine`. Raises ModelError if one window alone does not fit into memory."""
        # Windows of like length end together, and no long one is left for the end.
        left = sorted(range(len(windows)), key=lambda index: -len(windows[index]))
        hypotheses: dict[int, Hypothesis] = {}
        while left:
            rows = min(self._rows, len(left))
            asked = [windows[index] for index in left]
            try:
                for number, hypothesis in self._writer.transcribe(asked, language, rows=rows):
                    hypotheses[left[number]] = hypothesis
            except torch.OutOfMemoryError as error:
                self._halve(rows, error)
            left = [index for index in left if index not in hypotheses]
        return [hypotheses[index] for index in range(len(windows))]

    @property
    def takes_keywords(self) -> bool:
        """See `KeywordListener`: whether the model's prompt has a place for them."""
        return self._writer.takes_keywords

    def transcribe_prompted(
        self, windows: Sequence[NDArray[np.float32]], keywords: Sequence[Sequence[str]], *, language: str = "en"
    ) -> list[Hypothesis]:
        """See `KeywordListener`. Raises ModelError if a window does not fit into memory."""
        try:
            return [
                hypothesis
                for window, asked in zip(windows, keywords, strict=True)
                for _, hypothesis in self._writer.transcribe([window], language, rows=1, keywords=asked)
            ]
        except torch.OutOfMemoryError as error:
            raise self._too_large() from error

    def stream_window(self, window: NDArray[np.float32], *, language: str = "en") -> Iterator[str]:
        """See `TokenStreamer`. Raises ModelError if the window does not fit into memory."""
        try:
            yield from stripped(self._writer.stream(window, language))
        except torch.OutOfMemoryError as error:
            raise self._too_large() from error

    @property
    def writes_live(self) -> bool:
        """See `LiveWriter`: whether the model hears and writes frame by frame."""
        return isinstance(self._writer, FrameWriter)

    def new_stream(self) -> FrameStream:
        """See `LiveWriter`."""
        assert isinstance(self._writer, FrameWriter)
        return self._writer.new_stream()

    def write_streams(
        self, streams: Sequence[FrameStream], sounds: Sequence[NDArray[np.float32]], ends: Sequence[bool]
    ) -> list[str]:
        """See `LiveWriter`. Raises ModelError if they do not fit into memory together."""
        assert isinstance(self._writer, FrameWriter)
        try:
            return self._writer.streams.write(streams, sounds, ends)
        except torch.OutOfMemoryError as error:
            raise ModelError(
                f"{self.model}: {len(streams)} streams do not fit into the GPU's memory", "open fewer at a time"
            ) from error

    @torch.no_grad()
    def detect_languages(self, windows: Sequence[NDArray[np.float32]]) -> list[Mapping[str, float] | None]:
        """See `LanguageDetector`: by the base's own language head, without the adapter; Voxtral has none.

        Raises:
            ModelError: one window alone does not fit into memory.
        """
        if not isinstance(self._speech, LanguageHead):
            return [None] * len(windows)
        found: list[Mapping[str, float] | None] = []
        while len(found) < len(windows):
            batch = windows[len(found) : len(found) + self._rows]
            try:
                found += self._detect(self._speech, batch)
            except torch.OutOfMemoryError as error:
                self._halve(len(batch), error)
        return found

    def _detect(self, speech: LanguageHead, windows: Sequence[NDArray[np.float32]]) -> list[dict[str, float] | None]:
        model = self._speech.model
        audio = to_rows(windows, model.device)
        features = self._speech.features(audio, [1] * len(windows)).to(model.dtype)
        adapted = {name: model.get_parameter(name).data for name in self._base_weights}
        try:
            for name, weight in self._base_weights.items():
                model.get_parameter(name).data = weight
            return speech.language_probabilities(features)
        finally:
            for name, weight in adapted.items():
                model.get_parameter(name).data = weight

    def _set_rows(self, rows: int) -> None:
        self._rows = rows
        self.batch_size = _WINDOWS_A_ROW * rows

    def _halve(self, windows: int, error: Exception) -> None:
        if windows == 1:
            raise self._too_large() from error
        self._set_rows(windows // 2)
        self._writer.forget_buffers()
        torch.cuda.empty_cache()
        _LOG.warning("out of GPU memory with %d windows at a time; going on with %d", windows, self._rows)

    def _too_large(self) -> ModelError:
        return ModelError(
            f"{self.model}: one window does not fit into the GPU's memory", "free some, or use a smaller model"
        )


def _precision_that_fits(weight_bytes: float, *, free_bytes: float) -> Precision | None:
    """None where the weights fit as they are."""
    return "int8" if weight_bytes + _SPARE_BYTES > free_bytes else None


def _merge(speech: SpeechModel, adapter: Path) -> dict[str, torch.Tensor]:
    """Merge an adapter into a model; gives the base's weights that it changed, if the base tells languages."""
    is_asked = isinstance(speech, LanguageHead)
    before = {name: weight.detach().clone() for name, weight in speech.model.named_parameters()} if is_asked else {}
    speech.model = attach_adapter(speech.model, adapter).merge_and_unload()
    after = dict(speech.model.named_parameters())
    return {name: weight for name, weight in before.items() if not torch.equal(weight, after[name])}
