"""The `edge` engine: Whisper in CTranslate2 on the CPU, with its tags unsuppressed and no torch.

Takes windows and gives tagged text; also aligns any text with a window, which the times of every engine come from.
Knows nothing of files or long recordings.
"""

import json
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from itertools import groupby
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from evoxtral.audio import SAMPLE_RATE_HZ
from evoxtral.cpu import usable_cores
from evoxtral.errors import ModelError
from evoxtral.findings import Finding
from evoxtral.inference.emotion_head import LONGEST_S, Emotion, EmotionHead, at_usual_level, pooled
from evoxtral.inference.engines.early_encoder import EarlyEncoder
from evoxtral.inference.engines.protocol import AlignedToken, Hypothesis
from evoxtral.inference.engines.registry import EngineRequest, EngineRow, missing_packages
from evoxtral.inference.hallucination_filter import is_doubtful
from evoxtral.models import resolve_model
from evoxtral.models.families.whisper import (
    END_OF_TEXT,
    MAX_PROMPT_TOKENS,
    NO_TIMESTAMPS,
    START_OF_PREVIOUS,
    keyword_prompt,
    start_of_transcript,
)

WINDOW_S = 30.0
# How much the encoder is given, silence included: the shortest that holds the window. Under 20 s a Whisper writes words
# twice and loses tags, unless it was taught such contexts; its config.json then says from where (docs/edge-model.md).
_CONTEXTS_S = (5.0, 10.0, 15.0, 20.0, WINDOW_S)
_UNTAUGHT_LEAST_CONTEXT_S, _LEAST_CONTEXT_KEY = 20.0, "least_context_s"

# A language of less probability is asked for again in the untaught context, which other languages are told in best.
_SURE_OF_LANGUAGE = 0.75

# One second of Whisper's encoder output, which alignments count in.
_ENCODED_FRAMES_PER_S = 50
_FEATURE_FRAMES_PER_S = 100

# More cores do not make a window faster.
_MOST_CORES = 8
# Several windows are heard by workers side by side: at decoding, a second core helps another window more than the same
# one. A worker encodes one window at a time and writes two; more would take 72 MB (encoding) and 37 MB (writing) for
# each (benchmarks/edge_speed.py).
_MOST_WORKERS = 4
_LEAST_BATCH, _WINDOWS_A_WORKER = 4, 2
# Who hears so many windows alone hears a stream, and keeps the model that gives all cores to one.
_SINGLE_CALLS_THAT_STAY = 8
BEAM_SIZE = 1

# No speech has more tokens a second; what goes on for longer is a loop.
_MAX_TOKENS_PER_S = 12
_MAX_TOKENS_EXTRA = 24
_MAX_TOKENS = 448

_GENERATION = {
    "return_scores": True,
    "return_no_speech_prob": True,
    "suppress_tokens": [],  # Whisper's usual list holds "[", without which no tag can be written,
    "suppress_blank": False,  # and this one the end at once, without which silence gets words
}

# Of a window that is still growing no more is encoded than there is and so much silence, but so much at least:
# Whisper's 30 seconds take six times the time of 10, and with less than that short speech is often written twice.
_DRAFT_SILENCE_S, _LEAST_DRAFT_S = 4.0, 10.0
# May still change at the end of what is certain.
_OPEN_PUNCTUATION = ".,;:!?\u2026 "


@dataclass(frozen=True, slots=True)
class _Found:
    """What a search found, and whether the text ended by itself."""

    hypothesis: Hypothesis
    ends: bool

    @property
    def merit(self) -> tuple[bool, float]:
        """What ends is better than what does not, and what is surer better than what is less so."""
        mean = self.hypothesis.mean_log_probability
        return self.ends, 0.0 if mean is None else mean


def _is_doubtful(found: _Found) -> bool:
    return not found.ends or is_doubtful(found.hypothesis)


