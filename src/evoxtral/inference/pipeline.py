"""From a recording of any length to its transcript: cut, hear, check, align, join.

Works in constant memory: a window's sound is gone when its text is known. Knows engines by their protocol only.
"""

import logging
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import AbstractContextManager, ExitStack
from dataclasses import dataclass, replace
from itertools import islice
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

from evoxtral.audio import SAMPLE_RATE_HZ, Hole, Recording, open_audio
from evoxtral.errors import AudioError, ModelError, TooLongError
from evoxtral.inference.chunking import Window, cut_windows
from evoxtral.inference.diarization import Diarizer, Turn, load_diarizer, speaker_of
from evoxtral.inference.engines.protocol import (
    AlignedToken,
    Aligner,
    Hypothesis,
    LanguageDetector,
    TranscriptionEngine,
)
from evoxtral.inference.hallucination_filter import heard_text, is_too_fast
from evoxtral.inference.language_guard import LanguageDoubt, is_foreign, is_sure, note_doubts
from evoxtral.inference.options import TranscribeOptions
from evoxtral.inference.repetition import cut_loops, repeated_runs
from evoxtral.inference.second_ear import PACKAGED_BATCH, find_aligner, find_language_detector
from evoxtral.inference.timing import (
    TimedSpan,
    plain_part,
    split_segments,
    tag_confidences,
    time_events,
    time_words,
)
from evoxtral.inference.transcript import (
    TIME_DIGITS,
    SegmentPlaces,
    Transcript,
    TranscriptSegment,
    TranscriptTag,
    TranscriptWord,
)
from evoxtral.models import HUB_CACHE, ModelStore
from evoxtral.tags import Category, TaggedText, parse

_LOG = logging.getLogger(__name__)

# How much of given samples is taken at a time; also how often progress is told while nobody speaks.
_BLOCK_S = 10.0
# No tag stands so close to where sound is missing: a voice that breaks off there sounds moved.
_HOLE_MARGIN_S = 1.0
# Digits of probabilities.
_DIGITS = 3
_DEFAULTS = TranscribeOptions()

# Told the seconds done and the seconds in all (None if unknown).
ProgressReport = Callable[[float, float | None], None]
# Opens a recording as `open_audio` does.
OpenRecording = Callable[..., AbstractContextManager[Recording]]


@dataclass(frozen=True)
class HeardWindow:
    """What was said in one window; times are seconds from the start of the recording, None without alignment.

    Attributes:
        start_s, end_s: the window's.
        text: tagged text, not empty.
        parsed: the same, parsed.
        words: one a word of `parsed`.
        events: one a tag of `parsed`: where a sound or pause is heard; None for tags that colour words.
        tag_confidences: one a tag of `parsed`: its probability; None without alignment.
    """

    start_s: float
    end_s: float
    text: str
    parsed: TaggedText
    words: tuple[TimedSpan, ...] | None
    events: tuple[TimedSpan | None, ...]
    tag_confidences: tuple[float | None, ...]


