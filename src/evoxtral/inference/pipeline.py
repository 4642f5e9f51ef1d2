"""From a recording of any length to its transcript: cut, hear, check, align, join.

Works in constant memory: a window's sound is gone when its text is known. Knows engines by their protocol only.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import AbstractContextManager, ExitStack
from dataclasses import dataclass, replace
from functools import partial
from itertools import islice
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

from evoxtral.audio import SAMPLE_RATE_HZ, Hole, Recording, open_audio
from evoxtral.errors import AudioError, TooLongError
from evoxtral.inference.channels import channel_label
from evoxtral.inference.chunking import Window, cut_windows
from evoxtral.inference.diarization import Diarizer, EmbeddedDiarizer, Turn, load_diarizer, name_known, speaker_of
from evoxtral.inference.engines.protocol import (
    AlignedToken,
    Aligner,
    Hypothesis,
    KeywordListener,
    LanguageDetector,
    TranscriptionEngine,
)
from evoxtral.inference.hallucination_filter import heard_text
from evoxtral.inference.keywords import hear_keywords
from evoxtral.inference.language_guard import LanguageDoubt, is_foreign, is_sure, note_doubts
from evoxtral.inference.loops import without_loops
from evoxtral.inference.options import TranscribeOptions
from evoxtral.inference.second_ear import PACKAGED_BATCH, align_some, find_aligner, find_language_detector
from evoxtral.inference.timing import (
    SegmentRange,
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

# How much of given samples is taken at a time; also how often progress is told while nobody speaks.
_BLOCK_S = 10.0
# Channels that are heard one by one, each as long as the recording; no more voices have a microphone each.
MOST_CHANNELS_APART = 16
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
        speaker: who is known to speak all of it; None where that is to be found out.
    """

    start_s: float
    end_s: float
    text: str
    parsed: TaggedText
    words: tuple[TimedSpan, ...] | None
    events: tuple[TimedSpan | None, ...]
    tag_confidences: tuple[float | None, ...]
    speaker: str | None = None


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
    # Whoever tells speakers apart otherwise knows no voices.
    voices = diarizer if isinstance(diarizer, EmbeddedDiarizer) else EmbeddedDiarizer()
    has_times = options.times or diarizer is not None or options.channels
    languages = _Languages(options.language)
    heard: list[HeardWindow] = []
    notes: list[str] = []
    length_s = 0.0
    channel, channels = 0, 1
    while channel < channels:
        with ExitStack() as stack:
            declared_s: float | None
            holes: Sequence[Hole] = ()
            if isinstance(source, np.ndarray):
                name, declared_s = name or "samples", len(source) / SAMPLE_RATE_HZ
                blocks: Iterable[NDArray[np.float32]] = _blocks_of(source, name)
            else:
                only = channel if options.channels else None
                if channel > 0 and not isinstance(source, (str, Path)):
                    source.seek(0)
                reader = stack.enter_context(decode(source, name=name, track=options.track, channel=only))
                name, declared_s, holes = reader.name, reader.declared_duration_s, reader.holes
                blocks = reader.blocks()
                channels = _channels_of(reader) if options.channels else 1
            meter = _Meter(_of_channel(on_progress, channel, channels), declared_s, name, max_duration_s)

            def pass_window(window: Window, meter: _Meter = meter) -> None:
                if diarizer is not None:
                    diarizer.hear(window)
                if options.known_speakers and voices is not diarizer:
                    voices.hear(window)
                meter.pass_window(window)

            for window in hear_windows(
                meter.count(blocks),
                engine,
                aligner,
                language=options.language,
                times=has_times,
                holes=holes,
                languages=languages,
                keywords=options.keywords,
                on_window=pass_window,
            ):
                heard += _pieces(window, channel_label(channel)) if options.channels else [window]
                if on_text is not None:
                    on_text(window)
            meter.finish()
            if not isinstance(source, np.ndarray):
                notes += [note for note in reader.notes if note not in notes]
        length_s = max(length_s, meter.read_s)
        channel += 1
    if options.channels:
        heard.sort(key=lambda piece: piece.start_s)
    if options.keywords and not (isinstance(engine, KeywordListener) and engine.takes_keywords):
        notes.append(f"keywords are not used: {engine.model} takes none")
    turns = [] if diarizer is None else diarizer.turns(options.min_speakers, options.max_speakers)
    if options.known_speakers:
        turns = name_known(turns, voices.pieces, options.known_speakers)
    transcript = _join(heard, turns, name=name or "", engine=engine, language=options.language, duration_s=length_s)
    return replace(
        transcript,
        notes=(*notes, *note_doubts(languages.doubts, options.language)),
        language_probability=languages.probability,
        channels=channels if options.channels else None,
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
    keywords: Sequence[str] = (),
    on_window: Callable[[Window], None] = lambda window: None,
) -> Iterator[HeardWindow]:
    """Transcribe a recording given block by block; gives each window in which something was said, in order.

    Args:
        aligner: what judges loops and tags at holes, and gives times if they are wanted (`times`).
        holes: where sound is missing; may grow while blocks are read.
        languages: takes note of the language of each window.
        keywords: as of `TranscribeOptions`; an engine that takes none goes without.
    """
    languages = languages or _Languages(language)
    detector = find_language_detector(engine)
    windows = cut_windows(blocks, engine.max_window_s)
    # The packaged model still holds its encodings of so many windows, for language and alignment.
    at_once = engine.batch_size if isinstance(engine, Aligner) else PACKAGED_BATCH

    def judge(batch: Sequence[Window], hypotheses: Sequence[Hypothesis]) -> list[str]:
        texts = [heard_text(heard, window.speech_s) for heard, window in zip(hypotheses, batch, strict=True)]
        return languages.leave_out_foreign(texts, hypotheses, batch, detector, also_sure=times)

    def read(window: Window) -> str:
        (text,) = judge([window], engine.transcribe_windows([window.samples], language=language))
        return text

    while transcribed := list(islice(windows, engine.batch_size)):
        samples = [window.samples for window in transcribed]
        hypotheses = engine.transcribe_windows(samples, language=language)
        if keywords and isinstance(engine, KeywordListener) and engine.takes_keywords:
            hypotheses = hear_keywords(samples, hypotheses, engine, keywords, language=language)
        for first in range(0, len(transcribed), at_once):
            whole = transcribed[first : first + at_once]
            texts = judge(whole, hypotheses[first : first + at_once])
            batch, texts = without_loops(whole, texts, read, partial(align_some, aligner, language=language))
            at_holes = [_are_near(holes, window) for window in batch]
            aligned: list[list[AlignedToken] | None] = [None] * len(batch)
            needed = [index for index, text in enumerate(texts) if text and (times or at_holes[index])]
            for index, tokens in zip(needed, align_some(aligner, batch, texts, needed, language), strict=True):
                aligned[index] = tokens
            for window, text, tokens, near in zip(batch, texts, aligned, at_holes, strict=True):
                heard = _hear(window, text, tokens)
                if near and heard.parsed.tags:
                    text = _without_tags_at(holes, heard)
                    again = align_some(aligner, [window], [text], [0], language)[0] if text else None
                    heard = _hear(window, text, again)
                if text:
                    yield heard if times else _without_times(heard)
                on_window(window)


