"""Cutting a recording of any length into windows that an engine can hear whole, in constant memory.

Windows are cut in pauses, never in speech where there is any pause, and keep the sound around speech: a laugh, a
breath or a pause carries a tag. Only long stretches without speech are left out. Knows nothing of text.
"""

import math
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from evoxtral.audio import SAMPLE_RATE_HZ
from evoxtral.audio.levels import lift_quiet_speech, rms_db
from evoxtral.inference.vad import FRAME_S, FRAME_SAMPLES, SpeechDetector, SpeechGate

# What is kept of a long stretch without speech on either side of it, for the sounds that belong to the speech.
MARGIN_S = 1.5
# A stretch without speech is left out where it is longer than this.
LONG_SILENCE_S = 4.0
# A cut falls into a pause of at least this length if there is one.
MIN_PAUSE_S = 0.16
# After a cut this much of the pause is left before the next sound, so that its onset is whole.
ONSET_S = 0.1
# Frames this close to the quietest of a pause are as quiet; nothing is quieter than silence.
QUIET_RANGE_DB = 6.0
SILENCE_DB = -70.0
# A window with less speech than this holds none: single frames are noise that the detector took for speech.
MIN_SPEECH_S = 0.12


@dataclass(frozen=True, slots=True)
class Span:
    """A stretch of the recording, in samples; `end` is exclusive."""

    start: int
    end: int


@dataclass(frozen=True)
class Window:
    """What an engine hears at once: one or more stretches of the recording, joined.

    Attributes:
        samples: mono float32 at 16 kHz, shape (n,); louder than in the recording where that is very quiet.
        spans: where the samples come from, in order; their lengths add up to n.
        speech: whether each of its frames of 32 ms is speech.
    """

    samples: NDArray[np.float32]
    spans: tuple[Span, ...]
    speech: NDArray[np.bool_]

    @property
    def speech_s(self) -> float:
        """How much of it is speech."""
        return int(self.speech.sum()) * FRAME_S

    @property
    def start_s(self) -> float:
        return self.spans[0].start / SAMPLE_RATE_HZ

    @property
    def end_s(self) -> float:
        return self.spans[-1].end / SAMPLE_RATE_HZ

    def split(self, offset_s: float) -> "tuple[Window, Window] | None":
        """The window up to and from the end of a frame, `offset_s` seconds from its start; None if one were empty."""
        frame = math.ceil(offset_s / FRAME_S)
        if not 0 < frame < len(self.speech):
            return None
        at = frame * FRAME_SAMPLES
        index = int(np.searchsorted(self._offsets, at, side="right")) - 1
        middle = self.spans[index].start + at - int(self._offsets[index])
        before = [*self.spans[:index], Span(self.spans[index].start, middle)]
        after = [Span(middle, self.spans[index].end), *self.spans[index + 1 :]]
        parts = (before, slice(None, at), slice(None, frame)), (after, slice(at, None), slice(frame, None))
        first, second = (
            Window(self.samples[samples], tuple(span for span in spans if span.end > span.start), self.speech[frames])
            for spans, samples, frames in parts
        )
        return first, second

    @cached_property
    def _offsets(self) -> NDArray[np.int64]:
        return np.cumsum([0, *(span.end - span.start for span in self.spans)])

    def offset_of(self, time_s: float) -> float:
        """Seconds from the start of the window for seconds from the start of the recording; of what is left out, the
        joint."""
        at = time_s * SAMPLE_RATE_HZ
        return sum(min(max(at - span.start, 0.0), span.end - span.start) for span in self.spans) / SAMPLE_RATE_HZ

    def time_in_recording(self, offset_s: float, *, is_end: bool = False) -> float:
        """Seconds from the start of the recording for seconds from the start of the window.

        On the joint of two spans an end (`is_end`) belongs to the first of them and a start to the second.
        """
        offset = min(max(offset_s, 0.0) * SAMPLE_RATE_HZ, float(len(self.samples)))
        index = int(np.searchsorted(self._offsets, offset, side="left" if is_end else "right")) - 1
        index = min(max(index, 0), len(self.spans) - 1)
        return (self.spans[index].start + offset - float(self._offsets[index])) / SAMPLE_RATE_HZ


