"""Utterances in live sound: where speech begins, where it ends, and where a long one is cut.

Takes samples as they come and tells what they complete; keeps one utterance and a little before it. Knows the voice
activity detector; nothing of text, engines or networks.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from evoxtral.audio import SAMPLE_RATE_HZ
from evoxtral.inference.vad import FRAME_S, FRAME_SAMPLES, SpeechDetector, SpeechGate

# Silence that ends an utterance, and the shorter one after which its end is likely.
END_SILENCE_S = 0.5
EARLY_END_SILENCE_S = 0.25
# Kept before the first frame of speech, for soft onsets and breaths.
PADDING_S = 0.3
# An utterance is cut by this length, at the quietest frame of its last part.
MAX_UTTERANCE_S = 28.0
_CUT_SEARCH_S = 4.0
# So much speech makes an utterance: less is a click.
_MIN_SPEECH_S = 0.12


@dataclass(frozen=True, slots=True)
class SpeechStarted:
    """Somebody began to speak at `at_s`, seconds from the start of the stream."""

    at_s: float


@dataclass(frozen=True, slots=True)
class EndLikely:
    """Silence began at `at_s`: the utterance is likely over; `SpeechResumed` follows if it is not."""

    at_s: float


@dataclass(frozen=True, slots=True)
class SpeechResumed:
    """The end that was likely is withdrawn: speech went on at `at_s`."""

    at_s: float


@dataclass(frozen=True, slots=True)
class Utterance:
    """A whole utterance: mono float32 samples at 16 kHz, shape (n,), which begin `start_s` after the stream's start.

    Attributes:
        end_s: where its samples end.
        is_cut: whether it was cut for its length while its speaker went on.
    """

    samples: NDArray[np.float32]
    start_s: float
    end_s: float
    is_cut: bool


Event = SpeechStarted | EndLikely | SpeechResumed | Utterance


class Endpointer:
    """Finds utterances in a stream. One object a stream; samples may come in pieces of any length.

    Attributes:
        end_silence_s: how much silence ends an utterance; may be changed while the stream goes on.
        early_end_silence_s: after how much its end is likely; None to tell of no likely ends.
    """

    def __init__(
        self, end_silence_s: float = END_SILENCE_S, early_end_silence_s: float | None = EARLY_END_SILENCE_S
    ) -> None:
        self.end_silence_s, self.early_end_silence_s = end_silence_s, early_end_silence_s
        self._detector = SpeechDetector()
        self._gate = SpeechGate()
        self._pending = np.zeros(0, np.float32)  # shorter than a frame
        self._samples: list[NDArray[np.float32]] = []  # frames that are kept
        self._speech: list[bool] = []
        self._first_frame = 0  # of the stream, that `_samples` begins with
        self._silent_frames = 0
        self._speaking = False
        self._end_is_likely = False

    @property
    def heard_s(self) -> float:
        """Seconds of sound that were taken in as whole frames."""
        return (self._first_frame + len(self._samples)) * FRAME_S

    def utterance_so_far(self) -> tuple[float, NDArray[np.float32]] | None:
        """Start and samples of the utterance that is being spoken; None between utterances."""
        if not self._speaking:
            return None
        return self._first_frame * FRAME_S, np.concatenate(self._samples)

    def feed(self, samples: NDArray[np.float32]) -> list[Event]:
        """Take in the next samples, mono float32 at 16 kHz of shape (n,); gives what they complete, in order."""
        joined = np.concatenate([self._pending, samples])
        count = len(joined) // FRAME_SAMPLES
        self._pending = joined[count * FRAME_SAMPLES :]
        if count == 0:
            return []
        frames = joined[: count * FRAME_SAMPLES]
        speech = self._gate.feed(self._detector.feed(frames))
        events: list[Event] = []
        for index, is_speech in enumerate(speech):
            frame = frames[index * FRAME_SAMPLES : (index + 1) * FRAME_SAMPLES]
            events += self._take(frame, bool(is_speech))
        return events

    def flush(self) -> list[Event]:
        """End the utterance that is being spoken, if any, as after silence."""
        events = self.feed(np.zeros(-len(self._pending) % FRAME_SAMPLES, np.float32))
        return [*events, *(self._end() if self._speaking else [])]

    def _take(self, frame: NDArray[np.float32], is_speech: bool) -> list[Event]:
        self._samples.append(frame)
        self._speech.append(is_speech)
        self._silent_frames = 0 if is_speech else self._silent_frames + 1
        if not self._speaking:
            if not is_speech:
                self._drop(len(self._samples) - round(PADDING_S / FRAME_S))
                return []
            self._speaking = True
            return [SpeechStarted((self._first_frame + len(self._samples) - 1) * FRAME_S)]
        events: list[Event] = []
        if is_speech and self._end_is_likely:
            self._end_is_likely = False
            events.append(SpeechResumed(self.heard_s - FRAME_S))
        silence_s = self._silent_frames * FRAME_S
        if silence_s >= self.end_silence_s:
            return [*events, *self._end()]
        early_s = self.early_end_silence_s
        if early_s is not None and silence_s >= early_s and not self._end_is_likely:
            self._end_is_likely = True
            events.append(EndLikely(self.heard_s - silence_s))
        if len(self._samples) * FRAME_S >= MAX_UTTERANCE_S:
            events += self._cut()
        return events

    def _end(self) -> list[Event]:
        utterance = self._utterance(len(self._samples), is_cut=False)
        self._speaking = self._end_is_likely = False
        self._silent_frames = 0
        self._drop(len(self._samples))
        return [] if utterance is None else [utterance]

    def _cut(self) -> list[Event]:
        """Give the utterance up to its quietest late frame; the rest begins the next."""
        search = round(_CUT_SEARCH_S / FRAME_S)
        energies = [float(np.square(frame).sum()) for frame in self._samples[-search:]]
        # The latest of equally quiet frames: what belongs together stays together.
        quietest = len(energies) - 1 - int(np.argmin(energies[::-1]))
        at = len(self._samples) - search + quietest + 1
        utterance = self._utterance(at, is_cut=True)
        self._drop(at)
        return [] if utterance is None else [utterance]

    def _utterance(self, frames: int, *, is_cut: bool) -> Utterance | None:
        if sum(self._speech[:frames]) * FRAME_S < _MIN_SPEECH_S:
            return None
        start_s = self._first_frame * FRAME_S
        samples = np.concatenate(self._samples[:frames])
        return Utterance(samples, start_s, start_s + len(samples) / SAMPLE_RATE_HZ, is_cut)

    def _drop(self, frames: int) -> None:
        if frames > 0:
            del self._samples[:frames]
            del self._speech[:frames]
            self._first_frame += frames