def transcribe(
    source: str | Path | BinaryIO | NDArray[np.float32],
    *,
    engine: TranscriptionEngine | None = None,
    model: str = "edge",
    adapter: str | None = None,
    name: str | None = None,
    options: TranscribeOptions = _DEFAULTS,
    store: ModelStore = HUB_CACHE,
    max_duration_s: float | None = None,
    diarizer: Diarizer | None = None,
    on_progress: ProgressReport | None = None,
    on_text: Callable[[HeardWindow], None] | None = None,
    decode: OpenRecording = open_audio,
    **changes: Any,
) -> Transcript:
    """Transcribe one recording, as in `transcribe("talk.mp3", language="fr", diarize=True)`.

    Args:
        source: path or binary stream of anything that FFmpeg decodes, or mono float32 samples at 16 kHz, shape (n,).
        engine: what transcribes; by default the engine of `model` and `adapter` (see `load_engine`).
        name: how messages and the transcript call the recording; by default its path.
        options: language, times, speakers, sound track.
        store: where models are looked up and fetched to.
        max_duration_s: a longer recording is refused, as soon as that is known.
        diarizer: tells speakers apart, in the place of the one that `options.diarize` loads.
        on_progress: told how far it is now and then.
        on_text: given each window in which something was said, as soon as it is known.
        decode: opens the recording; by default it is decoded in this process.
        changes: fields of `TranscribeOptions` by name, in the place of those of `options`.

    Returns:
        the transcript; an empty one if nobody speaks.

    Raises:
        AudioError: the recording cannot be used; TooLongError: it is too long; ModelError: the engine cannot be loaded.
    """
    options = replace(options, **changes)
    if engine is None:
        from evoxtral.inference.engines.loading import load_engine

        engine = load_engine(model, adapter, store=store)
    aligner = find_aligner(engine)
    if diarizer is None and options.diarize:
        diarizer = load_diarizer(store)
    has_times = options.times or diarizer is not None
    declared_s: float | None
    holes: Sequence[Hole] = ()
    languages = _Languages(options.language)
    with ExitStack() as stack:
        if isinstance(source, np.ndarray):
            name, declared_s = name or "samples", len(source) / SAMPLE_RATE_HZ
            blocks: Iterable[NDArray[np.float32]] = _blocks_of(source, name)
        else:
            reader = stack.enter_context(decode(source, name=name, track=options.track))
            name, declared_s, holes = reader.name, reader.declared_duration_s, reader.holes
            blocks = reader.blocks()
        meter = _Meter(on_progress, declared_s, name, max_duration_s)

        def pass_window(window: Window) -> None:
            if diarizer is not None:
                diarizer.hear(window)
            meter.pass_window(window)

        heard = []
        for window in hear_windows(
            meter.count(blocks),
            engine,
            aligner,
            language=options.language,
            times=has_times,
            holes=holes,
            languages=languages,
            on_window=pass_window,
        ):
            heard.append(window)
            if on_text is not None:
                on_text(window)
        meter.finish()
        notes = [] if isinstance(source, np.ndarray) else reader.notes
    turns = [] if diarizer is None else diarizer.turns(options.min_speakers, options.max_speakers)
    transcript = _join(heard, turns, name=name, engine=engine, language=options.language, duration_s=meter.read_s)
    return replace(
        transcript,
        notes=(*notes, *note_doubts(languages.doubts, options.language)),
        language_probability=languages.probability,
    )


def hear_windows(
    blocks: Iterable[NDArray[np.float32]],
    engine: TranscriptionEngine,
    aligner: Aligner,
    *,
    language: str = "en",
    times: bool = True,
    holes: Sequence[Hole] = (),
    languages: "_Languages | None" = None,
    on_window: Callable[[Window], None] = lambda window: None,
) -> Iterator[HeardWindow]:
    """Transcribe a recording given block by block; gives each window in which something was said, in order.

    Args:
        aligner: what judges loops and tags at holes, and gives times if they are wanted (`times`).
        holes: where sound is missing; may grow while blocks are read.
        languages: takes note of the language of each window.
    """
    languages = languages or _Languages(language)
    detector = find_language_detector(engine)
    windows = cut_windows(blocks, engine.max_window_s)
    # The packaged model still holds its encodings of so many windows, for language and alignment.
    at_once = engine.batch_size if isinstance(engine, Aligner) else PACKAGED_BATCH
    while transcribed := list(islice(windows, engine.batch_size)):
        hypotheses = engine.transcribe_windows([window.samples for window in transcribed], language=language)
        for first in range(0, len(transcribed), at_once):
            batch, of_batch = transcribed[first : first + at_once], hypotheses[first : first + at_once]
            texts = [
                heard_text(hypothesis, window.speech_s) for hypothesis, window in zip(of_batch, batch, strict=True)
            ]
            texts = languages.leave_out_foreign(texts, of_batch, batch, detector, also_sure=times)
            texts = _without_loops(texts, batch, aligner, language)
            at_holes = [_are_near(holes, window) for window in batch]
            aligned: list[list[AlignedToken] | None] = [None] * len(batch)
            needed = [index for index, text in enumerate(texts) if text and (times or at_holes[index])]
            for index, tokens in zip(needed, _align(aligner, batch, texts, needed, language), strict=True):
                aligned[index] = tokens
            for window, text, tokens, near in zip(batch, texts, aligned, at_holes, strict=True):
                heard = _hear(window, text, tokens)
                if near and heard.parsed.tags:
                    text = _without_tags_at(holes, heard)
                    heard = _hear(window, text, _align(aligner, [window], [text], [0], language)[0] if text else None)
                if text:
                    yield heard if times else _without_times(heard)
                on_window(window)


