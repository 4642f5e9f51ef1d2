"""Diarization error of the embedded diarizer on mixtures of known voices, and how well it counts the speakers.

    pip install pyannote.metrics
    python benchmarks/diarization.py [--repeat 1] [--output benchmarks/results/diarization.json] [SET.jsonl ...]

Each SET.jsonl is a manifest of recordings with their speakers and its tar beside it; the local voices are always
measured. Four kinds of mixture, from one to eight speakers each: long turns (1.5 to 8 s), short ones (0.8 to 3 s),
long ones of which a third begin before the one before has ended, and roll calls, where everybody speaks once. A turn of
the reference lasts from the first to the last speech of its clip; collar 0.25 s; overlapping speech counts.
"""

import argparse
import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from pyannote.core import Annotation, Segment, Timeline
from pyannote.metrics.diarization import DiarizationErrorRate

from evoxtral.audio import SAMPLE_RATE_HZ, resample
from evoxtral.data.recording_sets import RecordingSet
from evoxtral.inference.chunking import cut_windows
from evoxtral.inference.diarization import EmbeddedDiarizer
from evoxtral.inference.vad import FRAME_S, SpeechDetector, SpeechGate
from evoxtral.tts import load_speech_engine

MIXTURE_S = 60
LEAST_SPEECH_S = 20.0  # of a speaker, in a set of recordings
SENTENCES = (
    "The train leaves at seven, and we have to be at the station half an hour before that.",
    "I told them that the report was finished.",
    "Nobody had read a single page of it, and now they complain that it is too long.",
    "When my grandfather was young, this street was a field.",
    "There are three things to remember: the key, the number on the door, and the name of the dog.",
    "Yes, of course.",
    "Put the boxes over there, please, next to the window.",
    "We could take the long way round, through the village and over the bridge.",
)

Samples = NDArray[np.float32]
Clips = Mapping[str, list[Callable[[], Samples]]]


@dataclass(frozen=True)
class Kind:
    """A kind of mixture: how many speakers take turns of which lengths, and how many turns begin too early."""

    speakers: tuple[int, ...]
    turn_s: tuple[float, float]
    overlapping: float = 0.0
    once_each: bool = False


