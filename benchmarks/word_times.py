"""Accuracy of word and tag times: forced alignment of true texts against the local voice, which knows its own times.

    python benchmarks/word_times.py [--model edge] [--output benchmarks/results/word_times.json]

Speaks tagged sentences with several local voices, three to a window with pauses between them, aligns each window's true
text by the model and prints the errors of starts and ends in milliseconds: median, mean and 95th percentile of their
absolute values, and the median with its sign (the bias).
"""

import argparse
import json
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from evoxtral.audio import SAMPLE_RATE_HZ, resample
from evoxtral.inference.engines.loading import load_engine
from evoxtral.inference.timing import time_events, time_words
from evoxtral.models import resolve_model
from evoxtral.tags import Category, parse
from evoxtral.tts import load_speech_engine

VOICES = 8
WINDOWS_A_VOICE = 4
SENTENCES = (
    "[calm] The train leaves at seven, and we have to be at the station before that.",
    "[excited] You will NEVER guess who called me this morning! [laughs]",
    "I told them that the report was finished, but nobody had read a single page of it.",
    "[sighs] We could take the long way round, over the bridge.",
    "[whispers] Do not turn around now, he is behind you. [pause] Keep walking.",
    "When my grandfather was young, this street was a field.",
    "[angry] How many times do I have to say it? [clears throat] Nobody touches the blue folder!",
    "There are three things to remember: the key, the number, and the name of the dog.",
    "[gasps] Somebody has been in this room while we were away!",
    "[sad] She left the letters on the table and never came back. [crying]",
)


@dataclass
class Errors:
    """Signed errors in seconds: where the alignment puts something, less where the voice put it."""

    starts: list[float] = field(default_factory=list)
    ends: list[float] = field(default_factory=list)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--model", default="edge", help="edge, or the folder of a CTranslate2 Whisper")
    parser.add_argument("--output", type=Path, help="write the figures as JSON")
    arguments = parser.parse_args()
    resolve_model(arguments.model)
    aligner = load_engine(arguments.model)
    voices = [voice.name for voice in load_speech_engine("local").voices()]
    rng = np.random.default_rng(0)
    words, tags = Errors(), Errors()
    for voice in voices[:: max(1, len(voices) // VOICES)][:VOICES]:
        for _ in range(WINDOWS_A_VOICE):
            chosen = [SENTENCES[index] for index in rng.permutation(len(SENTENCES))[:3]]
            samples, word_truth, tag_truth = speak(chosen, voice, rng)
            parsed = parse(" ".join(chosen))
            (tokens,) = aligner.align_windows([samples], [parsed.source])
            spans = time_words(parsed, tokens, samples)
            for span, (start_s, end_s) in zip(spans, word_truth, strict=True):
                words.starts.append(span.start_s - start_s)
                words.ends.append(span.end_s - end_s)
            events = time_events(parsed, spans, tokens, samples)
            for event, tag, (start_s, end_s) in zip(events, parsed.tags, tag_truth, strict=True):
                if event is not None and tag.category is Category.NON_VERBAL:
                    tags.starts.append(event.start_s - start_s)
                    tags.ends.append(event.end_s - end_s)
    report = {}
    print(f"{'ms':24} {'count':>6} {'median':>7} {'mean':>7} {'p95':>7} {'bias':>7}")
    for name, errors in {
        "word starts": words.starts,
        "word ends": words.ends,
        "non-verbal tag starts": tags.starts,
        "non-verbal tag ends": tags.ends,
    }.items():
        absolute_ms = 1000 * np.abs(errors)
        figures = {
            "count": len(errors),
            "median_ms": float(np.median(absolute_ms)),
            "mean_ms": float(np.mean(absolute_ms)),
            "p95_ms": float(np.percentile(absolute_ms, 95)),
            "bias_ms": float(1000 * np.median(errors)),
        }
        report[name] = figures
        print(f"{name:24}" + "".join(f" {value:>{6 if key == 'count' else 7}.0f}" for key, value in figures.items()))
    if arguments.output:
        text = json.dumps({"model": arguments.model, "errors": report}, indent=2)
        arguments.output.write_text(text + "\n", encoding="utf-8")


Span = tuple[float, float]


def speak(
    sentences: list[str], voice: str, rng: np.random.Generator
) -> tuple[NDArray[np.float32], list[Span], list[Span]]:
    """Sentences with pauses between them, and where their words and tags are."""
    engine = load_speech_engine("local")
    parts: list[NDArray[np.float32]] = []
    words: list[Span] = []
    tags: list[Span] = []
    at_s = 0.0
    for sentence in sentences:
        pause = np.zeros(int(rng.uniform(0.2, 1.0) * SAMPLE_RATE_HZ), np.float32)
        speech = engine.speak(sentence, voice=voice, seed=int(rng.integers(1000)))
        sound = resample(speech.samples, speech.sample_rate_hz, SAMPLE_RATE_HZ)
        at_s += len(pause) / SAMPLE_RATE_HZ
        words += [(at_s + word.start_s, at_s + word.end_s) for word in speech.words]
        tags += [(at_s + tag.start_s, at_s + tag.end_s) for tag in speech.tags]
        parts += [pause, sound]
        at_s += len(sound) / SAMPLE_RATE_HZ
    return np.concatenate(parts), words, tags


if __name__ == "__main__":
    main()