def _without_times(heard: HeardWindow) -> HeardWindow:
    nothing = (None,) * len(heard.events)
    return replace(heard, words=None, events=nothing, tag_confidences=nothing)


def _without_loops(texts: list[str], batch: Sequence[Window], aligner: Aligner, language: str) -> list[str]:
    """The texts without repetitions that are not heard, and none where more is said than there was time for."""
    doubtful = [index for index, text in enumerate(texts) if repeated_runs(text)]
    for index, tokens in zip(doubtful, _align(aligner, batch, texts, doubtful, language), strict=True):
        texts[index] = cut_loops(texts[index], tokens, batch[index].speech)
    return ["" if is_too_fast(text, window.speech_s) else text for text, window in zip(texts, batch, strict=True)]


def _align(
    aligner: Aligner, batch: Sequence[Window], texts: Sequence[str], chosen: Sequence[int], language: str
) -> list[list[AlignedToken] | None]:
    """Alignments of some windows of a batch; None each where nothing can align."""
    if not chosen:
        return []
    try:
        windows = [batch[index].samples for index in chosen]
        return [*aligner.align_windows(windows, [texts[index] for index in chosen], language=language)]
    except ModelError as error:
        _LOG.warning("no times: %s", error)
        return [None] * len(chosen)


def _are_near(holes: Sequence[Hole], window: Window) -> bool:
    start_s, end_s = window.start_s - _HOLE_MARGIN_S, window.end_s + _HOLE_MARGIN_S
    return any(hole.start_s < end_s and hole.end_s > start_s for hole in holes)


def _without_tags_at(holes: Sequence[Hole], heard: HeardWindow) -> str:
    """The text of a window without the tags that begin or are heard where sound is missing; without times, any tags."""
    parsed = heard.parsed
    times = list(heard.events)
    for scope in parsed.scopes:
        if heard.words and scope.first_word < len(heard.words):
            start_s = heard.words[scope.first_word].start_s
            times[scope.tag] = TimedSpan(start_s, start_s)
    dropped = {
        tag
        for tag, span in zip(parsed.tags, times, strict=True)
        if span is None
        or any(
            hole.start_s - _HOLE_MARGIN_S < span.end_s and hole.end_s + _HOLE_MARGIN_S > span.start_s for hole in holes
        )
    }
    kept = "".join("" if item in dropped else item.text for item in parsed.items)
    return " ".join(kept.split())