def _without_times(heard: HeardWindow) -> HeardWindow:
    nothing = (None,) * len(heard.events)
    return replace(heard, words=None, events=nothing, tag_confidences=nothing)


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
    known = [window.speaker for window in heard for _ in window.parsed.words]
    speakers = [
        speaker or (None if span is None else speaker_of(span.start_s, span.end_s, turns))
        for span, speaker in zip(spans, known, strict=True)
    ]
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
            start_s, end_s = _extent(window, segment)
            start, end = offset + segment.start, offset + segment.end
            yield TranscriptSegment(
                start_s=round(start_s, TIME_DIGITS),
                end_s=round(end_s, TIME_DIGITS),
                text=parsed.source[start:end].strip(),
                plain_text=plain_part(parsed, start, end),
                speaker=next(iter(of_window[segment.first_word : segment.last_word]), window.speaker),
            )
        offset += len(window.text) + 1
        first_word += len(window.parsed.words)


def _extent(window: HeardWindow, segment: SegmentRange) -> tuple[float, float]:
    """When a segment of a window begins and ends; without times, when the window does."""
    sounds = [*(window.words or ())[segment.first_word : segment.last_word]]
    sounds += [event for event in window.events[segment.first_tag : segment.last_tag] if event is not None]
    start_s = min((span.start_s for span in sounds), default=window.start_s)
    return start_s, max((span.end_s for span in sounds), default=window.end_s)


def _pieces(window: HeardWindow, speaker: str) -> list[HeardWindow]:
    """A window's segments as windows of their own, so that others can speak between them."""
    pieces = []
    for segment in split_segments(window.parsed, window.words):
        text = window.parsed.source[segment.start : segment.end].strip()
        piece = HeardWindow(
            *_extent(window, segment),
            text,
            parse(text),
            None if window.words is None else window.words[segment.first_word : segment.last_word],
            window.events[segment.first_tag : segment.last_tag],
            window.tag_confidences[segment.first_tag : segment.last_tag],
            speaker,
        )
        if (len(piece.parsed.words), len(piece.parsed.tags)) != (
            segment.last_word - segment.first_word,
            len(piece.events),
        ):
            return [replace(window, speaker=speaker)]  # a text that means something else when it is cut stays whole
        pieces.append(piece)
    return pieces


def _channels_of(recording: Recording) -> int:
    if recording.channels > MOST_CHANNELS_APART:
        raise AudioError(
            f"{recording.name}: has {recording.channels} channels",
            f"at most {MOST_CHANNELS_APART} are heard one by one",
        )
    return recording.channels


def _of_channel(on_progress: ProgressReport | None, channel: int, channels: int) -> ProgressReport | None:
    """Progress through a recording of which each channel is heard in turn."""
    if on_progress is None or channels == 1:
        return on_progress

    def report(done_s: float, total_s: float | None) -> None:
        on_progress(done_s if total_s is None else (channel * total_s + done_s) / channels, total_s)

    return report


def _rounded(span: TimedSpan | None) -> tuple[float | None, float | None]:
    return (None, None) if span is None else (round(span.start_s, TIME_DIGITS), round(span.end_s, TIME_DIGITS))


def _confidence(span: TimedSpan | None) -> float | None:
    return None if span is None or span.confidence is None else round(span.confidence, _DIGITS)


def _category(category: Category | None) -> str | None:
    return None if category is None else str(category)