def cut_windows(blocks: Iterable[NDArray[np.float32]], max_window_s: float = 30.0) -> Iterator[Window]:
    """Cut a recording, given block by block, into windows with speech in them of at most `max_window_s` seconds.

    Holds little more than one window and one block at a time. A recording without speech gives no window.
    """
    cutter = _Cutter(int(max_window_s * SAMPLE_RATE_HZ) // FRAME_SAMPLES)
    for block in blocks:
        cutter.feed(block)
        yield from cutter.cut()
    cutter.finish()
    yield from cutter.cut()


class _Cutter:
    """Holds what was read and not yet cut; counts in frames of the detector, the last of which may be incomplete."""

    def __init__(self, max_frames: int) -> None:
        self._max_frames = max_frames
        self._detector = SpeechDetector()
        self._gate = SpeechGate()
        self._first = 0  # frame of the recording that `_samples` begins with
        self._samples = np.zeros(0, np.float32)
        self._speech = np.zeros(0, np.bool_)
        self._ended = False

    def feed(self, block: NDArray[np.float32]) -> None:
        self._samples = np.concatenate([self._samples, block])
        self._speech = np.concatenate([self._speech, self._gate.feed(self._detector.feed(block))])

    def finish(self) -> None:
        self._speech = np.concatenate([self._speech, self._gate.feed(self._detector.finish())])
        self._ended = True

    def cut(self) -> Iterator[Window]:
        """Give the windows that are certain by now."""
        margin, long = round(MARGIN_S / FRAME_S), round(LONG_SILENCE_S / FRAME_S)
        while True:
            spoken = np.flatnonzero(self._speech)
            if len(spoken) == 0:
                # Keep what may turn out to stand before speech; a recording that ends so is over.
                self._drop(len(self._speech) if self._ended else len(self._speech) - margin)
                return
            if spoken[0] > long:
                self._drop(int(spoken[0]) - margin)
                continue
            spans = self._spans(spoken, margin, long)
            packed = np.concatenate([np.arange(start, end) for start, end in spans])
            closed = spans[-1][1] < len(self._speech) - margin  # a long silence follows, and its end is not known
            if len(packed) <= self._max_frames:
                if not (self._ended or (closed and len(self._speech) - int(spoken[-1]) > self._max_frames)):
                    return
                yield from self._window(spans)
                self._drop(len(self._speech) if self._ended else len(self._speech) - margin)
                continue
            at = self._best_cut(packed)
            cut = int(packed[at])
            yield from self._window([(start, min(end, cut)) for start, end in spans if start < cut])
            self._drop(cut)

    def _spans(self, spoken: NDArray[np.intp], margin: int, long: int) -> list[tuple[int, int]]:
        """The stretches to keep of all that is held: everything but long silences."""
        spans: list[tuple[int, int]] = []
        start = 0
        for before, after in pairwise(spoken):
            if after - before > long:
                spans.append((start, int(before) + 1 + margin))
                start = int(after) - margin
        last = int(spoken[-1]) + 1
        end = len(self._speech)
        return [*spans, (start, last + margin if end - last > long else end)]

    def _best_cut(self, packed: NDArray[np.intp]) -> int:
        """Where in the kept frames the next window begins: in the best pause of the window's second half.

        A long pause is better than a short one and a late one better than an early one. Where nobody pauses, the cut
        falls into the quietest moment.
        """
        earliest, latest = self._max_frames // 2, self._max_frames
        speech = self._speech[packed[: latest + 1]]
        levels = np.array([max(rms_db(self._frame(int(frame))), SILENCE_DB) for frame in packed[earliest : latest + 1]])
        edges = np.flatnonzero(np.diff(np.concatenate([[True], speech[earliest:], [True]]).astype(np.int8)))
        best: tuple[float, int] | None = None
        for start, end in zip(edges[::2], edges[1::2], strict=True):
            at, quiet_s = _cut_in_pause(levels[start:end])
            if quiet_s >= MIN_PAUSE_S:
                score = min(quiet_s, 0.5) + (earliest + start + at) / latest
                best = max(best or (0.0, 0), (score, int(earliest + start + at)))
        if best is not None:
            return best[1]
        smooth = np.convolve(levels[:-1], np.ones(3), mode="valid")
        return earliest + int(np.argmin(smooth)) + 1

    def _frame(self, index: int) -> NDArray[np.float32]:
        return self._samples[index * FRAME_SAMPLES : (index + 1) * FRAME_SAMPLES]

    def _window(self, spans: list[tuple[int, int]]) -> Iterator[Window]:
        speech = np.concatenate([self._speech[start:end] for start, end in spans])
        parts = [self._samples[start * FRAME_SAMPLES : end * FRAME_SAMPLES] for start, end in spans]
        starts = [(self._first + start) * FRAME_SAMPLES for start, _ in spans]
        window = Window(
            samples=lift_quiet_speech(np.concatenate(parts)),
            spans=tuple(Span(start, start + len(part)) for start, part in zip(starts, parts, strict=True)),
            speech=speech,
        )
        if window.speech_s >= MIN_SPEECH_S:
            yield window

    def _drop(self, frames: int) -> None:
        if frames > 0:
            self._samples = self._samples[frames * FRAME_SAMPLES :].copy()
            self._speech = self._speech[frames:].copy()
            self._first += frames


def _cut_in_pause(levels_db: NDArray[np.float64]) -> tuple[int, float]:
    """Where to cut a pause, given the level of each of its frames; and how many seconds are quiet around there.

    The detector misses soft onsets, breaths and laughs: the cut comes where it is as quiet as it gets, and as late as
    it stays so, so that the pause is heard whole by the window that it ends.
    """
    quiet = levels_db <= levels_db.min() + QUIET_RANGE_DB
    ends = np.flatnonzero(quiet & ~np.append(quiet[1:], False))
    starts = np.flatnonzero(quiet & ~np.append(False, quiet[:-1]))
    lengths = ends - starts + 1
    longest = int(np.argmax(lengths))
    onset = min(round(ONSET_S / FRAME_S), int(lengths[longest]) // 2)
    return int(ends[longest]) + 1 - onset, float(lengths[longest]) * FRAME_S