class _Languages:
    """Takes note of the language of each window, and leaves out what was made of another one."""

    def __init__(self, language: str) -> None:
        self.doubts: list[LanguageDoubt] = []
        self._language = language
        self._heard_s = self._likely_s = 0.0
        self._is_whole = True

    @property
    def probability(self) -> float | None:
        """How likely the language is, over all speech; None if of some of it nothing was told."""
        return round(self._likely_s / self._heard_s, _DIGITS) if self._heard_s and self._is_whole else None

    def leave_out_foreign(
        self,
        texts: Sequence[str],
        hypotheses: Sequence[Hypothesis],
        batch: Sequence[Window],
        detector: LanguageDetector,
        *,
        also_sure: bool,
    ) -> list[str]:
        """The texts, empty where another language is spoken.

        Args:
            also_sure: also ask about windows that would stay whatever the answer is, for `probability`; to hear a
                window for that alone takes longer than some engines take for its text.
        """
        left = list(texts)
        spoken = [index for index, text in enumerate(texts) if text]
        asked = [index for index in spoken if also_sure or not is_sure(hypotheses[index])]
        self._is_whole = self._is_whole and len(asked) == len(spoken)
        if not asked:
            return left
        found = detector.detect_languages([batch[index].samples for index in asked])
        for index, probabilities in zip(asked, found, strict=True):
            window = batch[index]
            if not probabilities or self._language not in probabilities:
                self._is_whole = False
                continue
            self._heard_s += window.speech_s
            self._likely_s += window.speech_s * probabilities[self._language]
            if is_foreign(hypotheses[index], probabilities, self._language, window.speech_s):
                likeliest = max(probabilities, key=lambda language: probabilities[language])
                self.doubts.append(LanguageDoubt(window.start_s, window.end_s, likeliest))
                left[index] = ""
        return left


def _blocks_of(samples: NDArray[np.float32], name: str) -> Iterator[NDArray[np.float32]]:
    if samples.ndim != 1 or len(samples) == 0:
        raise AudioError(f"{name}: holds no sound (shape {samples.shape}, mono samples are one-dimensional)")
    if not np.isfinite(samples).all():
        raise AudioError(f"{name}: holds samples that are not numbers (NaN or infinite)")
    step = int(_BLOCK_S * SAMPLE_RATE_HZ)
    for start in range(0, len(samples), step):
        yield np.asarray(samples[start : start + step], np.float32)


class _Meter:
    """Counts what was read and what is done, tells of it, and stops at what is too long."""

    def __init__(
        self, on_progress: ProgressReport | None, total_s: float | None, name: str, max_duration_s: float | None
    ) -> None:
        self.read_s = 0.0
        self._on_progress = on_progress
        self._total_s = total_s
        self._name = name
        self._max_duration_s = max_duration_s
        self._check(total_s or 0.0)

    def _check(self, length_s: float) -> None:
        if self._max_duration_s is not None and length_s > self._max_duration_s:
            raise TooLongError(f"{self._name}: is longer than {self._max_duration_s / 60:.4g} minutes", "cut it")

    def count(self, blocks: Iterable[NDArray[np.float32]]) -> Iterator[NDArray[np.float32]]:
        for block in blocks:
            self.read_s += len(block) / SAMPLE_RATE_HZ
            self._check(self.read_s)
            yield block

    def pass_window(self, window: Window) -> None:
        if self._on_progress is not None:
            self._on_progress(window.end_s, self._total_s)

    def finish(self) -> None:
        if self._on_progress is not None:
            self._on_progress(self.read_s, self.read_s)


def _hear(window: Window, text: str, tokens: list[AlignedToken] | None) -> HeardWindow:
    parsed = parse(text)
    words: list[TimedSpan] | None = None
    events: list[TimedSpan | None] = [None] * len(parsed.tags)
    confidences: list[float | None] = [None] * len(parsed.tags)
    if tokens is not None:
        local = time_words(parsed, tokens, window.samples)
        times = time_events(parsed, local, tokens, window.samples)
        words = [_place(window, span) for span in local]
        events = [None if span is None else _place(window, span) for span in times]
        confidences = tag_confidences(parsed, tokens)
    return HeardWindow(
        window.start_s,
        window.end_s,
        text,
        parsed,
        None if words is None else tuple(words),
        tuple(events),
        tuple(confidences),
    )


def _place(window: Window, span: TimedSpan) -> TimedSpan:
    """Move a time from the window to the recording."""
    start_s = window.time_in_recording(span.start_s)
    return TimedSpan(start_s, max(start_s, window.time_in_recording(span.end_s, is_end=True)), span.confidence)


