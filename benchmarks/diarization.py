"""Diarization error of the embedded diarizer on mixtures of known voices, and how often it counts the speakers right.

    pip install pyannote.metrics
    python benchmarks/diarization.py [--output benchmarks/results/diarization.json] [SET.jsonl ...]

Each SET.jsonl is a manifest of recordings with their speakers and its tar beside it; the local voices are always
measured. Mixtures have one to four speakers who take turns of one to eight seconds with short pauses between. A turn of
the reference lasts from the first to the last speech of its clip; collar 0.25 s.
"""

import argparse
import json
from collections.abc import Callable
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

MIXTURE_S = 90
MIXTURES_A_COUNT = 4
SPEAKERS = (1, 2, 3, 4)
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


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("sets", nargs="*", type=Path, help="manifests of recordings with speakers")
    parser.add_argument("--split", help="only the clips of this split")
    parser.add_argument("--output", type=Path, help="write the figures as JSON")
    arguments = parser.parse_args()
    sources = {"local voices": spoken()} | {path.stem: recorded(path, arguments.split) for path in arguments.sets}
    report = {}
    for name, clips in sources.items():
        report[name] = evaluate(clips)
        print(name, json.dumps(report[name]), flush=True)
    if arguments.output:
        arguments.output.write_text(json.dumps(report, indent=2) + "\n", encoding="utf-8")


def recorded(manifest: Path, split: str | None) -> dict[str, list[Callable[[], Samples]]]:
    """Clips of the speakers of whom there are at least thirty seconds."""
    recordings = RecordingSet(manifest)
    clips: dict[str, list[Callable[[], Samples]]] = {}
    lengths_s: dict[str, float] = {}
    for recording in recordings.recordings:
        if recording.speaker and recording.duration_s >= 1.0 and split in (None, recording.split):
            clips.setdefault(recording.speaker, []).append(lambda recording=recording: recordings.read(recording))
            lengths_s[recording.speaker] = lengths_s.get(recording.speaker, 0.0) + recording.duration_s
    return {speaker: clips[speaker] for speaker in clips if lengths_s[speaker] >= 30}


def spoken() -> dict[str, list[Callable[[], Samples]]]:
    engine = load_speech_engine("local")

    def speak(voice: str, sentence: str) -> Samples:
        speech = engine.speak(sentence, voice=voice)
        return resample(speech.samples, speech.sample_rate_hz, SAMPLE_RATE_HZ)

    return {
        voice.name: [lambda voice=voice, sentence=sentence: speak(voice.name, sentence) for sentence in SENTENCES]
        for voice in engine.voices()
    }


def evaluate(clips: dict[str, list[Callable[[], Samples]]]) -> dict[str, float]:
    rng = np.random.default_rng(0)
    metric = DiarizationErrorRate(collar=0.5, skip_overlap=True)  # pyannote counts both sides of a boundary
    totals: dict[str, float] = {}
    counted = []
    for count in SPEAKERS:
        for _ in range(MIXTURES_A_COUNT):
            samples, reference = mix(clips, min(count, len(clips)), rng)
            diarizer = EmbeddedDiarizer()
            for window in cut_windows([samples]):
                diarizer.hear(window)
            hypothesis = Annotation()
            for index, turn in enumerate(diarizer.turns()):
                hypothesis[Segment(turn.start_s, turn.end_s), index] = turn.speaker
            whole = Timeline([Segment(0, len(samples) / SAMPLE_RATE_HZ)])
            for key, value in metric(reference, hypothesis, uem=whole, detailed=True).items():
                totals[key] = totals.get(key, 0.0) + value
            counted.append(len(hypothesis.labels()) == count)
    parts = {key: totals[key] / totals["total"] for key in ("confusion", "missed detection", "false alarm")}
    figures = {"error_rate": sum(parts.values()), **parts, "speaker_count_right": float(np.mean(counted))}
    return {"mixtures": len(counted), **{key: round(value, 4) for key, value in figures.items()}}


def mix(
    clips: dict[str, list[Callable[[], Samples]]], count: int, rng: np.random.Generator
) -> tuple[Samples, Annotation]:
    speakers = [str(name) for name in rng.choice(sorted(clips), count, replace=False)]
    reference = Annotation()
    parts: list[Samples] = []
    at_s, before = 0.0, ""
    while at_s < MIXTURE_S:
        speaker = str(rng.choice([name for name in speakers if name != before] or speakers))
        before = speaker
        clip = clips[speaker][int(rng.integers(len(clips[speaker])))]()[: int(rng.uniform(1.5, 8) * SAMPLE_RATE_HZ)]
        level = np.sqrt(np.mean(np.square(clip))) + 1e-6
        clip = (clip / level * 10 ** (rng.uniform(-28, -20) / 20)).astype(np.float32)
        pause = np.zeros(int(rng.uniform(0.1, 0.7) * SAMPLE_RATE_HZ), np.float32)
        start_s = at_s + len(pause) / SAMPLE_RATE_HZ
        detector, gate = SpeechDetector(), SpeechGate()
        heard = np.flatnonzero(gate.feed(detector.feed(clip)))
        if len(heard):
            reference[Segment(start_s + heard[0] * FRAME_S, start_s + (heard[-1] + 1) * FRAME_S)] = speaker
        parts += [pause, clip]
        at_s = start_s + len(clip) / SAMPLE_RATE_HZ
    return np.concatenate(parts), reference


if __name__ == "__main__":
    main()