class EdgeEngine:
    """A CTranslate2 Whisper, English-only or multilingual. It does not stream: CTranslate2's Whisper gives whole texts.

    Args:
        folder: model.bin, config.json, a vocabulary, tokenizer.json. The config's `least_context_s` is the shortest
            encoder context that the model was taught, in seconds; 20 without it.
        model: the name that the user gave.
        compute_type: CTranslate2's type of computation; "auto" is the fastest that this processor has.

    Raises:
        ModelError: the folder lacks a file or holds another kind of model.
    """

    name = "ctranslate2"
    max_window_s = WINDOW_S
    takes_keywords = True

    def __init__(self, folder: Path, *, model: str, compute_type: str = "auto") -> None:
        import tokenizers
        from faster_whisper.feature_extractor import FeatureExtractor

        self.model = model
        tokenizer_file = folder / "tokenizer.json"
        if not tokenizer_file.is_file():
            raise ModelError(f"{folder}: has no tokenizer.json", "copy it there from the model that was converted")
        self._folder, self._compute_type = folder, compute_type
        self._workers = min(usable_cores(), _MOST_WORKERS)
        self.batch_size = max(_LEAST_BATCH, _WINDOWS_A_WORKER * self._workers)
        # By number of workers. The second is loaded once there are windows for it, and replaces the first if that was
        # hardly used: one long recording, whose first window may come alone, needs no more than one of them.
        self._models = {1: self._load(1)}
        self._single_calls = 0
        self._threads = ThreadPoolExecutor(self._workers, thread_name_prefix="edge")
        try:
            self._tokenizer = tokenizers.Tokenizer.from_file(str(tokenizer_file))
        except Exception as error:  # the class that the package raises
            raise ModelError(f"{tokenizer_file}: is damaged: {error}", "copy it again") from error
        self._extract = FeatureExtractor(feature_size=self._models[1].n_mels)
        config = json.loads((folder / "config.json").read_text("utf-8"))  # which CTranslate2 has read by now
        self._least_context_s = float(config.get(_LEAST_CONTEXT_KEY, _UNTAUGHT_LEAST_CONTEXT_S))
        self.is_multilingual = bool(self._models[1].is_multilingual)
        self._end_of_text = self._token(END_OF_TEXT)
        self._emotions = EmotionHead.load(folder)
        self._early: EarlyEncoder | None = None  # loaded once an emotion is asked for
        # The windows heard last with their encodings, so that aligning them does not encode them again.
        self._heard: list[tuple[NDArray[np.float32], NDArray[np.float32]]] = []

    def _load(self, workers: int) -> Any:
        import ctranslate2

        threads = max(1, min(usable_cores(), _MOST_CORES) // workers)
        try:
            return ctranslate2.models.Whisper(
                str(self._folder),
                device="cpu",
                compute_type=self._compute_type,
                inter_threads=workers,
                intra_threads=threads,
            )
        except (RuntimeError, ValueError) as error:
            reason = str(error).splitlines()[0]
            raise ModelError(f"{self._folder}: is not a CTranslate2 Whisper model: {reason}") from error

    def _model(self, windows: int) -> Any:
        """All cores for one window, or a worker for each core."""
        self._single_calls += windows == 1
        if windows > 1 and self._workers not in self._models:
            if self._single_calls < _SINGLE_CALLS_THAT_STAY:
                self._models.clear()
            self._models[self._workers] = self._load(self._workers)
        if windows == 1 and 1 not in self._models and self._single_calls >= _SINGLE_CALLS_THAT_STAY:
            self._models[1] = self._load(1)
        return self._models.get(1 if windows == 1 else self._workers) or self._models[self._workers]

    def transcribe_windows(self, windows: Sequence[NDArray[np.float32]], *, language: str = "en") -> list[Hypothesis]:
        """See `TranscriptionEngine`. Raises ModelError for a language that the model does not know."""
        hypotheses: list[Hypothesis] = []
        prompt = [*self._start_sequence(language), self._token(NO_TIMESTAMPS)]
        for first in range(0, len(windows), self.batch_size):
            batch = windows[first : first + self.batch_size]
            encoded = self._encode(batch)
            results = self._generate(encoded, [prompt] * len(batch), batch, beam_size=BEAM_SIZE)
            # Slips, and texts that never end, are searched for again more widely; what ends and is surer stands.
            doubtful = [index for index, found in enumerate(results) if _is_doubtful(found)]
            if doubtful:
                again = self._generate(
                    [encoded[index] for index in doubtful],
                    [prompt] * len(doubtful),
                    [batch[index] for index in doubtful],
                    beam_size=5,
                )
                for index, wider in zip(doubtful, again, strict=True):
                    results[index] = max(results[index], wider, key=lambda found: found.merit)
            hypotheses += [found.hypothesis for found in results]
        return hypotheses

    def transcribe_prompted(
        self, windows: Sequence[NDArray[np.float32]], keywords: Sequence[Sequence[str]], *, language: str = "en"
    ) -> list[Hypothesis]:
        """See `KeywordListener`. Windows of the last call are not encoded again."""
        hypotheses: list[Hypothesis] = []
        start = [*self._start_sequence(language), self._token(NO_TIMESTAMPS)]
        for first in range(0, len(windows), self.batch_size):
            batch = windows[first : first + self.batch_size]
            prompts = [
                [self._token(START_OF_PREVIOUS), *self._tokens_of(keyword_prompt(asked)), *start]
                for asked in keywords[first : first + self.batch_size]
            ]
            heard = self._heard  # the aligner still needs all of them
            results = self._generate(self._encode(batch), prompts, batch, beam_size=BEAM_SIZE)
            self._heard = heard
            hypotheses += [found.hypothesis for found in results]
        return hypotheses

    def _tokens_of(self, text: str) -> list[int]:
        tokens: list[int] = self._tokenizer.encode(text, add_special_tokens=False).ids
        return tokens[:MAX_PROMPT_TOKENS]

    def draft_windows(
        self, windows: Sequence[NDArray[np.float32]], beginnings: Sequence[str], *, language: str = "en"
    ) -> list[Hypothesis]:
        """See `Drafter`: encodes no more than there is, and writes only what comes after the beginnings."""
        start = [*self._start_sequence(language), self._token(NO_TIMESTAMPS)]
        model = self._model(len(windows))

        def draft(window: NDArray[np.float32], beginning: str) -> Hypothesis:
            beginning = beginning.rstrip(_OPEN_PUNCTUATION)
            certain = self._tokenizer.encode(f" {beginning}", add_special_tokens=False).ids if beginning else []
            length_s = min(len(window) / SAMPLE_RATE_HZ, WINDOW_S)
            features = self._features(window, min(max(length_s + _DRAFT_SILENCE_S, _LEAST_DRAFT_S), WINDOW_S))
            (result,) = model.generate(
                self._view(features[None]),
                [[*start, *certain]],
                beam_size=BEAM_SIZE,
                max_length=2 * _token_limit(length_s),
                **_GENERATION,
            )
            text = self._text(result.sequences_ids[0])  # the beginning included
            return Hypothesis(text, _mean_log_probability(result), float(result.no_speech_prob))

        return list(self._threads.map(draft, windows, beginnings))

    def detect_languages(self, windows: Sequence[NDArray[np.float32]]) -> list[Mapping[str, float] | None]:
        """See `LanguageDetector`: by the decoder's first step. Windows as for `align_windows`."""
        if not self.is_multilingual:
            return [None] * len(windows)
        found: list[Mapping[str, float] | None] = []
        for first in range(0, len(windows), self.batch_size):
            batch = windows[first : first + self.batch_size]
            encoded = self._encode(batch)
            languages = self._languages(encoded)
            # In a short context languages other than English are told less well.
            unsure = [
                index
                for index, probabilities in enumerate(languages)
                if max(probabilities.values()) < _SURE_OF_LANGUAGE
                and len(encoded[index]) < _UNTAUGHT_LEAST_CONTEXT_S * _ENCODED_FRAMES_PER_S
            ]
            if unsure:
                encode = self._encoder(len(unsure))
                contexts = [_UNTAUGHT_LEAST_CONTEXT_S] * len(unsure)
                longer = list(self._threads.map(encode, [batch[index] for index in unsure], contexts))
                for index, probabilities in zip(unsure, self._languages(longer), strict=True):
                    languages[index] = probabilities
            # A model whose configuration lists one language gives that one, whatever it hears.
            found += [probabilities if len(probabilities) > 1 else None for probabilities in languages]
        return found

    def _languages(self, encoded: Sequence[NDArray[np.float32]]) -> list[dict[str, float]]:
        return [
            {token.strip("<|>"): float(chance) for token, chance in ranked}
            for ranked in self._side_by_side(partial(self._detect, encoded), encoded)
        ]

    def hears_emotions_in(self, language: str) -> bool:
        """See `EmotionListener`: where the model has weights for it, and plain speech of the language is known."""
        return self._emotions is not None and language in self._emotions.plain

    def hear_emotions(self, utterances: Sequence[NDArray[np.float32]], *, language: str = "en") -> list[Emotion | None]:
        """See `EmotionListener`: by the first layers of the encoder."""
        head = self._emotions
        if head is None or language not in head.plain:
            return [None] * len(utterances)
        # One worker: a few layers of a few seconds are soon done, and each worker keeps what it worked with.
        early = self._early or EarlyEncoder(self._folder, head.layers, compute_type=self._compute_type)
        self._early = early

        def hear(samples: NDArray[np.float32]) -> Emotion | None:
            beginning = samples[: int(LONGEST_S * SAMPLE_RATE_HZ)]
            return head.emotion_of(pooled(early.encode(at_usual_level(beginning))), language)

        return [hear(samples) for samples in utterances]

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
        limit = _MAX_TOKENS // 2
        for first in range(0, len(spoken), self.batch_size):
            batch = spoken[first : first + self.batch_size]
            # Whisper's text begins with a space; offsets are moved back by it.
            encodings = [self._tokenizer.encode(f" {texts[index]}", add_special_tokens=False) for index in batch]
            encoded = self._encode([windows[index] for index in batch])
            tokens = [encoding.ids[:limit] for encoding in encodings]
            frames = [max(1, len(windows[index]) * _FEATURE_FRAMES_PER_S // SAMPLE_RATE_HZ) for index in batch]
            results = self._side_by_side(
                partial(self._align, encoded, tokens, frames, self._start_sequence(language)), encoded
            )
            for index, encoding, result in zip(batch, encodings, results, strict=True):
                aligned[index] = _tokens(texts[index], encoding.offsets[:limit], result)
        return aligned

    def _start_sequence(self, language: str) -> list[int]:
        try:
            names = start_of_transcript(language, multilingual=self.is_multilingual)
        except ModelError as error:
            raise ModelError(f"{self.model}: knows English only, not {language!r}", "use --language en") from error
        if any(self._tokenizer.token_to_id(name) is None for name in names):
            raise ModelError(f"{self.model}: knows no language {language!r}", "give an ISO 639-1 code, such as en")
        return [self._token(name) for name in names]

    def _token(self, name: str) -> int:
        number: int | None = self._tokenizer.token_to_id(name)
        if number is None:
            raise ModelError(f"{self.model}: its tokenizer has no {name}")
        return number

    def _align(
        self,
        encoded: Sequence[NDArray[np.float32]],
        tokens: Sequence[list[int]],
        frames: Sequence[int],
        start: list[int],
        part: list[int],
    ) -> list[Any]:
        """CTranslate2's alignments of some of the windows, all of one context."""
        aligned: list[Any] = self._model(len(encoded)).align(
            self._view_of(encoded, part), start, [tokens[index] for index in part], [frames[index] for index in part]
        )
        return aligned

    def _detect(self, encoded: Sequence[NDArray[np.float32]], part: list[int]) -> list[Any]:
        """CTranslate2's languages of some of the windows, all of one context, each with its probability."""
        found: list[Any] = self._model(len(encoded)).detect_language(self._view_of(encoded, part))
        return found

    def _encode(self, windows: Sequence[NDArray[np.float32]]) -> list[NDArray[np.float32]]:
        """Encoder outputs, each of shape (50 a second of its context, width)."""
        known = self._heard

        def encoded(window: NDArray[np.float32]) -> NDArray[np.float32]:
            for samples, output in known:
                if samples is window:
                    return output
            return encode(window, _context_s(len(window), self._least_context_s))

        encode = self._encoder(len(windows))
        outputs = list(self._threads.map(encoded, windows))
        self._heard = list(zip(windows, outputs, strict=True))
        return outputs

    def _encoder(self, windows: int) -> Callable[[NDArray[np.float32], float], NDArray[np.float32]]:
        """Encodes a window in a context of so many seconds; for so many windows at a time."""
        model = self._model(windows)

        def encode(window: NDArray[np.float32], context_s: float) -> NDArray[np.float32]:
            view = self._view(self._features(window, context_s)[None])
            encoded: NDArray[np.float32] = np.asarray(model.encode(view, to_cpu=True)).squeeze(0)
            return encoded

        return encode

    def _features(self, window: NDArray[np.float32], length_s: float) -> NDArray[np.float32]:
        """Mel spectrogram of a window, filled up with silence or cut to a length; shape (bands, 100 a second)."""
        samples = int(length_s * SAMPLE_RATE_HZ)
        padded = np.pad(window[:samples], (0, max(0, samples - len(window))))
        return np.ascontiguousarray(self._extract(padded, padding=0), np.float32)

    def _side_by_side(
        self, work: Callable[[list[int]], list[Any]], encoded: Sequence[NDArray[np.float32]]
    ) -> list[Any]:
        """What `work` gives for windows, of which each worker gets its share by their numbers.

        Windows of like context go to one worker, and are passed to `work` together.
        """
        by_context = sorted(range(len(encoded)), key=lambda index: len(encoded[index]))
        count = min(self._workers, len(encoded))
        shares = [part.tolist() for part in np.array_split(np.asarray(by_context, np.intp), count)] if count else []

        def do_share(share: list[int]) -> list[tuple[int, Any]]:
            groups = [list(group) for _, group in groupby(share, key=lambda index: len(encoded[index]))]
            return [pair for group in groups for pair in zip(group, work(group), strict=True)]

        results = dict(pair for pairs in self._threads.map(do_share, shares) for pair in pairs)
        return [results[index] for index in range(len(encoded))]

    def _generate(
        self,
        encoded: Sequence[NDArray[np.float32]],
        prompts: Sequence[list[int]],
        windows: Sequence[NDArray[np.float32]],
        **options: Any,
    ) -> list[_Found]:
        limits = [_token_limit(len(window) / SAMPLE_RATE_HZ) for window in windows]
        generate = self._model(len(windows)).generate
        # Prompts of one batch have one length.
        alike = len({len(prompt) for prompt in prompts}) == 1

        def write_together(group: list[int]) -> list[Any]:
            results: list[Any] = generate(
                self._view_of(encoded, group),
                [prompts[index] for index in group],
                max_length=2 * max(limits[index] for index in group),  # of which CTranslate2 writes at most half
                **_GENERATION,
                **options,
            )
            return results

        def write(part: list[int]) -> list[Any]:
            results = write_together(part) if alike else [write_together([index])[0] for index in part]
            # Whatever shares the batch of a window, its text is the same: what a longer one let it write beyond its
            # own limit is written again alone.
            return [
                result if len(result.sequences_ids[0]) <= limits[index] else write_together([index])[0]
                for index, result in zip(part, results, strict=True)
            ]

        results = self._side_by_side(write, encoded)
        found = []
        for limit, result in zip(limits, results, strict=True):
            written = result.sequences_ids[0]
            hypothesis = Hypothesis(self._text(written), _mean_log_probability(result), float(result.no_speech_prob))
            found.append(_Found(hypothesis, ends=len(written) < limit))
        return found

    def _text(self, tokens: Sequence[int]) -> str:
        return str(self._tokenizer.decode([token for token in tokens if token < self._end_of_text])).strip()

    def _view_of(self, encoded: Sequence[NDArray[np.float32]], part: list[int]) -> Any:
        return self._view(np.stack([encoded[index] for index in part]))

    @staticmethod
    def _view(array: NDArray[np.float32]) -> Any:
        import ctranslate2

        return ctranslate2.StorageView.from_array(np.ascontiguousarray(array))


def _context_s(samples: int, least_s: float) -> float:
    """How much the encoder is given of a window of so many samples, where nothing under `least_s` was taught."""
    needed_s = max(samples / SAMPLE_RATE_HZ, least_s)
    return next((context_s for context_s in _CONTEXTS_S if needed_s <= context_s), WINDOW_S)


def _token_limit(length_s: float) -> int:
    """How many tokens at most are written of so much sound."""
    return min(_MAX_TOKENS // 2, _MAX_TOKENS_EXTRA + int(length_s * _MAX_TOKENS_PER_S))


def _mean_log_probability(result: Any) -> float | None:
    """Of what was written; the score is a mean that counts the end token's probability but not the token."""
    written = len(result.sequences_ids[0])
    return float(result.scores[0]) * written / (written + 1) if written else None


def _claims(folder: Path) -> bool:
    """Whether a folder holds a CTranslate2 model."""
    return (folder / "model.bin").is_file()


def _load(request: EngineRequest) -> EdgeEngine:
    assert request.weights is not None
    return EdgeEngine(request.weights.folder, model=request.model)


def _probe() -> Finding:
    reinstall = "pip install --force-reinstall evoxtral"
    if missing := missing_packages("ctranslate2", "faster_whisper", "onnxruntime", "tokenizers"):
        return Finding("edge", False, f"missing: {', '.join(missing)}", reinstall)
    try:
        resolve_model("edge")
    except ModelError as error:
        return Finding("edge", False, error.message, error.hint)
    return Finding("edge", True, "the packaged model, in CTranslate2 on the processor")


ENGINE = EngineRow(
    name="edge",
    named_by="edge, or a folder or hub id of a CTranslate2 Whisper",
    extra=None,
    probe=_probe,
    load=_load,
    claims_folder=_claims,
    order=10,
)


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
