"""An engine with a tagger: words by Whisper base's own weights, tags by a network that hears its middle layers.

    python eval_runtime.py speed --weights EXPORT --list FILES.txt

runs it. One pass of the encoder (onnxruntime) gives both: its last layer goes to the decoder (CTranslate2), layers 2 to
4 to the tagger. Words, language detection and times are Whisper base's by construction. Needs no torch. Knows windows;
nothing of files or long recordings, but it can carry what it learned of a speaker from one window of a recording to the
next (`SpeakerState`).

A folder of weights holds: model.bin, config.json, vocabulary.json, tokenizer.json (CTranslate2's decoder),
encoder.onnx, tagger.onnx, and emotion.npz; `export_runtime.py` writes it.
"""

import os
import re
import zlib
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from tag_decisions import FRAMES_PER_S, HeardFrames, HeardWord, Thresholds, fit_to_sound, words_of, write_tags

from evoxtral.inference.engines.protocol import AlignedToken, Hypothesis

SAMPLE_RATE_HZ = 16_000
WINDOW_S = 30.0
_WINDOW_SAMPLES = int(WINDOW_S * SAMPLE_RATE_HZ)
_FRAME_SAMPLES = SAMPLE_RATE_HZ // FRAMES_PER_S
_WINDOW_FRAMES = 1500
_MEL_FRAME_SAMPLES = 160

# No speech has more tokens a second; what goes on for longer is a loop.
_MAX_TOKENS_PER_S, _MAX_TOKENS_EXTRA, _MAX_TOKENS = 12, 24, 448
# Thresholds of Whisper's own decoding (arXiv 2212.04356, section 4.5).
_MAX_COMPRESSION_RATIO, _MIN_MEAN_LOG_PROBABILITY = 2.4, -1.0
_MIN_NO_SPEECH, _LEAST_SURE_IN_SILENCE = 0.6, -0.4
# Of the speaker's emotion the mean over a recording is taken off, as much as n stretches are against so many unheard.
_PRIOR_STRETCHES = 3.0
_TAG = re.compile(r"\[[^\[\]]*\]\s?|[*(][^*()]{1,30}[*)]\s?")


@dataclass
class SpeakerState:
    """What a recording has told of its speaker: the running mean of the emotion network's logits.

    A linear classifier of features minus their mean is the classifier's output minus its mean, so no features are kept.
    One state belongs to one recording (or one diarized speaker); without one, each window is judged alone.
    """

    total: NDArray[np.float64] = field(default_factory=lambda: np.zeros(7))
    stretches: float = 0.0

    def hear(self, logits: NDArray[np.float32], seconds: float) -> None:
        """Add a stretch of speech, shape (7,), by its length: two seconds are one."""
        weight = min(seconds / 2.0, 2.0)
        self.total += weight * logits
        self.stretches += weight

    def bias(self, typical: NDArray[np.float32]) -> NDArray[np.float32]:
        """What to add to logits so that they are relative to the speaker; `typical` is the mean of neutral speakers."""
        mean = (self.total + _PRIOR_STRETCHES * typical) / (self.stretches + _PRIOR_STRETCHES)
        return np.asarray(typical - mean, np.float32)


@dataclass(frozen=True)
class _Heard:
    """One window: the decoder's input, and what the tagger heard."""

    samples: NDArray[np.float32]
    encoded: NDArray[np.float32]
    frames: HeardFrames


class LogMel:
    """Whisper's features in numpy: 80 mel bands by 10 ms, shape (80, 3000), of 30 s."""

    def __init__(self, filters: NDArray[np.float32]) -> None:
        self._filters = filters  # (201, 80)
        self._window = np.hanning(401)[:-1].astype(np.float32)

    def __call__(self, samples: NDArray[np.float32]) -> NDArray[np.float32]:
        padded = np.pad(samples[:_WINDOW_SAMPLES], (0, max(0, _WINDOW_SAMPLES - len(samples))))
        padded = np.pad(padded, 200, mode="reflect").astype(np.float32)
        frames = np.lib.stride_tricks.sliding_window_view(padded, 400)[::_MEL_FRAME_SAMPLES][:3000]
        power = np.abs(np.fft.rfft(frames * self._window, axis=1)).astype(np.float32) ** 2
        log = np.log10(np.maximum(power @ self._filters, 1e-10)).T
        log = np.maximum(log, log.max() - 8.0)
        return np.ascontiguousarray((log + 4.0) / 4.0, np.float32)


