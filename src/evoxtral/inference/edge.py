"""The `edge` engine: Whisper in CTranslate2 on the CPU, with its tags unsuppressed and no torch.

Takes windows and gives tagged text; also aligns any text with a window, which the times of every engine come from.
Knows nothing of files or long recordings.
"""

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from evoxtral.audio import SAMPLE_RATE_HZ
from evoxtral.errors import ModelError
from evoxtral.inference.engine import AlignedToken, Hypothesis
from evoxtral.inference.gates import is_doubtful, is_loop

WINDOW_S = 30.0
_WINDOW_SAMPLES = int(WINDOW_S * SAMPLE_RATE_HZ)

# One second of Whisper's encoder output, which alignments count in.
_ENCODED_FRAMES_PER_S = 50
_FEATURE_FRAMES_PER_S = 100

# Decoding gains from a batch; the encoder takes one window at a time, because its attention would take 72 MB more
# for every further one (benchmarks/edge_speed.py).
BATCH_SIZE = 4
BEAM_SIZE = 1

# No speech has more tokens a second; what goes on for longer is a loop.
_MAX_TOKENS_PER_S = 12
_MAX_TOKENS_EXTRA = 24
_MAX_TOKENS = 448


class EdgeEngine:
    """A CTranslate2 Whisper, English-only or multilingual. It does not stream: CTranslate2's Whisper gives whole texts.

    Args:
        folder: model.bin, config.json, a vocabulary, tokenizer.json.
        model: the name that the user gave.
        compute_type: CTranslate2's type of computation; "auto" is the fastest that this processor has.

    Raises:
        ModelError: the folder lacks a file or holds another kind of model.
    """

    name = "ctranslate2"
    max_window_s = WINDOW_S
    batch_size = BATCH_SIZE

    def __init__(self, folder: Path, *, model: str, compute_type: str = "auto") -> None:
        import ctranslate2
        import tokenizers
        from faster_whisper.feature_extractor import FeatureExtractor

        self.model = model
        tokenizer_file = folder / "tokenizer.json"
        if not tokenizer_file.is_file():
            raise ModelError(f"{folder}: has no tokenizer.json", "copy it there from the model that was converted")
        try:
            self._whisper = ctranslate2.models.Whisper(
                str(folder), device="cpu", compute_type=compute_type, intra_threads=available_cores()
            )
        except (RuntimeError, ValueError) as error:
            raise ModelError(f"{folder}: is not a CTranslate2 Whisper model: {str(error).splitlines()[0]}") from error
        try:
            self._tokenizer = tokenizers.Tokenizer.from_file(str(tokenizer_file))
        except Exception as error:  # the class that the package raises
            raise ModelError(f"{tokenizer_file}: is damaged: {error}", "copy it again") from error
        self._extract = FeatureExtractor(feature_size=self._whisper.n_mels)
        self._end_of_text = self._token("<|endoftext|>")
        # The windows heard last with their encodings, so that aligning them does not encode them again.
        self._heard: list[tuple[NDArray[np.float32], NDArray[np.float32]]] = []

    @property
    def is_multilingual(self) -> bool:
        return bool(self._whisper.is_multilingual)

    def transcribe_windows(self, windows: Sequence[NDArray[np.float32]], *, language: str = "en") -> list[Hypothesis]:
        """See `TranscriptionEngine`. Raises ModelError for a language that the model does not know."""
        hypotheses: list[Hypothesis] = []
        prompt = [*self._start_sequence(language), self._token("<|notimestamps|>")]
        for first in range(0, len(windows), BATCH_SIZE):
            batch = windows[first : first + BATCH_SIZE]
            encoded = self._encode(batch)
            results = self._generate(encoded, prompt, batch, beam_size=BEAM_SIZE)
            # Whisper's loops and slips: searched again more widely, then with repetitions forbidden.
            for options in ({"beam_size": 5}, {"beam_size": 5, "no_repeat_ngram_size": 3}):
                doubtful = [index for index, result in enumerate(results) if is_doubtful(result)]
                if not doubtful:
                    break
                again = self._generate(encoded[doubtful], prompt, [batch[index] for index in doubtful], **options)
                for index, result in zip(doubtful, again, strict=True):
                    if not is_doubtful(result) or is_loop(results[index].text):
                        results[index] = result
            hypotheses += results
        return hypotheses

    def align_windows(
        self, windows: Sequence[NDArray[np.float32]], texts: Sequence[str], *, language: str = "en"
    ) -> list[list[AlignedToken]]:
        """Find where each token of each text is heard, by the decoder's cross-attention (dynamic time warping).

        Args:
            windows: as for `transcribe_windows`; those of its last call are not encoded again.
            texts: what is said in each window, from whatever source.

        Returns:
            the tokens of each text in order, their times rising; an empty list for an empty text.
        """
        aligned: list[list[AlignedToken]] = [[] for _ in windows]
        spoken = [index for index, text in enumerate(texts) if text.strip()]
        for first in range(0, len(spoken), BATCH_SIZE):
            batch = spoken[first : first + BATCH_SIZE]
            # Whisper's text begins with a space; offsets are moved back by it.
            encodings = [self._tokenizer.encode(f" {texts[index]}", add_special_tokens=False) for index in batch]
            limit = _MAX_TOKENS // 2
            results = self._whisper.align(
                self._view(self._encode([windows[index] for index in batch])),
                self._start_sequence(language),
                [encoding.ids[:limit] for encoding in encodings],
                [max(1, len(windows[index]) * _FEATURE_FRAMES_PER_S // SAMPLE_RATE_HZ) for index in batch],
            )
            for index, encoding, result in zip(batch, encodings, results, strict=True):
                aligned[index] = _tokens(texts[index], encoding.offsets[:limit], result)
        return aligned

    def _start_sequence(self, language: str) -> list[int]:
        if not self.is_multilingual:
            if language != "en":
                raise ModelError(f"{self.model}: knows English only, not {language!r}", "use --language en")
            return [self._token("<|startoftranscript|>")]
        if self._tokenizer.token_to_id(f"<|{language}|>") is None:
            raise ModelError(f"{self.model}: knows no language {language!r}", "give an ISO 639-1 code, such as en")
        return [self._token(name) for name in ("<|startoftranscript|>", f"<|{language}|>", "<|transcribe|>")]

    def _token(self, name: str) -> int:
        number: int | None = self._tokenizer.token_to_id(name)
        if number is None:
            raise ModelError(f"{self.model}: its tokenizer has no {name}")
        return number

    def _encode(self, windows: Sequence[NDArray[np.float32]]) -> NDArray[np.float32]:
        """Encoder outputs, shape (windows, 1500, width)."""
        known = self._heard
        self._heard = []
        for window in windows:
            encoded = next((output for samples, output in known if samples is window), None)
            if encoded is None:
                padded = np.pad(window[:_WINDOW_SAMPLES], (0, max(0, _WINDOW_SAMPLES - len(window))))
                features = np.ascontiguousarray(self._extract(padded, padding=0), np.float32)
                encoded = np.asarray(self._whisper.encode(self._view(features[None]), to_cpu=True))[0]
            self._heard.append((window, encoded))
        return np.stack([encoded for _, encoded in self._heard])

    def _generate(
        self, encoded: NDArray[np.float32], prompt: list[int], windows: Sequence[NDArray[np.float32]], **options: Any
    ) -> list[Hypothesis]:
        longest_s = max(len(window) for window in windows) / SAMPLE_RATE_HZ
        results = self._whisper.generate(
            self._view(encoded),
            [prompt] * len(encoded),
            # CTranslate2 writes at most half of this many tokens.
            max_length=min(_MAX_TOKENS, 2 * (_MAX_TOKENS_EXTRA + int(longest_s * _MAX_TOKENS_PER_S))),
            return_scores=True,
            return_no_speech_prob=True,
            suppress_tokens=[],  # Whisper's usual list holds "[", without which no tag can be written,
            suppress_blank=False,  # and this one the end at once, without which silence gets words
            **options,
        )
        hypotheses = []
        for result in results:
            written = result.sequences_ids[0]
            # The score is a mean that counts the end token's probability but not the token; of no tokens it is none.
            mean = float(result.scores[0]) * len(written) / (len(written) + 1) if written else None
            text = self._tokenizer.decode([token for token in written if token < self._end_of_text]).strip()
            hypotheses.append(Hypothesis(text, mean, float(result.no_speech_prob)))
        return hypotheses

    @staticmethod
    def _view(array: NDArray[np.float32]) -> Any:
        import ctranslate2

        return ctranslate2.StorageView.from_array(np.ascontiguousarray(array))


def available_cores() -> int:
    """How many cores this process may use, at most eight: more do not make a window faster."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return min(cores, 8)


def is_edge_model(folder: Path) -> bool:
    """Whether a folder holds a CTranslate2 model."""
    return (folder / "model.bin").is_file()


def _tokens(text: str, offsets: Sequence[tuple[int, int]], result: Any) -> list[AlignedToken]:
    """Read token times off a warping path: a token begins with the first frame that the path gives to it."""
    begins = np.zeros(len(offsets) + 1)
    path = np.asarray(result.alignments)
    rows, first = np.unique(path[:, 0], return_index=True)
    begins[rows] = path[first, 1] / _ENCODED_FRAMES_PER_S
    return [
        AlignedToken(
            max(start - 1, 0), min(max(end - 1, 0), len(text)), float(begins[index]), float(begins[index + 1]), chance
        )
        for index, ((start, end), chance) in enumerate(zip(offsets, result.text_token_probs, strict=True))
    ]
