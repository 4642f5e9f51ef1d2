"""A recording whose every word is known, and an engine that reads exactly it."""

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from evoxtral.audio import SAMPLE_RATE_HZ, resample
from evoxtral.inference.engines.protocol import AlignedToken, Hypothesis
from evoxtral.tags import parse
from evoxtral.tts import load_speech_engine

SENTENCES = (
    "The baker opens his shop before anybody else is awake.",
    "[excited] We found the LOST letters under the floor! [laughs]",
    "Nobody answered when I called, so I went around the house.",
    "[whispers] Please keep your voice down. [pause] They are sleeping.",
    "Every winter the river freezes and the children skate on it.",
    "[sighs] There was nothing left to say about the matter.",
    "My brother keeps eleven clocks and none of them agree.",
    "[sad] The garden has been empty since she moved away.",
)


@dataclass(frozen=True)
class Spoken:
    """A part of a recording: a word of its text, or a tag with the stretch where it is heard."""

    text: str
    start_s: float
    end_s: float


@dataclass(frozen=True)
class Recording:
    """Speech with what is said in it, in the order of the text."""

    samples: NDArray[np.float32]
    parts: tuple[Spoken, ...]

    @property
    def text(self) -> str:
        return " ".join(part.text for part in self.parts)

    @property
    def words(self) -> list[Spoken]:
        return [part for part in self.parts if not part.text.startswith("[")]


def record(
    sentences: Sequence[str], gaps_s: Sequence[float], seed: int = 0, voices: Sequence[str] = ("espeak/alan",)
) -> Recording:
    """Speak sentences with local voices in turn, so much silence before each, and a little noise all over."""
    engine = load_speech_engine("local")
    pieces: list[NDArray[np.float32]] = []
    parts: list[Spoken] = []
    at_s = 0.0
    for number, (sentence, gap_s) in enumerate(zip(sentences, gaps_s, strict=True)):
        speech = engine.speak(sentence, voice=voices[number % len(voices)], seed=seed)
        sound = resample(speech.samples, speech.sample_rate_hz, SAMPLE_RATE_HZ)
        silence = np.zeros(round(gap_s * SAMPLE_RATE_HZ), np.float32)
        pieces += [silence, sound]
        at_s += len(silence) / SAMPLE_RATE_HZ
        parsed = parse(sentence)
        placed = [
            (word.start, Spoken(word.text, at_s + time.start_s, at_s + time.end_s))
            for word, time in zip(parsed.words, speech.words, strict=True)
        ]
        for tag, time in zip(parsed.tags, speech.tags, strict=True):
            # A tag that colours words is written where they begin.
            end_s = time.end_s if tag.category in ("non-verbal", "pause") else time.start_s
            placed.append((tag.start, Spoken(tag.text, at_s + time.start_s, at_s + end_s)))
        parts += [part for _, part in sorted(placed, key=lambda pair: pair[0])]
        at_s += len(sound) / SAMPLE_RATE_HZ
    samples = np.concatenate(pieces)
    noise = np.random.default_rng(seed).normal(0, 1e-5, len(samples))
    return Recording((samples + noise).astype(np.float32), tuple(parts))


@dataclass
class Reader:
    """An engine that says exactly what is said in the stretch of its recording that a window holds.

    A word of which a window holds only a part is written with a question mark: half a word.
    """

    recording: Recording
    max_window_s: float = 30.0
    batch_size: int = 3
    name: str = "reader"
    model: str = "perfect"
    windows: list[tuple[float, float]] = field(default_factory=list)

    def transcribe_windows(self, windows: Sequence[NDArray[np.float32]], *, language: str = "en") -> list[Hypothesis]:
        return [Hypothesis(" ".join(part.text for part in self._inside(window)), -0.1, 0.0) for window in windows]

    def align_windows(
        self, windows: Sequence[NDArray[np.float32]], texts: Sequence[str], *, language: str = "en"
    ) -> list[list[AlignedToken]]:
        aligned = []
        for window, text in zip(windows, texts, strict=True):
            start_s, tokens, at = self._place(window), [], 0
            for part in self._inside(window):
                found = text.find(part.text, at)
                if found < 0:  # a tag that was taken out of the text
                    continue
                at = found
                end = at + len(part.text)
                tokens.append(AlignedToken(at, end, part.start_s - start_s, part.end_s - start_s, 0.9))
                at = end
            aligned.append(tokens)
        return aligned

    def _place(self, window: NDArray[np.float32]) -> float:
        head = window[:256].tobytes()
        at = self.recording.samples.tobytes().index(head) // 4
        np.testing.assert_array_equal(self.recording.samples[at : at + len(window)], window)
        return at / SAMPLE_RATE_HZ

    def _inside(self, window: NDArray[np.float32]) -> list[Spoken]:
        start_s = self._place(window)
        end_s = start_s + len(window) / SAMPLE_RATE_HZ
        self.windows.append((start_s, end_s))
        inside = []
        for part in self.recording.parts:
            middle_s = (part.start_s + part.end_s) / 2
            if part.text.startswith("["):
                if start_s <= middle_s < end_s:
                    inside.append(part)
            elif part.end_s > start_s and part.start_s < end_s:
                whole = part.start_s >= start_s and part.end_s <= end_s
                inside.append(part if whole else Spoken(part.text + "?", part.start_s, part.end_s))
        return inside