KINDS = {
    "long turns": Kind((1, 2, 3, 4), (1.5, 8.0)),
    "short turns": Kind((2, 3, 4, 6, 8), (0.8, 3.0)),
    "overlap": Kind((2, 3, 4), (1.5, 8.0), overlapping=0.33),
    "roll call": Kind((3, 6, 8), (2.0, 4.0), once_each=True),
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("sets", nargs="*", type=Path, help="manifests of recordings with speakers")
    parser.add_argument("--split", help="only the clips of this split")
    parser.add_argument("--repeat", type=int, default=2, help="mixtures of each kind and number of speakers")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--output", type=Path, help="write the figures as JSON")
    arguments = parser.parse_args()
    sources = {"local voices": spoken()} | {path.stem: recorded(path, arguments.split) for path in arguments.sets}
    report: dict[str, dict[str, dict[str, float]]] = {}
    for name, clips in sources.items():
        report[name] = {}
        for kind in KINDS:
            report[name][kind] = evaluate(mixtures(clips, kind, arguments.repeat, arguments.seed))
            print(name, kind, json.dumps(report[name][kind]), flush=True)
    if arguments.output:
        arguments.output.write_text(json.dumps(report, indent=2) + "\n", encoding="utf-8")


def recorded(manifest: Path, split: str | None) -> Clips:
    """Clips of the speakers of whom there is enough."""
    recordings = RecordingSet(manifest)
    clips: dict[str, list[Callable[[], Samples]]] = {}
    lengths_s: dict[str, float] = {}
    for recording in recordings.recordings:
        if recording.speaker and recording.duration_s >= 1.0 and split in (None, recording.split):
            clips.setdefault(recording.speaker, []).append(lambda recording=recording: recordings.read(recording))
            lengths_s[recording.speaker] = lengths_s.get(recording.speaker, 0.0) + recording.duration_s
    return {speaker: clips[speaker] for speaker in clips if lengths_s[speaker] >= LEAST_SPEECH_S}


def spoken() -> Clips:
    """Sentences of espeak-ng's voices."""
    engine = load_speech_engine("local")

    def speak(voice: str, sentence: str) -> Samples:
        speech = engine.speak(sentence, voice=voice)
        return resample(speech.samples, speech.sample_rate_hz, SAMPLE_RATE_HZ)

    return {
        voice.name: [lambda voice=voice, sentence=sentence: speak(voice.name, sentence) for sentence in SENTENCES]
        for voice in engine.voices()
        if voice.name.startswith("espeak/")
    }


def evaluate(mixed: Iterator[tuple[Samples, Annotation]]) -> dict[str, float]:
    """Error rate and its parts over all mixtures, and how often and how far the number of speakers was missed."""
    metric = DiarizationErrorRate(collar=0.5)  # pyannote counts both sides of a boundary
    totals: dict[str, float] = {}
    missed_by = []
    for samples, reference in mixed:
        diarizer = EmbeddedDiarizer()
        for window in cut_windows([samples]):
            diarizer.hear(window)
        hypothesis = Annotation()
        for index, turn in enumerate(diarizer.turns()):
            hypothesis[Segment(turn.start_s, turn.end_s), index] = turn.speaker
        whole = Timeline([Segment(0, len(samples) / SAMPLE_RATE_HZ)])
        for key, value in metric(reference, hypothesis, uem=whole, detailed=True).items():
            totals[key] = totals.get(key, 0.0) + value
        missed_by.append(len(hypothesis.labels()) - len(reference.labels()))
    parts = {key: totals[key] / totals["total"] for key in ("confusion", "missed detection", "false alarm")}
    figures = {
        "error_rate": sum(parts.values()),
        **parts,
        "speaker_count_right": float(np.mean(np.equal(missed_by, 0))),
        "speaker_count_error": float(np.mean(np.abs(missed_by))),
    }
    return {"mixtures": len(missed_by), **{key: round(value, 4) for key, value in figures.items()}}


def mixtures(clips: Clips, kind: str, repeat: int, seed: int) -> Iterator[tuple[Samples, Annotation]]:
    """Mixtures of one kind, with what is true of them."""
    rng = np.random.default_rng([seed, *kind.encode()])
    for count in KINDS[kind].speakers:
        for _ in range(repeat if count <= len(clips) else 0):
            yield mix(clips, KINDS[kind], count, rng)


def mix(clips: Clips, kind: Kind, count: int, rng: np.random.Generator) -> tuple[Samples, Annotation]:
    speakers = [str(name) for name in rng.choice(sorted(clips), count, replace=False)]
    reference = Annotation()
    mixed = np.zeros(0, np.float32)
    before = ""
    turn = 0
    while turn < count or (not kind.once_each and len(mixed) < MIXTURE_S * SAMPLE_RATE_HZ):
        # Everybody speaks first once, and then in any order.
        others = [name for name in speakers if name != before] or speakers
        speaker = speakers[turn] if turn < count else str(rng.choice(others))
        before = speaker
        clip = _turn(clips[speaker], float(rng.uniform(*kind.turn_s)), rng)
        gap_s = -rng.uniform(0.3, 1.0) if rng.random() < kind.overlapping else rng.uniform(0.1, 0.7)
        start = max(0, len(mixed) + int(gap_s * SAMPLE_RATE_HZ))
        mixed = np.pad(mixed, (0, max(0, start + len(clip) - len(mixed))))
        mixed[start : start + len(clip)] += clip
        heard = np.flatnonzero(SpeechGate().feed(SpeechDetector().feed(clip)))
        if len(heard):
            start_s = start / SAMPLE_RATE_HZ
            reference[Segment(start_s + heard[0] * FRAME_S, start_s + (heard[-1] + 1) * FRAME_S), turn] = speaker
        turn += 1
    return mixed, reference


def _turn(of_speaker: list[Callable[[], Samples]], seconds: float, rng: np.random.Generator) -> Samples:
    """Speech of one speaker of up to so many seconds, at a level of its own."""
    clip = of_speaker[int(rng.integers(len(of_speaker)))]()
    level = np.sqrt(np.mean(np.square(clip))) + 1e-6
    return (clip[: int(seconds * SAMPLE_RATE_HZ)] / level * 10 ** (rng.uniform(-28, -20) / 20)).astype(np.float32)


if __name__ == "__main__":
    main()