class TaggingEngine:
    """Implements `TranscriptionEngine` and `Aligner`.

    Args:
        folder: see the module.
        sensitivity: above 0 more tags are written, below 0 fewer; in logits of their probabilities.
    """

    name = "ctranslate2+tagger"
    max_window_s = WINDOW_S

    def __init__(
        self, folder: Path, *, model: str = "edge", sensitivity: float = 0.0, threads: int | None = None
    ) -> None:
        import ctranslate2
        import onnxruntime
        import tokenizers

        self.model = model
        cores = threads or min(len(os.sched_getaffinity(0)), 8)
        self.batch_size = max(2, 2 * cores)
        self._decoder = ctranslate2.models.Whisper(
            str(folder), compute_type="int8", inter_threads=1, intra_threads=cores
        )
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads, options.inter_op_num_threads = cores, 1
        # Attention's matrices would be kept by the arena: 72 MB a window.
        options.enable_cpu_mem_arena = False
        self._encoder, self._tagger = (
            onnxruntime.InferenceSession(str(folder / name), options, providers=["CPUExecutionProvider"])
            for name in ("encoder.onnx", "tagger.onnx")
        )
        self._tokenizer = tokenizers.Tokenizer.from_file(str(folder / "tokenizer.json"))
        with np.load(folder / "emotion.npz") as arrays:
            self._mel = LogMel(arrays["mel_filters"])
            self._typical = arrays["typical"].astype(np.float32)
        self._thresholds = Thresholds().moved(sensitivity)
        self._heard: list[_Heard] = []
        self._known: dict[int, tuple[str, list[HeardWord]]] = {}
        self._end_of_text = self._token("<|endoftext|>")

    def transcribe_windows(
        self, windows: Sequence[NDArray[np.float32]], *, language: str = "en", speaker: SpeakerState | None = None
    ) -> list[Hypothesis]:
        """See `TranscriptionEngine`.

        Args:
            speaker: carries the speaker's habits from window to window of a recording; not yet in the protocol.
        """
        made = []
        for first in range(0, len(windows), self.batch_size):
            batch = [self._hear(window) for window in windows[first : first + self.batch_size]]
            self._heard = batch
            for window, (text, mean, no_speech) in zip(batch, self._decode(batch, language), strict=True):
                if no_speech > _MIN_NO_SPEECH and (mean is None or mean < _LEAST_SURE_IN_SILENCE):
                    text = ""  # "you", "Thank you.": what Whisper writes for silence
                made.append(Hypothesis(self._tag(window, text, language, speaker), mean, no_speech))
        return made

    def detect_language(self, window: NDArray[np.float32]) -> tuple[str, float]:
        """The likeliest language and its probability, by Whisper base's own head."""
        token, chance = self._decoder.detect_language(self._view(self._hear(window).encoded[None]))[0][0]
        return token.strip("<|>"), float(chance)

    def align_windows(
        self, windows: Sequence[NDArray[np.float32]], texts: Sequence[str], *, language: str = "en"
    ) -> list[list[AlignedToken]]:
        """Tokens of each text (characters, times, probability); tags are left out, capitals read as small letters."""
        made = []
        for window, text in zip(windows, texts, strict=True):
            heard = next((item for item in self._heard if item.samples is window), None) or self._hear(window)
            plain, places = _without_tags(text)
            made.append(
                [
                    AlignedToken(places[a], places[b - 1] + 1, s, e, p)
                    for a, b, s, e, p in self._align(heard, plain, language)
                ]
            )
        return made

    def _hear(self, window: NDArray[np.float32]) -> _Heard:
        encoded, middle = self._encoder.run(None, {"mel": self._mel(window)[None]})
        count = min(_WINDOW_FRAMES, -(-len(window) // _FRAME_SAMPLES))
        inside = np.zeros((1, _WINDOW_FRAMES), np.float32)
        inside[0, :count] = 1.0
        packed = self._tagger.run(None, {"middle": middle, "inside": inside})[0][0, :count]
        samples = np.pad(window[: count * _FRAME_SAMPLES], (0, max(0, count * _FRAME_SAMPLES - len(window))))
        power = np.square(samples.reshape(count, _FRAME_SAMPLES)).mean(1)
        level_db = (10 * np.log10(power + 1e-10)).astype(np.float32)
        frames = HeardFrames(
            packed[:, :11], packed[:, 11], packed[:, 12], packed[:, 13], packed[:, 14], packed[:, 15:22], level_db
        )
        return _Heard(window, encoded[0], frames)

    def _decode(self, batch: Sequence[_Heard], language: str) -> list[tuple[str, float | None, float]]:
        prompt = [*self._start(language), self._token("<|notimestamps|>")]
        results: list[tuple[str, float | None, float] | None] = [None] * len(batch)
        waiting = list(range(len(batch)))
        for options in ({"beam_size": 1}, {"beam_size": 5}, {"beam_size": 5, "no_repeat_ngram_size": 3}):
            longest_s = max(len(batch[index].samples) for index in waiting) / SAMPLE_RATE_HZ
            found = self._decoder.generate(
                self._view(np.stack([batch[index].encoded for index in waiting])),
                [prompt] * len(waiting),
                max_length=min(_MAX_TOKENS, 2 * (_MAX_TOKENS_EXTRA + int(longest_s * _MAX_TOKENS_PER_S))),
                return_scores=True, return_no_speech_prob=True, suppress_tokens=[], suppress_blank=False, **options,
            )  # fmt: skip
            for index, result in zip(waiting, found, strict=True):
                ids = result.sequences_ids[0]
                text = self._tokenizer.decode([token for token in ids if token < self._end_of_text]).strip()
                mean = float(result.scores[0]) * len(ids) / (len(ids) + 1) if ids else None
                now, before = (text, mean, float(result.no_speech_prob)), results[index]
                if before is None or not _is_doubtful(now) or _is_loop(before[0]):
                    results[index] = now
            waiting = [index for index in waiting if _is_doubtful(results[index])]
            if not waiting:
                break
        return [result for result in results if result is not None]

    def _tag(self, heard: _Heard, text: str, language: str, speaker: SpeakerState | None) -> str:
        text = _TAG.sub("", text).strip()  # Whisper's own notes: "[Music]"
        words = words_of(text, self._align(heard, text, language)) if text else []
        bias = None
        if speaker is not None:
            spoken = fit_to_sound(words, heard.frames.level_db)
            for first in range(0, len(spoken), 6):
                part = spoken[first : first + 6]
                here = heard.frames.emotion[
                    round(part[0].start_s * FRAMES_PER_S) : round(part[-1].end_s * FRAMES_PER_S)
                ]
                if len(here):
                    speaker.hear(here.mean(0), len(here) / FRAMES_PER_S)
            bias = speaker.bias(self._typical)
        return write_tags(text, words, heard.frames, self._thresholds, bias)

    def _align(self, heard: _Heard, text: str, language: str) -> list[tuple[int, int, float, float, float]]:
        if not text.strip():
            return []
        # Whisper's text begins with a space; offsets are moved back by it.
        encoding = self._tokenizer.encode(f" {text}", add_special_tokens=False)
        ids, offsets = encoding.ids[: _MAX_TOKENS // 2], encoding.offsets[: _MAX_TOKENS // 2]
        frames = max(1, len(heard.samples) // _MEL_FRAME_SAMPLES)
        result = self._decoder.align(self._view(heard.encoded[None]), self._start(language), [ids], [frames])[0]
        begins = np.zeros(len(offsets) + 1)
        path = np.asarray(result.alignments)
        rows, first = np.unique(path[:, 0], return_index=True)
        begins[rows] = path[first, 1] / FRAMES_PER_S
        return [
            (max(a - 1, 0), max(1, min(b - 1, len(text))), float(begins[i]), float(begins[i + 1]), float(chance))
            for i, ((a, b), chance) in enumerate(zip(offsets, result.text_token_probs, strict=True))
        ]

    def _start(self, language: str) -> list[int]:
        return [self._token(name) for name in ("<|startoftranscript|>", f"<|{language}|>", "<|transcribe|>")]

    def _token(self, name: str) -> int:
        number = self._tokenizer.token_to_id(name)
        if number is None:
            raise ValueError(f"{self.model}: its tokenizer has no {name}")
        return int(number)

    @staticmethod
    def _view(array: NDArray[np.float32]) -> Any:
        import ctranslate2

        return ctranslate2.StorageView.from_array(np.ascontiguousarray(array))


def _is_loop(text: str) -> bool:
    data = text.encode()
    return len(data) / len(zlib.compress(data)) > _MAX_COMPRESSION_RATIO


def _is_doubtful(result: tuple[str, float | None, float] | None) -> bool:
    return result is not None and (
        (result[1] is not None and result[1] < _MIN_MEAN_LOG_PROBABILITY) or _is_loop(result[0])
    )


def _without_tags(text: str) -> tuple[str, list[int]]:
    """The text less its tags, capitals of stressed words lowered, and the place of each of its characters before."""
    tags = [range(match.start(), match.end()) for match in _TAG.finditer(text)]
    places = [place for place in range(len(text)) if not any(place in tag for tag in tags)]
    plain = "".join(text[place] for place in places)
    lowered = re.sub(r"\b[A-Z]{2,}\b", lambda match: match.group().lower(), plain)
    return lowered, places