def _join(
    heard: Sequence[HeardWindow],
    turns: Sequence[Turn],
    *,
    name: str,
    engine: TranscriptionEngine,
    language: str,
    duration_s: float,
) -> Transcript:
    """One transcript of all windows, whose texts hold no half tags: joined they parse as they did alone."""
    parsed = parse(" ".join(window.text for window in heard))
    spans = [span for window in heard for span in window.words or [None] * len(window.parsed.words)]
    speakers = [None if span is None else speaker_of(span.start_s, span.end_s, turns) for span in spans]
    segments = tuple(_segments(parsed, heard, speakers))
    places = SegmentPlaces(parsed.source, [segment.text for segment in segments])
    words = [
        TranscriptWord(
            word.text, *_rounded(span), word.emphasis, speaker, _confidence(span), *places.find(word.start, word.end)
        )
        for word, span, speaker in zip(parsed.words, spans, speakers, strict=True)
    ]
    confidences = [confidence for window in heard for confidence in window.tag_confidences]
    tags = [
        TranscriptTag(
            tag.name,
            _category(tag.category),
            tag.group,
            tag.known,
            tag.gap,
            *_rounded(span),
            None if confidence is None else round(confidence, _DIGITS),
            *places.find(tag.start, tag.end),
        )
        for tag, span, confidence in zip(parsed.tags, _time_tags(parsed, heard, spans), confidences, strict=True)
    ]
    return Transcript(
        path=name,
        model=engine.model,
        engine=engine.name,
        language=language,
        duration_s=round(duration_s, TIME_DIGITS),
        text=parsed.source,
        plain_text=parsed.plain_text,
        segments=segments,
        words=tuple(words),
        tags=tuple(tags),
    )


def _time_tags(
    parsed: TaggedText, heard: Sequence[HeardWindow], words: Sequence[TimedSpan | None]
) -> list[TimedSpan | None]:
    """Sounds and pauses where they are heard; what colours words, from the first to the last of its scope."""
    times = [event for window in heard for event in window.events]
    for scope in parsed.scopes:
        of_scope = [span for span in words[scope.first_word : scope.last_word] if span is not None]
        if of_scope:
            times[scope.tag] = TimedSpan(of_scope[0].start_s, of_scope[-1].end_s)
        elif any(span is not None for span in words):
            # A tag that colours nothing stands where the next word begins, or at the end.
            after = words[scope.first_word] if scope.first_word < len(words) else None
            at_s = heard[-1].end_s if after is None else after.start_s
            times[scope.tag] = TimedSpan(at_s, at_s)
    return times


def _segments(
    parsed: TaggedText, heard: Sequence[HeardWindow], speakers: Sequence[str | None]
) -> Iterator[TranscriptSegment]:
    """The windows' texts, cut where somebody pauses or another speaks."""
    offset = first_word = 0
    for window in heard:
        of_window = speakers[first_word : first_word + len(window.parsed.words)]
        for segment in split_segments(window.parsed, window.words, of_window):
            sounds = [*(window.words or ())[segment.first_word : segment.last_word]]
            sounds += [event for event in window.events[segment.first_tag : segment.last_tag] if event is not None]
            start_s = min((span.start_s for span in sounds), default=window.start_s)
            end_s = max((span.end_s for span in sounds), default=window.end_s)
            start, end = offset + segment.start, offset + segment.end
            yield TranscriptSegment(
                start_s=round(start_s, TIME_DIGITS),
                end_s=round(end_s, TIME_DIGITS),
                text=parsed.source[start:end].strip(),
                plain_text=plain_part(parsed, start, end),
                speaker=next(iter(of_window[segment.first_word : segment.last_word]), None),
            )
        offset += len(window.text) + 1
        first_word += len(window.parsed.words)


def _rounded(span: TimedSpan | None) -> tuple[float | None, float | None]:
    return (None, None) if span is None else (round(span.start_s, TIME_DIGITS), round(span.end_s, TIME_DIGITS))


def _confidence(span: TimedSpan | None) -> float | None:
    return None if span is None or span.confidence is None else round(span.confidence, _DIGITS)


def _category(category: Category | None) -> str | None:
    return None if category is None else str(category)
